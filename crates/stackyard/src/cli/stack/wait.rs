//! Waiting until a stack is as it should be, or is given up, with progress.

use crate::cli::Context;
use anyhow::bail;
use stackyard_core::progress::{Amount, Event, Onlooker, Unit};
use stackyard_core::stack::rollout::{Phase, ServiceStatus, Standing};
use stackyard_server::api::StackView;
use stackyard_server::client::Client;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A server that does not answer for so long is not waited for.
const AWAY: Duration = Duration::from_secs(60);

/// How long is waited.
#[derive(clap::Args, Clone)]
pub struct WaitArgs {
    /// Do not wait until all of it works
    #[arg(short, long)]
    detach: bool,

    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,

    /// Something that does not work is given so many seconds to come right
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
}

impl WaitArgs {
    /// Waits as is usual.
    pub fn usual() -> Self {
        Self { detach: false, timeout: 900, patience: 60 }
    }

    /// Waits as for hosts that are about to join.
    pub fn patient() -> Self {
        Self { patience: 600, timeout: 1800, ..Self::usual() }
    }

    /// Whether is waited at all.
    pub fn waits(&self) -> bool {
        !self.detach
    }
}

/// What is said of services while they come.
struct Telling<'a> {
    onlooker: &'a dyn Onlooker,
    begun: BTreeMap<String, (Instant, String)>,
}

impl Telling<'_> {
    fn look(&mut self, stack: &StackView) {
        for service in &stack.status.services {
            let step = format!("service {}", service.name);
            let busy = service.phase.is_busy() || service.ready != service.desired;
            match (self.begun.get(&step), busy) {
                (None, true) => {
                    let doing = doing(service);
                    self.onlooker.see(Event::Started { step: step.clone(), doing: doing.clone() });
                    self.begun.insert(step, (Instant::now(), doing));
                }
                (Some((_, before)), true) => {
                    let doing = doing(service);
                    let amount =
                        Amount { done: service.ready as u64, total: Some(service.desired as u64), unit: Unit::Items };
                    let new = (*before != doing).then(|| doing.clone());
                    self.onlooker.see(Event::Progress { step: step.clone(), doing: new, amount: Some(amount) });
                    if let Some((_, before)) = self.begun.get_mut(&step) {
                        *before = doing;
                    }
                }
                (Some((begun, _)), false) if !matches!(service.phase, Phase::Paused | Phase::RolledBack) => {
                    let did = format!("{} of {} work", service.ready, service.desired);
                    let took = begun.elapsed();
                    self.onlooker.see(Event::Done { step: step.clone(), did, took });
                    self.begun.remove(&step);
                }
                _ => {}
            }
        }
    }

    fn fail(&mut self, stack: &StackView) {
        for service in &stack.status.services {
            let step = format!("service {}", service.name);
            if self.begun.remove(&step).is_some() {
                let error = service.why.clone().unwrap_or_else(|| doing(service));
                self.onlooker.see(Event::Failed { step, error });
            }
        }
    }
}

fn doing(service: &ServiceStatus) -> String {
    let what = match service.phase {
        Phase::Updating => "updating",
        Phase::RollingBack => "rolling back",
        _ => "starting",
    };
    match &service.why {
        Some(why) => format!("{what}: {why}"),
        None => what.to_owned(),
    }
}

/// Waits until the stack is as it should be.
///
/// # Errors
/// When it was given up, does not come right in its time, or the server is away for long.
pub async fn converged(
    client: &Client,
    yard: &str,
    name: &str,
    args: &WaitArgs,
    context: &Context,
) -> anyhow::Result<StackView> {
    let onlooker = context.printer.onlooker();
    let mut telling = Telling { onlooker: &*onlooker, begun: BTreeMap::new() };
    let (begun, mut answered) = (Instant::now(), Instant::now());
    let mut failing: Option<Instant> = None;
    loop {
        let stack = match client.stack(yard, name, true).await {
            Ok(stack) => stack,
            Err(error) if error.status().is_none() && answered.elapsed() < AWAY => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        answered = Instant::now();
        telling.look(&stack);
        let reasons = || stack.status.reasons.join("\n");
        match stack.status.standing {
            Standing::Converged => return Ok(stack),
            Standing::Failed => {
                telling.fail(&stack);
                bail!("stack {name} was given up:\n{}", reasons());
            }
            Standing::Failing => {
                let since = *failing.get_or_insert_with(Instant::now);
                if since.elapsed().as_secs() >= args.patience {
                    telling.fail(&stack);
                    bail!("stack {name} does not come up:\n{}\nthe server goes on trying", reasons());
                }
            }
            Standing::Working => failing = None,
        }
        if begun.elapsed().as_secs() >= args.timeout {
            telling.fail(&stack);
            bail!("stack {name} is not up after {} s:\n{}\nthe server goes on", args.timeout, reasons());
        }
    }
}

/// Waits until nothing of the stack is left.
///
/// # Errors
/// When that does not happen in its time.
pub async fn gone(client: &Client, yard: &str, name: &str, args: &WaitArgs) -> anyhow::Result<()> {
    let (begun, mut answered) = (Instant::now(), Instant::now());
    loop {
        match client.stack(yard, name, true).await {
            Err(error) if error.status() == Some(404) => return Ok(()),
            Err(error) if error.status().is_some() || answered.elapsed() >= AWAY => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            Ok(stack) => {
                answered = Instant::now();
                if begun.elapsed().as_secs() >= args.timeout {
                    let reasons = stack.status.reasons.join("\n");
                    bail!("something of stack {name} is left after {} s:\n{reasons}", args.timeout);
                }
            }
        }
    }
}
