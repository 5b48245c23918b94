//! Questions about other names: passed on to the container's name servers, and their answers back.
//!
//! A question leaves from the container's network namespace, so it takes the way that the container's own packets take:
//! it reaches a server on the container's network, and leaves no internal network. Each question has a socket of its
//! own, and so a random port.

use super::answer::Transport;
use super::upstream::{Upstream, upstreams};
use stackyard_wire::namespace::Namespace;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

/// Port of DNS (RFC 1035, section 4.2).
const DNS: u16 = 53;

/// Time for one name server.
const EACH: Duration = Duration::from_secs(2);

/// Time for a question: clients ask again after five seconds (resolv.conf(5)).
const ALL: Duration = Duration::from_millis(4500);

/// Largest datagram of a name server, in bytes.
const LARGEST: usize = 4096;

/// Length of a message's header in bytes, and its parts (RFC 1035, section 4.1.1).
const HEADER: usize = 12;
const RCODE: u8 = 0x0f;
const SERVFAIL: u8 = 2;
const REFUSED: u8 = 5;

/// Name servers of a container, and its network namespace.
#[derive(Debug, Clone)]
pub(super) struct Forwarder {
    pub(super) namespace: Arc<Namespace>,
    pub(super) own_servers: Arc<Vec<IpAddr>>,
    pub(super) is_internal: bool,
}

impl Forwarder {
    /// The answer of the first name server that has one. `None` if none has.
    pub(super) async fn ask(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let until = Instant::now() + ALL;
        let (own, is_internal) = (self.own_servers.clone(), self.is_internal);
        // Files that were changed count from the next question on.
        let servers = tokio::task::spawn_blocking(move || upstreams(&own, is_internal)).await.ok()?;
        let mut last = None;
        for server in servers {
            let due = until.min(Instant::now() + EACH);
            let asked = async {
                match transport {
                    Transport::Udp => self.over_udp(server, question).await,
                    Transport::Tcp => self.over_tcp(server, question).await,
                }
            };
            let Ok(Ok(answer)) = timeout_at(due, asked).await else { continue };
            let refused = matches!(answer[3] & RCODE, SERVFAIL | REFUSED);
            last = Some(answer);
            if !refused {
                break;
            }
        }
        last
    }

    async fn over_udp(&self, server: Upstream, question: &[u8]) -> io::Result<Vec<u8>> {
        let any = any_address(server.address);
        let open = move || {
            let socket = StdUdpSocket::bind(any)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = UdpSocket::from_std(self.open(server, open).await?)?;
        // Connected, it hears this server only.
        socket.connect((server.address, DNS)).await?;
        socket.send(question).await?;
        let mut answer = vec![0; LARGEST];
        loop {
            let length = socket.recv(&mut answer).await?;
            if answers(question, &answer[..length]) {
                answer.truncate(length);
                return Ok(answer);
            }
        }
    }

    async fn over_tcp(&self, server: Upstream, question: &[u8]) -> io::Result<Vec<u8>> {
        let is_v4 = server.address.is_ipv4();
        let open = move || if is_v4 { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = self.open(server, open).await?;
        let mut stream = socket.connect(SocketAddr::new(server.address, DNS)).await?;
        write_message(&mut stream, question).await?;
        let answer = read_message(&mut stream).await?;
        match answer.filter(|a| answers(question, a)) {
            Some(answer) => Ok(answer),
            None => Err(io::Error::other("no answer to the question")),
        }
    }

    /// Opens a socket where the server is asked from.
    async fn open<T: Send + 'static>(
        &self,
        server: Upstream,
        open: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if server.from_host {
            return open();
        }
        let namespace = self.namespace.clone();
        let opened = tokio::task::spawn_blocking(move || namespace.open_sockets(open)).await;
        opened.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

fn any_address(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Whether a message answers a question: a response with its number, that repeats the question.
fn answers(question: &[u8], answer: &[u8]) -> bool {
    if answer.len() < HEADER || question.len() < HEADER || answer[..2] != question[..2] || answer[2] & 0x80 == 0 {
        return false;
    }
    // A server that could not read the question may leave it out.
    if answer[4..6] == [0, 0] {
        return answer[3] & RCODE != 0;
    }
    let asked = &question[HEADER..HEADER + question_length(&question[HEADER..])];
    answer.get(HEADER..HEADER + asked.len()).is_some_and(|repeated| repeated.eq_ignore_ascii_case(asked))
}

/// Length of the first question in bytes: its name, type and class.
fn question_length(questions: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = questions.get(at).filter(|l| **l != 0) {
        at += usize::from(*length) + 1;
    }
    (at + 5).min(questions.len())
}

/// Reads a message from a connection: two bytes of length, then the message. `None` at the connection's end.
pub(super) async fn read_message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        length => usize::from(length?),
    };
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

/// Writes a message to a connection.
pub(super) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(message);
    stream.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for `ab.` of type A with number 1.
    const QUESTION: [u8; 20] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, b'a', b'b', 0, 0, 1, 0, 1];

    fn answer(change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut bytes = QUESTION.to_vec();
        bytes[2] |= 0x80;
        change(&mut bytes);
        answers(&QUESTION, &bytes)
    }

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        assert!(answer(|_| {}));
        assert!(answer(|b| b[13] = b'A'), "names have no case");
        assert!(!answer(|b| b[1] = 2), "another number");
        assert!(!answer(|b| b[2] = 0), "a question");
        assert!(!answer(|b| b[14] = b'c'), "another name");
        assert!(!answer(|b| b[17] = 28), "another type");
        assert!(!answer(|b| b.truncate(15)));
        assert!(!answer(|b| b.truncate(3)));
        assert!(answer(|b| (b[3], b[5]) = (1, 0)), "a failure without the question");
        assert!(!answer(|b| b[5] = 0));
    }

    #[test]
    fn strange_questions_have_a_length() {
        assert_eq!(question_length(&QUESTION[12..]), 8);
        assert_eq!(question_length(&[]), 0);
        assert_eq!(question_length(&[63, 1]), 2);
        assert_eq!(question_length(&[0]), 1);
    }
}
