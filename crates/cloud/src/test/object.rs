//! Objects, by Swift's own API and by S3.

use stackyard_openstack::{Secret, Service};

use super::{TestBench, TestFault, sweep};

const SWIFT: &str = "object by Swift";
const S3: &str = "object by S3";

/// A name that must be encoded, and content that is no text.
const OBJECT: &str = "a folder/ä & b?.bin";

impl TestBench<'_> {
    pub(super) async fn objects(&self) {
        match self.cloud.has(Service::ObjectStore).await {
            Ok(false) if self.options.profile == super::TestProfile::Catalog => {
                self.wanted(&[SWIFT, S3], false, "object store");
            }
            _ => {
                tokio::join!(self.swift(), self.s3());
            }
        }
    }

    async fn swift(&self) {
        let work = async {
            let (container, content) = (self.name("swift"), content(100_000));
            self.cloud.create_container(&container).await?;
            self.cloud.put_object(&container, OBJECT, content.clone()).await?;
            let listed = self.cloud.objects(&container, "a folder/").await?;
            let back = self.cloud.get_object(&container, OBJECT).await?;
            compare(&content, &back)?;
            if listed.len() != 1 || listed[0].name != OBJECT {
                return Err(TestFault(format!("the container lists {listed:?}")));
            }
            self.cloud.delete_object(&container, OBJECT).await?;
            self.cloud.delete_container(&container).await?;
            Ok(((), format!("{} bytes put, listed, got, removed", content.len())))
        };
        self.check(SWIFT, work).await;
    }

    async fn s3(&self) {
        let work = async {
            let random = uuid::Uuid::new_v4().simple().to_string();
            let (access, secret) = (format!("{}{random}", sweep::ACCESS), Secret::new(random.as_str()));
            let credential = self.cloud.create_ec2_credential(&access, &secret).await?;
            let endpoint = self.cloud.endpoint(Service::ObjectStore).await?;
            let origin = origin(&endpoint).ok_or_else(|| format!("{endpoint:?} is no address"))?;
            let bucket = self.cloud.s3(origin, &self.options.s3_region, &self.name("s3"), &access, &secret)?;
            let content = content(100_000);
            bucket.create().await?;
            bucket.put(OBJECT, content.clone()).await?;
            compare(&content, &bucket.get(OBJECT).await?)?;
            // What is written by one is read by the other.
            let by_swift = self.cloud.get_object(&self.name("s3"), OBJECT).await?;
            compare(&content, &by_swift)?;
            bucket.remove(OBJECT).await?;
            bucket.delete().await?;
            self.cloud.delete_ec2_credential(&credential.id).await?;
            Ok(((), format!("{} bytes put, got (by Swift, too), removed at {origin}", content.len())))
        };
        self.check(S3, work).await;
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i * 31 % 251).unwrap_or(0)).collect()
}

fn compare(wanted: &[u8], got: &[u8]) -> Result<(), TestFault> {
    if wanted == got {
        Ok(())
    } else {
        Err(TestFault(format!("{} bytes came back that differ from the {} sent", got.len(), wanted.len())))
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    (end > host).then(|| &url[..end])
}

#[cfg(test)]
mod tests {
    #[test]
    fn origins() {
        assert_eq!(super::origin("http://h:8080/v1/AUTH_x"), Some("http://h:8080"));
        assert_eq!(super::origin("https://h"), Some("https://h"));
        assert_eq!(super::origin("nonsense"), None);
    }
}
