//! Does the cloud work? One run tries everything a user would: a server with its console and
//! metadata, a floating IP, security groups, volumes and their backups, objects by Swift and S3, a
//! load balancer, a trunk, a firewall group.
//!
//! ```text
//! sweep -> ground (networks, router, group, key) -+-> objects
//!                                                 +-> volume --------------------+
//!                                                 +-> servers a and b -+-> volume checks
//!                                                                      +-> trunk (a pings b's subport)
//!                                                                      +-> reach -> load balancer -> firewall
//! ... and at last: sweep
//! ```
//!
//! Guests are the tiny image; they are told what to do by user-data and answer on their consoles
//! with lines that begin with `TEST: `. A check that depends on a failed one fails with its name.
//!
//! What is created carries a mark ([`sweep`] lists by it), so that the sweep at the end finds
//! everything whatever happened, and the one at the start finds what a killed run left. Therefore
//! there is one test of a project at a time.

mod checks;
mod firewall;
mod ground;
mod guest;
mod load_balancer;
mod object;
mod reach;
mod sweep;
mod trunk;
mod volume;

use parking_lot::Mutex;
use std::time::{Duration, Instant};

use stackyard_openstack::{Cloud, Error};

/// What to test.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which parts there should be.
    pub profile: TestProfile,
    /// Name of the tiny image.
    pub image: String,
    /// Name of the flavor for it.
    pub flavor: String,
    /// Name of the external network.
    pub external: String,
    /// Region in S3's signatures.
    pub s3_region: String,
    /// Longest time for a guest from creation to its last word.
    pub boot_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: TestProfile::Catalog,
            image: "tiny".to_owned(),
            flavor: "m1.nano".to_owned(),
            external: "public".to_owned(),
            s3_region: "us-east-1".to_owned(),
            boot_limit: Duration::from_secs(240),
        }
    }
}

/// Which parts there should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestProfile {
    /// No load balancers and backups.
    Core,
    /// Everything.
    Full,
    /// Whatever the cloud's catalog has: for clouds that are not ours.
    Catalog,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestOutcome {
    /// It works.
    Pass,
    /// It does not.
    Fail,
    /// It was not tried; the detail says why.
    Skip,
}

/// One line of the result.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was tried.
    pub name: &'static str,
    /// How it ended.
    pub outcome: TestOutcome,
    /// How long it took.
    pub took: Duration,
    /// What was seen, or what went wrong.
    pub detail: String,
}

/// What happens meanwhile.
#[derive(Debug, Clone)]
pub enum Event {
    /// A check begins.
    Started(&'static str),
    /// A check ended.
    Finished(Check),
    /// Something worth a line.
    Note(String),
}

/// The whole result.
#[derive(Debug, Clone)]
pub struct Report {
    /// All checks, in the order they ended.
    pub checks: Vec<Check>,
    /// Whether it was cut short.
    pub cancelled: bool,
    /// The whole time, sweeps included.
    pub took: Duration,
}

impl Report {
    /// How many ended so.
    pub fn count(&self, outcome: TestOutcome) -> usize {
        self.checks.iter().filter(|c| c.outcome == outcome).count()
    }

    /// Whether all went well.
    pub fn passed(&self) -> bool {
        !self.cancelled && self.count(TestOutcome::Fail) == 0
    }
}

/// Hears what happens.
pub type Hear<'a> = dyn Fn(Event) + Send + Sync + 'a;

/// Tests `cloud` and cleans up, also when `cancel` comes first.
pub async fn run(cloud: &Cloud, options: &Options, hear: &Hear<'_>, cancel: impl Future<Output = ()>) -> Report {
    let started = Instant::now();
    let bench = TestBench::new(cloud, options, hear);
    let mut cancel = std::pin::pin!(cancel);
    let cancelled = tokio::select! {
        () = &mut cancel => true,
        () = bench.all() => false,
    };
    if cancelled {
        hear(Event::Note("cancelled, cleaning up".to_owned()));
        // What was on its way when it was cancelled is there by now.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let clean = async {
        let swept = sweep::sweep(cloud, sweep::PATIENCE).await?;
        // What an earlier run left for good does not speak against this one.
        match swept.stuck.iter().any(|s| s.contains(&bench.run)) {
            true => Err(TestFault(swept.to_string())),
            false => Ok(((), swept.to_string())),
        }
    };
    bench.check("clean up", clean).await;
    let checks = std::mem::take(&mut *bench.checks.lock());
    Report { checks, cancelled, took: started.elapsed() }
}

/// Removes what tests left behind; returns words for it.
///
/// # Errors
/// Words for what could not be removed.
pub async fn clean(cloud: &Cloud) -> Result<String, String> {
    sweep::sweep(cloud, sweep::PATIENCE).await.map(|s| s.to_string()).map_err(|f| f.0)
}

/// Why a check failed, in words.
#[derive(Debug)]
struct TestFault(String);

impl From<Error> for TestFault {
    fn from(e: Error) -> Self {
        Self(match e.hint() {
            Some(hint) => format!("{e} ({hint})"),
            None => e.to_string(),
        })
    }
}

impl From<String> for TestFault {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for TestFault {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// One run.
struct TestBench<'a> {
    cloud: &'a Cloud,
    options: &'a Options,
    hear: &'a Hear<'a>,
    /// Tells this run's things from an earlier one's.
    run: String,
    checks: Mutex<Vec<Check>>,
}

impl<'a> TestBench<'a> {
    fn new(cloud: &'a Cloud, options: &'a Options, hear: &'a Hear<'a>) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        Self { cloud, options, hear, run, checks: Mutex::new(Vec::new()) }
    }

    /// A name for something of this run.
    fn name(&self, what: &str) -> String {
        format!("{}{}-{what}", sweep::PREFIX, self.run)
    }

    fn end(&self, name: &'static str, outcome: TestOutcome, took: Duration, detail: String) {
        let check = Check { name, outcome, took, detail };
        self.checks.lock().push(check.clone());
        (self.hear)(Event::Finished(check));
    }

    /// Runs one check, whose work gives what later checks need and words for what was seen.
    async fn check<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(T, String), TestFault>>,
    ) -> Option<T> {
        let started = Instant::now();
        (self.hear)(Event::Started(name));
        match work.await {
            Ok((value, detail)) => {
                self.end(name, TestOutcome::Pass, started.elapsed(), detail);
                Some(value)
            }
            Err(fault) => {
                self.end(name, TestOutcome::Fail, started.elapsed(), fault.0);
                None
            }
        }
    }

    /// Notes checks that cannot be tried since `needed` failed.
    fn blocked(&self, names: &[&'static str], needed: &str) {
        for name in names {
            let only_full = [volume::BACKUP, load_balancer::NAME].contains(name);
            if !(only_full && self.options.profile == TestProfile::Core) {
                self.end(name, TestOutcome::Fail, Duration::ZERO, format!("not tried: needs {needed:?}"));
            } else {
                self.wanted(&[name], false, "");
            }
        }
    }

    /// Whether a part of the profile `full` is to be tried; notes the checks as skipped if not.
    fn wanted(&self, names: &[&'static str], there: bool, part: &str) -> bool {
        let why = match self.options.profile {
            // Of the optional parts only this is in both profiles.
            TestProfile::Core if there && names == [firewall::NAME] => return true,
            TestProfile::Core => "not in profile core".to_owned(),
            TestProfile::Full => return true,
            TestProfile::Catalog if there => return true,
            TestProfile::Catalog => format!("the cloud has no {part}"),
        };
        for name in names {
            self.end(name, TestOutcome::Skip, Duration::ZERO, why.clone());
        }
        false
    }
}
