//! What a machine needs before it knows the server: open to anywhere, and nothing secret.

use super::Path;
use crate::api_error::ApiError;
use crate::app::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use stackyard_api::Problem;
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const JOIN_SH: &str = include_str!("join.sh");

/// Size of a piece of the agent's binary, in bytes.
const PIECE: usize = 64 << 10;

/// Processor architectures as Debian names them.
fn debian(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Certificate of the server's CA
///
/// Whoever fetches it without knowing the CA must compare its SHA-256.
#[utoipa::path(get, path = "/ca.pem", tag = "install",
    responses((status = 200, body = String, content_type = "application/x-pem-file")))]
async fn ca_show(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], app.inner().ca_pem.clone()).into_response()
}

/// Script that joins a machine
#[utoipa::path(get, path = "/join.sh", tag = "install",
    responses((status = 200, body = String, content_type = "text/x-shellscript")))]
async fn join_script() -> Response {
    ([(header::CONTENT_TYPE, "text/x-shellscript")], JOIN_SH).into_response()
}

/// The binary for a processor architecture (`amd64`, `arm64`)
///
/// The server's own is there always, others if they lie in `agents/ARCH` of its directory.
#[utoipa::path(get, path = "/agent/{arch}", tag = "install",
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
async fn agent_binary(State(app): State<App>, Path(arch): Path<String>) -> Result<Response, ApiError> {
    let own = debian(std::env::consts::ARCH);
    let path = if arch == own {
        // Also after the file was replaced: this is what runs.
        "/proc/self/exe".into()
    } else if arch.chars().all(|c| c.is_ascii_alphanumeric()) {
        app.inner().dir.join("agents").join(&arch)
    } else {
        return Err(ApiError::not_found(format!("{arch:?} is no processor architecture")));
    };
    let file = tokio::fs::File::open(&path).await.map_err(|_| {
        ApiError::not_found(format!(
            "this server has the agent for {own} alone; for {arch}, put one at {}",
            path.display()
        ))
    })?;
    let size = file.metadata().await.map_err(ApiError::internal)?.len();
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_LENGTH, size.to_string())];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(file, PIECE))).into_response())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ca_show)).routes(routes!(join_script)).routes(routes!(agent_binary))
}

#[cfg(test)]
mod tests {
    use super::JOIN_SH;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn the_script_is_shell() {
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(JOIN_SH.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }
}
