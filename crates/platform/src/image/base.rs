//! The Debian root: mmdebstrap on the host, straight into Docker.

use super::build::{BuildError, Run, told};
use super::host;
use super::output::{Output, OutputEvent};
use super::recipe::{ROOTFS, RootRecipe};
use super::{CONTENT, PARENT, RECIPE, UNFINISHED};
use bollard::body_try_stream;
use bollard::query_parameters::{CreateImageOptions, TagImageOptions};
use futures_util::TryStreamExt;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio_util::io::ReaderStream;

/// Where Debian's archive keys are, where the host is no Debian and apt does not know them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Makes and tags the root image; answers its id.
pub async fn make(run: &Run<'_>, root: &RootRecipe, step: &str) -> Result<String, BuildError> {
    let temp = run.temp()?;
    if !on_path("mmdebstrap") {
        return Err(BuildError::NoMmdebstrap);
    }
    let (program, args) = command(root);
    let mut child = Command::new(program)
        .args(args)
        .env("TMPDIR", temp.path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| BuildError::Host { doing: "start mmdebstrap", source })?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(BuildError::Host { doing: "read from mmdebstrap", source: std::io::ErrorKind::BrokenPipe.into() });
    };
    let mut output = Output::new(0);
    let import = import(run, stdout);
    let (_, imported) = tokio::join!(follow(run, step, stderr, &mut output), import);
    let status = ended(&mut child).await?;
    if !status.success() {
        // what Docker made of half an archive, if anything, is untagged and labelled: see `tidy`
        return Err(BuildError::Mmdebstrap { status, output: output.tail() });
    }
    let id = imported?;
    let tag = TagImageOptions { repo: Some(run.repository(ROOTFS)), tag: Some(run.recipe.release.clone()) };
    run.docker.api().tag_image(&id, Some(tag)).await.map_err(run.failed("tag", ROOTFS))?;
    Ok(id)
}

async fn ended(child: &mut Child) -> Result<std::process::ExitStatus, BuildError> {
    child.wait().await.map_err(|source| BuildError::Host { doing: "wait for mmdebstrap", source })
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// The program to start and its arguments.
///
/// As root, mmdebstrap mounts `/proc`, `/sys` and `/dev/pts` in the root that it makes. In
/// namespaces of its own these go with it however it ends, and it ends when we do.
fn command(root: &RootRecipe) -> (&'static str, Vec<String>) {
    let mut args: Vec<String> = Vec::new();
    let program = if rustix::process::geteuid().is_root() {
        let jail =
            "--pdeathsig KILL unshare --mount --pid --fork --kill-child=KILL --mount-proc mmdebstrap --mode=root";
        args.extend(jail.split(' ').map(str::to_owned));
        "setpriv"
    } else {
        "mmdebstrap"
    };
    args.extend(["--format=tar".to_owned(), "--verbose".to_owned(), format!("--variant={}", root.variant)]);
    if !root.include.is_empty() {
        args.push(format!("--include={}", root.include.join(",")));
    }
    args.extend(root.exclude_paths.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    args.extend(root.include_paths.iter().map(|path| format!("--dpkgopt=path-include={path}")));
    args.extend(root.dpkg_options.iter().map(|option| format!("--dpkgopt={option}")));
    if std::path::Path::new(KEYRING).exists() {
        args.push(format!("--keyring={KEYRING}"));
    }
    args.extend([root.suite.clone(), "-".to_owned()]);
    args.extend(host::apt_sources(&root.suite));
    (program, args)
}

/// Tells how far mmdebstrap is, from what it writes to standard error.
async fn follow(run: &Run<'_>, step: &str, stderr: impl AsyncRead + Unpin, output: &mut Output) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("I: creating tarball") {
            run.tell(told(step, OutputEvent::Doing("importing".to_owned(), None)));
        }
        output.take(&format!("{line}\n"), |news| run.tell(told(step, news)));
    }
}

/// Streams the archive into a new untagged image; answers its id.
async fn import(run: &Run<'_>, tar: impl AsyncRead + Send + 'static) -> Result<String, BuildError> {
    let label = |key: &str, value: &str| format!("LABEL {key}=\"{value}\"");
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        message: Some("Debian root by mmdebstrap".to_owned()),
        changes: vec![
            label(CONTENT, run.recipe.content(ROOTFS)),
            label(PARENT, ""),
            label(RECIPE, &run.scope),
            label(UNFINISHED, ""),
        ],
        ..Default::default()
    };
    let body = body_try_stream(ReaderStream::with_capacity(tar, 256 * 1024));
    let answers: Vec<_> = run
        .patient()
        .create_image(Some(options), Some(body), None)
        .try_collect()
        .await
        .map_err(run.failed("import", ROOTFS))?;
    // the last status is the new image's id
    match answers.into_iter().rev().find_map(|answer| answer.status.filter(|s| s.starts_with("sha256:"))) {
        Some(id) => Ok(id),
        None => Err(BuildError::NoId { image: ROOTFS.to_owned() }),
    }
}
