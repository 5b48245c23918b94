//! What `image.yaml` says, checked, with its files and content hashes.

use super::host::EXTRA;
use super::sources::Files;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Counts up when the builder makes something else of the same recipe.
const FORMAT: &str = "stackyard-image-1";

/// Name of the file that describes a recipe.
pub const FILE: &str = "image.yaml";

/// The reserved name of the Debian root in `from:`.
pub const ROOTFS: &str = "rootfs";

/// A set of images that are built together.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Name of the set, such as `services`.
    pub name: String,
    /// Tag of all images.
    pub release: String,
    /// The Debian root that images with `from: rootfs` start from.
    pub root: Option<RootRecipe>,
    /// Images with layers of their own; parents come before children.
    pub images: Vec<ImageRecipe>,
    /// Images that differ from their parent in configuration only.
    pub names: Vec<NameRecipe>,
    /// The virtual machine's disk that the recipe makes, if that is what it is for.
    pub guest: Option<GuestRecipe>,
    /// The program for the images that take one.
    program: Option<Program>,
    files: BTreeMap<String, Vec<u8>>,
    hashes: BTreeMap<String, String>,
}

/// A Debian root, made by mmdebstrap.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootRecipe {
    /// Debian release: `bookworm`.
    pub suite: String,
    /// mmdebstrap's variant.
    #[serde(default = "minbase")]
    pub variant: String,
    /// Packages beyond those of the variant.
    #[serde(default)]
    pub include: Vec<String>,
    /// Glob patterns of paths that dpkg never unpacks, now and in later layers.
    #[serde(default)]
    pub exclude_paths: Vec<String>,
    /// Exceptions from `exclude_paths`.
    #[serde(default)]
    pub include_paths: Vec<String>,
    /// dpkg options that hold here and in later layers, such as `force-unsafe-io`.
    #[serde(default)]
    pub dpkg_options: Vec<String>,
}

/// An image with layers of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecipe {
    /// Repository name after the prefix.
    pub name: String,
    /// `rootfs`, or an image earlier in the list. In a recipe without a root: an image of
    /// another recipe of the same prefix and release, which must be there.
    pub from: String,
    /// Folder with the Dockerfile and what it copies; `.` is the recipe's own folder.
    pub context: String,
    /// pip lock files in the context; their `# size=BYTES` comments add up to the download's
    /// size. Such an image gets `pip.env` and `ca-bundle.crt` in its context.
    #[serde(default)]
    pub pip: Vec<String>,
    /// File of the context that is the program given by [`Recipe::with_program`].
    #[serde(default)]
    pub program: Option<String>,
}

/// An image that differs from its parent in configuration only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameRecipe {
    /// Repository name after the prefix.
    pub name: String,
    /// An image of the recipe.
    pub from: String,
    /// User that containers run as.
    #[serde(default)]
    pub user: Option<String>,
    /// Environment in addition to the parent's.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Labels in addition to the parent's.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A virtual machine's disk in an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestRecipe {
    /// Path of the disk within the recipe's last image.
    pub file: String,
    /// Its format, as Glance calls it: `qcow2`.
    pub disk_format: String,
    /// Smallest disk that a server of it needs, in MiB.
    pub min_disk_mib: u64,
    /// Least memory that a server of it needs, in MiB.
    pub min_ram_mib: u64,
    /// Properties that its image in Glance gets.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// A program that goes into images, with its SHA-256.
#[derive(Debug, Clone)]
struct Program {
    path: PathBuf,
    hash: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    release: String,
    #[serde(default)]
    base: Option<RootRecipe>,
    images: Vec<ImageRecipe>,
    #[serde(default)]
    names: Vec<NameRecipe>,
    #[serde(default)]
    guest: Option<GuestRecipe>,
}

fn minbase() -> String {
    "minbase".to_owned()
}

/// A recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A file could not be read.
    #[error("cannot read {path} of the image recipe")]
    Read {
        /// Path within the recipe.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `image.yaml` is not what it should be.
    #[error("image.yaml of the recipe is not valid: {0}")]
    Yaml(String),
    /// `image.yaml` says something impossible.
    #[error("image.yaml: {0}")]
    Meaning(String),
}

