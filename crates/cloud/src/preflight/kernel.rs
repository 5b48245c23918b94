//! Features of the kernel, and what is used where one is missing.

use super::{Check, Machine, Outcome, PreflightScene};
use std::io::Read;

/// How a feature is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Works now; how that was seen.
    Active(String),
    /// A module that can be loaded.
    Loadable,
    /// Neither built in nor a module; how that was seen.
    Missing(String),
    /// Nothing tells.
    Unknown,
}

/// A feature: how to see it, and what becomes of us without it.
struct Feature {
    id: &'static str,
    title: &'static str,
    /// Name of the module, with underscores.
    module: &'static str,
    /// Name of the option that builds it.
    config: &'static str,
    /// Files that exist only where it works.
    signs: &'static [&'static str],
    /// Its name in /proc/filesystems.
    filesystem: Option<&'static str>,
    without: Outcome,
    means: &'static str,
    mend: Mend,
}

enum Mend {
    /// Install a kernel that has it.
    Kernel,
    Nothing,
}

const FEATURES: [Feature; 14] = [
    Feature {
        id: "openvswitch",
        title: "Open vSwitch datapath",
        module: "openvswitch",
        config: "CONFIG_OPENVSWITCH",
        signs: &["/sys/module/openvswitch"],
        filesystem: None,
        without: Outcome::Warn,
        means: "the datapath in user space is used: everything works, with a fraction of the throughput",
        mend: Mend::Kernel,
    },
    Feature {
        id: "geneve",
        title: "Geneve tunnels",
        module: "geneve",
        config: "CONFIG_GENEVE",
        signs: &["/sys/module/geneve"],
        filesystem: None,
        without: Outcome::Info,
        means: "one machine has no tunnels; the datapath in user space brings its own",
        mend: Mend::Nothing,
    },
    Feature {
        id: "vxlan",
        title: "VXLAN tunnels",
        module: "vxlan",
        config: "CONFIG_VXLAN",
        signs: &["/sys/module/vxlan"],
        filesystem: None,
        without: Outcome::Info,
        means: "one machine has no tunnels; the datapath in user space brings its own",
        mend: Mend::Nothing,
    },
    Feature {
        id: "8021q",
        title: "VLAN interfaces",
        module: "8021q",
        config: "CONFIG_VLAN_8021Q",
        signs: &["/sys/module/8021q", "/proc/net/vlan"],
        filesystem: None,
        without: Outcome::Info,
        means: "Open vSwitch tags frames itself; only VLAN interfaces on this machine are impossible",
        mend: Mend::Nothing,
    },
    Feature {
        id: "tun",
        title: "TAP devices",
        module: "tun",
        config: "CONFIG_TUN",
        signs: &["/dev/net/tun", "/sys/class/misc/tun"],
        filesystem: None,
        without: Outcome::Fail,
        means: "servers cannot be plugged into a network",
        mend: Mend::Kernel,
    },
    Feature {
        id: "veth",
        title: "Pairs of interfaces (veth)",
        module: "veth",
        config: "CONFIG_VETH",
        signs: &["/sys/module/veth"],
        filesystem: None,
        without: Outcome::Fail,
        means: "the metadata service cannot be plugged into networks",
        mend: Mend::Kernel,
    },
    Feature {
        id: "bridge",
        title: "Bridges",
        module: "bridge",
        config: "CONFIG_BRIDGE",
        signs: &["/sys/module/bridge"],
        filesystem: None,
        without: Outcome::Warn,
        means: "Docker has no network for containers that are not on the host's, which builds of images need",
        mend: Mend::Kernel,
    },
    Feature {
        id: "br_netfilter",
        title: "Filters on bridges",
        module: "br_netfilter",
        config: "CONFIG_BRIDGE_NETFILTER",
        signs: &["/proc/sys/net/bridge", "/sys/module/br_netfilter"],
        filesystem: None,
        without: Outcome::Info,
        means: "OVN filters in Open vSwitch and does without",
        mend: Mend::Nothing,
    },
    Feature {
        id: "vhost_net",
        title: "vhost-net",
        module: "vhost_net",
        config: "CONFIG_VHOST_NET",
        signs: &["/dev/vhost-net", "/sys/module/vhost_net"],
        filesystem: None,
        without: Outcome::Info,
        means: "QEMU moves packets itself: servers work, with less throughput",
        mend: Mend::Kernel,
    },
    Feature {
        id: "nf_conntrack",
        title: "Connection tracking",
        module: "nf_conntrack",
        config: "CONFIG_NF_CONNTRACK",
        signs: &["/proc/sys/net/netfilter/nf_conntrack_max", "/sys/module/nf_conntrack"],
        filesystem: None,
        without: Outcome::Fail,
        means: "no NAT for the external network; and no security groups with the kernel's datapath",
        mend: Mend::Kernel,
    },
    Feature {
        id: "nftables",
        title: "nftables",
        module: "nf_tables",
        config: "CONFIG_NF_TABLES",
        signs: &["/sys/module/nf_tables"],
        filesystem: None,
        without: Outcome::Fail,
        means: "servers have no way out: the external network leaves by NAT",
        mend: Mend::Kernel,
    },
    Feature {
        id: "overlay",
        title: "Overlay file systems",
        module: "overlay",
        config: "CONFIG_OVERLAY_FS",
        signs: &["/sys/module/overlay"],
        filesystem: Some("overlay"),
        without: Outcome::Warn,
        means: "Docker falls back to copying whole images (vfs)",
        mend: Mend::Kernel,
    },
    Feature {
        id: "kvm",
        title: "KVM",
        module: "kvm",
        config: "CONFIG_KVM",
        signs: &["/dev/kvm"],
        filesystem: None,
        without: Outcome::Warn,
        means: "QEMU without acceleration is used: servers work, several times slower",
        mend: Mend::Kernel,
    },
    Feature {
        id: "nfs",
        title: "NFS client",
        module: "nfs",
        config: "CONFIG_NFS_FS",
        signs: &["/sys/module/nfs"],
        filesystem: Some("nfs"),
        without: Outcome::Info,
        means: "volumes are files of this machine and are bind-mounted; only NFS servers elsewhere are out of reach",
        mend: Mend::Nothing,
    },
];

