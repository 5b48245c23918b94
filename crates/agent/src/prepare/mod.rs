//! `stackyard agent prepare`: what must be so before Docker starts.
//!
//! | step | safe to be run again and to be killed in, because |
//! |---|---|
//! | wait for the volume | it changes nothing |
//! | format it | only what is blank; that it was found blank is written down first, with the UUID that the file system will have, so that a format that was cut short is known as such |
//! | mount it | what is mounted there already is looked at first |
//! | grow it | the tools do nothing when there is nothing to grow |
//! | Docker's MTU | the file is written beside and renamed; one that is as it should be is left alone |
//!
//! A volume that is not blank and has no file system that is known here is never written to.

mod blank;
mod daemon;
mod find;
mod superblock;
pub mod volume;

pub use find::Devices;

use crate::log::host_note;
use crate::state::StateDir;
use crate::{config, mtu, program};
use stackyard_core::progress::Onlooker;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a volume may take to be attached after the boot.
pub const ATTACH: Duration = Duration::from_secs(10 * 60);

/// Why a host could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The volume did not come.
    #[error(
        "volume {id} was not attached to this machine within {} s; attached disks: {there}; see `openstack volume show \
         {id}`",
        waited.as_secs()
    )]
    NotAttached {
        /// Cinder's id.
        id: String,
        /// How long it was waited for.
        waited: Duration,
        /// What is there.
        there: String,
    },
    /// Several disks bear the volume's id.
    #[error("several disks bear the id of volume {id}: {found}; nothing was touched")]
    Ambiguous {
        /// Cinder's id.
        id: String,
        /// Their names.
        found: String,
    },
    /// There is something on the volume that is no file system known here.
    #[error(
        "volume {id} ({}) is not blank: {what}; it is neither formatted nor mounted. If nothing on it is needed: wipefs \
         --all {} && dd if=/dev/zero of={} bs=1M count=1",
        device.display(), device.display(), device.display()
    )]
    NotBlank {
        /// Cinder's id.
        id: String,
        /// Its device.
        device: PathBuf,
        /// What was found.
        what: String,
    },
    /// Something else is mounted where the volume should be.
    #[error("cannot mount volume {id} at {}: {what}", mount.display())]
    InTheWay {
        /// Cinder's id.
        id: String,
        /// Where it should be.
        mount: PathBuf,
        /// What is in the way.
        what: String,
    },
    /// The file system is damaged.
    #[error("the file system of volume {id} ({}) is damaged: {said}; repair it by hand: e2fsck -f {}", device.display(), device.display())]
    Damaged {
        /// Cinder's id.
        id: String,
        /// Its device.
        device: PathBuf,
        /// What the check said.
        said: String,
    },
    /// A program of the system is missing or failed.
    #[error(transparent)]
    Program(#[from] program::Error),
    /// The system refused.
    #[error("cannot {doing} {}", path.display())]
    System {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Docker's configuration is not valid.
    #[error("{} is not valid, Docker would not start with it: {problem}", path.display())]
    Daemon {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The agent's own files.
    #[error(transparent)]
    Agent(#[from] crate::Error),
}

impl Error {
    pub(crate) fn system(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::System { doing, path, source }
    }
}

/// Prepares this machine for Docker, as the configuration in `path` says.
pub fn prepare(path: &Path, state: &StateDir, onlooker: &dyn Onlooker) -> Result<(), Error> {
    let config = config::read(path)?;
    if let Some(wanted) = &config.data_volume {
        volume::bring(wanted, &Devices::default(), state, ATTACH, onlooker)?;
    }
    let daemon = Path::new(daemon::CONFIG);
    match mtu::now(&config) {
        None => onlooker.see(host_note("there is no default route: Docker's MTU stays as it is")),
        Some(mtu) => {
            if daemon::set_mtu(daemon, mtu, daemon::version(), state)? {
                onlooker.see(host_note(format!("{}: the MTU of containers is {mtu}", daemon.display())));
            }
        }
    }
    Ok(())
}