impl Recipe {
    /// Reads and checks the recipe in `files`.
    pub fn read(files: &dyn Files) -> Result<Self, RecipeError> {
        let failed = |path: &str| {
            let path = path.to_owned();
            move |source| RecipeError::Read { path, source }
        };
        let mut found = BTreeMap::new();
        for path in files.list().map_err(failed("the files"))? {
            let content = files.read(&path).map_err(failed(&path))?.into_owned();
            found.insert(path, content);
        }
        let Some(text) = found.get(FILE) else {
            return Err(failed(FILE)(std::io::ErrorKind::NotFound.into()));
        };
        let text = std::str::from_utf8(text).map_err(|e| RecipeError::Yaml(e.to_string()))?;
        let document: Document = serde_saphyr::from_str(text).map_err(|e| RecipeError::Yaml(e.to_string()))?;
        let mut recipe = Self {
            name: document.name,
            release: document.release,
            root: document.base,
            images: document.images,
            names: document.names,
            guest: document.guest,
            program: None,
            files: found,
            hashes: BTreeMap::new(),
        };
        recipe.check()?;
        recipe.hash();
        Ok(recipe)
    }

    /// The recipe with the program at `path` for the images that take one (`program:`); it counts
    /// for their content. Read now and by the build.
    ///
    /// # Errors
    /// [`RecipeError::Read`]
    pub fn with_program(mut self, path: &Path) -> Result<Self, RecipeError> {
        if self.images.iter().any(|image| image.program.is_some()) {
            let failed = |source| RecipeError::Read { path: path.display().to_string(), source };
            self.program = Some(Program { path: path.to_owned(), hash: hash_of(path).map_err(failed)? });
            self.hash();
        }
        Ok(self)
    }

