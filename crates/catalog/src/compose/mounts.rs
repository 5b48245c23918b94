//! Volumes, bind mounts, memory mounts, devices, mounted files.

use super::canonical::FROM_HERE;
use super::service::{one_of, parsed};
use super::{LoadContext, Section, Target, Used, carried, cinder, units};
use crate::yaml::{FieldFate, FieldReading, Fields, Node};
use stackyard_core::stack::{
    Bind, Device, DeviceRequest, FileAccess, FileMount, Mount, MountKind, Propagation, VOLUME_DRIVER, Volume,
};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

const PROPAGATIONS: &[(&str, Propagation)] = &[
    ("private", Propagation::Private),
    ("rprivate", Propagation::Rprivate),
    ("shared", Propagation::Shared),
    ("rshared", Propagation::Rshared),
    ("slave", Propagation::Slave),
    ("rslave", Propagation::Rslave),
];

/// A service's `volumes`.
pub(crate) fn mounts(f: &Fields<'_, '_>, cx: &LoadContext<'_>) -> Vec<Mount> {
    let Some(node) = f.get("volumes") else { return Vec::new() };
    let path = f.at("volumes");
    let items = node.items(&path, f.log).iter().enumerate();
    items.filter_map(|(i, n)| mount(n, &format!("{path}[{i}]"), cx)).collect()
}

fn mount(node: &Node, path: &str, cx: &LoadContext<'_>) -> Option<Mount> {
    let f = Fields::of(node, path, cx.log)?;
    f.need("type", node);
    let kind = one_of(
        &f,
        "type",
        &[("volume", 'v'), ("bind", 'b'), ("tmpfs", 't'), ("image", 'i'), ("cluster", 'c'), ("npipe", 'n')],
    );
    let target = f.need("target", node).and_then(|n| absolute(n, &f.at("target"), &f));
    let source = f.string("source");
    let read_only = f.bool("read_only");
    let bind = f.get("bind").and_then(|n| Fields::of(n, f.at("bind"), f.log));
    let volume = f.get("volume").and_then(|n| Fields::of(n, f.at("volume"), f.log));
    let tmpfs = f.get("tmpfs").and_then(|n| Fields::of(n, f.at("tmpfs"), f.log));
    f.get("consistency");
    let kind = match (kind?, source) {
        ('v', source) => {
            let nocopy = volume.as_ref().and_then(|v| v.bool("nocopy")).unwrap_or(false);
            let subpath = volume.as_ref().and_then(|v| v.string("subpath"));
            Some(source.map_or(MountKind::Anonymous, |name| MountKind::Volume { name, nocopy, subpath }))
        }
        ('b', Some(source)) if cx.project.target == Target::Hosts && !source.starts_with('/') => {
            carried::mount(&source, read_only, &node.place, path, cx)
        }
        ('b', Some(source)) => {
            let source = host_path(&source, &node.place, path, cx);
            let propagation = bind.as_ref().and_then(|b| one_of(b, "propagation", PROPAGATIONS));
            let create_host_path = bind.as_ref().and_then(|b| b.bool("create_host_path")).unwrap_or(true);
            source.map(|source| MountKind::Bind(Bind { source, create_host_path, propagation }))
        }
        ('b', None) => {
            cx.log.problem(&node.place, format!("{path}: a bind mount needs a `source`"));
            None
        }
        ('t', _) => Some(MountKind::Tmpfs {
            size: tmpfs.as_ref().and_then(|t| parsed(t, "size", units::bytes)),
            mode: tmpfs.as_ref().and_then(tmpfs_mode),
        }),
        (other, _) => {
            let (word, hint) = match other {
                'i' => ("image", "copy its files into a volume with a one-shot service"),
                'c' => ("cluster", "use a volume with `driver: stackyard`"),
                _ => ("npipe", "it is for Windows only"),
            };
            let what = format!("{path}: `type: {word}`: only volume, bind and tmpfs can be mounted");
            cx.log.problem_hint(&node.place, what, Some(hint.into()));
            None
        }
    };
    if let Some(bind) = bind {
        bind.get("propagation");
        bind.get("create_host_path");
        let why = "volumes are not relabelled; use security_opt";
        bind.finish(true, &[("selinux", FieldFate::Ignored(why)), ("recursive", FieldFate::Refused("leave it out"))]);
    }
    if let Some(volume) = volume {
        volume.get("nocopy");
        volume.get("subpath");
        volume.finish(true, &[("labels", FieldFate::Refused("label the volume at top level"))]);
    }
    if let Some(tmpfs) = tmpfs {
        tmpfs.get("size");
        tmpfs.get("mode");
        tmpfs.finish(true, &[]);
    }
    f.finish(true, &[("image", FieldFate::Refused("only volume, bind and tmpfs can be mounted"))]);
    let kind = kind?;
    let read_only = read_only.unwrap_or(false) || matches!(kind, MountKind::Archive(_));
    Some(Mount { kind, target: target?, read_only })
}

