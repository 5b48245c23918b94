//! Images that hosts can get from this server alone.

use super::StackError;
use stackyard_core::stack::Stack;
use stackyard_core::text::error_chain;
use stackyard_platform::docker::Docker;
use stackyard_platform::image::id_of;
use std::collections::{BTreeMap, BTreeSet};

/// Images of `stack` that the Docker Engine beside the server has and hosts are to get from it:
/// those whose name has no registry, and those that the stack says are local. Id by reference.
pub(super) async fn local(stack: &Stack) -> Result<BTreeMap<String, String>, StackError> {
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
        let found = id_of(&docker, reference).await;
        match found {
            Ok(Some(id)) => drop(images.insert((*reference).clone(), id)),
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
