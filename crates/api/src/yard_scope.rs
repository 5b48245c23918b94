//! Project and region that a yard's name stands for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Project and region of a yard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct YardScope {
    /// 12 hexadecimal digits that stand for them, as in the marks of the yard's resources; none while the server
    /// knows none.
    pub scope: Option<String>,
}
