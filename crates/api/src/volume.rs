//! Cinder volumes of a yard's stacks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A Cinder volume of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeView {
    /// Cinder's id.
    pub id: String,
    /// Cinder's name.
    pub name: String,
    /// The stack.
    pub stack: String,
    /// The key in the stack's Compose file.
    pub volume: String,
    /// Size in GiB.
    pub size: u64,
    /// Cinder's volume type.
    pub volume_type: Option<String>,
    /// Cinder's status: `available`, `in-use`, `detaching` ...
    pub status: String,
    /// Name of the server that has it; the server's id if Nova has no such server.
    pub server: Option<String>,
    /// Whether the newest version of the stack has it.
    pub needed: bool,
    /// When it was created, as Cinder says.
    pub created: String,
}
