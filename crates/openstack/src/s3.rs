//! S3, as Swift's s3api, Ceph's gateway and others speak it. Requests are presigned with SigV4
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>), buckets are
//! named in the path.

use std::time::Duration;

use reqwest::Method;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use crate::cloud::{Cloud, url};
use crate::error::{Error, Result};
use crate::http::{self, Payload, Prepared};
use crate::secret::Secret;

/// How long a signature is good: one request's retries.
const SIGNED_FOR: Duration = Duration::from_secs(600);

/// A bucket and what opens it.
pub struct S3Bucket<'a> {
    cloud: &'a Cloud,
    bucket: Bucket,
    credentials: Credentials,
}

impl Cloud {
    /// The bucket `name` at `endpoint` (without bucket), opened with an EC2 credential. Nothing is
    /// sent yet.
    ///
    /// # Errors
    /// [`Error::Config`] for an endpoint that is no address.
    pub fn s3(&self, endpoint: &str, region: &str, name: &str, access: &str, secret: &Secret) -> Result<S3Bucket<'_>> {
        let bucket = Bucket::new(url(endpoint)?, UrlStyle::Path, name.to_owned(), region.to_owned())
            .map_err(|e| Error::config(endpoint, format!("no S3 endpoint: {e}")))?;
        Ok(S3Bucket { cloud: self, bucket, credentials: Credentials::new(access, secret.reveal()) })
    }
}

impl S3Bucket<'_> {
    /// Makes the bucket.
    ///
    /// # Errors
    /// [`Error::Api`]: 409 if it is there.
    pub async fn create(&self) -> Result<()> {
        let signed = self.bucket.create_bucket(&self.credentials).sign(SIGNED_FOR);
        self.send(Method::PUT, signed.as_str(), "", Payload::Empty).await.map(drop)
    }

    /// Removes the empty bucket: whether it was there.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn delete(&self) -> Result<bool> {
        let signed = self.bucket.delete_bucket(&self.credentials).sign(SIGNED_FOR);
        gone(self.send(Method::DELETE, signed.as_str(), "", Payload::Empty).await)
    }

    /// Writes an object.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn put(&self, object: &str, content: Vec<u8>) -> Result<()> {
        let signed = self.bucket.put_object(Some(&self.credentials), object).sign(SIGNED_FOR);
        self.send(Method::PUT, signed.as_str(), object, Payload::Bytes(content)).await.map(drop)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn get(&self, object: &str) -> Result<Vec<u8>> {
        let signed = self.bucket.get_object(Some(&self.credentials), object).sign(SIGNED_FOR);
        self.send(Method::GET, signed.as_str(), object, Payload::Empty).await
    }

    /// Removes an object: whether it was there (as far as the service says).
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn remove(&self, object: &str) -> Result<bool> {
        let signed = self.bucket.delete_object(Some(&self.credentials), object).sign(SIGNED_FOR);
        gone(self.send(Method::DELETE, signed.as_str(), object, Payload::Empty).await)
    }

    async fn send(&self, method: Method, signed: &str, object: &str, payload: Payload) -> Result<Vec<u8>> {
        let name = self.bucket.name();
        let resource =
            if object.is_empty() { format!("bucket {name:?}") } else { format!("object \"{name}/{object}\"") };
        let request = Prepared {
            what: format!("{method} s3 {resource}"),
            idempotent: true,
            mutating: method != Method::GET,
            method,
            url: url(signed)?,
            headers: reqwest::header::HeaderMap::new(),
            payload,
            service: "s3",
            timeout: None,
            attempts: None,
            streamed: false,
        };
        let answer = self.cloud.http().send(&request, None).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(http::refused(&request, &answer)) }
    }
}

fn gone(outcome: Result<Vec<u8>>) -> Result<bool> {
    match outcome {
        Ok(_) => Ok(true),
        Err(e) if e.is_not_found() => Ok(false),
        Err(e) => Err(e),
    }
}
