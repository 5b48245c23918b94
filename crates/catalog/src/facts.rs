//! Facts about the machines that a stack is rendered for.

use serde::{Deserialize, Serialize};
use stackyard_core::stack::own_host;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

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
    pub const NAMES: [&'static str; 6] = ["name", "address", "kvm", "ovs_kernel", "cpus", "memory_mib"];

    /// Names and values, as Compose files see them: `host_name` ...
    pub fn variables(&self) -> [(&'static str, String); 6] {
        [
            ("host_name", self.name.clone()),
            ("host_address", OWN_ADDRESS.to_owned()),
            ("host_kvm", self.kvm.to_string()),
            ("host_ovs_kernel", self.ovs_kernel.to_string()),
            ("host_cpus", self.cpus.to_string()),
            ("host_memory_mib", self.memory_mib.to_string()),
        ]
    }
}

/// Address of the one machine, for itself.
pub(crate) const OWN_ADDRESS: &str = "127.0.0.1";

/// Address of a host that has none yet (RFC 5737: for documentation, no host has it).
pub const EXAMPLE_ADDRESS: &str = "192.0.2.1";

/// Example hosts of a review: a cluster has three members or more, and its templates may name the first ones.
const EXAMPLE_HOSTS: u8 = 3;

/// Value of each label of an example host.
pub(crate) const EXAMPLE_LABEL: &str = "example";

/// A host of a yard, as templates see it in `hosts.<label>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct YardHost {
    /// Name, unique in the yard.
    pub name: String,
    /// IP address at which others reach it, as text.
    pub address: String,
    /// Labels by key.
    pub labels: BTreeMap<String, String>,
}

/// The machines that a package is rendered for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Machines {
    /// This machine alone.
    One(HostFacts),
    /// The hosts of a yard, ordered by joining.
    Hosts(Vec<YardHost>),
    /// Unknown hosts of a yard, to review a package before it is installed. Each label leads to three examples.
    Example,
}

/// The object `hosts` of templates: hosts by label, and `all`.
pub(crate) enum HostLists {
    /// By label.
    Known(BTreeMap<String, Vec<YardHost>>),
    /// Each label leads to the one machine.
    One(YardHost),
    /// Each label leads to these hosts, and has a value on each of them.
    Examples(Vec<YardHost>),
}

/// The facts of a host of a yard: all others are about one machine.
pub(crate) const OWN: [(&str, &str); 2] = [("name", own_host::NAME), ("address", own_host::ADDRESS)];

impl Machines {
    /// The hosts of a yard, or examples of them; none if the package is for one machine.
    pub(crate) fn hosts(&self) -> Cow<'_, [YardHost]> {
        match self {
            Self::One(_) => Cow::Borrowed(&[]),
            Self::Hosts(hosts) => Cow::Borrowed(hosts),
            Self::Example => (1..=EXAMPLE_HOSTS).map(example).collect(),
        }
    }

    /// The object `hosts`.
    pub(crate) fn lists(&self) -> HostLists {
        match self {
            Self::One(facts) => HostLists::One(YardHost {
                name: facts.name.clone(),
                address: OWN_ADDRESS.to_owned(),
                labels: BTreeMap::new(),
            }),
            Self::Example => HostLists::Examples(self.hosts().into_owned()),
            Self::Hosts(hosts) => {
                let labels: BTreeSet<&String> = hosts.iter().flat_map(|h| h.labels.keys()).collect();
                let with = |label: &String| hosts.iter().filter(|h| h.labels.contains_key(label)).cloned().collect();
                let mut lists: BTreeMap<String, Vec<YardHost>> =
                    labels.into_iter().map(|label| (label.clone(), with(label))).collect();
                lists.insert(ALL.to_owned(), hosts.clone());
                HostLists::Known(lists)
            }
        }
    }
}

/// The example host with this number. The first has [`EXAMPLE_ADDRESS`].
fn example(number: u8) -> YardHost {
    let address = Ipv4Addr::new(192, 0, 2, number).to_string();
    YardHost { name: format!("host-{number}"), address, labels: BTreeMap::new() }
}

/// Key of all hosts in `hosts`.
const ALL: &str = "all";
