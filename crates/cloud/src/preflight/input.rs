//! What a preflight is asked about.

use super::Machine;
use crate::home::Home;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use stackyard_catalog::ResolvedAnswers;
use stackyard_core::stack::{NetworkMode, Stack};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What the cloud will want of this machine, and where to look.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// The machine to look at.
    pub machine: Machine,
    /// State directory of the cloud.
    pub home: PathBuf,
    /// Name of the cloud's stack.
    pub stack: String,
    /// A cloud was brought up from this state directory, and not purged since.
    pub exists: bool,
    /// Address of Docker Engine: `unix:///path`.
    pub docker: String,
    /// Address on which the APIs will listen.
    pub api_address: IpAddr,
    /// Network card for the external network, if one is given up for it.
    pub neutron_interface: Option<String>,
    /// Addresses of the external network.
    pub external: Option<IpNet>,
    /// MTU of the external network in bytes.
    pub external_mtu: u32,
    /// MTU of tenants' networks in bytes.
    pub tenant_mtu: u32,
    /// What the user wants servers to run on.
    pub virtualization: Virtualization,
    /// Ports on which services will listen.
    pub ports: Vec<Port>,
    /// What must be there of memory, disk and CPUs.
    pub needs: Needs,
    /// Image that has QEMU, to try KVM with where the machine itself has no QEMU.
    pub qemu_image: Option<String>,
    /// Service images will have to be built here.
    pub builds_images: bool,
    /// The variables of the environment that matter: proxies, `PATH`.
    pub environment: BTreeMap<String, String>,
}

/// What servers run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Virtualization {
    /// KVM where a guest starts, else QEMU.
    #[default]
    Auto,
    /// KVM, or nothing.
    Kvm,
    /// QEMU.
    Qemu,
}

/// A port on which a service will listen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// UDP instead of TCP.
    #[serde(default)]
    pub udp: bool,
    /// The service.
    pub service: String,
}

/// What must be there; sizes in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Memory of the services alone.
    pub memory: u64,
    /// Memory with which a few servers run, too.
    pub memory_comfort: u64,
    /// Disk for images and an empty cloud.
    pub disk: u64,
    /// Disk with which a few servers and volumes fit, too.
    pub disk_comfort: u64,
    /// CPUs below which everything is slow.
    pub cpus: u32,
}

impl Needs {
    /// Of a profile. The services of `core` idle at about 3 GiB, those of `full` at 4 (`make bench`
    /// measures it).
    pub fn of_profile(profile: &str) -> Self {
        let memory = if profile == "full" { 4608 } else { 3584 };
        Self { memory, memory_comfort: memory + 4096, disk: 6 * 1024, disk_comfort: 20 * 1024, cpus: 2 }
    }
}

/// Variables of the environment that checks look at.
const VARIABLES: [&str; 7] =
    ["PATH", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY"];
/// More of them; upper and lower case mean the same to most programs.
const MORE_VARIABLES: [&str; 2] = ["ALL_PROXY", "NO_PROXY"];

impl Input {
    /// What the package's `answers` mean for the machine. `stack` is what they render to; its
    /// services say in `expose` (or publish) on which ports they listen.
    ///
    /// Afterwards, `exists`, `builds_images` and `needs` may be set to what the caller knows
    /// better.
    pub fn new(home: &Home, answers: &ResolvedAnswers, stack: Option<&Stack>) -> Self {
        let text = |name: &str| Some(answers.text(name)).filter(|t| !t.is_empty());
        let number = |name: &str, default| text(name).and_then(|t| t.parse().ok()).unwrap_or(default);
        let images = text("image_prefix").zip(text("image_tag"));
        Self {
            machine: Machine::this(),
            home: home.dir().to_owned(),
            stack: crate::STACK.to_owned(),
            exists: home.secrets().exists(),
            docker: std::env::var("DOCKER_HOST")
                .ok()
                .filter(|h| !h.is_empty())
                .unwrap_or_else(|| stackyard_platform::docker::DEFAULT_HOST.to_owned()),
            api_address: number_or(text("api_address"), IpAddr::V4(Ipv4Addr::LOCALHOST)),
            neutron_interface: text("neutron_interface"),
            external: text("external_cidr").and_then(|t| t.parse().ok()),
            external_mtu: number("external_mtu", 1500),
            tenant_mtu: number("tenant_mtu", 1442),
            virtualization: match text("virt_type").as_deref() {
                Some("kvm") => Virtualization::Kvm,
                Some("qemu") => Virtualization::Qemu,
                _ => Virtualization::Auto,
            },
            ports: ports(answers, stack),
            needs: Needs::of_profile(&answers.text("profile")),
            qemu_image: images.map(|(prefix, tag)| format!("{prefix}/nova-libvirt:{tag}")),
            builds_images: false,
            environment: VARIABLES
                .into_iter()
                .chain(MORE_VARIABLES)
                .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok().filter(|v| !v.is_empty())?)))
                .collect(),
        }
    }
}

fn number_or<T: std::str::FromStr>(text: Option<String>, default: T) -> T {
    text.and_then(|t| t.parse().ok()).unwrap_or(default)
}

/// Ports that the services of `stack` name, and those that the answers choose.
fn ports(answers: &ResolvedAnswers, stack: Option<&Stack>) -> Vec<Port> {
    let mut found: BTreeMap<(u16, bool), String> = BTreeMap::new();
    for (name, service) in stack.iter().flat_map(|s| &s.services) {
        if service.network_mode == NetworkMode::Host {
            for (number, udp) in service.expose.iter().flat_map(|text| exposed(text)) {
                found.entry((number, udp)).or_insert_with(|| name.clone());
            }
        }
    }
    for answer in answers.iter() {
        if let Some(name) = answer.name.strip_suffix("_port")
            && let Ok(number) = answer.value.to_string().parse()
        {
            found.entry((number, false)).or_insert_with(|| name.to_owned());
        }
    }
    found.into_iter().map(|((number, udp), service)| Port { number, udp, service }).collect()
}

/// Reads an `expose` of Compose: `80`, `80/udp`, `80-82/tcp`.
fn exposed(text: &str) -> Vec<(u16, bool)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).map(|n| (n, protocol == "udp")).collect(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposed_ports_are_read_as_compose_means_them() {
        assert_eq!(exposed("80"), [(80, false)]);
        assert_eq!(exposed("69/udp"), [(69, true)]);
        assert_eq!(exposed("80-82/tcp"), [(80, false), (81, false), (82, false)]);
        assert_eq!(exposed("http"), []);
    }
}
