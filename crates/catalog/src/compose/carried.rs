//! Bind mounts of files next to the Compose file, for stacks that run on other machines: they are carried along, as
//! archives, and are read-only there.

use super::LoadContext;
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
    let refuse = |why: String, hint: &str| {
        cx.log.problem_hint(place, format!("{path}: `{text}` {why}"), Some(hint.to_owned()));
        None
    };
    if read_only == Some(false) {
        return refuse("is carried to the hosts and cannot be written there".into(), HINT);
    }
    let full = match cx.project.source.locate(&expand_home(text, cx)) {
        Ok(Some(full)) => full,
        Ok(None) => {
            let hint = "mount text with `configs`, or deploy with `stackyard stack deploy` or `stackyard up`";
            return refuse("is in no directory of this machine".into(), hint);
        }
        Err(e) => return refuse(format!("cannot be carried to the hosts: {e}"), "mount files of the package"),
    };
    let known = cx.carried.packed.borrow().get(&full).cloned();
    let packed = match known.map_or_else(|| pack(&full), Ok) {
        Ok(packed) => packed,
        Err(error @ PackError::Absent) => return refuse(format!("cannot be carried to the hosts: {error}"), HINT),
        Err(error @ PackError::Empty) => {
            return refuse(format!("cannot be carried to the hosts: {error}, and read-only there"), HINT);
        }
        Err(error) => {
            return refuse(format!("cannot be carried to the hosts: {error}"), "mount only files that containers need");
        }
    };
    if read_only.is_none() {
        cx.carried.note_silent(place, format!("{path}: `{text}`"));
    }
    let (digest, size) = (packed.digest.clone(), packed.content.len() as u64);
    cx.carried.packed.borrow_mut().insert(full, packed);
    Some(MountKind::Archive(Archive { source: text.to_owned(), digest, size }))
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
}
