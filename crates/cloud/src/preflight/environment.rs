//! Who runs this, with which tools, behind which proxies, under which security module.

use super::{Check, PreflightScene};
use std::net::IpAddr;

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    let mut checks = vec![user(), proxies(scene), security(scene)];
    if scene.input.builds_images {
        checks.push(builder(scene));
    }
    checks
}

fn user() -> Check {
    let (id, title) = ("environment.user", "User");
    if rustix::process::geteuid().is_root() {
        return Check::pass(id, title, "root");
    }
    Check::warn(id, title, format!("user {}", rustix::process::geteuid().as_raw()))
        .means("who holds a port or a socket cannot always be seen; rendered files must belong to root")
        .mend("run this as root (sudo)")
}

/// A proxy must not get between services, nor between this program and its cloud.
fn proxies(scene: &PreflightScene) -> Check {
    let (id, title) = ("environment.proxies", "Proxies");
    let variable = |name: &str| {
        let environment = &scene.input.environment;
        environment.get(name).or_else(|| environment.get(&name.to_uppercase()))
    };
    let set: Vec<&str> =
        ["http_proxy", "https_proxy", "all_proxy"].into_iter().filter(|n| variable(n).is_some()).collect();
    if set.is_empty() {
        return Check::pass(id, title, "none in the environment");
    }
    let exceptions = variable("no_proxy").map(String::as_str).unwrap_or_default();
    let address = scene.input.api_address;
    let seen = format!("{} {} set", set.join(" and "), if set.len() == 1 { "is" } else { "are" });
    // https requests go by their own proxy, plain ones by http_proxy; the APIs are plain.
    if set == ["https_proxy"] || excepts(exceptions, address) {
        return Check::pass(id, title, format!("{seen}; {address} is excepted"));
    }
    Check::warn(id, title, format!("{seen}, and no_proxy does not except {address}"))
        .means("OpenStack clients of this shell would ask the proxy for the APIs of this machine")
        .mend(format!(
            "`export no_proxy={}{address}`",
            if exceptions.is_empty() { String::new() } else { format!("{exceptions},") }
        ))
}

/// Whether `no_proxy` names the address: itself, a network it is in, or everything.
fn excepts(list: &str, address: IpAddr) -> bool {
    list.split([',', ' ']).map(str::trim).any(|item| {
        item == "*"
            || item.parse::<IpAddr>() == Ok(address)
            || item.parse::<ipnet::IpNet>().is_ok_and(|net| net.contains(&address))
    })
}

fn security(scene: &PreflightScene) -> Check {
    let (id, title) = ("environment.security", "Security module");
    let machine = &scene.input.machine;
    match machine.line("/sys/fs/selinux/enforce").as_deref() {
        Some("1") => {
            return Check::warn(id, title, "SELinux enforces")
                .means("files of the host that are mounted into services may be refused to them")
                .mend("`setenforce 0`, or label the state directory for containers");
        }
        Some(_) => return Check::pass(id, title, "SELinux, permissive"),
        None => {}
    }
    if machine.line("/sys/module/apparmor/parameters/enabled").as_deref() == Some("Y") {
        let profiles = machine.read("/sys/kernel/security/apparmor/profiles").unwrap_or_default();
        if let Some(profile) = profiles.lines().find(|l| l.contains("libvirtd") && l.contains("(enforce)")) {
            let name = profile.split(' ').next().unwrap_or_default();
            return Check::warn(id, title, format!("AppArmor confines {name}"))
                .means("a profile of the host's libvirt also applies to the one in the container, and stops servers from starting")
                .mend(format!("`apparmor_parser -R /etc/apparmor.d/{}`", name.trim_start_matches('/').replace('/', ".")));
        }
        return Check::pass(id, title, "AppArmor; privileged containers run unconfined");
    }
    Check::pass(id, title, "none that confines containers")
}

fn builder(scene: &PreflightScene) -> Check {
    let (id, title) = ("environment.mmdebstrap", "Builder of base images");
    let search = scene.input.environment.get("PATH").map_or("/usr/sbin:/usr/bin:/sbin:/bin", String::as_str);
    match scene.input.machine.program("mmdebstrap", search) {
        Some(path) => Check::pass(id, title, path.display().to_string()),
        None if scene.engine.has_images => {
            Check::info(id, title, "mmdebstrap is not in PATH; the service images are there")
                .means("they cannot be rebuilt when their recipes change")
        }
        None => Check::fail(id, title, "mmdebstrap is not in PATH")
            .means("service images cannot be built here")
            .mend("`apt-get install mmdebstrap`, or take images from a registry: --set image_prefix=REGISTRY/NAME"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_from_proxies() {
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        for (list, expected) in
            [("*", true), ("localhost,192.0.2.7", true), ("192.0.2.0/24", true), ("localhost", false), ("", false)]
        {
            assert_eq!(excepts(list, address), expected, "{list}");
        }
    }
}
