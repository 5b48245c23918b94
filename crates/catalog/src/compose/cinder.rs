//! Top-level volumes with `driver: stackyard`, which are Cinder volumes.

use super::{LoadContext, Target};
use crate::diag::did_you_mean;
use crate::yaml::{FieldReading, Fields, Node};
use stackyard_core::stack::cinder_volume::{VOLUME_OPTIONS, check_option};
use stackyard_core::stack::{Service, Stack};
use std::collections::BTreeMap;

/// Notes what is wrong with the description of a Cinder volume.
pub(super) fn check(f: &Fields<'_, '_>, node: &Node, external: bool, has_name: bool, cx: &LoadContext<'_>) {
    let at = |key: &str| f.map.get(key).map_or(&node.place, |n| &n.place);
    if cx.project.target == Target::Engine {
        let hint = Some("deploy the stack to a yard with `stackyard stack deploy`".to_owned());
        let what = format!("{}: Cinder volumes exist only on hosts of a yard", f.at("driver"));
        cx.log.problem_hint(at("driver"), what, hint);
    }
    if external {
        let what = format!("{}: an external volume is not supported with this driver", f.at("external"));
        cx.log.problem(at("external"), what);
    } else if has_name {
        let hint = Some("leave it out; the volume is named after its yard and stack".to_owned());
        cx.log.problem_hint(at("name"), format!("{}: not supported with this driver", f.at("name")), hint);
    }
    let options = f.map.get("driver_opts").filter(|n| !n.is_null());
    let entries = options.map(|n| n.entries(&f.at("driver_opts"), cx.log)).unwrap_or_default();
    for (key, value) in entries {
        let path = format!("{}.{}", f.at("driver_opts"), key.text);
        if !VOLUME_OPTIONS.contains(&key.text.as_str()) {
            let hint = did_you_mean(&key.text, VOLUME_OPTIONS);
            cx.log.problem_hint(&key.place, format!("{path}: unknown option"), hint);
        } else if let Err(why) = check_option(&key.text, value.as_text().unwrap_or_default()) {
            cx.log.problem(&value.place, format!("{path}: {why}"));
        }
    }
    if !external && !entries.iter().any(|(key, _)| key.text == "size") {
        let hint = Some("add one, such as `size: 20Gi`".to_owned());
        cx.log.problem_hint(
            options.map_or(&node.place, |n| &n.place),
            format!("{}: `size` is missing", f.at("driver_opts")),
            hint,
        );
    }
}

/// Notes services that could have a Cinder volume in two containers at once, at the place of the service.
pub(super) fn one_container(stack: &Stack, nodes: &BTreeMap<&str, &Node>, cx: &LoadContext<'_>) {
    if cx.log.failed() {
        return;
    }
    if let Err(error) = stackyard_core::stack::cinder_volume::check(stack) {
        let uses = |s: &Service| stack.cinder_volumes(s).next().is_some();
        let name = stack.services.iter().find(|(_, s)| uses(s)).map(|(n, _)| n.as_str());
        if let Some(node) = name.and_then(|n| nodes.get(n)) {
            cx.log.problem(&node.place, error.to_string());
        }
    }
}
