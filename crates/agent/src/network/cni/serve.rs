//! The agent's socket for plugins.

use super::failure::{Failure, code};
use super::protocol::{CONFIGURED, CniRequest, Command, LONGEST, Reply};
use super::verbs;
use crate::network::Error;
use crate::network::announce::PAUSES;
use crate::network::port_manager::PortManager;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use stackyard_core::text::error_chain;
use std::io::{self, Cursor, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Chain, Interest, Take};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// Makes the socket, for root alone. One that a killed agent left is replaced; one where somebody answers is not.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, Error> {
    let failed = |source| Error::Socket { path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Error::Request(format!(
            "another agent serves CNI plugins at {}; say --cni-socket for a second one",
            path.display()
        )));
    }
    // Nobody can connect before the mode is right.
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside).map_err(failed)?;
    std::fs::set_permissions(&beside, PermissionsExt::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)?;
    Ok(listener)
}

/// Answers plugins, for ever.
pub(crate) async fn serve(listener: UnixListener, manager: Arc<PortManager>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let manager = manager.clone();
                // Carried out also when the caller has gone away: what is half done would have to be found again.
                tokio::spawn(async move { answer(&manager, stream).await });
            }
            Err(e) => {
                manager.complain("a CNI plugin cannot be answered", &e);
                // Out of file descriptors, as a rule.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(manager: &PortManager, stream: UnixStream) {
    let Ok((beginning, namespace)) = first(&stream).await else { return };
    let (read, write) = stream.into_split();
    let mut caller = Caller { read: BufReader::new(Cursor::new(beginning).chain(read)).take(LONGEST), write };
    let Some(line) = caller.line().await else { return };
    let outcome = match serde_json::from_str::<CniRequest>(&line) {
        Ok(request) => {
            let outcome = carry_out(manager, &request, namespace, &mut caller).await;
            if let Err(failure) = &outcome {
                let (command, container, ifname) = (request.command, &request.container, &request.ifname);
                manager.say(format!("CNI {command:?} {container} {ifname}: {}", failure.msg));
            }
            outcome
        }
        Err(e) => Err(Failure::new(code::DECODE, format!("what the plugin sent cannot be read: {e}"))),
    };
    let last = outcome.map_or_else(Reply::Failed, |()| Reply::Done);
    caller.send(&last).await;
}

/// The beginning of what a plugin sends, and the file that came with it.
async fn first(stream: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut beginning = vec![0; 8192];
    let receive = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(stream, &mut [IoSliceMut::new(&mut beginning)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let file = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        Ok((got.bytes, file))
    };
    let (length, file) = stream.async_io(Interest::READABLE, receive).await?;
    beginning.truncate(length);
    Ok((beginning, file))
}

async fn carry_out(
    manager: &PortManager,
    request: &CniRequest,
    namespace: Option<OwnedFd>,
    caller: &mut Caller,
) -> Result<(), Failure> {
    match request.command {
        Command::Add => {
            let _lock = manager.locks.lock(&verbs::key(request)).await;
            let container_end = verbs::container_end(request, namespace);
            let (endpoint, attached) = verbs::add(manager, request, container_end.as_ref()).await?;
            caller.send(&Reply::Attached(attached)).await;
            let (wired, said) = tokio::join!(manager.wiring.ready(&endpoint), caller.line());
            let whole = match (wired, said.as_deref()) {
                (Ok(()), Some(CONFIGURED)) => match verbs::finish(manager, request) {
                    Ok(()) => {
                        if let Some(container_end) = container_end {
                            // Seven seconds: as long as it is open, the namespace stays, also without its container.
                            manager.announce(&endpoint, &PAUSES[..4], move |addresses| {
                                container_end.namespace.announce(addresses)
                            });
                        }
                        return Ok(());
                    }
                    Err(e) => e.into(),
                },
                (Ok(()), _) => Failure::new(code::HOST, "the plugin has gone away before all was configured"),
                (Err(e), _) => e.into(),
            };
            match manager.detach(&verbs::key(request), &endpoint).await {
                Ok(()) => Err(whole),
                Err(e) => Err(Failure::new(whole.code, format!("{}; then, {}", whole.msg, error_chain(&e)))),
            }
        }
        Command::Check => {
            let attached = verbs::check(manager, request).await?;
            caller.send(&Reply::Attached(attached)).await;
            Ok(())
        }
        Command::Del => {
            let _lock = manager.locks.lock(&verbs::key(request)).await;
            verbs::del(manager, request).await
        }
        Command::Gc => verbs::gc(manager, request).await,
        Command::Status => verbs::status(manager, request).await,
    }
}

/// The plugin at the other end.
struct Caller {
    read: Take<BufReader<Chain<Cursor<Vec<u8>>, OwnedReadHalf>>>,
    write: OwnedWriteHalf,
}

impl Caller {
    /// The next line; nothing when the plugin has gone away.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.read.read_line(&mut line).await {
            Ok(n) if n > 0 && line.ends_with('\n') => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }

    async fn send(&mut self, answer: &Reply) {
        let Ok(mut line) = serde_json::to_vec(answer) else { return };
        line.push(b'\n');
        // Whether it arrived is seen when the plugin says its next word.
        let _ = self.write.write_all(&line).await;
    }
}