/// What the running kernel is known to have.
struct Kernel<'a> {
    machine: &'a Machine,
    release: String,
    builtin: String,
    modules: String,
    filesystems: String,
    config: Option<(String, String)>,
}

impl<'a> Kernel<'a> {
    fn of(machine: &'a Machine) -> Self {
        let release = machine.kernel();
        let module_file = |name: &str| machine.read(format!("/lib/modules/{release}/{name}")).unwrap_or_default();
        Self {
            builtin: module_file("modules.builtin"),
            modules: module_file("modules.dep"),
            filesystems: machine.read("/proc/filesystems").unwrap_or_default(),
            config: config(machine, &release),
            machine,
            release,
        }
    }

    fn presence(&self, feature: &Feature) -> Presence {
        if let Some(sign) = feature.signs.iter().find(|s| self.machine.has(s)) {
            return Presence::Active((*sign).to_owned());
        }
        if let Some(name) = feature.filesystem
            && self.filesystems.lines().any(|l| l.split_whitespace().next_back() == Some(name))
        {
            return Presence::Active("/proc/filesystems".to_owned());
        }
        if lists(&self.builtin, feature.module) {
            return Presence::Active("built in".to_owned());
        }
        if lists(&self.modules, feature.module) {
            return Presence::Loadable;
        }
        match &self.config {
            Some((file, text)) => match option(text, feature.config) {
                Some('y') => Presence::Active(format!("{}=y", feature.config)),
                Some(_) => Presence::Missing(format!("a module that is not in /lib/modules/{}", self.release)),
                None => Presence::Missing(format!("{} is not set in {file}", feature.config)),
            },
            None if !self.modules.is_empty() => Presence::Missing(format!("not in /lib/modules/{}", self.release)),
            None => Presence::Unknown,
        }
    }
}

/// Whether a list of files names the module, `kernel/net/8021q/8021q.ko.xz`; hyphens and
/// underscores mean the same.
fn lists(text: &str, module: &str) -> bool {
    text.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split_once(".ko").is_some_and(|(name, _)| name.replace('-', "_") == module)
    })
}

/// Value of an option in a kernel's configuration: `y` or `m`.
fn option(config: &str, name: &str) -> Option<char> {
    config.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('=')?.chars().next())
}

/// The running kernel's configuration with the file that it came from.
fn config(machine: &Machine, release: &str) -> Option<(String, String)> {
    let boot = format!("/boot/config-{release}");
    if let Some(text) = machine.read(&boot) {
        return Some((boot, text));
    }
    let file = std::fs::File::open(machine.path("/proc/config.gz")).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).ok()?;
    Some(("/proc/config.gz".to_owned(), text))
}

pub(super) fn checks(scene: &PreflightScene) -> Vec<Check> {
    let kernel = Kernel::of(&scene.input.machine);
    FEATURES.iter().map(|feature| judge(feature, &kernel.presence(feature))).collect()
}

/// Whether the kernel has the Open vSwitch datapath, or a module that brings it.
pub fn has_openvswitch(machine: &Machine) -> bool {
    let kernel = Kernel::of(machine);
    let feature = FEATURES.iter().find(|f| f.id == "openvswitch");
    feature.is_some_and(|f| matches!(kernel.presence(f), Presence::Active(_) | Presence::Loadable))
}

fn judge(feature: &Feature, presence: &Presence) -> Check {
    let id = format!("kernel.{}", feature.id);
    let title = format!("Kernel: {}", feature.title);
    match presence {
        Presence::Active(how) => Check::pass(&id, &title, format!("there ({how})")),
        Presence::Loadable => Check::pass(&id, &title, format!("module {} can be loaded", feature.module)),
        Presence::Missing(how) => {
            let mut check = Check::new(&id, &title, feature.without, how.clone()).means(feature.means);
            if let Mend::Kernel = feature.mend {
                check = check.mend("`apt-get install linux-image-amd64` and reboot: Debian's kernels have it");
            }
            check
        }
        // Nothing tells: what matters will show when it is used.
        Presence::Unknown => Check::info(&id, &title, "the kernel tells neither way")
            .means(format!("if it is missing: {}", feature.means))
            .mend(format!("`modprobe {}` tells", feature.module)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_modules_are_read() {
        let dep =
            "kernel/net/openvswitch/openvswitch.ko.xz: kernel/net/nsh/nsh.ko.xz\nkernel/drivers/net/vhost-net.ko:\n";
        assert!(lists(dep, "openvswitch"));
        assert!(lists(dep, "vhost_net"));
        assert!(!lists(dep, "nsh"));
    }

    #[test]
    fn options_are_read() {
        let text = "CONFIG_KVM_INTEL=m\nCONFIG_KVM=y\n# CONFIG_GENEVE is not set\n";
        assert_eq!(option(text, "CONFIG_KVM"), Some('y'));
        assert_eq!(option(text, "CONFIG_KVM_INTEL"), Some('m'));
        assert_eq!(option(text, "CONFIG_GENEVE"), None);
    }
}
