//! Logs of a stack's containers, line by line.

use super::{Engine, Error, labels, observe};
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use serde::Serialize;
use stackyard_core::stack::plan::container_name;
use std::collections::VecDeque;

/// Longest line, in bytes. What a program writes without a line's end is cut into lines of this length, and not
/// gathered.
const LONGEST: usize = 64 << 10;

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The service.
    pub service: String,
    /// Its container.
    pub container: String,
    /// Where it was written.
    pub source: Source,
    /// The line without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Which part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogOptions {
    /// Go on with what comes.
    pub follow: bool,
    /// Only the last so many lines of what is there.
    pub tail: Option<usize>,
    /// Put the time before each line (RFC 3339, by the engine's clock).
    pub timestamps: bool,
    /// Nothing older, in seconds since 1970.
    pub since: Option<i64>,
}

impl Engine {
    /// The log of the services, of all when `services` is empty; several logs are mixed as
    /// they come.
    ///
    /// # Errors
    /// [`Error::NoContainer`] when one of the services has none.
    pub async fn logs(
        &self,
        stack: &str,
        services: &[String],
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, Error>>, Error> {
        let containers = self.containers(stack).await?;
        let of = |c| Some((observe::label(c, labels::SERVICE)?.to_owned(), observe::name(c).to_owned()));
        let all: Vec<(String, String)> = containers.iter().filter_map(of).collect();
        let known = || all.iter().map(|(service, _)| service.clone()).collect();
        if let Some(missing) = services.iter().find(|s| !all.iter().any(|(service, _)| service == *s)) {
            return Err(Error::NoContainer { stack: stack.to_owned(), service: missing.clone(), known: known() });
        }
        let wanted = all.into_iter().filter(|(service, _)| services.is_empty() || services.contains(service));
        let streams = wanted.map(|(service, container)| self.container_log(service, container, options));
        Ok(stream::select_all(streams).boxed())
    }

    fn container_log(
        &self,
        service: String,
        container: String,
        options: LogOptions,
    ) -> BoxStream<'static, Result<LogLine, Error>> {
        let tail = options.tail.map_or_else(|| "all".to_owned(), |n| n.to_string());
        let query = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(options.follow)
            .timestamps(options.timestamps)
            .tail(&tail)
            .since(options.since.and_then(|s| i32::try_from(s).ok()).unwrap_or_default())
            .build();
        let doing = format!("read the log of container {container}");
        let pieces = self.api().logs(&container, Some(query)).map_err(move |e| Error::engine(doing.clone())(e));
        lines(pieces)
            .map_ok(move |(source, text)| LogLine {
                service: service.clone(),
                container: container.clone(),
                source,
                text,
            })
            .boxed()
    }

    /// The last lines of a service's log; none when it cannot be read.
    pub async fn last_lines(&self, stack: &str, service: &str, count: usize) -> Vec<String> {
        let options = LogOptions { tail: Some(count), ..LogOptions::default() };
        let log = self.container_log(service.to_owned(), container_name(stack, service), options);
        let lines: Vec<String> = log.filter_map(async |l| l.ok()).map(|l| l.text).collect().await;
        // Standard output and standard error come with `count` lines in all.
        lines.into_iter().rev().take(count).rev().collect()
    }
}

/// Cuts pieces of two mixed streams into lines; a last line without end comes at the end.
fn lines<S>(pieces: S) -> impl Stream<Item = Result<(Source, String), Error>> + Send
where
    S: Stream<Item = Result<LogOutput, Error>> + Send,
{
    let state = (Box::pin(pieces), LineCutter::default(), false);
    stream::unfold(state, async |(mut pieces, mut cutter, mut ended)| {
        loop {
            if let Some(line) = cutter.ready.pop_front() {
                return Some((Ok(line), (pieces, cutter, ended)));
            }
            if ended {
                return None;
            }
            match pieces.next().await {
                Some(Ok(piece)) => cutter.feed(&piece),
                Some(Err(e)) => return Some((Err(e), (pieces, cutter, true))),
                None => {
                    cutter.finish();
                    ended = true;
                }
            }
        }
    })
}

#[derive(Default)]
struct LineCutter {
    begun: [Vec<u8>; 2],
    ready: VecDeque<(Source, String)>,
}

impl LineCutter {
    fn feed(&mut self, piece: &LogOutput) {
        let source = if matches!(piece, LogOutput::StdErr { .. }) { Source::Stderr } else { Source::Stdout };
        for part in piece.as_ref().split_inclusive(|b| *b == b'\n') {
            for part in part.chunks(LONGEST) {
                self.begun[source as usize].extend_from_slice(part);
                if part.ends_with(b"\n") || self.begun[source as usize].len() >= LONGEST {
                    self.flush(source);
                }
            }
        }
    }

    fn finish(&mut self) {
        for source in [Source::Stdout, Source::Stderr] {
            if !self.begun[source as usize].is_empty() {
                self.flush(source);
            }
        }
    }

    fn flush(&mut self, source: Source) {
        let line = std::mem::take(&mut self.begun[source as usize]);
        let text = String::from_utf8_lossy(&line);
        self.ready.push_back((source, text.trim_end_matches(['\n', '\r']).to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_long_ones_not_gathered() {
        let mut cutter = LineCutter::default();
        let mut feed = |text: &str| cutter.feed(&LogOutput::StdOut { message: text.to_owned().into() });
        feed("one\ntw");
        feed("o\n");
        (0..3).for_each(|_| feed(&"x".repeat(LONGEST)));
        feed("end\n");
        assert!(cutter.begun.iter().all(Vec::is_empty));
        let lengths: Vec<usize> = cutter.ready.iter().map(|(_, text)| text.len()).collect();
        assert_eq!(lengths, [3, 3, LONGEST, LONGEST, LONGEST, 3]);
    }
}
