//! The resolver's sockets in one container's network namespace.
//!
//! A question that comes in there is that namespace's own, whatever address it has: nothing else has a way to the
//! sockets. Sockets are opened as soon as Docker has set up the namespace, which is before the container's first program
//! runs. Which networks the container is on is known a moment later, after the agent's start also what runs on this host.
//! Until then its questions wait.

use super::answer::{Reply, Transport, failure, reply};
use super::forward::{Forwarder, read_message, write_message};
use super::zone::{Asker, Zone};
use hickory_proto::op::ResponseCode;
use rustix::io::Errno;
use stackyard_core::stack::RESOLVER;
use stackyard_platform::stack::Sandbox;
use stackyard_wire::namespace::Namespace;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Port of DNS (RFC 1035, section 4.2).
const DNS: u16 = 53;

/// How often the namespace is looked at until its sockets are open.
const OFTEN: Duration = Duration::from_millis(4);

/// Time that Docker has to make a namespace.
const THERE_WITHIN: Duration = Duration::from_secs(60);

/// Time that Docker has to set up its loopback interface.
const SET_UP_WITHIN: Duration = Duration::from_secs(3);

/// How long questions wait until it is known which container asks.
const KNOWN_WITHIN: Duration = Duration::from_secs(4);

/// Questions of one container that are forwarded or wait, at once. The agent refuses more.
const AT_ONCE: usize = 64;

/// Questions of all containers that are forwarded, at once. Each has an open file.
const OPEN_FILES: usize = 384;

/// Connections of one container at once. The agent closes more.
const CONNECTIONS: usize = 32;

/// A connection without a question is closed after this time.
const IDLE: Duration = Duration::from_secs(10);

/// Pause before the next connection after open files ran out.
const CALM: Duration = Duration::from_millis(100);

/// Largest question over UDP, in bytes.
const LARGEST: usize = 4096;

/// What all listeners share.
#[derive(Clone)]
pub(super) struct Shared {
    /// What names lead to; absent until it is known what runs here.
    pub(super) zone: watch::Receiver<Option<Arc<Zone>>>,
    files: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(zone: watch::Receiver<Option<Arc<Zone>>>) -> Self {
        Self { zone, files: Arc::new(Semaphore::new(OPEN_FILES)) }
    }
}

/// What a listener needs to answer.
#[derive(Clone)]
struct Answering {
    shared: Shared,
    /// The container that asks; absent until it is known.
    sandbox: watch::Receiver<Option<Arc<Sandbox>>>,
    namespace: Arc<Namespace>,
    slots: Arc<Semaphore>,
}

/// Answers questions in the network namespace `path` until it is dropped. Returns what failed.
pub(super) async fn listen(path: PathBuf, shared: Shared, sandbox: watch::Receiver<Option<Arc<Sandbox>>>) -> io::Error {
    let (namespace, udp, tcp) = match open(&path, &sandbox).await {
        Ok(opened) => opened,
        Err(e) => return e,
    };
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let answering = Answering { shared, sandbox, namespace, slots };
    tokio::select! {
        error = serve_udp(udp, answering.clone()) => error,
        error = serve_tcp(tcp, answering) => error,
    }
}

/// Opens the sockets as soon as the namespace is there.
async fn open(
    path: &Path,
    sandbox: &watch::Receiver<Option<Arc<Sandbox>>>,
) -> io::Result<(Arc<Namespace>, UdpSocket, TcpListener)> {
    let namespace = || {
        let process = sandbox.borrow().as_ref().map(|s| s.process);
        std::future::ready(open_namespace(path, process))
    };
    let namespace = Arc::new(within(THERE_WITHIN, namespace).await?);
    let opening = || {
        let namespace = namespace.clone();
        async move {
            let opened = tokio::task::spawn_blocking(move || namespace.open_sockets(bind)).await;
            opened.map_err(io::Error::other)?.map_err(io::Error::other)
        }
    };
    let (udp, tcp) = within(SET_UP_WITHIN, opening).await?;
    Ok((namespace, UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?))
}

