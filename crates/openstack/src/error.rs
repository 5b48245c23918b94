//! What can go wrong, with enough said to mend it: what was tried, on which resource, what the
//! other side answered, and a hint.

use std::path::PathBuf;

/// Result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any failure of this crate. [`Error::hint`] says what to do about it, where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// clouds.yaml or the OS_* variables do not say what is needed.
    #[error("{place}: {message}")]
    Config {
        /// File (with line, where known) or variable.
        place: String,
        /// What is wrong there.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried, as in "read" or "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The cloud answered with an error status.
    #[error(transparent)]
    Api(#[from] Box<ApiError>),
    /// No answer: connection refused, dropped, timed out, TLS refused.
    #[error(transparent)]
    Transport(#[from] Box<TransportError>),
    /// The cloud's catalog has no such service for this region and interface.
    #[error("the catalog of cloud {cloud} has no {interface} endpoint for {service}{}{}",
            region.as_ref().map(|r| format!(" in region {r}")).unwrap_or_default(),
            if known.is_empty() { String::new() } else { format!("; it has {known}") })]
    NoEndpoint {
        /// Name of the cloud.
        cloud: String,
        /// Service type, as "load-balancer".
        service: &'static str,
        /// Interface asked for.
        interface: &'static str,
        /// Region asked for.
        region: Option<String>,
        /// What the catalog holds, for the reader.
        known: String,
    },
    /// Nothing of that name or id.
    #[error("no {noun} named {wanted:?}")]
    NotFound {
        /// Kind of resource.
        noun: &'static str,
        /// Name or id asked for.
        wanted: String,
    },
    /// More than one resource of that name.
    #[error("{count} {noun}s are named {wanted:?}")]
    Ambiguous {
        /// Kind of resource.
        noun: &'static str,
        /// Name asked for.
        wanted: String,
        /// How many there are.
        count: usize,
    },
    /// The resource went into an error state.
    #[error("{noun} {name:?} is in state {state}{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Failed {
        /// Kind of resource.
        noun: &'static str,
        /// Its name, or its id where it has none.
        name: String,
        /// The state, as the cloud names it.
        state: String,
        /// Why, in the cloud's own words.
        reason: Option<String>,
    },
    /// The resource did not get into the wanted state in time.
    #[error("{noun} {name:?} is still {state} after {seconds} s (wanted: {wanted})")]
    Late {
        /// Kind of resource.
        noun: &'static str,
        /// Its name, or its id where it has none.
        name: String,
        /// The last state seen.
        state: String,
        /// What was waited for.
        wanted: String,
        /// How long, in seconds.
        seconds: u64,
    },
    /// The answer was not what the API promises.
    #[error("{what}: the answer cannot be read: {message}")]
    Decode {
        /// Method, service and resource.
        what: String,
        /// What did not fit.
        message: String,
    },
}

/// An error status from a service.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {status}{}: {message}{}", code_name(*status), trailer(request_id.as_deref(), *attempts))]
pub struct ApiError {
    /// Method, service and resource, as "DELETE network router \"r1\"".
    pub what: String,
    /// Service type.
    pub service: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The cloud's own message, whatever shape its body had.
    pub message: String,
    /// The error's type where the service names one (Neutron, Heat, S3).
    pub kind: Option<String>,
    /// `x-openstack-request-id` or its elder siblings: what an operator looks for in the logs.
    pub request_id: Option<String>,
    /// How many times it was tried.
    pub attempts: u32,
    /// What to do, where the caller knew more than the status tells.
    pub hint: Option<String>,
}

/// No answer from a service.
#[derive(Debug, thiserror::Error)]
#[error("{what}: no answer from {url}: {message}{}", trailer(None, *attempts))]
pub struct TransportError {
    /// Method, service and resource.
    pub what: String,
    /// Address without query.
    pub url: String,
    /// The innermost cause in words.
    pub message: String,
    /// Whether the connection itself was refused or not found, so that nothing was sent.
    pub unsent: bool,
    /// Whether the time ran out.
    pub timed_out: bool,
    /// How many times it was tried.
    pub attempts: u32,
}

fn code_name(status: u16) -> String {
    reqwest::StatusCode::from_u16(status)
        .ok()
        .and_then(|s| s.canonical_reason())
        .map(|r| format!(" {r}"))
        .unwrap_or_default()
}

fn trailer(request_id: Option<&str>, attempts: u32) -> String {
    match (request_id, attempts) {
        (None, 0 | 1) => String::new(),
        (None, n) => format!(" (after {n} attempts)"),
        (Some(id), 0 | 1) => format!(" ({id})"),
        (Some(id), n) => format!(" ({id}, after {n} attempts)"),
    }
}

impl Error {
    /// A configuration error.
    pub(crate) fn config(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { place: place.into(), message: message.into(), hint: None }
    }

    /// The same with a hint.
    pub(crate) fn with_hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Config { place, message, .. } => Self::Config { place, message, hint: Some(text.into()) },
            other => other,
        }
    }

    /// HTTP status, where a service answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(e) => Some(e.status),
            _ => None,
        }
    }

    /// The error's type, where the service names one.
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Api(e) => e.kind.as_deref(),
            _ => None,
        }
    }

    /// Whether the thing is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404) || matches!(self, Self::NotFound { .. })
    }

    /// Whether a network's driver refused an address pair because its MAC address is not the port's own: OVN's does
    /// (neutron, `common/ovn/exceptions.py`, `InvalidVirtualMACAddress`; its text where an older one names no type).
    pub fn is_own_mac_only(&self) -> bool {
        matches!(self, Self::Api(e) if e.kind.as_deref() == Some("InvalidVirtualMACAddress") || e.message.contains("VRRP"))
    }

    /// Whether it is in use, exists already, or is changing just now.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// Whether a quota stands in the way.
    pub fn is_quota(&self) -> bool {
        match self {
            Self::Api(e) => {
                matches!(e.status, 403 | 409 | 413) && {
                    let text = e.message.to_ascii_lowercase();
                    text.contains("quota") || text.contains("limit exceeded") || e.kind.as_deref() == Some("OverQuota")
                }
            }
            _ => false,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Config { hint, .. } => return hint.clone(),
            Self::Api(e) if e.hint.is_some() => return e.hint.clone(),
            Self::Api(_) if self.is_quota() => {
                "remove what is no longer needed, or ask the cloud's administrator for more quota"
            }
            Self::Api(e) => match e.status {
                401 if e.service == "identity" => {
                    "check user, password, project and domains of this cloud in clouds.yaml or the OS_* variables"
                }
                401 => {
                    "the token was refused twice: the clock of this machine, or the service's own keystone settings, may be wrong"
                }
                403 => "the user lacks a role in this project for it: `openstack role assignment list --names`",
                404 if e.service == "identity" => "check auth_url: it normally ends in /v3",
                413 | 429 => "the cloud limits the rate of requests: try again later",
                500 => "an error inside the service: its log has the request id",
                502..=504 => "the service behind the endpoint is down or overloaded",
                _ => return None,
            },
            Self::Transport(e) if e.message.contains("certificate") => {
                "set cacert to the CA's PEM file in clouds.yaml (or verify: false for a test)"
            }
            Self::Transport(e) if e.unsent => "is the address right, and does a firewall or proxy stand between?",
            Self::NoEndpoint { .. } => {
                "check region_name (OS_REGION_NAME) and interface, or set <service>_endpoint_override in clouds.yaml"
            }
            Self::Ambiguous { .. } => "use the id instead of the name",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
