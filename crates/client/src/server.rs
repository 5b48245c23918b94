//! The server itself.

use super::{Client, ClientError};
use stackyard_api::{ServerHealth, ServerView, Version};

impl Client {
    /// The server's address, process and certificate.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn server(&self) -> Result<ServerView, ClientError> {
        self.get("/api/v1/server", "asking for the server").await
    }

    /// Whether the server works.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn health(&self) -> Result<ServerHealth, ClientError> {
        self.get("/api/v1/health", "asking for the server's health")
            .await
    }

    /// What the server speaks.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn version(&self) -> Result<Version, ClientError> {
        self.get("/api/v1/version", "asking for the server's version")
            .await
    }
}
