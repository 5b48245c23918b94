//! Templates of packages that others send, rendered in a process of its own.
//!
//! A template can double a text or a list with each line that it has. The catalog counts most of what that takes, and
//! not all; the kernel counts the rest. So the sender of a package that takes too much gets an error, and the
//! server keeps running.

use rustix::process::{Resource, Rlimit, setrlimit};
use stackyard_catalog::{RenderedTemplates, TemplateJob};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The argument by which the program is told to do nothing else but this.
pub const RENDER_TEMPLATES: &str = "__render-templates";

/// Memory that the process may have, in bytes: with it, the largest package that is not refused.
const MEMORY: u64 = 256 << 20;

/// Processor time that it may take, in seconds. What is counted as fuel ends far sooner.
const TIME: u64 = 5;

/// Longest text of all templates, in bytes.
const LONGEST: u64 = 32 << 20;

/// Such processes at once.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Where templates are rendered.
#[derive(Debug, Clone, Default)]
pub struct TemplateRenderer(Option<PathBuf>);

impl TemplateRenderer {
    /// In this process: for files of its own user.
    pub fn here() -> Self {
        Self(None)
    }

    /// In a process of this program, which must call [`render_templates`] when it is started with
    /// [`RENDER_TEMPLATES`].
    pub fn apart(program: PathBuf) -> Self {
        Self(Some(program))
    }

    /// Waits until there may be one more process. None is needed here.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'static>> {
        match self.0 {
            // It is never closed.
            Some(_) => PLACES.acquire().await.ok(),
            None => None,
        }
    }

    /// Renders all templates. Blocks.
    ///
    /// # Errors
    /// In words: the process took too much, or there is none.
    pub(crate) fn render(&self, job: &TemplateJob) -> Result<RenderedTemplates, String> {
        let Some(program) = &self.0 else {
            return Ok(job.render());
        };
        let job = serde_json::to_vec(job).map_err(|e| format!("handing templates on: {e}"))?;
        let mut child = Command::new(program)
            .arg(RENDER_TEMPLATES)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("starting a process that renders templates: {e}"))?;
        // It reads all before it writes anything. That it ended is told by its status.
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&job).ok();
        }
        let mut text = Vec::new();
        let read = child
            .stdout
            .take()
            .map(|stdout| stdout.take(LONGEST + 1).read_to_end(&mut text));
        let is_long = text.len() as u64 > LONGEST;
        if is_long {
            child.kill().ok();
        }
        let status = child
            .wait()
            .map_err(|e| format!("waiting for the process that renders templates: {e}"))?;
        if is_long {
            return Err(format!(
                "its templates become more than {} MiB of text",
                LONGEST >> 20
            ));
        }
        match read {
            Some(Ok(_)) if status.success() => serde_json::from_slice(&text)
                .map_err(|e| format!("reading what became of templates: {e}")),
            _ => Err(why(status)),
        }
    }
}

/// Why the process did not come to its end.
fn why(status: ExitStatus) -> String {
    const HINT: &str = "is there a text or a list that grows in a loop?";
    match status.signal() {
        // SIGABRT: memory was refused. SIGXCPU, SIGKILL: its time was up.
        Some(6) => format!(
            "its templates take more than {} MiB of memory; {HINT}",
            MEMORY >> 20
        ),
        Some(9 | 24) => format!("its templates take more than {TIME} s of processor time; {HINT}"),
        _ => format!("the process that renders its templates ended with {status}"),
    }
}

/// What that process does: it limits itself, reads a [`TemplateJob`] as JSON from standard input and writes
/// [`RenderedTemplates`] to standard output.
///
/// # Errors
/// What the system says.
pub fn render_templates() -> io::Result<()> {
    // What is in memory has secrets: no core of it.
    let limits = [
        (Resource::Core, 0, 0),
        (Resource::Data, MEMORY, MEMORY),
        (Resource::Cpu, TIME, TIME + 1),
    ];
    for (resource, current, maximum) in limits {
        setrlimit(
            resource,
            Rlimit {
                current: Some(current),
                maximum: Some(maximum),
            },
        )?;
    }
    let mut job = Vec::new();
    io::stdin().read_to_end(&mut job)?;
    let job: TemplateJob = serde_json::from_slice(&job)?;
    let rendered = serde_json::to_vec(&job.render())?;
    io::stdout().write_all(&rendered)
}