    /// Name in the context and content of the program that `image` takes.
    pub(super) fn program(&self, image: &ImageRecipe) -> io::Result<Option<(String, Vec<u8>)>> {
        let Some(name) = &image.program else { return Ok(None) };
        let program = self.program.as_ref().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("image {} takes a program, and none was given", image.name))
        })?;
        Ok(Some((name.clone(), std::fs::read(&program.path)?)))
    }

    /// The disk that the recipe is for: the reference of the image that holds it under `prefix`,
    /// and what is to be known about it.
    pub fn disk(&self, prefix: &str) -> Option<(String, &GuestRecipe)> {
        let image = self.images.last()?;
        Some((format!("{prefix}/{}:{}", image.name, self.release), self.guest.as_ref()?))
    }

    /// Content hash of the image called `name` (or [`ROOTFS`]): SHA-256 in hex over all that the
    /// recipe says about it and about its parents.
    pub fn content(&self, name: &str) -> &str {
        self.hashes.get(name).map_or("", String::as_str)
    }

    /// The files of an image's build context: path within it and content, in order of path.
    ///
    /// `image.yaml`, `README.md` and `.gitignore` are never among them.
    pub fn context(&self, image: &ImageRecipe) -> impl Iterator<Item = (&str, &[u8])> {
        let folder = inside(&image.context, "");
        self.files.iter().filter_map(move |(path, content)| {
            let inner = path.strip_prefix(&folder)?;
            let replaced = !image.pip.is_empty() && EXTRA.contains(&inner);
            let left_out = path == FILE || matches!(inner, "README.md" | ".gitignore");
            (!replaced && !left_out).then_some((inner, content.as_slice()))
        })
    }

    /// The recipe with the images called `names` and their parents alone, to build no more than these.
    pub fn reduced_to(&self, names: &[&str]) -> Self {
        let mut wanted: BTreeSet<&str> = names.iter().copied().collect();
        for name in self.names.iter().filter(|name| names.contains(&name.name.as_str())) {
            wanted.insert(&name.from);
        }
        for image in self.images.iter().rev() {
            if wanted.contains(image.name.as_str()) {
                wanted.insert(&image.from);
            }
        }
        let mut reduced = self.clone();
        reduced.images.retain(|image| wanted.contains(image.name.as_str()));
        reduced.names.retain(|name| names.contains(&name.name.as_str()));
        reduced
    }

    /// Whether `name` is an image of another recipe.
    pub fn is_foreign(&self, name: &str) -> bool {
        name != ROOTFS && self.images.iter().all(|image| image.name != name)
    }

    /// Bytes that pip will download for `image`, as its lock files say.
    pub fn pip_bytes(&self, image: &ImageRecipe) -> u64 {
        let size = |line: &str| line.rsplit_once("# size=").and_then(|(_, n)| n.trim().parse::<u64>().ok());
        image
            .pip
            .iter()
            .filter_map(|lock| self.files.get(&inside(&image.context, lock)))
            .filter_map(|content| std::str::from_utf8(content).ok())
            .flat_map(str::lines)
            .filter_map(size)
            .sum()
    }

    fn check(&self) -> Result<(), RecipeError> {
        let no = |text: String| Err(RecipeError::Meaning(text));
        let mut known = BTreeSet::new();
        let mut bases = BTreeSet::new();
        if self.root.is_some() {
            known.insert(ROOTFS);
            bases.insert(ROOTFS);
        }
        if !is_reference_part(&self.release) {
            return no(format!("release {:?} cannot be a tag: letters, digits, '.', '_', '-'", self.release));
        }
        for image in &self.images {
            let foreign = self.root.is_none() && image.from != ROOTFS;
            if !foreign && !bases.contains(image.from.as_str()) {
                let ok = bases.iter().copied().collect::<Vec<_>>().join(", ");
                return no(format!("image {}: from: {} is none of: {ok}", image.name, image.from));
            }
            if !known.insert(&image.name) {
                return no(format!("image {} is there twice", image.name));
            }
            bases.insert(&image.name);
            for file in image.pip.iter().map(String::as_str).chain(["Dockerfile"]) {
                let path = inside(&image.context, file);
                if !self.files.contains_key(&path) {
                    return no(format!("image {}: there is no file {path}", image.name));
                }
            }
        }
        for name in &self.names {
            if name.from == ROOTFS || !bases.contains(name.from.as_str()) {
                return no(format!("name {}: from: {} is no image of this recipe", name.name, name.from));
            }
            if !known.insert(&name.name) {
                return no(format!("name {} is there twice", name.name));
            }
        }
        match known.iter().find(|name| !is_reference_part(name)) {
            Some(name) => no(format!("{name:?} cannot be an image's name: letters, digits, '.', '_', '-'")),
            None => Ok(()),
        }
    }

    fn hash(&mut self) {
        if let Some(root) = &self.root {
            let mut hash = Hasher::new("rootfs");
            hash.add(self.release.as_bytes()).add(root.suite.as_bytes()).add(root.variant.as_bytes());
            for list in [&root.include, &root.exclude_paths, &root.include_paths, &root.dpkg_options] {
                hash.list(list);
            }
            self.hashes.insert(ROOTFS.to_owned(), hash.end());
        }
        for image in &self.images {
            let mut hash = Hasher::new("image");
            hash.add(self.release.as_bytes()).add(image.name.as_bytes()).add(self.content(&image.from).as_bytes());
            hash.list(&image.pip);
            for (path, content) in self.context(image) {
                hash.add(path.as_bytes()).add(content);
            }
            if let (Some(name), Some(program)) = (&image.program, &self.program) {
                hash.add(name.as_bytes()).add(&program.hash);
            }
            let hash = hash.end();
            self.hashes.insert(image.name.clone(), hash);
        }
        for name in &self.names {
            let mut hash = Hasher::new("name");
            hash.add(self.release.as_bytes()).add(name.name.as_bytes()).add(self.content(&name.from).as_bytes());
            hash.add(name.user.as_deref().unwrap_or("").as_bytes());
            for map in [&name.env, &name.labels] {
                hash.add(&map.len().to_be_bytes());
                for (key, value) in map {
                    hash.add(key.as_bytes()).add(value.as_bytes());
                }
            }
            let hash = hash.end();
            self.hashes.insert(name.name.clone(), hash);
        }
    }
}

/// SHA-256 of a file, which may be large.
fn hash_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().to_vec()),
            n => hash.update(&piece[..n]),
        }
    }
}

/// Path of a context's file within the recipe.
fn inside(context: &str, file: &str) -> String {
    if context == "." { file.to_owned() } else { format!("{context}/{file}") }
}

/// SHA-256 over parts with their lengths, so that parts cannot run into each other.
struct Hasher(Sha256);

impl Hasher {
    fn new(kind: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.add(FORMAT.as_bytes()).add(kind.as_bytes());
        hash
    }

