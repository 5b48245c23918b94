//! Builds what a recipe's images lack.

use super::context::context;
use super::names;
use super::output::{Output, OutputEvent};
use super::recipe::{ImageRecipe, ROOTFS, Recipe};
use super::tidy::{self, TidyLock};
use super::{CONTENT, PARENT, UNFINISHED, base, host};
use crate::docker::Docker;
use bollard::body_full;
use bollard::models::ImageSummary;
use bollard::query_parameters::{BuildImageOptions, ListImagesOptions};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryStreamExt};
use stackyard_core::progress::{Event, Onlooker};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest time that the engine may be silent in a build.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How to build.
#[derive(Debug, Clone)]
pub struct Options {
    /// First part of the images' names: `stackyard` makes `stackyard/keystone`.
    pub prefix: String,
    /// Build everything again even where the recipe says the same as before: for security
    /// updates of Debian's packages.
    pub refresh: bool,
    /// Folder for the lock and for temporary files (about 1 GiB while a Debian root is made);
    /// is created if it is not there.
    pub state: PathBuf,
    /// Images to build at the same time.
    pub jobs: usize,
}

impl Options {
    /// Images `stackyard/...`, nothing without need, one job per processor.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        Self { prefix: "stackyard".to_owned(), refresh: false, state: state.into(), jobs }
    }
}

/// What a build did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    /// Images and names that were made, in alphabetical order.
    pub made: Vec<String>,
    /// How many were there already.
    pub kept: usize,
}

/// A build failed. What was finished before stays and is taken up by the next build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The engine refused or broke off.
    #[error("cannot {doing} image {image}")]
    Docker {
        /// What was tried.
        doing: &'static str,
        /// The image's name in the recipe.
        image: String,
        /// The engine's answer.
        #[source]
        source: bollard::errors::Error,
    },
    /// A step of a Dockerfile failed.
    #[error(
        "image {image}: step {step} failed: {message}\n  in: {instruction}\nlast lines of its output:\n{output}\n\
         hint: fix the cause and build again; finished steps are kept"
    )]
    Step {
        /// The image's name in the recipe.
        image: String,
        /// `3/12`.
        step: String,
        /// The instruction, shortened.
        instruction: String,
        /// What the builder said.
        message: String,
        /// Last lines of output.
        output: String,
    },
    /// mmdebstrap is not installed.
    #[error("mmdebstrap is not installed, and the root of the images is made with it; run: apt-get install mmdebstrap")]
    NoMmdebstrap,
    /// mmdebstrap failed.
    #[error("mmdebstrap failed with {status}; its last lines:\n{output}\nis the Debian mirror reachable from here?")]
    Mmdebstrap {
        /// How it ended.
        status: std::process::ExitStatus,
        /// Last lines of output.
        output: String,
    },
    /// An image of another recipe is not there.
    #[error("image {image} is made from {parent}, which is not there; build or pull that first")]
    NoParent {
        /// The image's name in the recipe.
        image: String,
        /// Reference of the parent.
        parent: String,
    },
    /// Something on this machine failed.
    #[error("cannot {doing}")]
    Host {
        /// What was tried.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine said that all went well but not what came out.
    #[error("the engine did not tell the id of image {image}")]
    NoId {
        /// The image's name in the recipe.
        image: String,
    },
}

/// What all parts of one build share.
pub struct Run<'a> {
    pub docker: &'a Docker,
    pub recipe: &'a Recipe,
    pub options: &'a Options,
    pub onlooker: &'a dyn Onlooker,
    /// Value of the labels RECIPE and UNFINISHED.
    pub scope: String,
}

impl Run<'_> {
    /// Repository of an image: its name with the prefix.
    pub fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.options.prefix)
    }

    /// Repository and tag.
    pub fn reference(&self, name: &str) -> String {
        format!("{}:{}", self.repository(name), self.recipe.release)
    }

    pub fn tell(&self, event: Event) {
        self.onlooker.see(event);
    }

    /// The engine's API for requests that take long.
    pub fn patient(&self) -> bollard::Docker {
        self.docker.patient(PATIENCE)
    }

    /// A temporary folder that the next build removes if this one cannot.
    pub fn temp(&self) -> Result<tempfile::TempDir, BuildError> {
        tempfile::Builder::new()
            .prefix("image-")
            .tempdir_in(tidy::temp_folder(&self.options.state))
            .map_err(|source| BuildError::Host { doing: "make a temporary folder", source })
    }

    /// Makes errors of the engine ours.
    pub fn failed<'e>(
        &self,
        doing: &'static str,
        image: &'e str,
    ) -> impl FnOnce(bollard::errors::Error) -> BuildError + 'e {
        move |source| BuildError::Docker { doing, image: image.to_owned(), source }
    }
}

/// The event that `news` of a step's output make.
pub fn told(step: &str, news: OutputEvent) -> Event {
    let (doing, amount) = match news {
        OutputEvent::None => (None, None),
        OutputEvent::Doing(doing, amount) => (Some(doing), amount),
        OutputEvent::Amount(amount) => (None, Some(amount)),
    };
    Event::Progress { step: step.to_owned(), doing, amount }
}

