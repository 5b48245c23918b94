//! Measuring what gets through, and putting it right.

use super::{Client, ClientError};
use reqwest::Method;
use serde::Serialize;
use stackyard_api::{MtuEvent, MtuFix, MtuRequest, segment};

impl Client {
    /// Measures what gets through a yard's networks; `told` hears of all as it goes, the report among it.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn measure_mtu(
        &self,
        yard: &str,
        wish: &MtuRequest,
        told: &mut (dyn FnMut(MtuEvent) + Send),
    ) -> Result<(), ClientError> {
        let doing = format!("measuring what gets through yard {yard}");
        self.mtu_events(
            &format!("/api/v1/yards/{}/mtu/measure", segment(yard)),
            wish,
            &doing,
            told,
        )
        .await
    }

    /// Sets MTUs; `told` hears of each step.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn fix_mtu(
        &self,
        yard: &str,
        fix: &MtuFix,
        told: &mut (dyn FnMut(MtuEvent) + Send),
    ) -> Result<(), ClientError> {
        let doing = format!("setting MTUs of yard {yard}");
        self.mtu_events(
            &format!("/api/v1/yards/{}/mtu/fix", segment(yard)),
            fix,
            &doing,
            told,
        )
        .await
    }

    async fn mtu_events(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        doing: &str,
        told: &mut (dyn FnMut(MtuEvent) + Send),
    ) -> Result<(), ClientError> {
        let mut answer = self
            .send(self.request(Method::POST, path).json(body), doing)
            .await?;
        let unreachable = |source| ClientError::Unreachable {
            doing: doing.to_owned(),
            server: self.shown.clone(),
            source,
        };
        let mut rest = Vec::new();
        'all: while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                match serde_json::from_slice(&line) {
                    Ok(MtuEvent::End) => return Ok(()),
                    Ok(MtuEvent::Pulse) => {}
                    Ok(event) => told(event),
                    Err(_) => break 'all,
                }
            }
        }
        Err(ClientError::BrokenOff {
            doing: doing.to_owned(),
            server: self.shown.clone(),
        })
    }
}
