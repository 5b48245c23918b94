//! Pulling from a real registry on loopback.

use crate::support::Yard;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{PushImageOptions, RemoveImageOptions, TagImageOptions};
use futures_util::TryStreamExt;
use stackyard_core::progress::{Event, Unit};
use stackyard_platform::image::{self, PullError};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `me` with the password `s3cret`, by bcrypt with cost 4.
const HTPASSWD: &str = "me:$2b$04$kU1xtz0sbtOnFd2CBkWr3.6WI6wt16PfzRXMCKDMf4cc9L/eA3Y12\n";
/// The base64 of `me:s3cret`.
const AUTH: &str = "bWU6czNjcmV0";

/// Debian's docker-registry on a free port.
struct Registry {
    child: Child,
    host: String,
}

impl Registry {
    async fn start(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let at = folder.display();
        std::fs::write(folder.join("htpasswd"), HTPASSWD).unwrap();
        std::fs::write(
            folder.join("registry.yml"),
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {at}/blobs}}}}\n\
                 http: {{addr: {host}}}\nauth: {{htpasswd: {{realm: test, path: {at}/htpasswd}}}}\n"
            ),
        )
        .unwrap();
        let child = Command::new("docker-registry")
            .args(["serve".as_ref(), folder.join("registry.yml").as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs Debian's package docker-registry");
        // from here on dropping it stops the process
        let registry = Self { child, host };
        for _ in 0..100 {
            if std::net::TcpStream::connect(&registry.host).is_ok() {
                return registry;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("docker-registry does not answer on {}", registry.host);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn layers_are_seen_and_errors_are_told_apart() {
    let yard = Yard::new("pull").await;
    // A root that no other test has: the engine would not pull a layer that is there.
    yard.recipe_with("busybox-static, netbase", "  - {name: big, from: ground, context: big}\n");
    yard.write("big/Dockerfile", "ARG FROM\nFROM ${FROM}\nRUN head -c 20000000 /dev/urandom >/noise\n");
    yard.build().await.unwrap();
    let registry = Registry::start(yard.folder.path()).await;
    let repository = format!("{}/{}/big", registry.host, yard.prefix);
    let reference = format!("{repository}:1");
    push(&yard, &repository).await;

    let config = yard.folder.path().join("config.json");
    let auths = |host: &str| format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"{AUTH}\"}}}}}}");
    std::fs::write(&config, auths("elsewhere.example")).unwrap();
    let see = |event: Event| yard.events.lock().unwrap().push(event);
    let pull = |reference: String| {
        yard.events.lock().unwrap().clear();
        let (docker, see, folder) = (&yard.docker, &see, yard.folder.path());
        async move { image::pull_as(docker, &reference, see, Some(folder)).await }
    };

    let error = pull(reference.clone()).await.unwrap_err();
    assert!(matches!(&error, PullError::Refused { who, .. } if who == "anonymous access"), "{error:?}");
    assert!(error.to_string().ends_with(&format!("run: docker login {}", registry.host)), "{error}");

    std::fs::write(&config, auths(&registry.host)).unwrap();
    let error = pull(format!("{repository}:2")).await.unwrap_err();
    assert!(matches!(error, PullError::NotThere { .. }), "{error:?}");
    let error = pull("127.0.0.1:1/x:1".to_owned()).await.unwrap_err();
    assert!(matches!(error, PullError::Unreachable { .. }), "{error:?}");
    let error = pull("no-such-host.invalid/x:1".to_owned()).await.unwrap_err();
    assert!(matches!(error, PullError::Unreachable { .. }), "{error:?}");
    let error = pull(format!("{}/UPPER:1", registry.host)).await.unwrap_err();
    assert!(matches!(error, PullError::Reference { .. }), "{error:?}");

    // the layers' contents are still in the engine under the build's own tags: they go first
    for name in ["big", "ground", "rootfs"] {
        let force = Some(RemoveImageOptions { force: true, ..Default::default() });
        yard.docker.api().remove_image(&yard.reference(name), force, None).await.unwrap();
    }
    let id = pull(reference.clone()).await.unwrap();
    assert_eq!(yard.docker.api().inspect_image(&reference).await.unwrap().id.as_deref(), Some(id.as_str()));
    let steps = yard.steps();
    assert_eq!(steps[&format!("image {reference}")].as_deref(), Ok("pulled"));
    assert!(steps.keys().filter(|step| step.starts_with("layer ")).count() >= 4, "{steps:?}");
    assert!(steps.values().all(Result::is_ok), "{steps:?}");
    let whole = format!("image {reference}");
    let events = yard.events.lock().unwrap().clone();
    let amounts: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Progress { step, amount: Some(amount), .. } if *step == whole => Some(*amount),
            _ => None,
        })
        .collect();
    let last = amounts.last().unwrap();
    assert!(last.unit == Unit::Bytes && last.done > 20_000_000 && last.total == Some(last.done), "{last:?}");
    assert!(amounts.windows(2).all(|pair| pair[0].done <= pair[1].done), "bytes never go back: {amounts:?}");

    // again: nothing to do
    pull(reference.clone()).await.unwrap();
    assert_eq!(yard.steps().len(), 1);
    assert_eq!(yard.steps()[&whole].as_deref(), Ok("already there"));
}

async fn push(yard: &Yard, repository: &str) {
    let tag = TagImageOptions { repo: Some(repository.to_owned()), tag: Some("1".to_owned()) };
    yard.docker.api().tag_image(&yard.reference("big"), Some(tag)).await.unwrap();
    let credentials = DockerCredentials {
        username: Some("me".to_owned()),
        password: Some("s3cret".to_owned()),
        ..Default::default()
    };
    let options = PushImageOptions { tag: Some("1".to_owned()), ..Default::default() };
    let pushed: Vec<_> =
        yard.docker.api().push_image(repository, Some(options), Some(credentials)).try_collect().await.unwrap();
    assert!(!pushed.is_empty());
    let force = Some(RemoveImageOptions { force: true, ..Default::default() });
    yard.docker.api().remove_image(&format!("{repository}:1"), force, None).await.unwrap();
}
