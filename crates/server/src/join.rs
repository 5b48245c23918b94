//! What joining means: how long, who, once.

use crate::access::Joiner;
use crate::api_error::ApiError;
use crate::app::App;
use crate::audit;
use crate::auth::{TokenKind, digest, mint};
use crate::host;
use crate::hub::bounded_facts;
use axum::http::StatusCode;
use stackyard_api::{AuditKind, NewJoin, now, time};
use stackyard_core::agent;
use stackyard_store::{Join, NewHost, Redeemed};
use std::collections::BTreeMap;

/// Seconds that a join token lasts if nothing is said: time to paste a command.
const TTL: u32 = 15 * 60;

/// Seconds that it may last: a slow boot, a quota that somebody has to raise.
const GREATEST_TTL: u32 = 7 * 24 * 3600;

/// Milliseconds that a token is remembered after its end, to say that it has ended.
const REMEMBERED: i64 = 7 * 24 * 3_600_000;

/// Makes a join token: its text, its end, and the URL of the server.
pub(crate) async fn create(app: &App, request: NewJoin) -> Result<(String, i64, String), ApiError> {
    let ttl = request.ttl_s.unwrap_or(TTL);
    if ttl == 0 || ttl > GREATEST_TTL {
        return Err(ApiError::bad(format!("`ttl_s` must be 1 to {GREATEST_TTL} seconds")));
    }
    let server = server(app, request.server.as_deref())?;
    let replaces = match &request.replaces {
        Some(id) => {
            let old = host::find(app, id).await?;
            if old.yard != request.yard {
                return Err(ApiError::bad(format!("host {id} is one of yard {}, not of {}", old.yard, request.yard)));
            }
            Some(old)
        }
        None => None,
    };
    if let Some(name) = &request.name {
        let taken = app.store().host_named(&request.yard, name).await?;
        if let Some(taken) = taken.filter(|t| replaces.as_ref().is_none_or(|old| old.id != t.id)) {
            return Err(ApiError::conflict(format!(
                "yard {} has a host {name} already ({}); remove it, or say that the new one replaces it",
                taken.yard, taken.id
            )));
        }
    }
    let (token, hash) = mint(TokenKind::Join).map_err(ApiError::internal)?;
    let now = now();
    let join = Join {
        id: uuid::Uuid::now_v7().to_string(),
        hash,
        yard: request.yard,
        pool: request.pool.unwrap_or_default(),
        name: request.name,
        labels: request.labels,
        machine_labels: request.labels_from_machine,
        replaces: replaces.map(|h| h.id),
        created: now,
        expires: now + i64::from(ttl) * 1000,
        used: None,
        host: None,
        nonce: None,
    };
    crate::request::note(format!(
        "join token {} for a host{} of yard {}, pool {:?}, until {}{}",
        join.id,
        join.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default(),
        join.yard,
        join.pool,
        time(join.expires),
        if join.machine_labels { ", with labels of the machine's own" } else { "" }
    ));
    app.store().add_join(&join, now - REMEMBERED).await?;
    Ok((token, join.expires, server))
}

/// URL of the server for a machine that reaches it as `wanted`.
fn server(app: &App, wanted: Option<&str>) -> Result<String, ApiError> {
    let inner = app.inner();
    let Some(wanted) = wanted else { return Ok(inner.url.clone()) };
    let wanted = wanted.trim_start_matches("https://").trim_end_matches('/');
    let port = inner.url.rsplit(':').next().unwrap_or_default();
    let (host, port) = match wanted.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ => (wanted, port),
    };
    if port.parse::<u16>().is_err() {
        return Err(ApiError::bad(format!("`server`: {port:?} is no port")));
    }
    let host = host.trim_matches(['[', ']']);
    if !inner.names.contains(host) {
        let names = inner.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(ApiError::bad(format!(
            "the server's certificate is not good for {host}, but for {names}; start the server with `--name {host}` too"
        )));
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Ok(format!("https://{host}:{port}"))
}

/// Labels go into constraints, so they are words.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let word = |text: &str| text.len() <= 200 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    match labels.iter().find(|(k, v)| k.is_empty() || !word(k) || !word(v)) {
        Some((key, value)) => {
            Err(ApiError::bad(format!("label {key}={value:?}: at most 200 characters without spaces")))
        }
        None if labels.len() > 100 => Err(ApiError::bad("at most 100 labels")),
        None => Ok(()),
    }
}

/// Labels attract stacks and their secrets, so the join token says which the machine has.
fn check_machine_labels(join: &Join, own: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let chosen = own.iter().filter(|(key, _)| !join.machine_labels && !join.labels.contains_key(*key));
    let chosen: Vec<String> = chosen.map(|(key, value)| format!("{key}={value}")).collect();
    if chosen.is_empty() {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "this join token lets no machine choose its labels, and it wants {}; make another with \
         `stackyard host join --label`, or with `--labels-from-machine`, or join without `--label`",
        chosen.join(", ")
    )))
}

