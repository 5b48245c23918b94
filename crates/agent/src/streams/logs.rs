//! Logs of replicas, also over their containers' ends.
//!
//! Docker ends a followed log with the container. Whoever follows a service wants to see its next
//! container too, and a replica that comes meanwhile: so a follower looks again, and goes on after
//! the last line that it has shown, by the time that Docker has put to it.

use super::flow::StreamOutput;
use crate::stacks::Stacks;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use stackyard_core::agent::{Replica, Stream};
use stackyard_core::text::error_chain;
use stackyard_platform::stack::{Engine, LogLine, LogOptions, Source};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// How often a follower looks for a new container.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many lines that the engine has ready are taken together.
const LINES_AT_ONCE: usize = 64;
/// Bytes of lines that are sent as one piece; a longer line is a piece of its own.
const PIECE: usize = 8 << 10;

/// The lines to show of a stack's logs.
pub(crate) struct LogRequest {
    pub(crate) stack: String,
    pub(crate) follow: bool,
    pub(crate) tail: Option<u32>,
    pub(crate) since: Option<i64>,
}

/// ReplicaFilter logs: those asked for, else all of the stack here; none for "also those that come".
pub(crate) struct ReplicaFilter {
    named: Option<BTreeSet<Replica>>,
}

/// Checks that there is something to show.
pub(crate) async fn replicas(
    engine: &Engine,
    stacks: &Stacks,
    request: &LogRequest,
    named: Vec<Replica>,
) -> Result<ReplicaFilter, String> {
    let filter = ReplicaFilter { named: (!named.is_empty()).then(|| named.into_iter().collect()) };
    let there = present(engine, stacks, &request.stack).await?;
    if there.is_empty() && !request.follow {
        return Err(format!("stack {} has no container on this host", request.stack));
    }
    Ok(filter)
}

/// Replicas of a stack that have a container here.
async fn present(engine: &Engine, stacks: &Stacks, stack: &str) -> Result<BTreeSet<Replica>, String> {
    let seen = engine.look_at(stack).await.map_err(|e| error_chain(&e))?;
    Ok(seen.containers.iter().filter_map(|s| stacks.replica(stack, &s.service)).collect())
}

type Follower<'a> = Pin<Box<dyn Future<Output = Result<Replica, String>> + Send + 'a>>;

/// Sends the logs; returns when all have ended, never when they are followed.
pub(crate) async fn show(
    engine: &Engine,
    stacks: &Stacks,
    request: &LogRequest,
    filter: ReplicaFilter,
    out: &StreamOutput,
) -> Result<(), String> {
    let mut running: FuturesUnordered<Follower<'_>> = FuturesUnordered::new();
    let mut known = BTreeSet::new();
    loop {
        let there = present(engine, stacks, &request.stack).await?;
        let asked = |r: &&Replica| filter.named.as_ref().is_none_or(|named| named.contains(r));
        for replica in there.iter().filter(asked) {
            if known.insert(replica.clone()) {
                running.push(Box::pin(one(engine, request, replica.clone(), out)));
            }
        }
        if request.follow {
            let next = async {
                match running.next().await {
                    Some(ended) => ended,
                    None => std::future::pending().await,
                }
            };
            // Looks for new replicas now and then.
            if let Ok(ended) = tokio::time::timeout(LOOK_EVERY * 2, next).await {
                known.remove(&ended?);
            }
        } else {
            while let Some(ended) = running.next().await {
                ended?;
            }
            return Ok(());
        }
    }
}

