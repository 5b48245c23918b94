//! What containers send to the agent's resolver: a byte that chooses the transport, then a DNS message. Whatever it is,
//! the reply is well-formed, has the message's number, and over UDP is no longer than the client takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_agent::names::answer::{Reply, Transport, reply};
use stackyard_agent::names::zone::{Asker, Zone};
use stackyard_core::agent::{NamedContainer, NamedEndpoint, Replica};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A service `web` with 100 replicas of two addresses each.
static ZONE: LazyLock<Zone> = LazyLock::new(|| {
    let replica = |index: u32| {
        let addresses = vec![([10, 0, 0, index as u8]).into(), ([0xfd00, 0, 0, 0, 0, 0, 0, index as u16]).into()];
        let endpoint = NamedEndpoint { names: ["web".to_owned(), "a.b".to_owned()].into(), addresses };
        NamedContainer {
            stack: "shop".into(),
            replica: Replica { service: "web".into(), index },
            ready: true,
            networks: [("shop_front".to_owned(), endpoint)].into(),
        }
    };
    Zone::new(&(0..100).map(replica).collect::<Vec<_>>())
});

fuzz_target!(|data: &[u8]| {
    let Some((transport, message)) = data.split_first() else { return };
    let transport = if transport % 2 == 0 { Transport::Udp } else { Transport::Tcp };
    let networks = BTreeSet::from(["shop_front".to_owned()]);
    if let Reply::Answer(answer) = reply(message, transport, &Asker { stack: "shop", networks: &networks }, &ZONE) {
        assert!(answer.len() >= 12 && answer[..2] == message[..2], "the number");
        assert!(answer[2] & 0x80 != 0, "it is an answer");
        assert!(transport == Transport::Tcp || answer.len() <= 1232, "{} bytes", answer.len());
    }
});