/// The line of shell that joins a machine.
///
/// It trusts nobody on the way: what it fetched without a check is compared with the CA's digest,
/// which came with the line, and everything after that is fetched from whom this CA knows.
pub(crate) fn command(server: &str, ca_sha256: &str, token: &str) -> String {
    format!(
        "d=$(mktemp -d) && curl -fsSk {server}/ca.pem -o $d/ca.pem && echo \"{ca_sha256}  $d/ca.pem\" | sha256sum -c - && \
         curl -fsS --cacert $d/ca.pem {server}/join.sh -o $d/join.sh && \
         STACKYARD_JOIN_TOKEN={token} sh $d/join.sh --server {server} --ca $d/ca.pem"
    )
}

/// A name made from what a machine calls itself.
fn host_name(name: &str) -> String {
    let name = name.split('.').next().unwrap_or_default();
    let good = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let name: String = name.trim_start_matches('-').chars().map(good).take(63).collect();
    name.trim_start_matches('-').to_owned()
}

/// Uses a join token.
pub(crate) async fn redeem(app: &App, joiner: &Joiner, request: agent::JoinRequest) -> Result<agent::Joined, ApiError> {
    if request.nonce.len() < 32 || request.nonce.len() > 256 {
        return Err(ApiError::bad("`nonce` must be 32 random bytes in hexadecimal digits"));
    }
    check_labels(&request.labels)?;
    let Some(join) = app.store().join(&joiner.hash).await? else {
        let why = "this join token is unknown: make another with `stackyard host join`";
        app.audit().sign_in_failed("join token", "/api/v1/join", 403, why).await;
        return Err(refuse(app, joiner, why));
    };
    check_machine_labels(&join, &request.labels)?;
    let name = join.name.clone().unwrap_or_else(|| {
        let own = host_name(&request.name);
        if own.is_empty() { host_name(&request.facts.hostname) } else { own }
    });
    if name.is_empty() {
        return Err(ApiError::bad("the host needs a name, and neither the join token nor the machine has one"));
    }
    let (token, token_hash) = mint(TokenKind::Agent).map_err(ApiError::internal)?;
    let nonce = digest(&request.nonce);
    let mut labels = request.labels;
    labels.extend(join.labels.clone());
    let id = uuid::Uuid::now_v7().to_string();
    let facts = bounded_facts(request.facts);
    let new = NewHost { id, name, token_hash: token_hash.clone(), labels, facts, nonce: nonce.clone() };
    let now = now();
    let actor = format!("join {}/{}", join.yard, new.name);
    let entry = audit::new_entry(&actor, AuditKind::Agent, "POST /api/v1/join", "/api/v1/join");
    let entry = app.audit().begin(entry).await?;
    let outcome = match app.store().redeem(&joiner.hash, &new, now).await {
        Ok(Redeemed::Joined(host)) => {
            if let Some(old) = &join.replaces {
                app.hub().forget(old);
            }
            tracing::info!(yard = host.yard, host = host.name, id = host.id, "joined");
            app.hub().changed();
            Ok(agent::Joined { host: host.id, token })
        }
        Ok(Redeemed::Spent(spent)) => again(app, joiner, &spent, &nonce, &token_hash, now).await.map(|host| {
            app.hub().disconnect(&host);
            agent::Joined { host, token }
        }),
        Ok(Redeemed::Unknown) => Err(refuse(app, joiner, "this join token is unknown")),
        Err(stackyard_store::Error::Exists { what }) => {
            Err(ApiError::conflict(format!("{what} exists already; remove it, or make a join token that replaces it")))
        }
        Err(error) => Err(error.into()),
    };
    if let Ok(joined) = &outcome {
        crate::request::note(format!("host {} by join token {}", joined.host, join.id));
    }
    entry.end(outcome.as_ref().map_or_else(|p| p.status, |_| 200), false).await;
    outcome
}

/// A token that was used: by the same machine, whose process was killed before it had the answer?
async fn again(
    app: &App,
    joiner: &Joiner,
    spent: &Join,
    nonce: &str,
    token_hash: &str,
    now: i64,
) -> Result<String, ApiError> {
    let advice = "make another with `stackyard host join`";
    if spent.expires <= now {
        return Err(refuse(app, joiner, &format!("this join token has ended: {advice}")));
    }
    match &spent.host {
        Some(host) if spent.nonce.as_deref() == Some(nonce) && app.store().renew_token(host, token_hash).await? => {
            Ok(host.clone())
        }
        _ => Err(refuse(
            app,
            joiner,
            &format!("this join token was used already, and is good for one machine: {advice}"),
        )),
    }
}

fn refuse(app: &App, joiner: &Joiner, why: &str) -> ApiError {
    let limited = joiner.address.and_then(|address| app.limiter().fail(address).err());
    limited.unwrap_or_else(|| ApiError::new(StatusCode::FORBIDDEN, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_names() {
        for (own, name) in [("web-1", "web-1"), ("web-1.example.org", "web-1"), ("-a b", "a-b"), (".", "")] {
            assert_eq!(host_name(own), name, "{own}");
        }
    }

    #[test]
    fn the_command_is_one_line_of_shell() {
        let command = command("https://192.0.2.1:7440", &"ab".repeat(32), "syj_x");
        assert_eq!(command.lines().count(), 1);
        let shell = std::process::Command::new("sh").args(["-n", "-c", &command]).status().unwrap();
        assert!(shell.success());
    }
}
