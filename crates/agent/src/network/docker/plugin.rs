//! The socket: Docker's plugin protocol, POST with JSON, one path a method.

use crate::network::Error;
use crate::network::port_manager::PortManager;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Route, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stackyard_core::text::error_chain;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;

/// What Docker calls the media type of its plugins.
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.1+json";

/// Makes the socket; one that a killed plugin left, where nobody listens any more, is replaced.
pub(crate) fn listen(plugins: &Path, name: &str) -> Result<UnixListener, Error> {
    let path = plugins.join(format!("{name}.sock"));
    let failed = |source| Error::Socket { path: path.clone(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(plugins).map_err(failed)?;
    if std::os::unix::net::UnixStream::connect(&path).is_ok() {
        let taken = "another agent listens there; Docker has one driver of a name";
        return Err(failed(std::io::Error::new(std::io::ErrorKind::AddrInUse, taken)));
    }
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    UnixListener::bind(&path).map_err(failed)
}

/// A socket that goes with who listens: Docker waits for one where nobody answers, also to say how it is.
struct SocketGuard(PathBuf);

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Answers calls, for ever.
pub(crate) async fn serve(listener: UnixListener, manager: Arc<PortManager>) -> Result<(), Error> {
    let path = listener.local_addr().ok().and_then(|a| a.as_pathname().map(Path::to_owned)).unwrap_or_default();
    let _gone = SocketGuard(path.clone());
    let router = Router::new().route("/{method}", post(answer)).with_state(manager);
    axum::serve(listener, router).await.map_err(|source| Error::Socket { path, source })
}

/// How long Docker waits for the answer to a call. Docker sets no limit, and answers no requests while it starts.
fn patience(method: &str) -> Duration {
    match method {
        // Docker forgets the endpoint whatever the answer is, and the reconciler removes what is left of it.
        "NetworkDriver.DeleteEndpoint" | "IpamDriver.ReleaseAddress" => Duration::from_secs(10),
        _ => Duration::from_secs(60),
    }
}

/// One call. It is carried out also when Docker has gone away or got an answer before its end: what is half done would
/// have to be found again.
async fn answer(State(manager): State<Arc<PortManager>>, Route(method): Route<String>, body: Bytes) -> Response {
    let within = patience(&method);
    answer_within(within, manager, method, body).await
}

pub(crate) async fn answer_within(
    within: Duration,
    manager: Arc<PortManager>,
    method: String,
    body: Bytes,
) -> Response {
    let late = Error::Late { method: method.clone(), after: within };
    let caller = manager.clone();
    let work = tokio::spawn(async move {
        let result = call(&manager, &method, &body).await;
        if let Err(e) = &result {
            manager.complain(&method, e);
        }
        result
    });
    let done = tokio::time::timeout(within, work).await.unwrap_or_else(|_| {
        caller.say(error_chain(&late));
        Ok(Err(late))
    });
    let (status, answer) = match done {
        Ok(Ok(Some(value))) => (StatusCode::OK, value),
        // Docker takes that for a method that this plugin does not have.
        Ok(Ok(None)) => return StatusCode::NOT_FOUND.into_response(),
        Ok(Err(e)) => (StatusCode::INTERNAL_SERVER_ERROR, json!({"Err": error_chain(&e)})),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, json!({"Err": e.to_string()})),
    };
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], answer.to_string()).into_response()
}

/// Carries a call out; nothing for a method that there is not.
pub(crate) async fn call(manager: &PortManager, method: &str, body: &[u8]) -> Result<Option<Value>, Error> {
    let answer = match method {
        "Plugin.Activate" => json!({"Implements": ["NetworkDriver", "IpamDriver"]}),
        "NetworkDriver.GetCapabilities" => json!({"Scope": "local", "ConnectivityScope": "global"}),
        "NetworkDriver.CreateNetwork" => manager.create_network(read(body)?).await?,
        "NetworkDriver.DeleteNetwork" => manager.delete_network(read(body)?).await?,
        "NetworkDriver.CreateEndpoint" => manager.create_endpoint(read(body)?).await?,
        "NetworkDriver.EndpointOperInfo" => manager.describe_endpoint(&read(body)?),
        "NetworkDriver.Join" => manager.join(&read(body)?).await?,
        // A floating IP's ports lead here since CreateEndpoint, and Docker publishes those of this host by its bridge.
        // It also asks for endpoints that another network publishes for.
        "NetworkDriver.ProgramExternalConnectivity" | "NetworkDriver.RevokeExternalConnectivity" => json!({}),
        // The links go with the endpoint, wherever the container's end is by then.
        "NetworkDriver.Leave" => json!({}),
        "NetworkDriver.DeleteEndpoint" => manager.delete_endpoint(&read(body)?).await?,
        // Other hosts have a plugin of their own.
        "NetworkDriver.DiscoverNew" | "NetworkDriver.DiscoverDelete" => json!({}),
        // kuryr knows a port by the MAC address that Docker gives it (`ipam_get_capabilities`). Ports that are
        // ready before have one already.
        "IpamDriver.GetCapabilities" => json!({"RequiresMACAddress": manager.kuryr}),
        "IpamDriver.GetDefaultAddressSpaces" => {
            json!({"LocalDefaultAddressSpace": "neutron", "GlobalDefaultAddressSpace": "neutron"})
        }
        "IpamDriver.RequestPool" => manager.request_pool(read(body)?).await?,
        "IpamDriver.ReleasePool" => manager.release_pool(&read(body)?).await?,
        "IpamDriver.RequestAddress" => manager.request_address(read(body)?).await?,
        "IpamDriver.ReleaseAddress" => manager.release_address(read(body)?).await?,
        _ => return Ok(None),
    };
    Ok(Some(answer))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    if body.is_empty() {
        // Docker sends a body once: the retry of a call whose answer was lost has none.
        return Err(Error::request("the network plugin was started again during this call; try again"));
    }
    serde_json::from_slice(body).map_err(|e| Error::request(format!("what Docker sent cannot be read: {e}")))
}
