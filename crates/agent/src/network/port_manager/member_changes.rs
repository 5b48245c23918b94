//! What is known of memberships in load balancers' pools ([`crate::network::load_balancer`]).

use std::collections::HashSet;
use std::sync::Mutex;
use tokio::sync::Notify;

/// What is known of memberships while the plugin runs.
#[derive(Default)]
pub(crate) struct MemberChanges {
    pub(crate) changed: Notify,
    /// Pools that had members of this plugin's when all pools were looked through, which is done once.
    pub(crate) found: Mutex<Option<HashSet<String>>>,
}
