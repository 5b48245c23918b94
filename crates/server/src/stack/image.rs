//! Images that hosts can get from this server alone.

use super::StackError;
use stackyard_core::stack::Stack;
use stackyard_core::text::error_chain;
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{ImageAtEngine, look_up};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Label of an image that says to which yard's hosts the server may send it: a yard's name, or `*`.
const YARD: &str = "dev.stackyard.yard";

/// Time for the engine to say which images of a stack it has. Other changes of stacks wait for that.
const PATIENCE: Duration = Duration::from_secs(15);

/// Images of `stack` that the Docker Engine of the server's machine has and hosts are to get from it:
/// those whose name has no registry, and those that the stack says are local. Id by reference.
///
/// # Arguments
/// - `yard`: the stack's
/// - `labelled`: only images with the yard's label ([`YARD`]), since yards belong to people who do not trust each other
pub(super) async fn local(stack: &Stack, yard: &str, labelled: bool) -> Result<BTreeMap<String, String>, StackError> {
    within(PATIENCE, look(stack, yard, labelled)).await
}

async fn within<T>(limit: Duration, looking: impl Future<Output = Result<T, StackError>>) -> Result<T, StackError> {
    tokio::time::timeout(limit, looking).await.unwrap_or_else(|_| {
        Err(StackError::Refused(format!(
            "cannot look for images of the stack: the Docker Engine of the server did not answer within {} s; try again, \
             or restart that engine",
            limit.as_secs_f32()
        )))
    })
}

async fn look(stack: &Stack, yard: &str, labelled: bool) -> Result<BTreeMap<String, String>, StackError> {
    let said: BTreeSet<&String> = stack.services.values().filter(|s| s.deploy.local_image).map(|s| &s.image).collect();
    let all: BTreeSet<&String> = stack.services.values().map(|s| &s.image).filter(|i| !has_registry(i)).collect();
    let mut images = BTreeMap::new();
    let docker = match Docker::connect().await {
        Ok(docker) => docker,
        // Without an engine, there are no images beside the server.
        Err(_) if said.is_empty() => return Ok(images),
        Err(e) => {
            return Err(StackError::Refused(format!("looking for the image {}: {}", first(&said), error_chain(&e))));
        }
    };
    for reference in all.union(&said) {
        let found = look_up(&docker, reference).await;
        match found {
            Ok(Some(image)) if !labelled || is_for(&image, yard) => {
                images.insert((*reference).clone(), image.id);
            }
            Ok(Some(_)) if said.contains(reference) => {
                return Err(StackError::Refused(format!(
                    "the image {reference} of the server's Docker Engine is not for yard {yard}: people sign in to this \
                     server with Keystone, so images need the label `{YARD}={yard}` (or `*`); build it with \
                     `docker build --label`"
                )));
            }
            // As if it were not there: hosts pull it.
            Ok(Some(_)) => {}
            Ok(None) if said.contains(reference) => {
                let hint = "build or load it there, or take `x-stackyard` away if hosts can pull it";
                let what = format!("the Docker Engine of the server has no image {reference}; {hint}");
                return Err(StackError::Refused(what));
            }
            Ok(None) => {}
            Err(e) => {
                return Err(StackError::Refused(format!("looking for the image {reference}: {}", error_chain(&e))));
            }
        }
    }
    Ok(images)
}

fn is_for(image: &ImageAtEngine, yard: &str) -> bool {
    image.labels.get(YARD).is_some_and(|of| of == yard || of == "*")
}

fn first(names: &BTreeSet<&String>) -> String {
    names.first().map(|n| (*n).clone()).unwrap_or_default()
}

/// Whether an image's name says which registry it is in.
fn has_registry(reference: &str) -> bool {
    match reference.split_once('/') {
        Some((host, _)) => host.contains(['.', ':']) || host == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_does_not_answer_holds_up_no_other_stack() {
        let silent = std::future::pending::<Result<(), StackError>>();
        let error = within(Duration::from_millis(10), silent).await.unwrap_err().to_string();
        assert!(error.contains("did not answer within 0.01 s"), "{error}");
    }

    #[test]
    fn registries_are_told() {
        for (name, expected) in [
            ("app", false),
            ("app:1", false),
            ("team/app:1", false),
            ("registry.example/app", true),
            ("localhost/app", true),
            ("10.0.0.1:5000/app:1", true),
        ] {
            assert_eq!(super::has_registry(name), expected, "{name}");
        }
    }
}
