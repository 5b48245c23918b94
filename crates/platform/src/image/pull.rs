//! Pulling images from registries, with the progress of each layer.

use super::credentials::{self, CredentialError};
use crate::docker::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use futures_util::TryStreamExt;
use stackyard_core::progress::{Amount, Event, Onlooker, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest time that the engine may be silent in a pull.
const PATIENCE: Duration = Duration::from_secs(600);

/// An image could not be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The reference is no reference.
    #[error("{reference:?} is not the name of an image: {said}")]
    Reference {
        /// As given.
        reference: String,
        /// What the engine said.
        said: String,
    },
    /// The registry has no such image, or does not admit it.
    #[error("cannot pull {reference}: {registry} has no such image: {said}; check name and tag")]
    NotThere {
        /// The image.
        reference: String,
        /// The registry's host.
        registry: String,
        /// What the engine said.
        said: String,
    },
    /// The registry wants credentials, or others.
    #[error("cannot pull {reference}: {registry} refused {who}: {said}; run: docker login {registry}")]
    Refused {
        /// The image.
        reference: String,
        /// The registry's host.
        registry: String,
        /// Who was refused.
        who: String,
        /// What the engine said.
        said: String,
    },
    /// The registry does not answer.
    #[error(
        "cannot pull {reference}: the engine does not reach {registry}: {said}; check the host's name and the network"
    )]
    Unreachable {
        /// The image.
        reference: String,
        /// The registry's host.
        registry: String,
        /// What the engine said.
        said: String,
    },
    /// Something else.
    #[error("cannot pull {reference}: {said}")]
    Other {
        /// The image.
        reference: String,
        /// What the engine said.
        said: String,
    },
    /// The credentials could not be read.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

/// Pulls one image; answers its id. See [`pull_all`].
pub async fn pull(docker: &Docker, reference: &str, onlooker: &dyn Onlooker) -> Result<String, PullError> {
    pull_as(docker, reference, onlooker, None).await
}

/// As [`pull`], with the `config.json` of credentials in `folder` instead of `$DOCKER_CONFIG`
/// or `~/.docker`.
pub async fn pull_as(
    docker: &Docker,
    reference: &str,
    onlooker: &dyn Onlooker,
    folder: Option<&Path>,
) -> Result<String, PullError> {
    one(docker, reference, onlooker, folder, &mut BTreeSet::new()).await
}

/// Pulls images one after the other; answers their ids in the same order.
///
/// Steps are `image REFERENCE`, with the bytes of all its layers, and `layer ID` for each layer
/// that is not there yet. The engine downloads several layers at a time, and tells a layer's
/// size when it begins with it: the image's total is known once all of them have begun.
pub async fn pull_all(
    docker: &Docker,
    references: &[String],
    onlooker: &dyn Onlooker,
) -> Result<Vec<String>, PullError> {
    let (mut ids, mut seen) = (Vec::new(), BTreeSet::new());
    for reference in references {
        ids.push(one(docker, reference, onlooker, None, &mut seen).await?);
    }
    Ok(ids)
}

async fn one(
    docker: &Docker,
    reference: &str,
    onlooker: &dyn Onlooker,
    folder: Option<&Path>,
    seen: &mut BTreeSet<String>,
) -> Result<String, PullError> {
    let (step, began) = (format!("image {reference}"), Instant::now());
    onlooker.see(Event::Started { step: step.clone(), doing: "pulling".to_owned() });
    let mut layers = Layers::new(&step, seen);
    let result = stream(docker, reference, onlooker, folder, &mut layers).await;
    match &result {
        Ok(_) => {
            let did = if layers.news { "pulled" } else { "already there" };
            onlooker.see(Event::Done { step, did: did.to_owned(), took: began.elapsed() });
        }
        Err(error) => {
            let error = super::build::whole(error);
            layers.give_up(onlooker, &error);
            onlooker.see(Event::Failed { step, error });
        }
    }
    result
}

async fn stream(
    docker: &Docker,
    reference: &str,
    onlooker: &dyn Onlooker,
    folder: Option<&Path>,
    layers: &mut Layers<'_>,
) -> Result<String, PullError> {
    let parts = Parts::of(reference);
    let credentials = credentials::of(parts.registry, folder).await?;
    let who = match &credentials {
        None => "anonymous access".to_owned(),
        Some(c) => c.username.as_ref().map_or("the token".to_owned(), |user| format!("user {user}")),
    };
    let options = CreateImageOptions {
        from_image: Some(parts.name.to_owned()),
        tag: parts.tag.map(str::to_owned),
        ..Default::default()
    };
    let api = docker.patient(PATIENCE);
    let mut answers = std::pin::pin!(api.create_image(Some(options), None, credentials));
    let failed = |error| explain(reference, parts.registry, &who, error);
    while let Some(answer) = answers.try_next().await.map_err(failed)? {
        layers.see(&answer, onlooker);
    }
    let image = docker.api().inspect_image(reference).await.map_err(failed)?;
    Ok(image.id.unwrap_or_default())
}

/// A reference taken apart.
#[derive(Debug, PartialEq)]
struct Parts<'a> {
    /// Host of the registry, with port if any.
    registry: &'a str,
    /// What the engine gets as the name; with a digest, all of it.
    name: &'a str,
    /// What it gets as the tag; without one it would pull all there are.
    tag: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(reference: &'a str) -> Self {
        let registry = match reference.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => "docker.io",
        };
        if reference.contains('@') {
            return Self { registry, name: reference, tag: None };
        }
        match reference.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((name, tag)) => Self { registry, name, tag: Some(tag) },
            None => Self { registry, name: reference, tag: Some("latest") },
        }
    }
}

