//! Processes of a stack's containers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The processes of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContainerTop {
    /// The container's name, `web-2`.
    pub container: String,
    /// Name of its host.
    pub host: String,
    /// Titles of the columns, as `ps` of the host prints them.
    pub titles: Vec<String>,
    /// A row for each process.
    pub processes: Vec<Vec<String>>,
    /// Why there are none: the container does not run, or its host does not answer.
    pub reason: Option<String>,
}
