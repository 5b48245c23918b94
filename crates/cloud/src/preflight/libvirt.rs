//! No libvirt daemon beside the one that the cloud brings.

use super::packages::installed;
use super::{Check, PreflightScene};

/// Daemons that take the sockets which the cloud's own libvirt needs.
const DAEMONS: [&str; 3] = ["libvirtd", "virtqemud", "virtnetworkd"];
/// Their sockets; systemd makes them before the daemon runs.
const SOCKETS: [&str; 2] = ["/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"];

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    vec![check(scene)]
}

fn check(scene: &PreflightScene) -> Check {
    let (id, title) = ("libvirt.host", "libvirt of the host");
    let engine = &scene.engine;
    let own = |container: &Option<String>| container.as_deref().is_some_and(|c| engine.is_own(c));
    let means =
        "it shares /run and the machine's guests with the cloud's own libvirt, and each would undo what the other does";
    let stop = "`systemctl disable --now libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket virtqemud.socket virtnetworkd.socket`";
    if let Some(p) = scene.processes.iter().find(|p| DAEMONS.contains(&p.name.as_str()) && !own(&p.container)) {
        let mend = match &p.container {
            Some(c) => format!("`docker stop {}`", engine.name_of(c)),
            None if scene.input.machine.has("/run/systemd/system") => stop.to_owned(),
            None => format!("`kill {}`", p.pid),
        };
        return Check::fail(id, title, format!("{} runs", p.describe(engine))).means(means).mend(mend);
    }
    // The names stand in /proc/net/unix as long as somebody listens.
    let unix = scene.input.machine.read("/proc/net/unix").unwrap_or_default();
    let socket = SOCKETS.iter().find(|s| unix.lines().any(|l| l.ends_with(&format!(" {s}"))));
    if let Some(socket) = socket.filter(|_| !engine.own_running()) {
        return Check::fail(id, title, format!("another program listens at {socket}"))
            .means("systemd would start the host's libvirt as soon as a service connects")
            .mend(stop);
    }
    let packages = installed(&scene.input.machine);
    let package = ["libvirt-daemon", "libvirt-daemon-system"].into_iter().find(|p| packages.contains_key(*p));
    if let Some(package) = package {
        return Check::warn(id, title, format!("the package {package} is installed; nothing of it runs"))
            .means("after a reboot or an upgrade it may run")
            .mend("`apt-get remove libvirt-daemon libvirt-daemon-system`, or mask its units: `systemctl mask libvirtd.service libvirtd.socket`");
    }
    Check::pass(id, title, "none")
}
