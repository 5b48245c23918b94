//! Bind mounts of files next to the Compose file, for stacks that run on other machines: they are carried along, as
//! archives, and are read-only there.

use super::LoadContext;
use super::canonical::{FROM_HERE, join};
use super::mounts::expand_home;
use crate::archive::{PackError, PackedArchive, pack};
use crate::diag::Place;
use stackyard_core::stack::{Archive, MountKind};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is done about files that a container writes.
const HINT: &str = "mount a named volume there for what a container writes (`volumes: {data: }`, `data:/path`)";

/// What a reading has packed so far.
#[derive(Default)]
pub(crate) struct Carried {
    /// By path on this machine: each is packed once, also where several services mount it.
    packed: RefCell<BTreeMap<PathBuf, PackedArchive>>,
    /// The first mount that does not say that it is read-only, and how many more do not.
    silent: RefCell<Option<(Place, String, usize)>>,
}

impl Carried {
    /// The archives, each once, and a note about mounts that became read-only.
    pub(crate) fn finish(self, cx: &super::Log) -> Vec<PackedArchive> {
        if let Some((place, mount, more)) = self.silent.into_inner() {
            let more = if more == 0 { String::new() } else { format!(" (as are {more} more)") };
            cx.warn(
                &place,
                format!("{mount} is carried to the hosts and is read-only in containers{more}; write `:ro` to agree"),
            );
        }
        let by_digest = self.packed.into_inner().into_values().map(|a| (a.digest.clone(), a));
        by_digest.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    fn note_silent(&self, place: &Place, mount: String) {
        match &mut *self.silent.borrow_mut() {
            Some((_, _, more)) => *more += 1,
            first => *first = Some((place.clone(), mount, 0)),
        }
    }
}

/// The mount of a path next to the Compose file, `text` there. `read_only` is what the mount says about it.
pub(crate) fn mount(
    text: &str,
    read_only: Option<bool>,
    place: &Place,
    path: &str,
    cx: &LoadContext<'_>,
) -> Option<MountKind> {
    let text = text.trim_start_matches(FROM_HERE);
    let refuse = |why: String, hint: &str| {
        cx.log.problem_hint(place, format!("{path}: `{text}` {why}"), Some(hint.to_owned()));
        None
    };
    if read_only == Some(false) {
        return refuse("is carried to the hosts and cannot be written there".into(), HINT);
    }
    let source = as_seen_from_project(text, cx);
    let archive = match cx.project.source.locate(&expand_home(text, cx)) {
        Ok(Some(full)) => match packed(full, cx) {
            Ok((digest, size)) => Archive { source, digest, size },
            Err((why, hint)) => return refuse(format!("cannot be carried to the hosts: {why}"), hint),
        },
        Ok(None) => match cx.project.source.archive(&source) {
            Some(archive) => archive,
            None => {
                let hint = "mount text with `configs`, or deploy with `stackyard stack deploy` or `stackyard up`";
                return refuse("is in no directory of this machine".into(), hint);
            }
        },
        Err(e) => return refuse(format!("cannot be carried to the hosts: {e}"), "mount files of the package"),
    };
    if read_only.is_none() {
        cx.carried.note_silent(place, format!("{path}: `{text}`"));
    }
    Some(MountKind::Archive(archive))
}

/// Digest and length of a path's archive; or why there is none, and what to do.
fn packed(full: PathBuf, cx: &LoadContext<'_>) -> Result<(String, u64), (String, &'static str)> {
    let known = cx.carried.packed.borrow().get(&full).cloned();
    let packed = known.map_or_else(|| pack(&full), Ok).map_err(|error| match error {
        PackError::Absent => (error.to_string(), HINT),
        PackError::Empty => (format!("{error}, and read-only there"), HINT),
        _ => (error.to_string(), "mount only files that containers need"),
    })?;
    let found = (packed.digest.clone(), packed.content.len() as u64);
    cx.carried.packed.borrow_mut().insert(full, packed);
    Ok(found)
}

/// A relative path as the project's directory has it, `./conf/x`: the same here and where the files came along in a
/// larger tree.
fn as_seen_from_project(text: &str, cx: &LoadContext<'_>) -> String {
    if text.starts_with(['/', '~']) {
        return text.to_owned();
    }
    let first = cx.project.paths.first().filter(|_| cx.project.source.root().is_none());
    let dir = first.and_then(|f| f.rsplit_once('/')).map_or("", |(dir, _)| dir);
    let path = join("", text);
    let (mut dir, mut path) = (parts(dir), parts(&path));
    let common = dir.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let (up, down) = ("../".repeat(dir.split_off(common).len()), path.split_off(common).join("/"));
    match (up.is_empty() && !down.starts_with(".."), down.is_empty()) {
        (true, true) => ".".to_owned(),
        (true, false) => format!("./{down}"),
        _ => format!("{up}{down}"),
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|p| !p.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use crate::compose::Loaded;
    use crate::compose::open::{ComposeRequest, open};
    use std::path::Path;

    /// Reads `web` with these volumes, in a directory with some files.
    fn read(dir: &Path, volumes: &str) -> Result<Loaded, String> {
        std::fs::create_dir_all(dir.join("init.d")).expect("made");
        std::fs::create_dir_all(dir.join("empty")).expect("made");
        std::fs::write(dir.join("nginx.conf"), "events {}").expect("written");
        std::fs::write(dir.join("init.d/a.sh"), "#!/bin/sh").expect("written");
        let file = dir.join("compose.yaml");
        let text = format!("name: shop\nservices:\n  web:\n    image: w\n    volumes: {volumes}\n");
        std::fs::write(&file, text).expect("written");
        open(&ComposeRequest { files: vec![file], ..ComposeRequest::default() }).map_err(|e| e.to_string())
    }

    #[test]
    fn files_next_to_the_compose_file_come_along() {
        let dir = tempfile::tempdir().expect("a directory");
        let long = "{type: bind, source: ./init.d, target: /init.d, read_only: true}";
        let loaded =
            read(dir.path(), &format!("['./nginx.conf:/n.conf', './nginx.conf:/again:ro', {long}, '/host:/h']"));
        let loaded = loaded.expect("read");
        let mounts = &loaded.stack.services["web"].volumes;
        assert_eq!(mounts.iter().map(|m| m.read_only).collect::<Vec<_>>(), [true, true, true, false]);
        let archives = loaded.stack.archives();
        assert_eq!((archives.len(), loaded.archives.len()), (2, 2), "one content is packed once");
        for packed in &loaded.archives {
            assert_eq!(archives[packed.digest.as_str()].size, packed.content.len() as u64);
        }
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("compose.yaml:5:15: services.web.volumes[0]: `./nginx.conf`"), "{warnings:?}");
        let before: Vec<&str> = archives.into_keys().collect();
        std::fs::write(dir.path().join("compose.yaml"), "").expect("written");
        let again = read(dir.path(), "['./nginx.conf:/n.conf:ro', './init.d:/init.d:ro']").expect("read");
        assert_eq!(again.stack.archives().into_keys().collect::<Vec<_>>(), before);
        assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    }

    #[test]
    fn nothing_that_is_written_is_lost_silently() {
        let dir = tempfile::tempdir().expect("a directory");
        for (volumes, why) in [
            (
                "['./data:/var/lib/x']",
                "`./data` cannot be carried to the hosts: there is no such file or directory; mount a named",
            ),
            (
                "['./empty:/var/lib/x']",
                "`./empty` cannot be carried to the hosts: it is an empty directory, and read-only there; mount",
            ),
            (
                "['./init.d:/x:rw']",
                "`./init.d` is carried to the hosts and cannot be written there; mount a named volume",
            ),
            ("[{type: bind, source: ./init.d, target: /x, read_only: false}]", "cannot be written there"),
            ("[{type: bind, source: ./none, target: /x, bind: {create_host_path: true}}]", "there is no such file"),
        ] {
            let error = read(dir.path(), volumes).expect_err("refused");
            assert!(error.contains("/compose.yaml:5:15: services.web.volumes[0]: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_relative_in_a_file_elsewhere_is_no_path_of_hosts() {
        let (dir, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        read(dir.path(), "['/host:/h']").expect("read");
        std::fs::write(other.path().join("own"), "x").expect("written");
        std::fs::write(other.path().join("b.yaml"), "services: {web: {volumes: ['./own:/own:ro']}}").expect("written");
        let files = vec![dir.path().join("compose.yaml"), other.path().join("b.yaml")];
        let loaded = open(&ComposeRequest { files, ..ComposeRequest::default() }).expect("read");
        let own = other.path().canonicalize().expect("there").join("own");
        let sources: Vec<&str> = loaded.stack.archives().into_values().map(|a| a.source.as_str()).collect();
        assert_eq!(sources, [own.to_str().expect("UTF-8")]);
    }
}