    fn add(&mut self, part: &[u8]) -> &mut Self {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    fn list(&mut self, parts: &[String]) -> &mut Self {
        self.add(&parts.len().to_be_bytes());
        for part in parts {
            self.add(part.as_bytes());
        }
        self
    }

    fn end(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn is_reference_part(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= 128 && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    struct Memory(BTreeMap<String, String>);

    impl Files for Memory {
        fn list(&self) -> std::io::Result<Vec<String>> {
            Ok(self.0.keys().cloned().collect())
        }

        fn read(&self, path: &str) -> std::io::Result<Cow<'_, [u8]>> {
            Ok(Cow::Borrowed(self.0[path].as_bytes()))
        }
    }

    const YAML: &str = "name: s\nrelease: \"1\"\nbase: {suite: bookworm}\nimages:\n  - {name: a, from: rootfs, context: a}\n  \
                        - {name: b, from: a, context: b, pip: [lock]}\nnames:\n  - {name: n, from: b}\n";

    fn files(yaml: &str) -> Memory {
        let files = [
            (FILE, yaml),
            ("a/Dockerfile", "FROM x"),
            ("b/Dockerfile", "FROM x"),
            ("b/lock", "# 2 files\np==1 --hash=sha256:0 # size=30\nq==2 --hash=sha256:1 # size=12\n"),
            ("b/pip.env", "of the author's machine"),
        ];
        Memory(files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
    }

    #[test]
    fn a_hash_changes_with_files_and_parents_only() {
        let before = Recipe::read(&files(YAML)).unwrap();
        let changed = |path: &str| {
            let mut files = files(YAML);
            files.0.insert(path.to_owned(), "FROM y".to_owned());
            let after = Recipe::read(&files).unwrap();
            [ROOTFS, "a", "b", "n"].into_iter().filter(|i| before.content(i) != after.content(i)).collect::<Vec<_>>()
        };
        assert_eq!(changed("a/Dockerfile"), ["a", "b", "n"]);
        assert_eq!(changed("b/new"), ["b", "n"]);
        assert_eq!(changed("b/pip.env"), [""; 0]);
        assert_eq!(changed("README.md"), [""; 0]);
        assert_eq!(before.pip_bytes(&before.images[1]), 42);
        assert_eq!(before.reduced_to(&["a"]).images.len(), 1);
        assert_eq!(before.reduced_to(&["n"]).images.len(), 2);
    }

    #[test]
    fn a_program_counts_for_its_image_and_those_made_from_it() {
        let yaml = YAML.replace("context: b, pip: [lock]}", "context: b, program: agent}");
        let recipe = Recipe::read(&files(&yaml)).unwrap();
        assert!(recipe.program(&recipe.images[1]).unwrap_err().to_string().contains("takes a program"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |content: &str| {
            std::fs::write(file.path(), content).unwrap();
            recipe.clone().with_program(file.path()).unwrap()
        };
        let (one, two) = (with("one"), with("two"));
        assert_eq!(two.program(&two.images[1]).unwrap(), Some(("agent".to_owned(), b"two".to_vec())));
        assert_eq!(two.program(&two.images[0]).unwrap(), None);
        let differ: Vec<_> = [ROOTFS, "a", "b", "n"].into_iter().filter(|i| one.content(i) != two.content(i)).collect();
        assert_eq!(differ, ["b", "n"]);
        assert_eq!(with("one").content("b"), one.content("b"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |from: &str, to: &str| Recipe::read(&files(&YAML.replace(from, to))).unwrap_err().to_string();
        assert!(error("pip:", "pips:").contains("pips"), "{}", error("pip:", "pips:"));
        assert_eq!(error("from: a,", "from: c,"), "image.yaml: image b: from: c is none of: a, rootfs");
        assert_eq!(error("context: a", "context: z"), "image.yaml: image a: there is no file z/Dockerfile");
        assert_eq!(error("from: b}", "from: rootfs}"), "image.yaml: name n: from: rootfs is no image of this recipe");
        assert_eq!(error("name: n,", "name: a,"), "image.yaml: name a is there twice");
        assert!(error("\"1\"", "\"a b\"").contains("release \"a b\" cannot be a tag"));
    }
}
