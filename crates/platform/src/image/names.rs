//! Names: images that differ from their parent in configuration only.
//!
//! One container of the parent (which must have a command) is created, never started, and
//! committed once per name: a commit of nothing adds no layer. (A build through Docker's
//! builder would make a container and an image for each of its instructions.)

use super::build::{BuildError, OpenStep, Run};
use super::recipe::NameRecipe;
use super::{CONTENT, PARENT, RECIPE, UNFINISHED};
use bollard::models::{ContainerConfig, ContainerCreateBody};
use bollard::query_parameters::{CommitContainerOptions, CreateContainerOptions, RemoveContainerOptions};
use futures_util::{StreamExt, TryStreamExt, stream};
use stackyard_core::progress::{Amount, Event, Unit};

/// Commits at the same time.
const JOBS: usize = 4;

/// Makes `names` from the image `parent`, whose id is `id`.
pub async fn make(run: &Run<'_>, parent: &str, id: &str, names: &[&NameRecipe]) -> Result<(), BuildError> {
    let step = format!("names of {parent}");
    let open = OpenStep::begin(run, &step, "naming");
    open.end(within(run, parent, id, names, &step).await, &format!("{} names made", names.len()))
}

async fn within(run: &Run<'_>, parent: &str, id: &str, names: &[&NameRecipe], step: &str) -> Result<(), BuildError> {
    let container = create(run, parent, id).await?;
    let total = names.len() as u64;
    // a list of futures, not a stream that makes them: only so is the whole `Send`
    let commits: Vec<_> = names.iter().map(|name| commit(run, &container, id, name)).collect();
    let made = stream::iter(commits)
        .buffer_unordered(JOBS)
        .try_fold(0, |done, ()| async move {
            let amount = Some(Amount { done: done + 1, total: Some(total), unit: Unit::Items });
            run.tell(Event::Progress { step: step.to_owned(), doing: None, amount });
            Ok(done + 1)
        })
        .await;
    let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
    let removed = run.docker.api().remove_container(&container, Some(options)).await;
    made?;
    removed.map_err(run.failed("remove the temporary container of", parent))
}

async fn create(run: &Run<'_>, parent: &str, id: &str) -> Result<String, BuildError> {
    let body = ContainerCreateBody {
        image: Some(id.to_owned()),
        labels: Some([(UNFINISHED.to_owned(), run.scope.clone())].into()),
        ..Default::default()
    };
    let created = run.docker.api().create_container(None::<CreateContainerOptions>, body).await;
    Ok(created.map_err(run.failed("create a container of", parent))?.id)
}

async fn commit(run: &Run<'_>, container: &str, parent: &str, name: &NameRecipe) -> Result<(), BuildError> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$"));
    let mut changes = vec![format!("ENV STACKYARD_IMAGE={}", quoted(&name.name))];
    changes.extend(name.env.iter().map(|(key, value)| format!("ENV {key}={}", quoted(value))));
    changes.extend(name.user.iter().map(|user| format!("USER {user}")));
    let ours = [(CONTENT, run.recipe.content(&name.name)), (PARENT, parent), (RECIPE, &run.scope), (UNFINISHED, "")];
    let theirs = name.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    changes.extend(theirs.chain(ours).map(|(key, value)| format!("LABEL {key}={}", quoted(value))));
    let options = CommitContainerOptions {
        container: Some(container.to_owned()),
        repo: Some(run.repository(&name.name)),
        tag: Some(run.recipe.release.clone()),
        pause: false,
        changes: Some(changes.join("\n")),
        ..Default::default()
    };
    let committed = run.docker.api().commit_container(options, ContainerConfig::default()).await;
    committed.map(drop).map_err(run.failed("make", &name.name))
}
