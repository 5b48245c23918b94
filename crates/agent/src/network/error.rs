//! Why a call of Docker's failed. Docker shows the text to whoever called it.

use std::path::PathBuf;
use std::time::Duration;

/// A failure of the plugin or of one of its calls.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be carried out as it is.
    #[error("{0}")]
    Request(String),
    /// The cloud did not do what it was asked.
    #[error("{doing}: {source}{}", hint(source))]
    Cloud {
        /// What was tried, on which network or container.
        doing: String,
        /// What the cloud said.
        source: Box<stackyard_openstack::Error>,
    },
    /// The port could not be plugged.
    #[error("cannot {doing}")]
    Wire {
        /// What was tried.
        doing: String,
        /// Why not.
        #[source]
        source: stackyard_wire::Error,
    },
    /// Open vSwitch's database does not say how this host is called.
    #[error("Open vSwitch's database has no external_ids:hostname; say --host, as Neutron calls this machine")]
    NoHostName,
    /// The socket could not be made.
    #[error("cannot listen at {}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Docker Engine does not answer.
    #[error("Docker Engine cannot be asked for {doing}: {said}")]
    Docker {
        /// What was wanted.
        doing: &'static str,
        /// What it said.
        said: String,
    },
    /// Others use a network that was made for Docker, or its router.
    #[error(
        "cannot remove network {name:?}: {ports} ports that are not this driver's use it or its router, the first one is \
         {first}; network and router stay until these ports are gone"
    )]
    NetworkInUse {
        /// The Neutron network's name.
        name: String,
        /// How many ports.
        ports: usize,
        /// The id of one of them.
        first: String,
    },
    /// A call takes longer than Docker is to wait.
    #[error(
        "cannot finish {method} within {} s: the cloud or Open vSwitch is slow; the agent continues, and removes what no \
         container uses",
        after.as_secs()
    )]
    Late {
        /// Docker's name of it.
        method: String,
        /// When Docker got this answer.
        after: Duration,
    },
    /// A broker of ports refused, or the cloud refused it.
    #[error(transparent)]
    Ports(#[from] stackyard_ports::Error),
    /// A program of the system failed.
    #[error(transparent)]
    Program(#[from] crate::program::Error),
    /// The agent's own files.
    #[error(transparent)]
    Agent(#[from] crate::Error),
}

fn hint(error: &stackyard_openstack::Error) -> String {
    error.hint().map(|h| format!("; {h}")).unwrap_or_default()
}

impl Error {
    /// A request that cannot be carried out.
    pub(crate) fn request(text: impl Into<String>) -> Self {
        Self::Request(text.into())
    }

    /// Wraps what the cloud said.
    pub(crate) fn cloud(doing: impl Into<String>) -> impl FnOnce(stackyard_openstack::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Cloud { doing, source: Box::new(source) }
    }

    /// The VLAN id that is in use on the host, if that is why something could not be plugged.
    pub(crate) fn vlan_taken(&self) -> Option<u16> {
        match self {
            Self::Wire { source: stackyard_wire::Error::VlanTaken { id, .. }, .. } => Some(*id),
            _ => None,
        }
    }

    /// Wraps why something could not be plugged.
    pub(crate) fn wire(doing: impl Into<String>) -> impl FnOnce(stackyard_wire::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Wire { doing, source }
    }
}
