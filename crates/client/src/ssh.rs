//! Joining over SSH.

use super::{Client, ClientError};
use reqwest::Method;
use stackyard_api::{PoolKey, SshEvent, SshJoin, segment};

fn key_path(yard: &str, pool: &str) -> String {
    format!(
        "/api/v1/yards/{}/pools/{}/ssh-key",
        segment(yard),
        segment(pool)
    )
}

impl Client {
    /// The public half of a pool's SSH key, if it has one.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn known_pool_key(
        &self,
        yard: &str,
        pool: &str,
    ) -> Result<Option<String>, ClientError> {
        let doing = format!("asking for the SSH key of pool {pool} of yard {yard}");
        match self.get::<PoolKey>(&key_path(yard, pool), &doing).await {
            Ok(key) => Ok(Some(key.public_key)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The public half of a pool's SSH key, which is made if there is none.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn pool_key(&self, yard: &str, pool: &str) -> Result<String, ClientError> {
        let doing = format!("asking for the SSH key of pool {pool} of yard {yard}");
        Ok(self
            .post::<PoolKey>(&key_path(yard, pool), &serde_json::Value::Null, &doing)
            .await?
            .public_key)
    }

    /// Makes a machine a host over SSH; `told` hears of progress. The inner error is what went
    /// wrong there.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn join_over_ssh(
        &self,
        join: &SshJoin,
        told: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Result<(), String>, ClientError> {
        let doing = format!("joining {} over SSH", join.address);
        let mut answer = self
            .send(
                self.request(Method::POST, "/api/v1/ssh-joins").json(join),
                &doing,
            )
            .await?;
        let broken = |source| ClientError::Unreachable {
            doing: doing.clone(),
            server: self.shown.clone(),
            source,
        };
        let mut rest = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(broken)? {
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                match serde_json::from_slice(&line) {
                    Ok(SshEvent::Line(text)) => told(text),
                    Ok(SshEvent::End(None)) => return Ok(Ok(())),
                    Ok(SshEvent::End(Some(why))) => return Ok(Err(why)),
                    Ok(SshEvent::Pulse) | Err(_) => {}
                }
            }
        }
        Ok(Err("the server broke off".to_owned()))
    }
}