/// Permission bits of a memory mount's directory.
fn tmpfs_mode(t: &Fields<'_, '_>) -> Option<u32> {
    parsed(t, "mode", |text| {
        let mode = crate::yaml::parse_int(text).and_then(|n| u32::try_from(n).ok()).filter(|m| *m <= 0o7777);
        mode.ok_or_else(|| "a file mode is expected; write it in octal, 01777".to_owned())
    })
}

/// Devices that are named as the Container Device Interface does, which a driver of the engine hands in.
pub(crate) fn device_names(f: &Fields<'_, '_>, requests: &mut Vec<DeviceRequest>) {
    let items = f.map.get("devices").and_then(Node::as_list).unwrap_or_default();
    let names: Vec<String> = items.iter().filter_map(Node::as_text).map(str::to_owned).collect();
    if !names.is_empty() {
        requests.push(DeviceRequest { driver: Some("cdi".into()), device_ids: names, ..DeviceRequest::default() });
    }
}

fn absolute(node: &Node, path: &str, f: &Fields<'_, '_>) -> Option<String> {
    let text = node.string(path, f.log)?;
    if !text.starts_with('/') {
        f.log.problem(&node.place, format!("{path}: `{text}` is not an absolute path"));
        return None;
    }
    Some(clean(Path::new(&text)))
}

/// A path of the host, absolute.
fn host_path(text: &str, place: &crate::diag::Place, path: &str, cx: &LoadContext<'_>) -> Option<String> {
    let text = expand_home(text.trim_start_matches(FROM_HERE), cx);
    if text.starts_with('/') {
        return Some(clean(Path::new(&text)));
    }
    match cx.project.source.root() {
        Some(root) => Some(clean(&root.join(&text))),
        None => {
            let hint = Some("mount files of the package with `configs`".into());
            cx.log.problem_hint(place, format!("{path}: `{text}` is in no directory of this machine"), hint);
            None
        }
    }
}

/// A path with a leading `~` replaced, where it is known what that is.
pub(crate) fn expand_home(text: &str, cx: &LoadContext<'_>) -> String {
    match (text.strip_prefix('~'), &cx.project.home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/')).display().to_string()
        }
        _ => text.to_owned(),
    }
}

/// An absolute path without `.`, `..` and a slash at its end.
pub(crate) fn clean(path: &Path) -> String {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::Normal(part) => clean.push(part),
            _ => {}
        }
    }
    clean.display().to_string()
}

/// A service's `tmpfs`: targets with options, `/run:size=64m,mode=1777`.
pub(crate) fn tmpfs(f: &Fields<'_, '_>) -> BTreeMap<String, String> {
    let Some(node) = f.get("tmpfs") else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for text in f.strings("tmpfs") {
        let (target, options) = text.split_once(':').unwrap_or((&text, ""));
        if !target.starts_with('/') {
            f.log.problem(&node.place, format!("{}: `{target}` is not an absolute path", f.at("tmpfs")));
        }
        all.insert(target.to_owned(), options.to_owned());
    }
    all
}

/// A service's `devices`.
pub(crate) fn devices(f: &Fields<'_, '_>) -> Vec<Device> {
    let Some(node) = f.get("devices") else { return Vec::new() };
    let path = f.at("devices");
    // Text is the CDI name of a device here; other short forms became long ones.
    let items = node.items(&path, f.log).iter().enumerate().filter(|(_, n)| n.as_text().is_none());
    let read = items.filter_map(|(i, n)| {
        let d = Fields::of(n, format!("{path}[{i}]"), f.log)?;
        let source = d.need("source", n).and_then(|s| absolute(s, &d.at("source"), &d));
        let target = d.get("target").and_then(|t| absolute(t, &d.at("target"), &d));
        let permissions = d.string("permissions").unwrap_or_else(|| "rwm".into());
        if permissions.is_empty() || !permissions.chars().all(|c| "rwm".contains(c)) {
            d.log.problem(&n.place, format!("{}: `{permissions}` is not of `rwm`", d.at("permissions")));
        }
        d.finish(true, &[]);
        let source = source?;
        Some(Device { target: target.unwrap_or_else(|| source.clone()), source, permissions })
    });
    read.collect()
}

