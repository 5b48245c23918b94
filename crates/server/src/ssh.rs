//! Joining over SSH: the server logs in to a machine with its pool's key and runs the script that
//! makes it a host.
//!
//! The key's private half is made here, kept in the store, and never leaves it: not to the command
//! line, not to the cloud, not to the log. The machine's own key is the one that its console shows
//! (cloud-init prints fingerprints there); where it shows none, the first key that is seen is
//! trusted, told, and the only one that is taken from then on.

use crate::api_error::ApiError;
use crate::app::App;
use crate::join;
use parking_lot::Mutex;
use russh::client::{self, Handle, Handler};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, Disconnect};
use stackyard_api::{SshJoin, now};
use stackyard_core::agent::{AgentConfig, DataVolume, Filesystem};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

/// Time to connect and log in.
const LOGIN: Duration = Duration::from_secs(30);
/// The longest that nothing may be heard of the machine.
const SILENCE: Duration = Duration::from_secs(600);
/// Runs what comes as input, as root.
const SHELL: &str = "if [ \"$(id -u)\" = 0 ]; then exec sh -s; else exec sudo -n sh -s; fi";

/// Names of secrets that are the server's alone begin with a dot.
fn key_name(pool: &str) -> String {
    format!(".ssh-key-{pool}")
}

/// The pool's private key, if there is one.
async fn known_key(app: &App, yard: &str, pool: &str) -> Result<Option<PrivateKey>, ApiError> {
    let text = app.store().secret(yard, &key_name(pool)).await?;
    text.map(|t| PrivateKey::from_openssh(t.as_bytes()).map_err(ApiError::internal)).transpose()
}

/// The pool's private key, which is made if there is none.
async fn private_key(app: &App, yard: &str, pool: &str) -> Result<PrivateKey, ApiError> {
    /// Of two that come at once, the second finds what the first made.
    static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = MAKING.lock().await;
    if let Some(key) = known_key(app, yard, pool).await? {
        return Ok(key);
    }
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(ApiError::internal)?;
    let text = key.to_openssh(LineEnding::LF).map_err(ApiError::internal)?;
    app.store().set_secret(yard, &key_name(pool), &text, now()).await?;
    Ok(key)
}

/// The public half of a pool's key, as in authorized_keys.
pub(crate) async fn public_key(app: &App, yard: &str, pool: &str) -> Result<String, ApiError> {
    public(&private_key(app, yard, pool).await?, yard, pool)
}

/// The same if there is a key already.
pub(crate) async fn known_public_key(app: &App, yard: &str, pool: &str) -> Result<Option<String>, ApiError> {
    known_key(app, yard, pool).await?.map(|key| public(&key, yard, pool)).transpose()
}

fn public(key: &PrivateKey, yard: &str, pool: &str) -> Result<String, ApiError> {
    let mut key = key.public_key().clone();
    key.set_comment(format!("stackyard {yard}/{pool}"));
    key.to_openssh().map_err(ApiError::internal)
}

/// Decides on a machine's key.
struct HostKeyCheck {
    /// Fingerprints that are good; if there are none, any.
    good: Vec<String>,
    seen: Arc<Mutex<String>>,
}

impl Handler for HostKeyCheck {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let good = self.good.is_empty() || self.good.contains(&fingerprint);
        *self.seen.lock() = fingerprint;
        Ok(good)
    }
}

