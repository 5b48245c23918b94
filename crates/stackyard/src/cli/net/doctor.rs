//! `stackyard net doctor`

use super::super::catalog::catalogs;
use super::super::remote::ServerArgs;
use super::super::{Context, ExitStatus};
use crate::printer::{UserError, table};
use anyhow::{Context as _, bail};
use serde_json::json;
use stackyard_api::{MtuEvent, MtuFix, MtuPair, MtuReport, MtuRequest, MtuStep, MtuWay};
use stackyard_catalog::manifest;
use stackyard_client::Client;
use stackyard_core::mtu::search::{Beyond, Found, Passage};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;

/// The largest packet of IP, in bytes.
const LARGEST: u32 = 65_535;

/// Arguments of `stackyard net doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Hosts send packets that routers must not fragment, to find the largest size that arrives: between
the yard's hosts in both directions, from its hosts to its servers, and from a container of each
network to a machine outside its host. The result is compared with the MTU that each layer has
(`stackyard net path`).

  fits        every size that the sender's interface accepts arrives
  told        larger packets are dropped with an ICMP error, as path MTU discovery requires
  BLACK HOLE  larger packets vanish without an error: connections start and then hang
  filtered    no packet or no reply passes: most likely a security group drops ICMP

Examples:
  stackyard net doctor -f yard.yaml
  stackyard net doctor -f yard.yaml --fix      # show the changes, ask, apply them, measure again
  stackyard net doctor 10.20.0.7 db.example    # from this machine, without a yard and a server

The exit code is 1 if packets vanish, an MTU is too large, or no pair could be measured.")]
pub struct DoctorArgs {
    /// Addresses to measure from this machine, without a yard
    ///
    /// They are names or IP addresses that answer ping.
    #[arg(value_name = "ADDRESS", conflicts_with_all = ["file", "fix"])]
    addresses: Vec<String>,

    /// Manifest of the yard
    #[arg(short, long, value_name = "FILE", default_value = "yard.yaml")]
    file: PathBuf,

    /// Fix wrong MTUs, and measure again
    #[arg(long)]
    fix: bool,

    /// Do not ask for confirmation
    #[arg(short, long, requires = "fix")]
    yes: bool,

    /// Measure at most this many pairs
    #[arg(long, value_name = "PAIRS", default_value_t = stackyard_server::doctor::PAIRS)]
    pairs: usize,

    #[command(flatten)]
    server: ServerArgs,
}

/// Measures, and fixes wrong MTUs with `--fix`.
pub async fn run(args: DoctorArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    if !args.addresses.is_empty() {
        return from_here(&args.addresses, context).await;
    }
    let yard = manifest::load_with(&args.file, &catalogs(context))?.intended.yard;
    let client = args.server.client(context)?;
    let wish = MtuRequest { pairs: Some(args.pairs) };
    let report = measure(&client, &yard, &wish, context).await?;
    let steps: Vec<MtuStep> = report.advice.iter().filter_map(|a| a.step.clone()).collect();
    if !args.fix || steps.is_empty() {
        return print_report(&yard, &report, context);
    }
    context.printer.note(text(&report));
    context.printer.note("Changes to apply:");
    for advice in &report.advice {
        if let Some(step) = &advice.step {
            let lasts = if advice.lasts.is_empty() { String::new() } else { format!("; {}", advice.lasts) };
            context.printer.note(format!("  {step}{lasts}"));
        }
    }
    if !args.yes && !context.printer.confirm("set the MTU of running hosts and networks")? {
        return Ok(ExitStatus::Failed);
    }
    let mut failed = Vec::new();
    let printer = context.printer.clone();
    let mut print_step = |event: MtuEvent| {
        if let MtuEvent::Step { step, changed, error } = event {
            if printer.is_json() {
                printer.event(&json!({"event": "step", "step": step, "changed": changed, "error": error}));
            }
            for line in &changed {
                printer.note(format!("  set: {line}"));
            }
            failed.extend(error.map(|error| format!("{step}: {error}")));
        }
    };
    client.fix_mtu(&yard, &MtuFix { steps }, &mut print_step).await?;
    context.printer.note("Measuring again.");
    let report = measure(&client, &yard, &wish, context).await?;
    let end = print_report(&yard, &report, context)?;
    if !failed.is_empty() {
        bail!("cannot apply all changes:\n- {}", failed.join("\n- "));
    }
    Ok(end)
}

async fn measure(client: &Client, yard: &str, wish: &MtuRequest, context: &Context) -> anyhow::Result<MtuReport> {
    let mut found = None;
    let (mut pairs, mut measured) = (0, 0);
    let printer = context.printer.clone();
    let mut print_pair = |event: MtuEvent| match event {
        MtuEvent::Begun { pairs: all } => pairs = all,
        MtuEvent::Pair { pair } => {
            measured += 1;
            if !printer.is_json() {
                printer.note(format!(
                    "{measured} of {pairs}: {} -> {}: {}",
                    pair.from.called(),
                    pair.to.called(),
                    direction_text(&pair.there)
                ));
            }
        }
        MtuEvent::Report { report } => found = Some(*report),
        MtuEvent::Step { .. } | MtuEvent::Pulse | MtuEvent::End => {}
    };
    client.measure_mtu(yard, wish, &mut print_pair).await?;
    found.context("cannot measure: the server returned no result")
}

