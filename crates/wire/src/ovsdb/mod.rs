//! OVSDB's protocol, JSON-RPC over a Unix or TCP socket (RFC 7047): transactions on the database of
//! Open vSwitch.
//!
//! Each transaction has a connection of its own, which costs some 50 µs on this machine's socket and keeps
//! a wait from holding up anything else.

mod value;

pub(crate) use value::{map, read_map, read_uuid, uuid};

use crate::Error;
use serde_json::{Value, json};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where `ovsdb-server` listens, as `ovs-vsctl --db` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `tcp:HOST:PORT`.
    Tcp(String),
}

impl Default for Remote {
    fn default() -> Self {
        Self::Unix(PathBuf::from("/run/openvswitch/db.sock"))
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

impl FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.to_owned())),
            None if text.starts_with('/') => Ok(Self::Unix(text.into())),
            _ => Err("an address of OVSDB is unix:PATH or tcp:HOST:PORT".to_owned()),
        }
    }
}

/// The database of Open vSwitch.
#[derive(Debug, Clone)]
pub struct Ovsdb {
    remote: Remote,
}

/// What a connection reads from and writes to.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Longest time for a transaction that waits for nothing.
const LIMIT: Duration = Duration::from_secs(10);

impl Ovsdb {
    /// The one at this address; nothing is connected yet.
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }

    /// Carries out operations (RFC 7047, section 5.2) as one transaction; their results. `doing` says in
    /// words what that is, as "add port p to bridge b".
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Refused`].
    pub fn transact(&self, doing: &str, operations: Vec<Value>) -> Result<Vec<Value>, Error> {
        self.transact_within(doing, operations, LIMIT)
    }

    /// The same for one that waits: `limit` is the longest time until the answer.
    pub(crate) fn transact_within(
        &self,
        doing: &str,
        operations: Vec<Value>,
        limit: Duration,
    ) -> Result<Vec<Value>, Error> {
        let mut params = vec![json!("Open_vSwitch")];
        params.extend(operations);
        let request = json!({"method": "transact", "params": params, "id": 1});
        let answer = self
            .exchange(&request, limit)
            .map_err(|source| Error::Unreachable { remote: self.remote.to_string(), source })?;
        let refused = |error: &Value| Error::Refused { doing: doing.to_owned(), said: said(error) };
        if !answer["error"].is_null() {
            return Err(refused(&answer));
        }
        let results = answer["result"].as_array().cloned().unwrap_or_default();
        match results.iter().find(|r| r.get("error").is_some()) {
            Some(error) => Err(refused(error)),
            None => Ok(results),
        }
    }

    fn exchange(&self, request: &Value, limit: Duration) -> io::Result<Value> {
        let mut stream: Box<dyn Stream> = match &self.remote {
            Remote::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(LIMIT))?;
                Box::new(stream)
            }
            Remote::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(LIMIT))?;
                Box::new(stream)
            }
        };
        stream.write_all(request.to_string().as_bytes())?;
        // Answers follow each other without a separator; the only thing asked of a client that has one
        // request is an echo, and that only after seconds: the timeout of the socket covers it.
        let mut answers = serde_json::Deserializer::from_reader(io::BufReader::new(&mut stream)).into_iter::<Value>();
        loop {
            match answers.next() {
                Some(Ok(answer)) if answer["id"] == request["id"] && answer.get("method").is_none() => {
                    return Ok(answer);
                }
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(e.into()),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")),
            }
        }
    }
}

/// An error of the database in words: its name, and details where there are any.
fn said(error: &Value) -> String {
    let name = error["error"].as_str().map_or_else(|| error["error"].to_string(), str::to_owned);
    match error["details"].as_str() {
        Some(details) => format!("{name}: {details}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_ovs_vsctl() {
        assert_eq!("unix:/run/x.sock".parse(), Ok(Remote::Unix("/run/x.sock".into())));
        assert_eq!("/run/x.sock".parse(), Ok(Remote::Unix("/run/x.sock".into())));
        assert_eq!("tcp:127.0.0.1:6640".parse(), Ok(Remote::Tcp("127.0.0.1:6640".into())));
        assert_eq!(Remote::default().to_string(), "unix:/run/openvswitch/db.sock");
        for bad in ["unix:", "tcp:host", "ssl:a:1", "x"] {
            assert!(bad.parse::<Remote>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_server_is_said_with_its_address() {
        let db = Ovsdb::new(Remote::Unix("/nowhere/db.sock".into()));
        let error = db.transact("look", Vec::new()).unwrap_err();
        assert!(error.to_string().contains("unix:/nowhere/db.sock"), "{error}");
    }
}