/// A service's `configs` or `secrets`; `dir` is where a relative target is.
pub(crate) fn files(f: &Fields<'_, '_>, key: &'static str, dir: &str) -> Vec<FileMount> {
    let Some(node) = f.get(key) else { return Vec::new() };
    let path = f.at(key);
    let items = node.items(&path, f.log).iter().enumerate();
    let read = items.filter_map(|(i, n)| {
        let m = Fields::of(n, format!("{path}[{i}]"), f.log)?;
        let source = m.need("source", n).and_then(|s| s.string(&m.at("source"), m.log));
        let target = m.string("target");
        let access = access(&m);
        m.finish(true, &[]);
        let source = source?;
        let target = target.unwrap_or_else(|| source.clone());
        let target = if target.starts_with('/') { target } else { format!("{dir}{target}") };
        Some(FileMount { source, target, access })
    });
    read.collect()
}

/// `uid`, `gid` and `mode` of a mounted config or secret.
fn access(m: &Fields<'_, '_>) -> FileAccess {
    let number = |key: &'static str, most: u32, what: &str, default: u32| {
        let Some(node) = m.get(key) else { return default };
        let Some(number) = node.int(&m.at(key), m.log) else { return default };
        u32::try_from(number).ok().filter(|n| *n <= most).unwrap_or_else(|| {
            m.log.problem(&node.place, format!("{}: `{number}` is not {what}", m.at(key)));
            default
        })
    };
    let default = FileAccess::default();
    FileAccess {
        uid: number("uid", u32::MAX - 1, "the number of a user", default.uid),
        gid: number("gid", u32::MAX - 1, "the number of a group", default.gid),
        mode: number("mode", 0o777, "a file mode; write it in octal, 0444", default.mode),
    }
}

/// The top-level volumes that services use.
pub(crate) fn volumes(
    stack: &str,
    section: &Section<'_>,
    used: &Used,
    cx: &LoadContext<'_>,
) -> BTreeMap<String, Volume> {
    let mut volumes = BTreeMap::new();
    for (key, node) in section {
        let Some(f) = Fields::of(node, format!("volumes.{key}"), cx.log) else { continue };
        let (external, external_name) = external(&f);
        let name = f.string("name").or(external_name);
        if f.string("driver").as_deref() == Some(VOLUME_DRIVER) {
            cinder::check(&f, node, external, name.is_some(), cx);
        }
        let volume = Volume {
            name: name.unwrap_or_else(|| if external { (*key).to_owned() } else { format!("{stack}_{key}") }),
            external,
            driver: f.string("driver"),
            driver_opts: driver_opts(&f, cx),
            labels: f.text_map("labels"),
        };
        f.finish(true, &[]);
        if used.contains(*key) {
            volumes.insert((*key).to_owned(), volume);
        }
    }
    volumes
}

/// A volume's `driver_opts`; the directory that a local one binds is a path of the host.
fn driver_opts(f: &Fields<'_, '_>, cx: &LoadContext<'_>) -> BTreeMap<String, String> {
    let mut options = f.text_map("driver_opts");
    let local = f.string("driver").is_none_or(|d| d == "local");
    let binds = options.get("o").is_some_and(|o| o.split(',').any(|o| matches!(o, "bind" | "rbind")));
    if local
        && binds
        && let Some((device, node)) = options.get_mut("device").zip(f.map.get("driver_opts"))
        && !device.starts_with('/')
    {
        let at = f.at("driver_opts.device");
        if cx.project.target == Target::Hosts {
            let hint =
                Some("give a path that hosts have, or mount the directory itself: it is carried to the hosts".into());
            let problem = format!("{at}: `{device}` is a path of this machine, not of the hosts");
            cx.log.problem_hint(&node.place, problem, hint);
        } else if let Some(path) = host_path(device, &node.place, &at, cx) {
            *device = path;
        }
    }
    options
}

/// `external: true`, or the old `external: {name: x}`.
pub(crate) fn external(f: &Fields<'_, '_>) -> (bool, Option<String>) {
    match f.get("external") {
        None => (false, None),
        Some(node) if node.as_map().is_some() => {
            let Some(e) = Fields::of(node, f.at("external"), f.log) else { return (true, None) };
            let name = e.string("name");
            e.finish(true, &[]);
            (true, name)
        }
        Some(node) => (node.bool(&f.at("external"), f.log).unwrap_or(false), None),
    }
}