/// Makes a machine a host; what it does is told line by line.
///
/// # Errors
/// A sentence.
pub(crate) async fn run(app: &App, request: SshJoin, lines: &Sender<String>) -> Result<(), String> {
    let pool = request.join.pool.clone().unwrap_or_default();
    let yard = request.join.yard.clone();
    let key = private_key(app, &yard, &pool).await.map_err(ApiError::into_detail)?;
    let pin = format!(".ssh-host-{}", request.server_id);
    let pinned = app.store().secret(&yard, &pin).await.map_err(|e| e.to_string())?;
    let good = if request.fingerprints.is_empty() {
        pinned.clone().into_iter().collect()
    } else {
        request.fingerprints.clone()
    };
    let at = format!("{}@{}", request.user, request.address);
    let seen = Arc::new(Mutex::new(String::new()));
    let mut session = match timeout(LOGIN, login(&request, key, HostKeyCheck { good, seen: seen.clone() })).await {
        Ok(session) => session.map_err(|e| explain(&at, &e, &seen))?,
        Err(_) => return Err(format!("logging in to {at}: no answer within {} s", LOGIN.as_secs())),
    };
    let fingerprint = seen.lock().clone();
    if request.fingerprints.is_empty() && pinned.is_none() {
        say(lines, format!("its console shows no host key; {fingerprint} is trusted from now on")).await;
    }
    app.store().set_secret(&yard, &pin, &fingerprint, now()).await.map_err(|e| e.to_string())?;
    say(lines, format!("logged in to {at}")).await;

    let name = request.join.name.clone().unwrap_or_default();
    let labels = request.join.labels.clone();
    let (token, _, server) = join::create(app, request.join).await.map_err(ApiError::into_detail)?;
    let volume = |d: stackyard_api::SshDisk| DataVolume { id: d.id, mount: d.mount, filesystem: Filesystem::default() };
    let script = stackyard_yard::install_script(&AgentConfig {
        server: vec![server],
        ca: app.inner().ca_pem.clone(),
        token: Some(token),
        name,
        labels,
        data_volume: request.disk.map(volume),
        mtu: None,
    });
    let ended = timeout(SILENCE * 3, shell(&mut session, &script, lines)).await;
    let _ = session.disconnect(Disconnect::ByApplication, "", "en").await;
    match ended {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(status)) => Err(format!("the script that installs the agent ended with {status} on {at}")),
        Ok(Err(e)) => Err(format!("installing on {at}: {e}")),
        Err(_) => Err(format!("installing on {at}: it does not end")),
    }
}

async fn login(request: &SshJoin, key: PrivateKey, known: HostKeyCheck) -> Result<Handle<HostKeyCheck>, russh::Error> {
    let config = client::Config {
        inactivity_timeout: Some(SILENCE),
        keepalive_interval: Some(Duration::from_secs(15)),
        ..client::Config::default()
    };
    let mut session = client::connect(Arc::new(config), (request.address.as_str(), 22), known).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    if session.authenticate_publickey(request.user.as_str(), key).await?.success() {
        return Ok(session);
    }
    Err(russh::Error::NotAuthenticated)
}

fn explain(at: &str, error: &russh::Error, seen: &Mutex<String>) -> String {
    let seen = seen.lock().clone();
    match error {
        russh::Error::UnknownKey => {
            format!("logging in to {at}: its host key {seen} is not the one that is expected; who answers there?")
        }
        russh::Error::NotAuthenticated => format!("logging in to {at}: the pool's key is not accepted"),
        other => format!("logging in to {at}: {other}"),
    }
}

/// Runs a script as root; its exit status.
async fn shell(session: &mut Handle<HostKeyCheck>, script: &str, lines: &Sender<String>) -> Result<u32, russh::Error> {
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, SHELL).await?;
    channel.data(script.as_bytes()).await?;
    channel.eof().await?;
    let (mut status, mut rest) = (None, Vec::new());
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => {
                rest.extend_from_slice(&data);
                while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    say(lines, clean(&line)).await;
                }
            }
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    if !rest.is_empty() {
        say(lines, clean(&rest)).await;
    }
    // Killed by a signal, or the connection is gone.
    Ok(status.unwrap_or(255))
}

/// A line as it may be shown.
fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim().trim_start_matches("stackyard: ");
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

async fn say(lines: &Sender<String>, line: String) {
    if !line.is_empty() {
        // Nobody listens any more: the work goes on to its end, which is soon.
        let _ = lines.send(line).await;
    }
}