/// Builds all images of `recipe` that are missing or stale.
///
/// Steps are called `image NAME`, and `names of NAME` for the names made from one image.
/// Cancel-safe: dropping the future stops the builds in the engine, too.
pub async fn build(
    docker: &Docker,
    recipe: &Recipe,
    options: &Options,
    onlooker: &dyn Onlooker,
) -> Result<Built, BuildError> {
    let scope = format!("{}/{}:{}", options.prefix, recipe.name, recipe.release);
    let run = Run { docker, recipe, options, onlooker, scope };
    let _lock = TidyLock::take(&run).await?;
    tidy::before(&run).await?;
    let there = PresentImage::look(&run).await?;
    let built = walk(&run, &there).await?;
    if !built.made.is_empty() || there.leftovers {
        tidy::after(&run).await?;
    }
    Ok(built)
}

/// The images that are there before the build.
struct PresentImage {
    /// Id and labels, by reference.
    images: HashMap<String, (String, HashMap<String, String>)>,
    /// Whether untagged images of this recipe are there.
    leftovers: bool,
}

impl PresentImage {
    async fn look(run: &Run<'_>) -> Result<Self, BuildError> {
        let list: Vec<ImageSummary> =
            run.docker.api().list_images(None::<ListImagesOptions>).await.map_err(run.failed("list", "*"))?;
        let mut present = Self { images: HashMap::new(), leftovers: false };
        for image in list {
            let tags: Vec<String> = image.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect();
            if tags.is_empty() && image.labels.get(super::RECIPE) == Some(&run.scope) {
                present.leftovers = true;
            }
            for tag in tags {
                present.images.insert(tag, (image.id.clone(), image.labels.clone()));
            }
        }
        Ok(present)
    }

    fn id(&self, reference: &str) -> Option<&String> {
        self.images.get(reference).map(|(id, _)| id)
    }

    /// Id of the image if it is what the recipe says, made from the parent as it is now
    /// (`None`: the parent is gone, which harms nothing).
    fn fresh(&self, reference: &str, content: &str, parent: Option<&String>) -> Option<&String> {
        let (id, labels) = self.images.get(reference)?;
        let same = labels.get(CONTENT).map(String::as_str) == Some(content);
        let child = parent.is_none() || labels.get(PARENT) == parent;
        (same && child).then_some(id)
    }
}

/// What one finished piece of work says: the image, its id, what was made, what was kept.
type Finished = (String, String, Vec<String>, usize);

/// Goes through the recipe's images from parents to children, several at a time.
async fn walk(run: &Run<'_>, there: &PresentImage) -> Result<Built, BuildError> {
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let mut waiting: Vec<&ImageRecipe> = run.recipe.images.iter().collect();
    let mut built = Built::default();
    let mut made: BTreeSet<String> = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    if let Some(id) = root(run, there).await? {
        if there.id(&run.reference(ROOTFS)) != Some(&id) {
            made.insert(ROOTFS.to_owned());
        }
        ids.insert(ROOTFS.to_owned(), id);
    }
    for parent in waiting.iter().map(|image| &image.from).filter(|parent| run.recipe.is_foreign(parent)) {
        if let Some(id) = there.id(&run.reference(parent)) {
            ids.insert(parent.clone(), id.clone());
        }
    }
    loop {
        // `rootfs` has no id when nothing needs it, a foreign parent none when it is gone
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|image| {
            image.from == ROOTFS || ids.contains_key(&image.from) || run.recipe.is_foreign(&image.from)
        });
        let room = run.options.jobs.max(1).saturating_sub(running.len());
        for (n, image) in ready.iter().enumerate() {
            if n < room {
                running.push(one(run, there, image, ids.get(&image.from).cloned()));
            }
        }
        waiting = ready.into_iter().skip(room).chain(rest).collect();
        match running.next().await {
            Some(finished) => {
                let (image, id, new, kept): Finished = finished?;
                ids.insert(image, id);
                made.extend(new);
                built.kept += kept;
            }
            None => break,
        }
    }
    built.made = made.into_iter().collect();
    Ok(built)
}

/// The root's id, made if some image needs it; `None` when none does.
async fn root(run: &Run<'_>, there: &PresentImage) -> Result<Option<String>, BuildError> {
    let Some(root) = &run.recipe.root else { return Ok(None) };
    let content = run.recipe.content(ROOTFS);
    if !run.options.refresh {
        if let Some(id) = there.fresh(&run.reference(ROOTFS), content, None) {
            return Ok(Some(id.clone()));
        }
        let needed = run
            .recipe
            .images
            .iter()
            .filter(|image| image.from == ROOTFS)
            .any(|image| there.fresh(&run.reference(&image.name), run.recipe.content(&image.name), None).is_none());
        if !needed {
            return Ok(None);
        }
    }
    timed(run, ROOTFS, |step| async move { base::make(run, root, &step).await }).await.map(Some)
}

