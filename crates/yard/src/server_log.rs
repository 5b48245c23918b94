//! What a server of a yard says on its console.

use crate::inventory::all;
use stackyard_core::yard::{Key, Kind, Mark};
use stackyard_openstack::{Cloud, Server};
use stackyard_ports::scope_of;

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
    let (scope, key) = (scope_of(cloud).await?, Key::new(Kind::Server, name));
    let is_it =
        |s: &Server| Mark::from_metadata(&s.metadata).is_some_and(|m| m.is_of(yard, &scope, &key));
    let servers = all::<Server>(cloud, &[]).await?;
    let Some(server) = servers.into_iter().find(is_it) else {
        return Ok(None);
    };
    let text = cloud.console(&server.id, lines).await?;
    Ok(Some((server.id, text)))
}
