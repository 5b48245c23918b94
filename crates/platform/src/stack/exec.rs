//! Commands and health tests in containers.

use super::logs::Source;
use super::{Engine, Error, labels, observe};
use crate::docker::is_not_found;
use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerInspectResponse, ExecConfig};
use futures_util::StreamExt;
use stackyard_core::stack::plan::container_name;
use std::time::Duration;

/// Bytes kept of a health test's output, as the engine does.
const TEST_OUTPUT: usize = 4096;

/// Time for a health test that gives none, as the engine's default.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a command in a container left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecOutput {
    /// Exit status.
    pub status: i64,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// A container's health test, as the engine knows it.
#[derive(Debug, Clone)]
pub(super) struct Test {
    argv: Vec<String>,
    timeout: Duration,
    pub(super) interval: Option<Duration>,
    pub(super) retries: Option<u32>,
    pub(super) start_period: Duration,
}

/// How a health test ended.
#[derive(Debug, Clone)]
pub(super) struct TestResult {
    pub(super) healthy: bool,
    pub(super) output: String,
}

/// How a command ended that had so much time.
pub(super) struct TimedRun {
    /// Its exit status; none if it was still running, and was ended.
    pub(super) status: Option<i64>,
    /// The first of its output, without blanks around it.
    pub(super) output: String,
}

/// A command whose output is captured.
pub(super) fn captured(command: &[String]) -> ExecConfig {
    ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.to_vec()),
        ..Default::default()
    }
}

impl Test {
    /// The test of a container: its own, else its image's.
    pub(super) fn of(container: &ContainerInspectResponse) -> Option<Self> {
        let check = container.config.as_ref()?.healthcheck.as_ref()?;
        let test = check.test.as_deref()?;
        let argv = match test.split_first()? {
            (kind, argv) if kind == "CMD" => argv.to_vec(),
            (kind, [line, ..]) if kind == "CMD-SHELL" => vec!["/bin/sh".into(), "-c".into(), line.clone()],
            _ => return None,
        };
        let time = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).map(Duration::from_nanos);
        Some(Self {
            argv,
            timeout: time(check.timeout).unwrap_or(TIMEOUT),
            interval: time(check.interval),
            retries: check.retries.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
            start_period: time(check.start_period).unwrap_or_default(),
        })
    }
}

impl Engine {
    /// Runs a command in the container of `service` and captures what it writes.
    ///
    /// `output` sees each piece as it comes.
    ///
    /// # Errors
    /// [`Error::NoContainer`] when there is none; [`Error::Engine`] when it does not run.
    /// A command that fails is no error: look at [`ExecOutput::status`].
    pub async fn exec(
        &self,
        stack: &str,
        service: &str,
        command: &[String],
        mut output: impl FnMut(Source, &[u8]),
    ) -> Result<ExecOutput, Error> {
        let container = container_name(stack, service);
        let mut all = ExecOutput::default();
        if let Err(e) = self.api().inspect_container(&container, None).await {
            return Err(if is_not_found(&e) {
                let known = self.containers(stack).await?;
                let known =
                    known.iter().filter_map(|c| observe::label(c, labels::SERVICE)).map(str::to_owned).collect();
                Error::NoContainer { stack: stack.to_owned(), service: service.to_owned(), known }
            } else {
                Error::engine(format!("inspect container {container}"))(e)
            });
        }
        all.status = self
            .run(
                &container,
                captured(command),
                |source, bytes| {
                    output(source, bytes);
                    match source {
                        Source::Stdout => all.stdout.extend_from_slice(bytes),
                        Source::Stderr => all.stderr.extend_from_slice(bytes),
                    }
                },
                |_| {},
            )
            .await?;
        Ok(all)
    }

    /// Runs a command in a container; `began` gets the id of the execution.
    async fn run(
        &self,
        container: &str,
        config: ExecConfig,
        mut output: impl FnMut(Source, &[u8]),
        began: impl FnOnce(String),
    ) -> Result<i64, Error> {
        let program = config.cmd.as_ref().and_then(|c| c.first()).cloned().unwrap_or_default();
        let failed = || Error::engine(format!("run {program} in container {container}"));
        let id = self.api().create_exec(container, config).await.map_err(failed())?.id;
        began(id.clone());
        let results = self.api().start_exec(&id, None).await.map_err(failed())?;
        if let StartExecResults::Attached { output: mut stream, .. } = results {
            while let Some(piece) = stream.next().await {
                match piece.map_err(failed())? {
                    LogOutput::StdErr { message } => output(Source::Stderr, &message),
                    other => output(Source::Stdout, other.as_ref()),
                }
            }
        }
        let ended = self.api().inspect_exec(&id).await.map_err(failed())?;
        Ok(ended.exit_code.unwrap_or_default())
    }

    /// Runs the health test of a container once, within its time.
    pub(super) async fn run_test(&self, container: &str, test: &Test) -> Result<TestResult, Error> {
        let TimedRun { status, mut output } =
            self.run_within(container, captured(&test.argv), test.timeout, TEST_OUTPUT).await?;
        match status {
            Some(0) => {}
            Some(status) if output.is_empty() => output = format!("(exit status {status})"),
            Some(_) => {}
            None => {
                let late = format!("no answer within {} s", test.timeout.as_secs_f64());
                output = if output.is_empty() { late } else { format!("{output}\n{late}") };
            }
        }
        Ok(TestResult { healthy: status == Some(0), output })
    }

    /// Runs a command in a container, for `time` at most; the first `most` bytes of its output are kept.
    pub(super) async fn run_within(
        &self,
        container: &str,
        config: ExecConfig,
        time: Duration,
        most: usize,
    ) -> Result<TimedRun, Error> {
        let (mut said, mut exec) = (Vec::new(), None);
        let run = self.run(
            container,
            config,
            |_, bytes| {
                let room = most.saturating_sub(said.len());
                said.extend_from_slice(&bytes[..bytes.len().min(room)]);
            },
            |id| exec = Some(id),
        );
        let ended = tokio::time::timeout(time, run).await;
        if let (Err(_), Some(id)) = (&ended, exec) {
            self.kill_exec(&id).await;
        }
        let status = ended.ok().transpose()?;
        Ok(TimedRun { status, output: String::from_utf8_lossy(&said).trim().to_owned() })
    }

    /// Ends a command that took too long, so that such do not pile up; the API has no call
    /// for it, so this works on this machine only.
    pub(super) async fn kill_exec(&self, id: &str) {
        if !self.docker.is_local() {
            return;
        }
        let Ok(exec) = self.api().inspect_exec(id).await else { return };
        let pid = exec.pid.filter(|_| exec.running == Some(true)).and_then(|p| i32::try_from(p).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}
