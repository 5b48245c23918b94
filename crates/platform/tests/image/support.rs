//! A recipe of a test, and the events of what was done with it.

use bollard::query_parameters::{ListContainersOptions, ListImagesOptions, RemoveImageOptions};
use stackyard_core::progress::Event;
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{self, BuildError, Built, Folder, Options, Recipe};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub const GROUND: &str = r#"ARG FROM
FROM ${FROM}
SHELL ["/bin/busybox", "sh", "-c"]
RUN /bin/busybox mkdir -p /proc /tmp && /bin/busybox --install -s /bin
COPY greeting /greeting
CMD ["sh"]
"#;

/// A recipe folder with images of its own in the engine; all of it goes when it is dropped.
pub struct Yard {
    pub docker: Docker,
    pub prefix: String,
    pub folder: tempfile::TempDir,
    pub events: Mutex<Vec<Event>>,
}

impl Yard {
    pub async fn new(name: &str) -> Self {
        let docker = Docker::connect().await.expect("these tests need a Docker Engine");
        let prefix = format!("syimage-{name}-{}", std::process::id());
        let yard = Self { docker, prefix, folder: tempfile::tempdir().unwrap(), events: Mutex::default() };
        yard.write("ground/Dockerfile", GROUND);
        yard.write("ground/greeting", "hello\n");
        yard
    }

    /// A root, an image of busybox, and what `more` says.
    pub fn recipe(&self, more: &str) {
        self.recipe_with("busybox-static", more);
    }

    /// As [`Self::recipe`], with these packages in the root. Roots of the same packages may be made in the same second,
    /// and are one layer to the engine then.
    pub fn recipe_with(&self, packages: &str, more: &str) {
        self.write(
            "image.yaml",
            &format!(
                "name: test\nrelease: \"1\"\nbase: {{suite: bookworm, variant: extract, include: [{packages}]}}\n\
                 images:\n  - {{name: ground, from: rootfs, context: ground}}\n{more}"
            ),
        );
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.recipe_folder().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn recipe_folder(&self) -> PathBuf {
        self.folder.path().join("recipe")
    }

    pub fn options(&self) -> Options {
        options(self.folder.path(), &self.prefix)
    }

    pub fn read(&self) -> Recipe {
        Recipe::read(&Folder(self.recipe_folder())).unwrap()
    }

    pub async fn build(&self) -> Result<Built, BuildError> {
        self.build_with(&self.options()).await
    }

    pub async fn build_with(&self, options: &Options) -> Result<Built, BuildError> {
        self.events.lock().unwrap().clear();
        let see = |event: Event| self.events.lock().unwrap().push(event);
        image::build(&self.docker, &self.read(), options, &see).await
    }

    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}:1", self.prefix)
    }

    pub async fn inspect(&self, name: &str) -> bollard::models::ImageInspect {
        self.docker.api().inspect_image(&self.reference(name)).await.unwrap()
    }

    /// Untagged images and containers that the builds left.
    pub async fn leftovers(&self) -> Vec<String> {
        let scope = format!("{}/test:1", self.prefix);
        let filter = |label: &str| HashMap::from([("label".to_owned(), vec![format!("{label}={scope}")])]);
        let mut dangling = filter(image::RECIPE);
        dangling.insert("dangling".to_owned(), vec!["true".to_owned()]);
        let images = ListImagesOptions { filters: Some(dangling), ..Default::default() };
        let containers =
            ListContainersOptions { all: true, filters: Some(filter(image::UNFINISHED)), ..Default::default() };
        let mut found: Vec<String> =
            self.docker.api().list_images(Some(images)).await.unwrap().into_iter().map(|image| image.id).collect();
        let containers = self.docker.api().list_containers(Some(containers)).await.unwrap();
        found.extend(containers.into_iter().filter_map(|container| container.id));
        found.extend(
            std::fs::read_dir(self.folder.path().join("state/images-tmp"))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path().display().to_string()),
        );
        found
    }

    /// Every step that began ended once, and with which end: `Ok` what was done, `Err` why not.
    pub fn steps(&self) -> BTreeMap<String, Result<String, String>> {
        let events = self.events.lock().unwrap();
        let mut open = Vec::new();
        let mut ended = BTreeMap::new();
        for event in events.iter() {
            let (step, end) = match event {
                Event::Started { step, .. } => {
                    assert!(!open.contains(step) && !ended.contains_key(step), "{step} began twice");
                    open.push(step.clone());
                    continue;
                }
                Event::Progress { step, .. } => {
                    assert!(open.contains(step), "progress of {step}, which does not run");
                    continue;
                }
                Event::Note { .. } => continue,
                Event::Done { step, did, .. } => (step, Ok(did.clone())),
                Event::Failed { step, error } => (step, Err(error.clone())),
            };
            assert!(open.contains(step), "{step} ended but did not run");
            open.retain(|other| other != step);
            ended.insert(step.clone(), end);
        }
        assert!(open.is_empty(), "never ended: {open:?}");
        ended
    }
}

pub fn options(folder: &Path, prefix: &str) -> Options {
    Options { prefix: prefix.to_owned(), ..Options::new(folder.join("state")) }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let prefix = format!("{}/", self.prefix);
        let removal = async {
            // connections belong to the runtime that made them
            let Ok(docker) = Docker::connect().await else { return };
            let images = docker.api().list_images(None::<ListImagesOptions>).await.unwrap_or_default();
            let scope = format!("{prefix}test:1");
            for image in images {
                let force = Some(RemoveImageOptions { force: true, ..Default::default() });
                for tag in image.repo_tags.iter().filter(|tag| tag.contains(&prefix)) {
                    let _ = docker.api().remove_image(tag, force.clone(), None).await;
                }
                if image.labels.get(image::RECIPE) == Some(&scope) {
                    let _ = docker.api().remove_image(&image.id, force, None).await;
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(removal));
        });
    }
}
