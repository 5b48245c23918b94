//! What happens to containers, told on the command line.

use super::{Context, End};
use stackyard_server::client::{Client, EventQuery, EventsOf};
use stackyard_server::hub::{ContainerEvent, Happening};
use std::io::Write;

/// Which events.
#[derive(clap::Args)]
pub struct Which {
    /// Services or containers (`web`, `web-2`), also those of one host (`web@host-1`); all when none is given
    service: Vec<String>,

    /// Only what is of this kind: created, recreated, started, restarted, died, healthy, unhealthy or removed
    #[arg(long, value_name = "KIND", value_parser = kind)]
    what: Option<Happening>,

    /// Go on printing what happens from now on
    #[arg(short, long)]
    follow: bool,

    /// Only the last events of before
    #[arg(short = 'n', long, value_name = "EVENTS")]
    tail: Option<u32>,
}

fn kind(text: &str) -> Result<Happening, String> {
    serde_json::from_value(text.into()).map_err(|e| e.to_string())
}

/// Prints what happened, the oldest first, and with `--follow` what happens.
pub async fn tell(client: &Client, of: EventsOf<'_>, args: Which, context: &Context) -> anyhow::Result<End> {
    let query = EventQuery { only: args.service, what: args.what };
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
    Ok(End::Done)
}

fn print(event: &ContainerEvent, of: EventsOf<'_>, context: &Context) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if context.printer.is_json() {
        writeln!(out, "{}", serde_json::to_string(event)?)?;
    } else {
        let place = match of {
            EventsOf::Stack { .. } => format!("{}@{}", event.replica, event.host_name),
            EventsOf::Host(_) => format!("{}/{}", event.stack, event.replica),
        };
        writeln!(out, "{}  {place}  {}", event.at, words(event))?;
    }
    Ok(())
}

fn words(event: &ContainerEvent) -> String {
    let mut text = match event.what {
        Happening::Created => "created",
        Happening::Recreated => "made anew",
        Happening::Started => "started",
        Happening::Restarted => "ended, and was started again",
        Happening::Died => "ended",
        Happening::Healthy => "healthy",
        Happening::Unhealthy => "UNHEALTHY",
        Happening::Removed => "removed",
    }
    .to_owned();
    event.status.iter().for_each(|status| text += &format!(", status {status}"));
    if event.oom {
        text += ", out of memory";
    }
    event.lines.last().iter().for_each(|line| text += &format!(": {line}"));
    text
}
