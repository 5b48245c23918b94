//! What a server of a yard says on its console.

use crate::inventory::{all, metadata_mark};
use stackyard_core::yard::{Key, Kind, Mark};
use stackyard_openstack::{Cloud, Server};

/// Id of the server `name` of a yard, by its mark, and the last `lines` lines of its console log, all
/// without; nothing if the cloud has no such server.
///
/// # Errors
/// The cloud's: 409 while the server has no console yet.
pub async fn server_log(
    cloud: &Cloud,
    yard: &str,
    name: &str,
    lines: Option<u32>,
) -> Result<Option<(String, String)>, stackyard_openstack::Error> {
    let mark = Mark::new(yard, &Key::new(Kind::Server, name));
    let servers = all::<Server>(cloud, &[]).await?;
    let Some(server) = servers.into_iter().find(|s| metadata_mark(&s.metadata).as_ref() == Some(&mark)) else {
        return Ok(None);
    };
    let text = cloud.console(&server.id, lines).await?;
    Ok(Some((server.id, text)))
}
