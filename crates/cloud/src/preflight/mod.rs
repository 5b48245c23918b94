//! Can OpenStack run on this machine, and how well? Asked before anything is changed.
//!
//! Every check looks at the machine itself (`/proc`, `/sys`, the engine, a guest that is
//! really started) and says what it saw, what follows from it, and how to mend it:
//!
//! | result | meaning |
//! |---|---|
//! | `pass` | as it should be |
//! | `info` | worth knowing; nothing to do |
//! | `warn` | works, in a lesser way that is said |
//! | `fail` | a blocker: `cloud up` would not end well |
//!
//! Checks stand in a file per theme and run side by side. They read through a [`Machine`],
//! so that tests can show them another one; they change nothing, except that a guest of a
//! few hundred bytes is started once per boot to learn whether KVM works.
//!
//! A cloud that already runs from the same state directory is no obstacle to itself: its
//! ports, bridges and processes are recognised by its containers.

mod clock;
mod cpu;
mod disk;
pub mod docker;
mod environment;
pub mod host;
mod hostname;
mod input;
pub(crate) mod kernel;
pub mod kvm;
mod leftovers;
mod libvirt;
mod machine;
mod memory;
mod mtu;
mod network;
mod nft;
mod packages;
mod ports;
mod processes;
mod sysctl;

pub use input::{Input, Needs, Port, Virtualization};
pub use machine::Machine;
pub use stackyard_core::preflight::{Check, Outcome, Report};

pub(crate) use cpu::count_of as cpus;
use std::sync::Arc;

/// What several themes look at, gathered once.
pub(crate) struct PreflightScene {
    /// What was asked.
    pub input: Input,
    /// What the engine says.
    pub engine: docker::Engine,
    /// What runs on the machine.
    pub processes: Vec<processes::Process>,
}

impl PreflightScene {
    async fn look(input: &Input) -> Self {
        let (input, machine) = (input.clone(), input.machine.clone());
        // Neither needs the other.
        let (engine, processes) =
            tokio::join!(docker::look(&input), tokio::task::spawn_blocking(move || processes::list(&machine)));
        Self { input, engine, processes: processes.unwrap_or_default() }
    }
}

/// How long a container takes to be wholly gone, or to be seen, after whoever brought the cloud up was killed.
const MOMENT: std::time::Duration = std::time::Duration::from_secs(2);

/// The checks of one theme.
type Theme = fn(&PreflightScene) -> Vec<Check>;

/// Runs all checks.
///
/// Takes under two seconds, and up to [`kvm::PATIENCE`] more when KVM was not tried since
/// the machine booted. Troubles of a check end up in its row, so this cannot fail.
pub async fn run(input: &Input) -> Report {
    let begun = std::time::Instant::now();
    let scene = Arc::new(PreflightScene::look(input).await);
    let guest = host::guest(&scene.input, &scene.engine);
    let themes: [(&'static str, Theme); 15] = [
        ("cpu", cpu::checks),
        ("memory", memory::checks),
        ("disk", disk::checks),
        ("docker", docker::checks),
        ("network", network::checks),
        ("mtu", mtu::checks),
        ("ports", ports::checks),
        ("kernel", kernel::checks),
        ("sysctl", sysctl::checks),
        ("hostname", hostname::checks),
        ("clock", clock::checks),
        ("libvirt", libvirt::checks),
        ("packages", packages::checks),
        ("leftovers", leftovers::checks),
        ("environment", environment::checks),
    ];
    let running: Vec<_> = themes
        .into_iter()
        .map(|(theme, checks)| {
            let scene = Arc::clone(&scene);
            (theme, tokio::task::spawn_blocking(move || checks(&scene)))
        })
        .collect();
    let guest = kvm::check(&scene.input, &guest.await);

    let mut rows = Vec::new();
    for (theme, task) in running {
        rows.extend(task.await.unwrap_or_else(|error| {
            let text = format!("the check itself broke off: {error}");
            vec![Check::warn(theme, theme, text).means("not checked").mend("please report this as a bug")]
        }));
        if theme == "cpu" {
            rows.push(guest.clone());
        }
    }
    // What ended or began between the looks at engine, processes and ports seems to be nobody's.
    if rows.iter().any(|c| c.id == ports::FREE && c.result == Outcome::Fail) {
        tokio::time::sleep(MOMENT).await;
        let scene = PreflightScene::look(input).await;
        let again = tokio::task::spawn_blocking(move || ports::checks(&scene)).await.unwrap_or_default();
        for check in again {
            if let Some(row) = rows.iter_mut().find(|row| row.id == check.id) {
                *row = check;
            }
        }
    }
    Report {
        blocked: rows.iter().any(|c| c.result == Outcome::Fail),
        took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        checks: rows,
    }
}

/// Some of a list as text, the rest as a number.
fn some(items: &[String], most: usize) -> String {
    match items.len().checked_sub(most) {
        None | Some(0) => items.join(", "),
        Some(more) => format!("{} and {more} more", items[..most].join(", ")),
    }
}