/// Shows one replica's log; a follower ends when there is no container any more.
async fn one(engine: &Engine, request: &LogRequest, replica: Replica, out: &StreamOutput) -> Result<Replica, String> {
    let service = replica.to_string();
    let mut options = LogOptions {
        follow: request.follow,
        tail: request.tail.and_then(|t| usize::try_from(t).ok()),
        timestamps: true,
        since: request.since,
    };
    let mut last: Option<Timestamp> = None;
    loop {
        let lines = engine.logs(&request.stack, std::slice::from_ref(&service), options).await;
        let mut lines = match lines {
            Ok(lines) => lines.ready_chunks(LINES_AT_ONCE),
            Err(stackyard_platform::stack::Error::NoContainer { .. }) => return Ok(replica),
            Err(e) => return Err(error_chain(&e)),
        };
        while let Some(read) = lines.next().await {
            let mut pieces = Pieces::default();
            let mut broken = None;
            for line in read {
                match line {
                    Ok(line) => pieces.add(&line, &mut last),
                    Err(e) => broken = Some(e),
                }
            }
            for (from, text) in pieces.0 {
                if !out.send(Some(&replica), from, text).await {
                    return Ok(replica);
                }
            }
            match broken {
                None => {}
                // Removed while it was read.
                Some(_) if request.follow => break,
                Some(e) => return Err(error_chain(&e)),
            }
        }
        if !request.follow {
            return Ok(replica);
        }
        // What comes after what was shown; without any line, all that comes.
        options.tail = None;
        options.since = last.map(Timestamp::as_second).or(options.since);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Lines that are sent at once: a message for each line costs more than the line.
#[derive(Default)]
struct Pieces(Vec<(Stream, Vec<u8>)>);

impl Pieces {
    /// Adds a line that is newer than the `last` one shown.
    fn add(&mut self, line: &LogLine, last: &mut Option<Timestamp>) {
        let (time, text) = split(line);
        if let (Some(time), Some(last)) = (time, *last)
            && time <= last
        {
            return;
        }
        *last = time.or(*last);
        let from = if line.source == Source::Stderr { Stream::Stderr } else { Stream::Stdout };
        match self.0.last_mut() {
            Some((same, piece)) if *same == from && piece.len() + text.len() < PIECE => {
                piece.extend_from_slice(text.as_bytes());
                piece.push(b'\n');
            }
            _ => self.0.push((from, format!("{text}\n").into_bytes())),
        }
    }
}

/// The time that Docker put before a line, and the line.
fn split(line: &LogLine) -> (Option<Timestamp>, &str) {
    match line.text.split_once(' ').map(|(time, text)| (time.parse(), text)) {
        Some((Ok(time), text)) => (Some(time), text),
        // An empty line is its time alone.
        _ => match line.text.parse() {
            Ok(time) => (Some(time), ""),
            Err(_) => (None, &line.text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine { service: "web-1".into(), container: "s-web-1-1".into(), source: Source::Stdout, text: text.into() }
    }

    #[test]
    fn lines_of_one_source_are_sent_together() {
        let (mut pieces, mut last) = (Pieces::default(), None);
        let error = LogLine { source: Source::Stderr, ..line("2026-11-25T12:00:02Z c") };
        let long = format!("2026-11-25T12:00:04Z {}", "e".repeat(PIECE));
        for line in
            [line("2026-11-25T12:00:00Z a"), line("2026-11-25T12:00:01Z b"), error, line("2026-11-25T12:00:03Z d")]
        {
            pieces.add(&line, &mut last);
        }
        pieces.add(&line("2026-11-25T12:00:01Z b"), &mut last);
        pieces.add(&line(&long), &mut last);
        let sent: Vec<_> = pieces.0.iter().map(|(from, piece)| (*from, piece.len())).collect();
        assert_eq!(sent, [(Stream::Stdout, 4), (Stream::Stderr, 2), (Stream::Stdout, 2), (Stream::Stdout, PIECE + 1)]);
        assert_eq!(pieces.0[0].1, b"a\nb\n");
    }

    #[test]
    fn times_are_taken_off() {
        let stamped = line("2026-11-25T12:00:00.123456789Z hello world");
        let (time, text) = split(&stamped);
        assert_eq!((time.unwrap().as_second() % 60, text), (0, "hello world"));
        assert_eq!(split(&line("2026-11-25T12:00:00Z")).1, "");
        assert_eq!(split(&line("no time")), (None, "no time"));
    }
}