/// Tries often for a time.
async fn within<T, F: Future<Output = io::Result<T>>>(time: Duration, attempt: impl Fn() -> F) -> io::Result<T> {
    let until = Instant::now() + time;
    loop {
        match attempt().await {
            Err(_) if Instant::now() < until => sleep(OFTEN).await,
            done => return done,
        }
    }
}

/// Opens a namespace by its file, or else by a process in it: Docker may have a mount namespace of its own.
fn open_namespace(path: &Path, process: Option<i64>) -> io::Result<Namespace> {
    let by_process = process.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
    let mut problem = io::Error::new(io::ErrorKind::NotFound, "its network namespace is not there");
    for file in [Some(path.to_owned()), by_process].into_iter().flatten() {
        match Namespace::open(&file) {
            Ok(namespace) if namespace.is_there()? && !namespace.is_current()? => return Ok(namespace),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => problem = io::Error::new(e.kind(), format!("cannot open {}: {e}", file.display())),
        }
    }
    Err(problem)
}

fn bind() -> io::Result<(StdUdpSocket, StdTcpListener)> {
    let at = SocketAddr::from((RESOLVER, DNS));
    let (udp, tcp) = (StdUdpSocket::bind(at)?, StdTcpListener::bind(at)?);
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    Ok((udp, tcp))
}

async fn serve_udp(socket: UdpSocket, answering: Answering) -> io::Error {
    let socket = Arc::new(socket);
    let mut waiting = JoinSet::new();
    let mut message = vec![0; LARGEST];
    loop {
        let (length, from) = match socket.recv_from(&mut message).await {
            Ok(received) => received,
            // A client that did not wait for its answer.
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(e) => return e,
        };
        let question = &message[..length];
        match answering.at_once(question, Transport::Udp) {
            Some(Reply::Answer(answer)) => drop(socket.try_send_to(&answer, from)),
            Some(Reply::Ignore) => {}
            Some(Reply::Forward) | None => {
                let (socket, answering, question) = (socket.clone(), answering.clone(), question.to_vec());
                waiting.spawn(async move {
                    if let Some(answer) = answering.later(&question, Transport::Udp).await {
                        let _ = socket.send_to(&answer, from).await;
                    }
                });
            }
        }
        while waiting.try_join_next().is_some() {}
    }
}

async fn serve_tcp(listener: TcpListener, answering: Answering) -> io::Error {
    let mut connections = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
            // Questions over UDP need no open file of their own.
            Err(e) if is_out_of_files(&e) => {
                sleep(CALM).await;
                continue;
            }
            Err(e) => return e,
        };
        while connections.try_join_next().is_some() {}
        if connections.len() < CONNECTIONS {
            connections.spawn(serve_connection(stream, answering.clone()));
        }
    }
}

/// Whether the process, or the system, has as many open files as it may (accept(2)).
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

async fn serve_connection(mut stream: TcpStream, answering: Answering) {
    while let Ok(Ok(Some(question))) = timeout(IDLE, read_message(&mut stream)).await {
        let answer = match answering.at_once(&question, Transport::Tcp) {
            Some(Reply::Answer(answer)) => Some(answer),
            Some(Reply::Ignore) => None,
            Some(Reply::Forward) | None => answering.later(&question, Transport::Tcp).await,
        };
        let Some(answer) = answer else { return };
        if !matches!(timeout(IDLE, write_message(&mut stream, &answer)).await, Ok(Ok(()))) {
            return;
        }
    }
}

impl Answering {
    /// The reply, if it is known which container asks and what names lead to.
    fn at_once(&self, question: &[u8], transport: Transport) -> Option<Reply> {
        let sandbox = self.sandbox.borrow();
        let zone = self.shared.zone.borrow();
        let Sandbox { stack, networks, .. } = &**sandbox.as_ref()?;
        Some(reply(question, transport, &Asker { stack, networks }, zone.as_ref()?))
    }