fn print_report(yard: &str, report: &MtuReport, context: &Context) -> anyhow::Result<ExitStatus> {
    context.printer.result(&json!({"event": "result", "yard": yard, "report": report}), || text(report))?;
    Ok(if report.well { ExitStatus::Done } else { ExitStatus::Failed })
}

/// The result for one direction.
fn direction_text(way: &MtuWay) -> String {
    let Some(found) = &way.found else {
        return format!("not measured: {}", way.error.as_deref().unwrap_or("unknown reason"));
    };
    passage_text(found, way.passage)
}

fn passage_text(found: &Found, passage: Passage) -> String {
    let number = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let (largest, lets_in) = (number(found.largest), number(found.lets_in));
    match (passage, &found.beyond) {
        (Passage::Fits, _) => format!("{largest} fits"),
        (Passage::Told, Beyond::Told { by }) => format!("{largest} of {lets_in}, told by {by}"),
        (Passage::Told, Beyond::Refused { by, why }) => {
            format!(
                "{largest} of {lets_in}, {} reports: {why}",
                by.map_or_else(|| "the sender itself".to_owned(), |b| b.to_string())
            )
        }
        (Passage::Told, _) => format!("{largest} of {lets_in}, told"),
        (Passage::BlackHole, _) => format!("{largest} of {lets_in}, BLACK HOLE"),
        (Passage::Filtered, Beyond::Refused { by: Some(by), why }) => format!("filtered: {by} reports: {why}"),
        (Passage::Filtered, Beyond::Refused { by: None, why }) => format!("filtered: {why}"),
        (Passage::Filtered, _) => "filtered: no reply".to_owned(),
        (Passage::Unknown, _) => "not measured".to_owned(),
    }
}

fn text(report: &MtuReport) -> String {
    let row = |pair: &MtuPair| {
        let set = |end: &stackyard_api::MtuEnd| {
            let layers: Vec<String> = end.set.iter().map(|s| s.mtu.to_string()).collect();
            if layers.is_empty() { "?".to_owned() } else { layers.join(" > ") }
        };
        [
            pair.from.called(),
            set(&pair.from),
            pair.to.called(),
            set(&pair.to),
            direction_text(&pair.there),
            pair.back.as_ref().map(direction_text).unwrap_or_default(),
        ]
    };
    let head = ["FROM", "MTU", "TO", "MTU", "FORWARD", "BACK"];
    let mut text = match report.pairs.as_slice() {
        [] => "Nothing to measure: the yard needs a host with a connected agent, and a second machine.\n".to_owned(),
        pairs => table::table(head, pairs.iter().map(row)),
    };
    if report.left_out > 0 {
        text += &format!("{} more pairs were not measured; raise --pairs to include them.\n", report.left_out);
    }
    for path in report.paths.iter().filter(|p| p.chain.breaks) {
        let names: Vec<&str> = path.of.iter().map(|o| o.name.as_str()).collect();
        text += &format!("\nMTU too large on the path of {}:\n{}", names.join(", "), path.chain.explain());
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
        text += "\nAll measured packets that the sender accepts get through.";
    }
    text
}

/// Measures from this machine.
async fn from_here(addresses: &[String], context: &Context) -> anyhow::Result<ExitStatus> {
    let mut rows = Vec::new();
    for name in addresses {
        let address = resolve(name)?;
        context.printer.note(format!("measuring to {name}"));
        let found = tokio::task::spawn_blocking(move || stackyard_agent::probe::largest(address, LARGEST)).await?;
        let found = found.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => anyhow::Error::new(UserError::new(
                format!("cannot send echoes to {name}: {error}"),
                "run as root, with CAP_NET_RAW, or in a group of net.ipv4.ping_group_range",
            )),
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
            [name.clone(), address.to_string(), passage_text(found, found.passage())]
        };
        table::table(["TO", "ADDRESS", "RESULT"], rows.iter().map(row))
    })?;
    Ok(if well { ExitStatus::Done } else { ExitStatus::Failed })
}

fn resolve(name: &str) -> anyhow::Result<IpAddr> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let found = (name, 0).to_socket_addrs().with_context(|| format!("cannot look up {name}"))?;
    let all: Vec<IpAddr> = found.map(|a| a.ip()).collect();
    all.iter()
        .find(|a| a.is_ipv4())
        .or(all.first())
        .copied()
        .with_context(|| format!("cannot measure to {name}: the name has no address"))
}
