//! Commands in containers that somebody talks to: input, a terminal, its size.

use super::logs::Source;
use super::{Engine, Error, labels, observe};
use crate::docker::is_not_found;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use stackyard_core::stack::plan::container_name;
use std::pin::Pin;
use tokio::io::AsyncWrite;

/// Which command is to run, and how it is talked to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// With a terminal; its output is all standard output then.
    pub tty: bool,
    /// It reads what is written to [`Session::input`].
    pub stdin: bool,
    /// User; the container's if absent.
    pub user: Option<String>,
}

/// A command that runs in a container.
pub struct Session {
    /// What it writes, piece by piece, until it ends.
    pub output: BoxStream<'static, Result<(Source, Vec<u8>), Error>>,
    /// What it reads; shutting it down ends its input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What can be done to it otherwise.
    pub control: SessionControl,
}

/// Looks after a command that runs in a container.
#[derive(Debug, Clone)]
pub struct SessionControl {
    engine: Engine,
    id: String,
    doing: String,
}

impl Engine {
    /// Starts a command in the container of `service`.
    ///
    /// # Errors
    /// [`Error::NoContainer`] when there is none; [`Error::Engine`] when it does not run. A
    /// program that is not there is no error of the start on all engines: its status is 126 or 127.
    pub async fn session(&self, stack: &str, service: &str, options: SessionOptions) -> Result<Session, Error> {
        let container = container_name(stack, service);
        let program = options.command.first().cloned().unwrap_or_default();
        let doing = format!("run {program} in container {container}");
        let config = ExecConfig {
            attach_stdin: Some(options.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(options.tty),
            cmd: Some(options.command),
            user: options.user,
            ..Default::default()
        };
        let id = match self.api().create_exec(&container, config).await {
            Err(e) if is_not_found(&e) => {
                let known = self.containers(stack).await?;
                let known =
                    known.iter().filter_map(|c| observe::label(c, labels::SERVICE)).map(str::to_owned).collect();
                return Err(Error::NoContainer { stack: stack.to_owned(), service: service.to_owned(), known });
            }
            other => other.map_err(Error::engine(&doing))?.id,
        };
        let start = StartExecOptions { tty: options.tty, ..StartExecOptions::default() };
        let started = self.api().start_exec(&id, Some(start)).await.map_err(Error::engine(&doing))?;
        let StartExecResults::Attached { output, input } = started else {
            // Only asked for with `detach`.
            return Err(Error::Vanished);
        };
        let failed = doing.clone();
        let output = output.map_err(move |e| Error::engine(&failed)(e)).map_ok(|piece| match piece {
            LogOutput::StdErr { message } => (Source::Stderr, message.to_vec()),
            other => (Source::Stdout, other.as_ref().to_vec()),
        });
        let control = SessionControl { engine: self.clone(), id, doing };
        Ok(Session { output: output.boxed(), input, control })
    }
}

impl SessionControl {
    /// Gives the terminal another size; one that has ended meanwhile is no error.
    pub async fn resize(&self, rows: u16, columns: u16) {
        let options = ResizeExecOptionsBuilder::new().h(rows.into()).w(columns.into()).build();
        if let Err(e) = self.engine.api().resize_exec(&self.id, options).await {
            tracing::debug!(exec = self.id, error = %e, "terminal not resized");
        }
    }

    /// Exit status, once the output has ended.
    pub async fn status(&self) -> Result<i64, Error> {
        let seen = self.engine.api().inspect_exec(&self.id).await.map_err(Error::engine(&self.doing))?;
        Ok(seen.exit_code.unwrap_or_default())
    }

    /// Ends the command, if it still runs; only for an engine on this machine, the API has no
    /// call for it.
    pub async fn kill(&self) {
        self.engine.kill_exec(&self.id).await;
    }
}
