//! `stackyard audit`

use super::remote::ServerArgs;
use super::{Context, ExitStatus};
use crate::printer::table;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use stackyard_api::{AuditEntry, AuditFilter, AuditKind, AuditResult};

/// Arguments of `stackyard audit`.
#[derive(clap::Args)]
pub struct AuditArgs {
    /// Show at most this many entries
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=1000))]
    last: u32,

    /// Show only entries of this caller
    #[arg(long, value_name = "CALLER")]
    actor: Option<String>,

    /// Show only entries of this kind
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Option<AuditKind>,

    /// Show only entries about this path, or about one below it
    ///
    /// For example yards/shop or yards/shop/secrets/key.
    #[arg(long, value_name = "PATH")]
    resource: Option<String>,

    /// Show only entries with this result
    #[arg(long, value_name = "RESULT", value_parser = results())]
    result: Option<AuditResult>,

    /// Show only entries from this address
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,

    /// Show only entries since this time
    ///
    /// A time such as 2026-11-29T08:00:00Z, or a time ago such as 30m, 12h or 7d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,

    /// Show only entries before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,

    #[command(flatten)]
    server: ServerArgs,
}

fn kinds() -> impl TypedValueParser<Value = AuditKind> {
    PossibleValuesParser::new(AuditKind::ALL.map(AuditKind::name))
        .try_map(|name| AuditKind::from_name(&name).ok_or("unknown kind"))
}

fn results() -> impl TypedValueParser<Value = AuditResult> {
    PossibleValuesParser::new(AuditResult::ALL.map(AuditResult::name))
        .try_map(|name| AuditResult::from_name(&name).ok_or("unknown result"))
}

/// Parses a time, in seconds since 1970.
fn moment(text: &str) -> Result<i64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let ago = |(unit, seconds): (&str, i64)| Some(i64::from(text.strip_suffix(unit)?.parse::<u32>().ok()?) * seconds);
    let ago = units.into_iter().find_map(ago);
    match ago {
        Some(ago) => Ok(stackyard_api::now() / 1000 - ago),
        None => stackyard_api::seconds(text)
            .ok_or_else(|| "expected a time, such as 2026-11-29T08:00:00Z, or a time ago, such as 12h".to_owned()),
    }
}

/// Shows the audit log, the newest entries first.
pub async fn run(args: AuditArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let filter = AuditFilter {
        actor: args.actor,
        kind: args.kind,
        resource: args.resource,
        result: args.result,
        address: args.from,
        since: args.since,
        until: args.until,
    };
    let entries = args.server.client(context)?.audit(&filter, None, args.last).await?;
    context.printer.result(&entries, || {
        table::table(["TIME", "CALLER", "FROM", "ACTION", "RESULT", "DETAIL"], entries.iter().map(row))
    })?;
    Ok(ExitStatus::Done)
}

fn row(entry: &AuditEntry) -> [String; 6] {
    let verb = entry.verb.split(' ').next().unwrap_or_default();
    let result = entry.result.map_or("unfinished", AuditResult::name);
    let times = if entry.times > 1 { format!(" ({} times)", entry.times) } else { String::new() };
    [
        entry.at.clone(),
        entry.actor.clone(),
        entry.address.clone().unwrap_or_default(),
        format!("{verb} {}", entry.target),
        format!("{result}{times}"),
        entry.detail.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_ways() {
        assert_eq!(moment("1970-01-02T00:00:00Z"), Ok(86_400));
        assert_eq!(moment("1970-01-02T01:00:00+01:00"), Ok(86_400));
        let ago = stackyard_api::now() / 1000 - moment("12h").unwrap();
        assert!((43_199..=43_201).contains(&ago), "{ago}");
        for wrong in ["", "h", "-3h", "yesterday", "12w"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
