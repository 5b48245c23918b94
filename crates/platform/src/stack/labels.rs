//! The marks that tell later runs what a container, network or volume was made for.

use stackyard_core::stack::spec::Spec;
use std::collections::{BTreeMap, HashMap};

/// Name of the stack; on containers, networks and volumes.
pub const STACK: &str = "dev.stackyard.stack";
/// Name of the service; on containers.
pub const SERVICE: &str = "dev.stackyard.service";
/// Digest of what it was made from; on containers and networks.
pub const SPEC: &str = "dev.stackyard.spec";
/// Digests of the parts of what it was made from, JSON object; on containers.
pub const PARTS: &str = "dev.stackyard.parts";
/// `true` on the containers of one-shot jobs.
pub const JOB: &str = stackyard_core::stack::JOB_LABEL;
/// Ids of the containers it follows, JSON object by service; on containers.
pub const FOLLOWS: &str = "dev.stackyard.follows";
/// Services that its service comes after, JSON array; on containers.
pub const AFTER: &str = "dev.stackyard.after";
/// Programs to run in it before it is stopped, JSON array; on containers of services with `pre_stop`.
pub const PRE_STOP: &str = "dev.stackyard.pre-stop";

/// Name servers of the service's own, JSON array; on containers that ask the agent's resolver first.
pub const RESOLVER: &str = "dev.stackyard.resolver";

/// The labels of a container.
pub(super) fn of_container<'a>(
    stack: &str,
    service: &str,
    job: bool,
    spec: &Spec,
    follows: &BTreeMap<String, String>,
    after: impl Iterator<Item = &'a str>,
) -> HashMap<String, String> {
    let after: Vec<&str> = after.collect();
    [
        (STACK, stack.to_owned()),
        (SERVICE, service.to_owned()),
        (SPEC, spec.digest()),
        (PARTS, json(spec.parts())),
        (JOB, job.to_string()),
        (FOLLOWS, json(follows)),
        (AFTER, json(&after)),
    ]
    .map(|(k, v)| (k.to_owned(), v))
    .into()
}

/// Parses a label written by [`of_container`]; what is missing or strange reads as empty,
/// which makes the container look changed and so be made anew.
pub(super) fn parse<T: Default + serde::de::DeserializeOwned>(labels: &HashMap<String, String>, key: &str) -> T {
    labels.get(key).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A filter for the engine's lists: everything of `stack`.
pub(super) fn filter(stack: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{STACK}={stack}")])])
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    // Maps and lists of strings always serialize.
    serde_json::to_string(value).unwrap_or_default()
}
