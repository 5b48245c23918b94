//! Every check of the preflight, made to fail for real where the machine lets it be made:
//! sockets that listen, processes with forbidden names, interfaces in a network name space, a
//! full disk, a guest that hangs, another dockerd. A directory of files stands in for what
//! this machine cannot be turned into: other CPUs, other kernels, other packages.
//!
//! Needs root, Docker, QEMU, iproute2, util-linux, busybox-static; what is missing is an
//! error, not a reason to skip.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "preflight/support.rs"]
mod support;

#[path = "preflight/docker.rs"]
mod docker;
#[path = "preflight/environment.rs"]
mod environment;
#[path = "preflight/kvm.rs"]
mod kvm;
#[path = "preflight/leftovers.rs"]
mod leftovers;
#[path = "preflight/machine.rs"]
mod machine;
#[path = "preflight/network.rs"]
mod network;
#[path = "preflight/ports.rs"]
mod ports;
#[path = "preflight/system.rs"]
mod system;

use stackyard_cloud::preflight::Outcome;
use support::{ask, question};

/// A no-op `cloud up` runs all of this, and has five seconds for everything.
#[test]
fn the_whole_report_takes_less_than_two_seconds() {
    let (_home, input) = question();
    let report = ask(&input);
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    assert!(report.took_ms < 2000, "{} ms", report.took_ms);
    assert!(report.checks.len() > 45, "{}", report.checks.len());
    let mut ids: Vec<_> = report.checks.iter().map(|c| &c.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), report.checks.len(), "two rows have one id");
    for check in report.at_least(Outcome::Info) {
        assert!(check.means.is_some(), "{} does not say what it means", check.id);
    }
}
