//! Errors as CNI wants them: a number, and words.

use crate::network;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stackyard_core::text::error_chain;

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: u32,
    pub(crate) msg: String,
}

/// Numbers of the specification, section "Error"; those from 100 on are the plugin's own.
pub(crate) mod code {
    pub(crate) const INCOMPATIBLE_VERSION: u32 = 1;
    pub(crate) const UNSUPPORTED_FIELD: u32 = 2;
    pub(crate) const UNKNOWN_CONTAINER: u32 = 3;
    pub(crate) const ENVIRONMENT: u32 = 4;
    pub(crate) const IO: u32 = 5;
    pub(crate) const DECODE: u32 = 6;
    pub(crate) const CONFIG: u32 = 7;
    pub(crate) const TRY_LATER: u32 = 11;
    /// No ADD can be served.
    pub(crate) const UNAVAILABLE: u32 = 50;
    /// And containers that run may be cut off.
    pub(crate) const LIMITED: u32 = 51;
    /// The cloud refused.
    pub(crate) const CLOUD: u32 = 100;
    /// This host could not do it: kernel, switch, files.
    pub(crate) const HOST: u32 = 101;
    /// CHECK found something else than there should be.
    pub(crate) const DIFFERENT: u32 = 102;
}

impl Failure {
    pub(crate) fn new(code: u32, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into() }
    }

    /// What the specification wants on standard output.
    pub(crate) fn render(&self, version: &str) -> Value {
        json!({"cniVersion": version, "code": self.code, "msg": self.msg})
    }
}

impl From<network::Error> for Failure {
    fn from(error: network::Error) -> Self {
        let code = match &error {
            network::Error::Request(_) => code::CONFIG,
            network::Error::Cloud { source, .. } if is_passing(source) => code::TRY_LATER,
            network::Error::Cloud { .. } => code::CLOUD,
            network::Error::Wire {
                source: stackyard_wire::Error::Unreachable { .. } | stackyard_wire::Error::NotReady { .. },
                ..
            } => code::TRY_LATER,
            _ => code::HOST,
        };
        Self::new(code, error_chain(&error))
    }
}

impl From<stackyard_wire::Error> for Failure {
    fn from(error: stackyard_wire::Error) -> Self {
        Self::new(code::HOST, error_chain(&error))
    }
}

/// Whether the same may succeed a little later.
fn is_passing(error: &stackyard_openstack::Error) -> bool {
    match error.status() {
        Some(status) => status == 429 || status >= 500,
        None => matches!(error, stackyard_openstack::Error::Transport(_)),
    }
}
