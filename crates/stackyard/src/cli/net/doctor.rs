//! `stackyard net doctor`

use super::super::remote::ServerArgs;
use super::super::{Context, End};
use crate::printer::table;
use anyhow::{Context as _, bail};
use serde_json::json;
use stackyard_catalog::manifest;
use stackyard_core::mtu::search::{Beyond, Found, Passage};
use stackyard_server::api::{MtuEvent, MtuFix, MtuWish};
use stackyard_server::client::Client;
use stackyard_server::doctor::{MtuPair, MtuReport, MtuStep, MtuWay};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;

/// The largest packet of IP, in bytes.
const LARGEST: u32 = 65_535;

/// Arguments of `stackyard net doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Packets that nobody may fragment are sent, larger and smaller ones, until the largest is known that gets through: between
the yard's hosts, both ways; from its hosts to its servers; and from a container of each network to a machine outside of
its host. It is compared with what is set at each layer (`stackyard net path`).

  fits        all that the sender's interface lets in arrives
  told        larger packets are dropped and the sender is told so, which path MTU discovery lives on
  BLACK HOLE  larger packets vanish: connections are established, and hang
  filtered    nothing passes at all, or nothing is answered: most likely a security group drops ICMP

Examples:
  stackyard net doctor -f yard.yaml
  stackyard net doctor -f yard.yaml --fix      # shows what it would set, asks, sets it, and measures again
  stackyard net doctor 10.20.0.7 db.example    # from this machine, without a yard and a server

Exit code 1 if something is lost without a word or is set too large, or nothing could be measured.")]
pub struct Args {
    /// Measure from this machine to these, without a yard: names or addresses that answer echoes (ping)
    #[arg(value_name = "ADDRESS", conflicts_with_all = ["file", "fix"])]
    addresses: Vec<String>,

    /// The manifest
    #[arg(short, long, value_name = "FILE", default_value = "yard.yaml")]
    file: PathBuf,

    /// Set what is wrong, and measure again
    #[arg(long)]
    fix: bool,

    /// Do not ask
    #[arg(short, long, requires = "fix")]
    yes: bool,

    /// Measure at most so many pairs
    #[arg(long, value_name = "PAIRS", default_value_t = stackyard_server::doctor::PAIRS)]
    pairs: usize,

    #[command(flatten)]
    server: ServerArgs,
}

/// Measures, and puts right what it may.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    if !args.addresses.is_empty() {
        return from_here(&args.addresses, context).await;
    }
    let yard = manifest::load(&args.file)?.intended.yard;
    let client = args.server.client(context)?;
    let wish = MtuWish { pairs: Some(args.pairs) };
    let report = measure(&client, &yard, &wish, context).await?;
    let steps: Vec<MtuStep> = report.advice.iter().filter_map(|a| a.step.clone()).collect();
    if !args.fix || steps.is_empty() {
        return done(&yard, &report, context);
    }
    context.printer.say(text(&report));
    context.printer.say("This is set now:");
    for advice in &report.advice {
        if let Some(step) = &advice.step {
            let lasts = if advice.lasts.is_empty() { String::new() } else { format!("; {}", advice.lasts) };
            context.printer.say(format!("  {step}{lasts}"));
        }
    }
    if !args.yes && !context.printer.confirmed("this sets MTUs of what is running")? {
        return Ok(End::Failed);
    }
    let mut failed = Vec::new();
    let printer = context.printer.clone();
    let mut told = |event: MtuEvent| {
        if let MtuEvent::Step { step, changed, error } = event {
            if printer.is_json() {
                let _ = printer
                    .result(&json!({"event": "step", "step": step, "changed": changed, "error": error}), String::new);
            }
            for line in &changed {
                printer.say(format!("  set: {line}"));
            }
            failed.extend(error.map(|error| format!("{step}: {error}")));
        }
    };
    client.fix_mtu(&yard, &MtuFix { steps }, &mut told).await?;
    context.printer.say("Measuring again.");
    let report = measure(&client, &yard, &wish, context).await?;
    let end = done(&yard, &report, context)?;
    if !failed.is_empty() {
        bail!("not all could be set:\n- {}", failed.join("\n- "));
    }
    Ok(end)
}

async fn measure(client: &Client, yard: &str, wish: &MtuWish, context: &Context) -> anyhow::Result<MtuReport> {
    let mut found = None;
    let (mut pairs, mut measured) = (0, 0);
    let printer = context.printer.clone();
    let mut told = |event: MtuEvent| match event {
        MtuEvent::Begun { pairs: all } => pairs = all,
        MtuEvent::Pair { pair } => {
            measured += 1;
            if !printer.is_json() {
                printer.say(format!(
                    "{measured} of {pairs}: {} -> {}: {}",
                    pair.from.called(),
                    pair.to.called(),
                    way(&pair.there)
                ));
            }
        }
        MtuEvent::Report { report } => found = Some(*report),
        MtuEvent::Step { .. } | MtuEvent::Pulse | MtuEvent::End => {}
    };
    client.measure_mtu(yard, wish, &mut told).await?;
    found.context("the server measured, and told no result")
}

