//! The verbs: bring a yard up, take it down, look at it, sweep.
//!
//! ```text
//! DeclaredStacks::look -> UpOperation::look -> preflight -> (the user confirms) -> carry_out
//!                         DownOperation::look ------------> (the user confirms) -> carry_out
//! ```
//!
//! The command line and the server's runs use the same operations. A look changes nothing. A run may be killed or
//! dropped at any point, and the next one converges.

mod declared;
mod down;
mod known_hosts;
mod lock;
mod package_stack;
mod records;
mod resources;
mod snapshot;
mod stacks;
mod sweep;
mod up;

pub use declared::{DeclaredStacks, Say};
pub use down::{DownOperation, remove_yard};
pub use lock::YardLock;
pub use package_stack::{NewSecrets, PackageStackRequest, PreparedStack};
pub use records::{KnownYards, Records};
pub use snapshot::YardSnapshot;
pub use stacks::YardStacks;
pub use sweep::{SweepResult, sweep};
pub use up::UpOperation;

use crate::error::Error;
use stackyard_client::{Client, ClientError};
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::yard::Scope;
use stackyard_core::yard::plan::Plan;
use stackyard_openstack::{Cloud, CloudConfig, Options, RequestEvent, Sources};
use stackyard_ports::scope_of;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a cloud may take to create what a run asked for that was killed.
const LATE: Duration = Duration::from_secs(5);

/// Waits until nothing more can come of a run that was killed before `looked`.
async fn let_settle(looked: Instant, onlooker: &dyn Onlooker) {
    let text =
        "the last run did not end well: looking for what the cloud has made of it since".to_owned();
    onlooker.see(Event::Note { step: None, text });
    tokio::time::sleep(LATE.saturating_sub(looked.elapsed())).await;
}

/// Connects to the cloud with this name in `sources`, else to the one that they point to; `onlooker`
/// hears of requests that are sent again.
///
/// # Errors
/// What the configuration or Keystone says.
pub async fn connect(
    name: Option<&str>,
    sources: &Sources,
    onlooker: Arc<dyn Onlooker>,
) -> Result<Cloud, stackyard_openstack::Error> {
    let config = CloudConfig::load_from(name, sources)?;
    let options = Options {
        observer: Some(Arc::new(move |e: &RequestEvent| retried(e, &*onlooker))),
        ..Options::default()
    };
    Cloud::connect(config, options).await
}

/// Tells of requests that are sent again.
fn retried(event: &RequestEvent, onlooker: &dyn Onlooker) {
    if let Some((reason, wait)) = &event.retry {
        let (method, service) = (&event.method, event.service);
        let text = format!(
            "{method} {service}: {reason}; again in {:.1} s",
            wait.as_secs_f64()
        );
        onlooker.see(Event::Note { step: None, text });
    }
}

/// The project and region that a cloud's requests are for, as marks, records and locks name it.
///
/// # Errors
/// [`Error::Cloud`]
pub async fn scope(cloud: &Cloud) -> Result<Scope, Error> {
    let doing = || {
        format!(
            "asking cloud {} for project and region",
            cloud.config().name
        )
    };
    scope_of(cloud).await.map_err(Error::cloud(doing()))
}

/// Whether a server's yard of this name is the one in this project and region, or none yet.
///
/// # Errors
/// [`ClientError`]
pub async fn is_its_yard(client: &Client, yard: &str, scope: &Scope) -> Result<bool, ClientError> {
    Ok(client
        .yard_scope(yard)
        .await?
        .is_none_or(|known| known == *scope))
}

/// A plan for the cloud with what is done about stacks.
fn with_stacks(plan: &Plan, stacks: Option<&YardStacks>) -> Plan {
    Plan {
        stacks: stacks.map(|s| s.steps.clone()).unwrap_or_default(),
        ..plan.clone()
    }
}
