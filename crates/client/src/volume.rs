//! Cinder volumes of a yard's stacks.

use super::{Client, ClientError};
use reqwest::Method;
use stackyard_api::{VolumeView, segment};

impl Client {
    /// Cinder volumes of a yard's stacks.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn volumes(&self, yard: &str) -> Result<Vec<VolumeView>, ClientError> {
        self.list(
            &format!("/api/v1/yards/{}/volumes", segment(yard)),
            &format!("listing the volumes of yard {yard}"),
        )
        .await
    }

    /// Removes a volume by Cinder's id, with its data.
    ///
    /// # Errors
    /// [`ClientError`]: status 409 while a host has it or a stack needs it, and without `allow_data_loss`.
    pub async fn remove_volume(
        &self,
        yard: &str,
        id: &str,
        allow_data_loss: bool,
    ) -> Result<(), ClientError> {
        let path = format!(
            "/api/v1/yards/{}/volumes/{}?allow_data_loss={allow_data_loss}",
            segment(yard),
            segment(id)
        );
        self.send(
            self.request(Method::DELETE, &path),
            &format!("removing volume {id}"),
        )
        .await
        .map(drop)
    }
}