fn done(yard: &str, report: &MtuReport, context: &Context) -> anyhow::Result<End> {
    context.printer.result(&json!({"event": "result", "yard": yard, "report": report}), || text(report))?;
    Ok(if report.well { End::Done } else { End::Failed })
}

/// What was measured of one way.
fn way(way: &MtuWay) -> String {
    let Some(found) = &way.found else {
        return format!("not measured: {}", way.error.as_deref().unwrap_or("nobody said why"));
    };
    passage(found, way.passage)
}

fn passage(found: &Found, passage: Passage) -> String {
    let number = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let (largest, lets_in) = (number(found.largest), number(found.lets_in));
    match (passage, &found.beyond) {
        (Passage::Fits, _) => format!("{largest} fits"),
        (Passage::Told, Beyond::Told { by }) => format!("{largest} of {lets_in}, told by {by}"),
        (Passage::Told, Beyond::Refused { by, why }) => {
            format!(
                "{largest} of {lets_in}, {} says: {why}",
                by.map_or_else(|| "the sender itself".to_owned(), |b| b.to_string())
            )
        }
        (Passage::Told, _) => format!("{largest} of {lets_in}, told"),
        (Passage::BlackHole, _) => format!("{largest} of {lets_in}, BLACK HOLE"),
        (Passage::Filtered, Beyond::Refused { by: Some(by), why }) => format!("filtered: {by} says: {why}"),
        (Passage::Filtered, Beyond::Refused { by: None, why }) => format!("filtered: {why}"),
        (Passage::Filtered, _) => "filtered: nothing is heard".to_owned(),
        (Passage::Unknown, _) => "not measured".to_owned(),
    }
}

fn text(report: &MtuReport) -> String {
    let row = |pair: &MtuPair| {
        let set = |end: &stackyard_server::doctor::MtuEnd| {
            let layers: Vec<String> = end.set.iter().map(|s| s.mtu.to_string()).collect();
            if layers.is_empty() { "?".to_owned() } else { layers.join(" > ") }
        };
        [
            pair.from.called(),
            set(&pair.from),
            pair.to.called(),
            set(&pair.to),
            way(&pair.there),
            pair.back.as_ref().map(way).unwrap_or_default(),
        ]
    };
    let head = ["FROM", "SET", "TO", "SET", "THERE", "BACK"];
    let mut text = match report.pairs.as_slice() {
        [] => "There is nobody to measure: a host with a connected agent is needed, and somebody else.\n".to_owned(),
        pairs => table::table(head, pairs.iter().map(row)),
    };
    if report.left_out > 0 {
        text += &format!("{} pairs more were not measured (--pairs).\n", report.left_out);
    }
    for path in report.paths.iter().filter(|p| p.chain.breaks) {
        let names: Vec<&str> = path.of.iter().map(|o| o.name.as_str()).collect();
        text += &format!("\nSet too large on the way of {}:\n{}", names.join(", "), path.chain.explain());
    }
    for note in &report.notes {
        text += &format!("\nnote: {note}");
    }
    for advice in &report.advice {
        text += &format!("\n- {}\n  {}", advice.problem, advice.remedy);
        if let Some(step) = &advice.step {
            text += &format!("\n  --fix: {step}");
            if !advice.lasts.is_empty() {
                text += &format!(" ({})", advice.lasts);
            }
        }
    }
    if report.well {
        text += "\nAll that is let in gets through, as far as it was measured.";
    }
    text
}

/// Measures from this machine.
async fn from_here(addresses: &[String], context: &Context) -> anyhow::Result<End> {
    let mut rows = Vec::new();
    for name in addresses {
        let address = resolve(name)?;
        context.printer.say(format!("measuring to {name}"));
        let found = tokio::task::spawn_blocking(move || stackyard_agent::probe::largest(address, LARGEST)).await?;
        let found = found.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => anyhow::anyhow!(
                "cannot send echoes to {name}: {error}; root may, and who has CAP_NET_RAW or is in a group of \
                 net.ipv4.ping_group_range"
            ),
            _ => anyhow::anyhow!("cannot send echoes to {name}: {error}"),
        })?;
        rows.push((name.clone(), address, found));
    }
    let well = rows.iter().all(|(.., f)| matches!(f.passage(), Passage::Fits | Passage::Told));
    let list = rows.iter().map(
        |(name, address, found)| json!({"name": name, "address": address, "found": found, "passage": found.passage()}),
    );
    let result = json!({"event": "result", "well": well, "measured": list.collect::<Vec<_>>()});
    context.printer.result(&result, || {
        let row = |(name, address, found): &(String, IpAddr, Found)| {
            [name.clone(), address.to_string(), passage(found, found.passage())]
        };
        table::table(["TO", "ADDRESS", "GETS THROUGH"], rows.iter().map(row))
    })?;
    Ok(if well { End::Done } else { End::Failed })
}

fn resolve(name: &str) -> anyhow::Result<IpAddr> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let found = (name, 0).to_socket_addrs().with_context(|| format!("cannot look up {name}"))?;
    let all: Vec<IpAddr> = found.map(|a| a.ip()).collect();
    all.iter().find(|a| a.is_ipv4()).or(all.first()).copied().with_context(|| format!("{name} has no address"))
}
