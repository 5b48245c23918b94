//! Images of a stack: from registries, and from the server where only it has them.

use super::fetch;
use super::server_images::ServerImages;
use futures_util::TryStreamExt;
use stackyard_core::agent::Part;
use stackyard_core::progress::Onlooker;
use stackyard_core::stack::Stack;
use stackyard_core::text::error_chain;
use stackyard_platform::docker::{Docker, EngineError};
use stackyard_platform::image::{id_of, load, pull, tag};
use std::collections::BTreeSet;

/// Sees to it that the images of a part are there.
///
/// An image that the server names with its id is brought to that id; any other one is pulled
/// if it is missing.
pub(crate) async fn ensure(
    images: &ServerImages,
    docker: &Docker,
    part: &Part,
    stack: &Stack,
    onlooker: &dyn Onlooker,
) -> Result<(), String> {
    let references: BTreeSet<&String> = stack.services.values().map(|s| &s.image).collect();
    for reference in references {
        let wanted = part.images.get(reference);
        if is_there(docker, reference, wanted).await? {
            continue;
        }
        let _one = images.fetching.lock().await;
        // Somebody may have fetched it while we waited.
        if is_there(docker, reference, wanted).await? {
            continue;
        }
        match wanted {
            None => drop(pull(docker, reference, onlooker).await.map_err(|e| error_chain(&e))?),
            Some(id) => hand_over(images, docker, reference, id, onlooker).await?,
        }
    }
    Ok(())
}

async fn is_there(docker: &Docker, reference: &str, wanted: Option<&String>) -> Result<bool, String> {
    let there =
        id_of(docker, reference).await.map_err(|e| format!("cannot inspect image {reference}: {}", error_chain(&e)))?;
    Ok(match wanted {
        None => there.is_some(),
        Some(id) => there.as_ref() == Some(id),
    })
}

/// Fetches an image from the server.
async fn hand_over(
    images: &ServerImages,
    docker: &Docker,
    reference: &str,
    id: &str,
    onlooker: &dyn Onlooker,
) -> Result<(), String> {
    let failed = |what: String| format!("cannot get image {reference} from the server: {what}");
    let engine = |e: EngineError| failed(error_chain(&e));
    if id_of(docker, id).await.map_err(engine)?.is_none() {
        images.note(id, reference).map_err(|e| failed(error_chain(&e)))?;
        let fetched = async { fetch(images, docker, reference, id).await.map_err(failed) };
        fetch::as_step(format!("image {reference}"), onlooker, fetched).await?;
    }
    if id_of(docker, reference).await.map_err(engine)?.as_deref() == Some(id) {
        return Ok(());
    }
    if id_of(docker, id).await.map_err(engine)?.is_none() {
        return Err(failed(format!("what it sent holds no image {id}")));
    }
    tag(docker, id, reference).await.map_err(engine)
}

async fn fetch(images: &ServerImages, docker: &Docker, reference: &str, id: &str) -> Result<(), String> {
    let query = [("reference", reference), ("id", id)];
    let answer = fetch::get(&images.access, "/api/v1/images", &query, "get an image").await?;
    let bytes = answer.bytes_stream().map_err(std::io::Error::other);
    load(docker, bytes).await.map_err(|e| error_chain(&e))
}
