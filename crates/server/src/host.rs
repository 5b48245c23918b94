//! Hosts by their names.

use crate::api_error::ApiError;
use crate::app::App;
use stackyard_store::Host;

/// The host with an id, or `yard/name`.
pub(crate) async fn find(app: &App, id: &str) -> Result<Host, ApiError> {
    let found = match id.split_once('/') {
        Some((yard, name)) => app.store().host_named(yard, name).await?,
        None => app.store().host(id).await?.filter(|h| h.removed.is_none()),
    };
    found.ok_or_else(|| missing(id))
}

/// There is no such host.
pub(crate) fn missing(id: &str) -> ApiError {
    ApiError::not_found(format!("there is no host {id}; name one by its id or as YARD/NAME"))
}