/// Sorts the engine's errors, which are text only.
fn explain(reference: &str, registry: &str, who: &str, error: bollard::errors::Error) -> PullError {
    use bollard::errors::Error;
    let said = match &error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => super::build::whole(other),
    };
    let lower = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let (reference, registry) = (reference.to_owned(), registry.to_owned());
    if has(&["invalid reference format", "invalid tag format", "must be lowercase", "invalid repository name"]) {
        PullError::Reference { reference, said }
    } else if has(&["unauthorized", "no basic auth", "authentication required", "access denied", "denied:", "login"]) {
        PullError::Refused { reference, registry, who: who.to_owned(), said }
    } else if has(&["manifest unknown", "not found", "name unknown", "does not exist"]) {
        PullError::NotThere { reference, registry, said }
    } else if has(&["no such host", "dial tcp", "timeout", "connection refused", "tls", "x509", "server gave http"]) {
        PullError::Unreachable { reference, registry, said }
    } else {
        PullError::Other { reference, said }
    }
}

/// The layers of one image on their way.
struct Layers<'a> {
    step: &'a str,
    /// Layers that this or an earlier pull told about, so that a step starts and ends once.
    seen: &'a mut BTreeSet<String>,
    /// The layers on their way, by id.
    open: BTreeMap<String, Layer>,
    /// Bytes downloaded of finished layers.
    finished: u64,
    news: bool,
}

struct Layer {
    began: Instant,
    doing: &'static str,
    done: u64,
    total: Option<u64>,
}

impl<'a> Layers<'a> {
    fn new(step: &'a str, seen: &'a mut BTreeSet<String>) -> Self {
        Self { step, seen, open: BTreeMap::new(), finished: 0, news: false }
    }

    /// Takes one line of the engine's stream.
    fn see(&mut self, answer: &CreateImageInfo, onlooker: &dyn Onlooker) {
        let (Some(id), Some(status)) = (&answer.id, &answer.status) else { return };
        if status == "Pulling fs layer" && self.seen.insert(id.clone()) {
            self.news = true;
            let layer = Layer { began: Instant::now(), doing: "waiting", done: 0, total: None };
            self.open.insert(id.clone(), layer);
            onlooker.see(Event::Started { step: format!("layer {id}"), doing: "waiting".to_owned() });
            return;
        }
        let Some(layer) = self.open.get_mut(id) else { return };
        let step = format!("layer {id}");
        let detail = answer.progress_detail.as_ref();
        let size = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        let current = size(detail.and_then(|d| d.current)).unwrap_or(0);
        let total = size(detail.and_then(|d| d.total));
        let (doing, amount) = match status.as_str() {
            "Downloading" => {
                layer.done = current;
                layer.total = total.or(layer.total);
                ("downloading", Some(Amount { done: current, total: layer.total, unit: Unit::Bytes }))
            }
            "Verifying Checksum" => ("verifying", None),
            "Download complete" => {
                // a small layer may come without any "Downloading"
                layer.done = layer.total.unwrap_or(layer.done);
                layer.total = Some(layer.done);
                ("downloaded", None)
            }
            "Extracting" => ("extracting", Some(Amount { done: current, total, unit: Unit::Bytes })),
            "Pull complete" => {
                let took = layer.began.elapsed();
                self.finished += layer.done;
                self.open.remove(id);
                onlooker.see(Event::Done { step, did: "pulled".to_owned(), took });
                return self.tell(onlooker);
            }
            retry if retry.starts_with("Retrying") => ("waiting to try again", None),
            _ => return,
        };
        let changed = layer.doing != doing;
        layer.doing = doing;
        if changed || amount.is_some() {
            let doing = changed.then(|| doing.to_owned());
            onlooker.see(Event::Progress { step, doing, amount });
        }
        self.tell(onlooker);
    }

    /// Tells how far the image is.
    fn tell(&self, onlooker: &dyn Onlooker) {
        let done = self.finished + self.open.values().map(|layer| layer.done).sum::<u64>();
        let open: Option<u64> = self.open.values().map(|layer| layer.total).sum();
        let amount = Some(Amount { done, total: open.map(|open| open + self.finished), unit: Unit::Bytes });
        onlooker.see(Event::Progress { step: self.step.to_owned(), doing: None, amount });
    }

    /// Ends the steps of layers that will not come.
    fn give_up(&mut self, onlooker: &dyn Onlooker, error: &str) {
        for id in std::mem::take(&mut self.open).into_keys() {
            onlooker.see(Event::Failed { step: format!("layer {id}"), error: error.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let parts = |registry, name, tag| Parts { registry, name, tag };
        assert_eq!(Parts::of("busybox"), parts("docker.io", "busybox", Some("latest")));
        assert_eq!(Parts::of("a/b:1"), parts("docker.io", "a/b", Some("1")));
        assert_eq!(Parts::of("h:5000/b"), parts("h:5000", "h:5000/b", Some("latest")));
        assert_eq!(Parts::of("localhost/b:x"), parts("localhost", "localhost/b", Some("x")));
        assert_eq!(Parts::of("r.io/b@sha256:00"), parts("r.io", "r.io/b@sha256:00", None));
    }
}
