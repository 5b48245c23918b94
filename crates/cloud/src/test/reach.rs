//! Reaching an address from this machine: ICMP, TCP, HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, sockopt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::TestFault;
use super::guest::BULK;

/// Waits for an echo reply and returns its time. RFC 792.
pub async fn ping(address: &str, limit: Duration) -> Result<Duration, TestFault> {
    let to: Ipv4Addr = address.parse().map_err(|_| format!("{address:?} is no IPv4 address"))?;
    tokio::task::spawn_blocking(move || echo(to, limit)).await.map_err(|e| TestFault(e.to_string()))?
}

fn echo(to: Ipv4Addr, limit: Duration) -> Result<Duration, TestFault> {
    let started = Instant::now();
    let trouble = |e: io::Error| TestFault(format!("an ICMP socket: {e}"));
    // The kernel lets some groups have the first kind; root has the second.
    let open = |kind| rustix::net::socket(AddressFamily::INET, kind, Some(ipproto::ICMP));
    let (socket, raw): (OwnedFd, bool) = match open(SocketType::DGRAM) {
        Ok(socket) => (socket, false),
        Err(_) => (open(SocketType::RAW).map_err(|e| trouble(e.into()))?, true),
    };
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(1)))
        .map_err(|e| trouble(e.into()))?;
    let to_socket = SocketAddrV4::new(to, 0);
    let mut last = String::new();
    for sequence in 1..=u16::MAX {
        if started.elapsed() > limit {
            return Err(TestFault(format!("no echo reply from {to} in {} s{last}", limit.as_secs())));
        }
        let sent = Instant::now();
        if let Err(e) = rustix::net::sendto(&socket, &echo_request(sequence), SendFlags::empty(), &to_socket) {
            last = format!(" ({e})");
            std::thread::sleep(Duration::from_millis(500));
            continue;
        }
        while sent.elapsed() < Duration::from_secs(1) {
            let mut buffer = [0_u8; 256];
            let Ok((_, length)) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty()) else { break };
            // A raw socket hands over the IP header, too.
            let header = if raw { usize::from(buffer[0] & 0xf) * 4 } else { 0 };
            let Some(answer) = buffer.get(header..length) else { continue };
            if answer.len() >= 8 && answer[0] == 0 && answer[6..8] == sequence.to_be_bytes() {
                return Ok(sent.elapsed());
            }
        }
    }
    Err(TestFault(format!("no echo reply from {to}")))
}

/// An echo request. With a datagram socket the kernel sets the identifier.
fn echo_request(sequence: u16) -> [u8; 16] {
    let mut packet = [8, 0, 0, 0, b's', b'y', 0, 0, b's', b't', b'a', b'c', b'k', b'y', b'r', b'd'];
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    let mut sum: u32 = packet.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).unwrap_or(0);
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// How a connection attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub enum PortKnock {
    /// It is open.
    Open,
    /// Somebody said no.
    Refused,
    /// Nobody said anything.
    Silence,
}

/// Tries to connect once.
pub async fn knock(address: &str, port: u16, limit: Duration) -> Result<PortKnock, TestFault> {
    let to = socket(address, port)?;
    Ok(match tokio::time::timeout(limit, TcpStream::connect(to)).await {
        Err(_) => PortKnock::Silence,
        Ok(Ok(_)) => PortKnock::Open,
        Ok(Err(e)) if e.kind() == io::ErrorKind::TimedOut => PortKnock::Silence,
        Ok(Err(_)) => PortKnock::Refused,
    })
}

/// Gets `path` by HTTP on port 80 once, on a connection of its own.
pub async fn get_once(address: &str, path: &str, limit: Duration) -> Result<String, TestFault> {
    let body = request(address, &format!("GET {path}"), &[], limit).await?;
    Ok(String::from_utf8_lossy(&body).trim().to_owned())
}

/// Moves [`BULK`] from the guest's `bulk` and as much to it, on one connection each.
pub async fn bulk(address: &str, limit: Duration) -> Result<String, TestFault> {
    let started = Instant::now();
    let got = request(address, "GET /cgi-bin/bulk", &[], limit).await?.len();
    let from = started.elapsed();
    let told = request(address, "POST /cgi-bin/bulk", &vec![0; BULK], limit).await?;
    let to = started.elapsed() - from;
    let told = String::from_utf8_lossy(&told).trim().to_owned();
    if got != BULK || told != BULK.to_string() {
        return Err(TestFault(format!("of {BULK} bytes, {got} came from {address} and it counted {told:?}")));
    }
    Ok(format!("4 MiB from it in {:.1} s, 4 MiB to it in {:.1} s", from.as_secs_f64(), to.as_secs_f64()))
}

/// One request of HTTP/1.0 to port 80; its answer's body.
async fn request(address: &str, what: &str, body: &[u8], limit: Duration) -> Result<Vec<u8>, TestFault> {
    let (url, to) = (what.replacen(' ', &format!(" http://{address}"), 1), socket(address, 80)?);
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        stream.write_all(format!("{what} HTTP/1.0\r\nHost: {address}\r\n{length}\r\n").as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let mut answer = tokio::time::timeout(limit, exchange)
        .await
        .map_err(|_| format!("{url} did not end in {} s", limit.as_secs()))?
        .map_err(|e| format!("{url}: {e}"))?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(|| format!("{url}: no HTTP answer"))?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer);
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(body),
        _ => Err(TestFault(format!("{url}: {}", head.lines().next().unwrap_or_default()))),
    }
}

/// The same until it answers.
pub async fn get(address: &str, path: &str, limit: Duration) -> Result<String, TestFault> {
    let started = Instant::now();
    loop {
        match get_once(address, path, Duration::from_secs(5)).await {
            Ok(body) => return Ok(body),
            Err(fault) if started.elapsed() > limit => return Err(fault),
            Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
        }
    }
}

fn socket(address: &str, port: u16) -> Result<SocketAddr, TestFault> {
    let ip: IpAddr = address.parse().map_err(|_| format!("{address:?} is no address"))?;
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_is_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let knock_open = knock("127.0.0.1", port, Duration::from_secs(2)).await.expect("knock");
        assert_eq!(knock_open, PortKnock::Open);
        drop(listener);
        // A child that another test has just forked holds the listener until it executes its program.
        let mut closed = PortKnock::Open;
        for _ in 0..100 {
            closed = knock("127.0.0.1", port, Duration::from_secs(2)).await.expect("knock");
            if closed == PortKnock::Refused {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(closed, PortKnock::Refused);
        // Where neither kind of ICMP socket may be opened, the error must say so.
        match ping("127.0.0.1", Duration::from_secs(2)).await {
            Ok(took) => assert!(took < Duration::from_secs(1)),
            Err(fault) => assert!(fault.0.contains("ICMP socket"), "{fault:?}"),
        }
    }

    #[test]
    fn checksum_of_an_echo_request() {
        let packet = echo_request(7);
        let sum: u32 = packet.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}
