//! Events of containers, for `host events` and `stack events`.

use super::{Context, ExitStatus};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use stackyard_api::{ContainerEvent, ContainerEventKind};
use stackyard_client::{Client, EventQuery, EventsOf};

/// Kinds of events, as the API spells them.
const KINDS: [&str; 8] = ["created", "recreated", "started", "restarted", "died", "healthy", "unhealthy", "removed"];

/// Options that select events.
#[derive(clap::Args)]
pub struct EventFilterArgs {
    /// Services or containers, such as `web`, `web-2` or `web@host-1` [default: all]
    service: Vec<String>,

    /// Print only events of this kind
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(KINDS).try_map(parse_kind))]
    kind: Option<ContainerEventKind>,

    /// Keep printing new events
    #[arg(short, long)]
    follow: bool,

    /// Print only this many past events
    #[arg(short = 'n', long, value_name = "EVENTS")]
    tail: Option<u32>,
}

fn parse_kind(text: String) -> Result<ContainerEventKind, serde_json::Error> {
    serde_json::from_value(text.into())
}

/// Prints past events, the oldest first, and with `--follow` also new ones.
pub async fn print_events(
    client: &Client,
    of: EventsOf<'_>,
    args: EventFilterArgs,
    context: &Context,
) -> anyhow::Result<ExitStatus> {
    let query = EventQuery { only: args.service, kind: args.kind };
    if args.follow {
        let mut events = client.follow_events(of, &query, args.tail).await?;
        loop {
            print(&events.next().await?, of, context)?;
        }
    }
    let mut events = client.events(of, &query).await?;
    events.truncate(args.tail.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)));
    for event in events.iter().rev() {
        print(event, of, context)?;
    }
    Ok(ExitStatus::Done)
}

fn print(event: &ContainerEvent, of: EventsOf<'_>, context: &Context) -> anyhow::Result<()> {
    let line = if context.printer.is_json() {
        serde_json::to_string(event)?
    } else {
        let place = match of {
            EventsOf::Stack { .. } => format!("{}@{}", event.replica, event.host_name),
            EventsOf::Host(_) => format!("{}/{}", event.stack, event.replica),
        };
        format!("{}  {place}  {}", event.at, describe(event))
    };
    context.printer.line(&line)
}

fn describe(event: &ContainerEvent) -> String {
    let mut text = match event.kind {
        ContainerEventKind::Created => "created",
        ContainerEventKind::Recreated => "recreated",
        ContainerEventKind::Started => "started",
        ContainerEventKind::Restarted => "exited, restarted",
        ContainerEventKind::Died => "exited",
        ContainerEventKind::Healthy => "healthy",
        ContainerEventKind::Unhealthy => "UNHEALTHY",
        ContainerEventKind::Removed => "removed",
    }
    .to_owned();
    event.status.iter().for_each(|status| text += &format!(", status {status}"));
    if event.oom {
        text += ", out of memory";
    }
    event.lines.last().iter().for_each(|line| text += &format!(": {line}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_one_of_the_api() {
        for kind in KINDS {
            let parsed = parse_kind(kind.to_owned()).expect("a kind of the API");
            assert_eq!(serde_json::to_value(parsed).expect("serialized"), kind);
        }
    }
}