    /// The answer to a question that has to wait, or that other servers have to answer.
    async fn later(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let servfail = || match failure(question, ResponseCode::ServFail) {
            Reply::Answer(answer) => Some(answer),
            _ => None,
        };
        let Ok(_slot) = self.slots.try_acquire() else { return servfail() };
        let (mut sandbox, mut zone) = (self.sandbox.clone(), self.shared.zone.clone());
        let known =
            async { sandbox.wait_for(Option::is_some).await.is_ok() && zone.wait_for(Option::is_some).await.is_ok() };
        if timeout(KNOWN_WITHIN, known).await != Ok(true) {
            return servfail();
        }
        let sandbox = sandbox.borrow().clone()?;
        match self.at_once(question, transport)? {
            Reply::Answer(answer) => Some(answer),
            Reply::Ignore => None,
            Reply::Forward => self.forward(&sandbox, question, transport).await.or_else(servfail),
        }
    }

    async fn forward(&self, sandbox: &Sandbox, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        // Only a question that is under way holds one: a container's idle connections take nothing from others.
        let _file = self.shared.files.try_acquire().ok()?;
        let own_servers = Arc::new(sandbox.name_servers.clone());
        let forwarder = Forwarder { namespace: self.namespace.clone(), own_servers, is_internal: sandbox.is_internal };
        forwarder.ask(question, transport).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::zone::tests::container;
    use super::*;
    use std::time::Instant as Clock;

    /// Names that a client asks for in turn: a service with three replicas, and one of them.
    const QUESTIONS: [&[u8]; 2] = [
        b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01",
        b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x05web-2\0\0\x01\0\x01",
    ];

    /// Serves on a thread, and returns the address and a file with the thread's CPU time.
    fn serve() -> (SocketAddr, String) {
        let (ready, began) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let all = [1, 2, 3].map(|i| container("web", i, true, &[&format!("10.0.0.{i}")]));
                let (_zone, zone) = watch::channel(Some(Arc::new(Zone::new(&all))));
                let answering = answering(zone, known_sandbox());
                let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                let task = std::fs::read_link("/proc/thread-self").unwrap();
                ready.send((socket.local_addr().unwrap(), format!("/proc/{}/schedstat", task.display()))).unwrap();
                serve_udp(socket, answering).await
            })
        });
        began.recv().unwrap()
    }

    fn ask(server: SocketAddr, times: usize) -> Vec<Duration> {
        let socket = StdUdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.connect(server).unwrap();
        let mut answer = [0; 512];
        let one = |i: usize| {
            let begun = Clock::now();
            socket.send(QUESTIONS[i % 2]).unwrap();
            let length = socket.recv(&mut answer).unwrap();
            assert_eq!((answer[7], length > 30), (if i.is_multiple_of(2) { 3 } else { 1 }, true));
            begun.elapsed()
        };
        (0..times).map(one).collect()
    }

    fn sandbox_of(networks: &[&str]) -> Sandbox {
        Sandbox {
            path: PathBuf::new(),
            process: 1,
            stack: "shop".into(),
            networks: super::super::zone::tests::networks(networks),
            name_servers: Vec::new(),
            is_internal: true,
        }
    }

    fn answering(
        zone: watch::Receiver<Option<Arc<Zone>>>,
        sandbox: watch::Receiver<Option<Arc<Sandbox>>>,
    ) -> Answering {
        let namespace = Arc::new(Namespace::open(Path::new("/proc/self/ns/net")).unwrap());
        Answering { shared: Shared::new(zone), sandbox, namespace, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    fn known_sandbox() -> watch::Receiver<Option<Arc<Sandbox>>> {
        watch::Sender::new(Some(Arc::new(sandbox_of(&["shop_front"])))).subscribe()
    }

    fn code(answer: &[u8]) -> u8 {
        answer[3] & 0x0f
    }

    /// The agent was started again: the engine has not told yet what runs here.
    #[tokio::test(start_paused = true)]
    async fn questions_wait_until_it_is_known_what_runs_here() {
        let zone = watch::Sender::new(None);
        let answering = answering(zone.subscribe(), known_sandbox());
        assert_eq!(answering.at_once(QUESTIONS[0], Transport::Udp), None, "it is not forwarded");
        let late = answering.later(QUESTIONS[0], Transport::Udp).await.unwrap();
        assert_eq!(code(&late), 2, "SERVFAIL, so that the client asks again");
        let asked = {
            let answering = answering.clone();
            tokio::spawn(async move { answering.later(QUESTIONS[0], Transport::Udp).await })
        };
        sleep(Duration::from_secs(1)).await;
        zone.send_replace(Some(Arc::new(Zone::new(&[container("web", 1, true, &["10.0.0.1"])]))));
        let answer = asked.await.unwrap().unwrap();
        assert_eq!((code(&answer), answer[7]), (0, 1));
    }

    #[tokio::test]
    async fn idle_connections_take_nothing_from_other_containers() {
        let (_zone, zone) = watch::channel(Some(Arc::new(Zone::new(&[]))));
        let answering = answering(zone, known_sandbox());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let files = answering.shared.files.clone();
        tokio::spawn(serve_tcp(listener, answering));
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(TcpStream::connect(at).await.unwrap());
        }
        // Each is served: one answers.
        let last = idle.last_mut().unwrap();
        write_message(last, b"\0\x07\x01\0\0\0\0\0\0\0\0\0").await.unwrap();
        assert_eq!(code(&read_message(last).await.unwrap().unwrap()), 1, "no question");
        assert_eq!(files.available_permits(), OPEN_FILES);
    }

    #[test]
    fn only_open_files_that_ran_out_pass() {
        let error = |code: Errno| io::Error::from(code);
        assert!(is_out_of_files(&error(Errno::MFILE)) && is_out_of_files(&error(Errno::NFILE)));
        assert!(!is_out_of_files(&error(Errno::INVAL)) && !is_out_of_files(&io::Error::other("x")));
    }

    #[test]
    fn a_namespace_that_cannot_be_opened_says_why() {
        let of = |path: &str| open_namespace(Path::new(path), None).unwrap_err();
        let error = of("/proc/self/ns/net/x");
        assert!(error.to_string().contains("/proc/self/ns/net/x: Not a directory"), "{error}");
        assert_eq!(of("/proc/self/nothing").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn questions_are_answered_over_a_socket() {
        let (server, _) = serve();
        assert_eq!(ask(server, 10).len(), 10);
    }

    /// Prints answers a second of CPU time, and the 99th percentile of a question's time in microseconds.
    #[test]
    #[ignore = "a measurement, for bench/run names"]
    fn answers_a_second() {
        let (server, stat) = serve();
        ask(server, 1000);
        let on_cpu = || -> u64 {
            let text = std::fs::read_to_string(&stat).unwrap();
            text.split(' ').next().unwrap().parse().unwrap()
        };
        let (before, begun) = (on_cpu(), Clock::now());
        let clients: Vec<_> = (0..4).map(|_| std::thread::spawn(move || ask(server, 50_000))).collect();
        let mut times: Vec<Duration> = clients.into_iter().flat_map(|c| c.join().unwrap()).collect();
        let (took, used) = (begun.elapsed(), Duration::from_nanos(on_cpu() - before));
        times.sort();
        let count = times.len() as f64;
        println!(
            "answers {:.0} core {:.0} p99 {}",
            count / took.as_secs_f64(),
            count / used.as_secs_f64(),
            times[times.len() * 99 / 100].as_micros()
        );
    }
}
