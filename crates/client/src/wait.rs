//! Waiting until a stack is as it should be, is given up, or is gone, with progress.

use super::{Client, ClientError};
use stackyard_api::StackView;
use stackyard_core::health::Health;
use stackyard_core::progress::{Amount, Event, Onlooker, Unit};
use stackyard_core::rollout::{Phase, ServiceStatus};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A server that does not answer for so long is not waited for.
const AWAY: Duration = Duration::from_secs(60);

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// In all.
    pub most: Duration,
    /// For something that does not work to come right.
    pub failing: Duration,
}

impl Default for Patience {
    /// 15 minutes in all, a minute for what does not work.
    fn default() -> Self {
        Self {
            most: Duration::from_secs(900),
            failing: Duration::from_secs(60),
        }
    }
}

/// Why waiting ended without what was waited for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The server does not answer, or says no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing more is tried.
    #[error("stack {stack} was given up:\n{reasons}")]
    GivenUp {
        /// The stack.
        stack: String,
        /// Why, a line and more for each service.
        reasons: String,
    },
    /// Something did not work for too long.
    #[error("stack {stack} does not come up:\n{reasons}\nthe server keeps trying")]
    Failing {
        /// The stack.
        stack: String,
        /// Why, a line and more for each service.
        reasons: String,
    },
    /// It took too long.
    #[error("stack {stack} is not up after {seconds} s:\n{reasons}\nthe server keeps trying")]
    Late {
        /// The stack.
        stack: String,
        /// How long was waited.
        seconds: u64,
        /// What is missing, a line and more for each service.
        reasons: String,
    },
    /// Something of a removed stack is still there.
    #[error("something of stack {stack} is left after {seconds} s:\n{reasons}")]
    Left {
        /// The stack.
        stack: String,
        /// How long was waited.
        seconds: u64,
        /// Where, a line for each host.
        reasons: String,
    },
    /// Several stacks.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(
        /// What went wrong with each.
        Vec<WaitError>,
    ),
}

impl WaitError {
    /// One error of several; none if there are none.
    pub fn of(mut all: Vec<Self>) -> Result<(), Self> {
        match all.len() {
            0 => Ok(()),
            1 => Err(all.remove(0)),
            _ => Err(Self::Several(all)),
        }
    }
}

/// What is said of services while they come.
struct Telling<'a> {
    stack: &'a str,
    onlooker: &'a dyn Onlooker,
    begun: BTreeMap<String, (Instant, String)>,
}

impl Telling<'_> {
    fn step(&self, service: &ServiceStatus) -> String {
        format!("service {}/{}", self.stack, service.name)
    }

    fn look(&mut self, stack: &StackView) {
        for service in &stack.status.services {
            let step = self.step(service);
            let busy = service.phase.is_busy() || service.ready != service.desired;
            match (self.begun.get(&step), busy) {
                (None, true) => {
                    let doing = doing(service);
                    self.onlooker.see(Event::Started {
                        step: step.clone(),
                        doing: doing.clone(),
                    });
                    self.begun.insert(step, (Instant::now(), doing));
                }
                (Some((_, before)), true) => {
                    let doing = doing(service);
                    let amount = Amount {
                        done: service.ready as u64,
                        total: Some(service.desired as u64),
                        unit: Unit::Items,
                    };
                    let new = (*before != doing).then(|| doing.clone());
                    self.onlooker.see(Event::Progress {
                        step: step.clone(),
                        doing: new,
                        amount: Some(amount),
                    });
                    if let Some((_, before)) = self.begun.get_mut(&step) {
                        *before = doing;
                    }
                }
                (Some((begun, _)), false)
                    if !matches!(service.phase, Phase::Paused | Phase::RolledBack) =>
                {
                    let did = format!("{} of {} ready", service.ready, service.desired);
                    let took = begun.elapsed();
                    self.onlooker.see(Event::Done {
                        step: step.clone(),
                        did,
                        took,
                    });
                    self.begun.remove(&step);
                }
                _ => {}
            }
        }
    }

    fn fail(&mut self, stack: &StackView) {
        for service in &stack.status.services {
            let step = self.step(service);
            if self.begun.remove(&step).is_some() {
                let error = service.reason.clone().unwrap_or_else(|| doing(service));
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
    match service.reason.as_deref().and_then(|w| w.lines().next()) {
        Some(why) => format!("{what}: {why}"),
        None => what.to_owned(),
    }
}

impl Client {
    /// Waits until a stack is as it should be; the stack then.
    ///
    /// # Errors
    /// [`WaitError`], with what containers said that do not work.
    pub async fn converged(
        &self,
        yard: &str,
        name: &str,
        patience: Patience,
        onlooker: &dyn Onlooker,
    ) -> Result<StackView, WaitError> {
        let mut telling = Telling {
            stack: name,
            onlooker,
            begun: BTreeMap::new(),
        };
        let (begun, mut answered) = (Instant::now(), Instant::now());
        let mut failing: Option<Instant> = None;
        loop {
            let view = match self.stack(yard, name, true).await {
                Ok(view) => view,
                Err(error) if error.status().is_none() && answered.elapsed() < AWAY => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            answered = Instant::now();
            telling.look(&view);
            let (stack, reasons) = (name.to_owned(), view.status.reasons.join("\n"));
            let error = match view.status.health {
                Health::Ready => return Ok(view),
                Health::Failed => Some(WaitError::GivenUp { stack, reasons }),
                Health::Degraded => {
                    let since = *failing.get_or_insert_with(Instant::now);
                    (since.elapsed() >= patience.failing)
                        .then_some(WaitError::Failing { stack, reasons })
                }
                _ => {
                    failing = None;
                    None
                }
            };
            let late = || {
                let reasons = view.status.reasons.join("\n");
                WaitError::Late {
                    stack: name.to_owned(),
                    seconds: patience.most.as_secs(),
                    reasons,
                }
            };
            if let Some(error) = error.or_else(|| (begun.elapsed() >= patience.most).then(late)) {
                telling.fail(&view);
                return Err(error);
            }
        }
    }

    /// Waits until nothing of a removed stack is left.
    ///
    /// # Errors
    /// [`WaitError`]
    pub async fn gone(&self, yard: &str, name: &str, patience: Patience) -> Result<(), WaitError> {
        let (begun, mut answered) = (Instant::now(), Instant::now());
        loop {
            match self.stack(yard, name, true).await {
                Err(error) if error.status() == Some(404) => return Ok(()),
                Err(error) if error.status().is_some() || answered.elapsed() >= AWAY => {
                    return Err(error.into());
                }
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                Ok(view) => {
                    answered = Instant::now();
                    if begun.elapsed() >= patience.most {
                        let (stack, seconds) = (name.to_owned(), patience.most.as_secs());
                        return Err(WaitError::Left {
                            stack,
                            seconds,
                            reasons: view.status.reasons.join("\n"),
                        });
                    }
                }
            }
        }
    }
}
