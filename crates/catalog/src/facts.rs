//! Facts about the machine that a stack is rendered for.

use serde::{Deserialize, Serialize};

/// What templates see as `host.*` and Compose files as `host_*`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostFacts {
    /// Host name.
    pub name: String,
    /// A guest really runs under KVM.
    pub kvm: bool,
    /// The kernel has the Open vSwitch datapath.
    pub ovs_kernel: bool,
    /// CPUs that can be used.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl HostFacts {
    /// Names of the facts, as templates see them.
    pub const NAMES: [&'static str; 5] = ["name", "kvm", "ovs_kernel", "cpus", "memory_mib"];

    /// Names and values, as Compose files see them: `host_name` ...
    pub fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("host_name", self.name.clone()),
            ("host_kvm", self.kvm.to_string()),
            ("host_ovs_kernel", self.ovs_kernel.to_string()),
            ("host_cpus", self.cpus.to_string()),
            ("host_memory_mib", self.memory_mib.to_string()),
        ]
    }
}
