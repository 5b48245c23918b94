//! Archives: files that stacks carry to their hosts.

use super::{Client, ClientError};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use stackyard_api::{ArchiveCheck, ArchiveNeeds, segment};
use std::collections::BTreeMap;

/// Archives by digest: the bytes of each tar.
pub type ArchiveContents = BTreeMap<String, Bytes>;

impl Client {
    /// Which of these archives the server does not have yet, and how large those of a stack may be.
    ///
    /// # Errors
    /// [`ClientError::TooOld`] if the server knows no archives, else what it says.
    pub async fn check_archives(
        &self,
        yard: &str,
        digests: Vec<String>,
    ) -> Result<ArchiveNeeds, ClientError> {
        let path = format!("/api/v1/yards/{}/archives/check", segment(yard));
        let doing = format!("asking for files of stacks of yard {yard}");
        let check = ArchiveCheck { digests };
        let answer = self.post(&path, &check, &doing).await;
        answer.map_err(|error| match error {
            // Another 404 is about the yard.
            ClientError::Refused {
                status: 404,
                server,
                detail,
                ..
            } if detail.contains("in this API") => ClientError::TooOld {
                server,
                needed: "carry files to hosts",
                hint: "upgrade it, or mount the files with `configs`",
            },
            _ => error,
        })
    }

    /// Uploads the archives that the server does not have yet; their digests.
    ///
    /// # Errors
    /// As of [`Self::check_archives`], and what the server says to one.
    pub async fn upload_archives(
        &self,
        yard: &str,
        archives: &ArchiveContents,
    ) -> Result<Vec<String>, ClientError> {
        if archives.is_empty() {
            return Ok(Vec::new());
        }
        let needs = self
            .check_archives(yard, archives.keys().cloned().collect())
            .await?;
        for digest in &needs.missing {
            let Some(content) = archives.get(digest) else {
                continue;
            };
            let path = format!(
                "/api/v1/yards/{}/archives/{}",
                segment(yard),
                segment(digest)
            );
            let request = self
                .upload(Method::PUT, &path)
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(content.clone());
            let doing = format!("uploading {} bytes of files to yard {yard}", content.len());
            self.send(request, &doing).await?;
        }
        Ok(needs.missing)
    }
}
