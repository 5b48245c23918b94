//! How the cloud's services are doing.

use crate::local::{Local, STACK};
use crate::up;
use serde::Serialize;
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::{Error, ServiceStatus};

/// How the cloud is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Whether the cloud is there and every service is well.
    pub healthy: bool,
    /// PSS of all services, in bytes.
    pub memory: u64,
    /// The services and jobs, by name.
    pub services: Vec<ServiceStatus>,
}

/// Looks at every service, and runs its health test now.
///
/// # Errors
/// The engine cannot be asked.
pub async fn look(local: &Local, docker: &Docker) -> Result<Status, Error> {
    let services = up::engine(local, docker).status(STACK).await?;
    let healthy = !services.is_empty() && services.iter().all(ServiceStatus::is_well);
    let memory = services.iter().filter_map(|s| s.memory).sum();
    Ok(Status { healthy, memory, services })
}