/// Does one image and its names.
async fn one(
    run: &Run<'_>,
    there: &PresentImage,
    image: &ImageRecipe,
    parent: Option<String>,
) -> Result<Finished, BuildError> {
    let reference = run.reference(&image.name);
    let content = run.recipe.content(&image.name);
    let fresh = there.fresh(&reference, content, parent.as_ref()).filter(|_| !run.options.refresh);
    let (id, mut made, mut kept) = match (fresh, parent) {
        (Some(id), _) => (id.clone(), Vec::new(), 1),
        (None, None) => {
            return Err(BuildError::NoParent { image: image.name.clone(), parent: run.reference(&image.from) });
        }
        (None, Some(parent)) => {
            let id = timed(run, &image.name, |step| async move { layers(run, image, &parent, &step).await }).await?;
            (id, vec![image.name.clone()], 0)
        }
    };
    let stale: Vec<_> = run
        .recipe
        .names
        .iter()
        .filter(|name| name.from == image.name)
        .filter(|name| {
            let fresh = there.fresh(&run.reference(&name.name), run.recipe.content(&name.name), Some(&id)).is_some();
            kept += usize::from(fresh);
            !fresh
        })
        .collect();
    if !stale.is_empty() {
        names::make(run, &image.name, &id, &stale).await?;
        made.extend(stale.iter().map(|name| name.name.clone()));
    }
    Ok((image.name.clone(), id, made, kept))
}

/// Runs `work` as the step `image NAME`.
async fn timed<F, Fut>(run: &Run<'_>, name: &str, work: F) -> Result<String, BuildError>
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = Result<String, BuildError>>,
{
    let step = format!("image {name}");
    let open = OpenStep::begin(run, &step, "building");
    open.end(work(step).await, "built")
}

/// A step that began. Dropped before its end, because another image failed, it tells that it
/// was stopped.
pub struct OpenStep<'a> {
    run: &'a Run<'a>,
    step: Option<String>,
    began: Instant,
}

impl<'a> OpenStep<'a> {
    /// Tells that `step` began.
    pub fn begin(run: &'a Run<'a>, step: &str, doing: &str) -> Self {
        run.tell(Event::Started { step: step.to_owned(), doing: doing.to_owned() });
        Self { run, step: Some(step.to_owned()), began: Instant::now() }
    }

    /// Tells how it ended.
    pub fn end<T>(mut self, result: Result<T, BuildError>, did: &str) -> Result<T, BuildError> {
        if let Some(step) = self.step.take() {
            self.run.tell(match &result {
                Ok(_) => Event::Done { step, did: did.to_owned(), took: self.began.elapsed() },
                Err(error) => Event::Failed { step, error: whole(error) },
            });
        }
        result
    }
}

impl Drop for OpenStep<'_> {
    fn drop(&mut self) {
        if let Some(step) = self.step.take() {
            self.run.tell(Event::Failed { step, error: "stopped before it was done".to_owned() });
        }
    }
}

/// The error with its causes on one line each.
pub fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

/// Builds one image's layers; answers its id.
async fn layers(run: &Run<'_>, image: &ImageRecipe, parent: &str, step: &str) -> Result<String, BuildError> {
    let extra = if image.pip.is_empty() {
        Vec::new()
    } else {
        host::EXTRA.into_iter().zip([host::certificates(), host::pip_env().into_bytes()]).collect()
    };
    let context = context(run.recipe, image, &extra, &run.scope)
        .map_err(|source| BuildError::Host { doing: "put the build context together", source })?;
    let args = [("FROM".to_owned(), parent.to_owned())].into_iter().chain(host::proxies());
    let labels = [
        (CONTENT.to_owned(), run.recipe.content(&image.name).to_owned()),
        (PARENT.to_owned(), parent.to_owned()),
        (UNFINISHED.to_owned(), String::new()),
    ];
    let options = BuildImageOptions {
        t: Some(run.reference(&image.name)),
        nocache: run.options.refresh,
        rm: true,
        forcerm: true,
        networkmode: Some("host".to_owned()),
        buildargs: Some(args.collect()),
        labels: Some(labels.into()),
        ..Default::default()
    };
    let mut output = Output::new(run.recipe.pip_bytes(image));
    let mut id = None;
    let docker = run.patient();
    let mut answers = std::pin::pin!(docker.build_image(options, None, Some(body_full(context.into()))));
    loop {
        let answer = match answers.try_next().await {
            Ok(Some(answer)) => answer,
            Ok(None) => break,
            Err(bollard::errors::Error::DockerStreamError { error }) => {
                let (number, of, instruction) = output.step.clone().unwrap_or_default();
                return Err(BuildError::Step {
                    image: image.name.clone(),
                    step: format!("{number}/{of}"),
                    instruction,
                    message: super::output::without_credentials(&error),
                    output: output.tail(),
                });
            }
            Err(source) => return Err(run.failed("build", &image.name)(source)),
        };
        if let Some(text) = answer.stream {
            tracing::debug!(image = image.name, "{}", super::output::without_credentials(text.trim_end()));
            output.take(&text, |news| run.tell(told(step, news)));
        }
        // later ids replace earlier ones: the last is the finished image's
        id = answer.aux.and_then(|aux| aux.id).or(id);
    }
    id.ok_or_else(|| BuildError::NoId { image: image.name.clone() })
}
