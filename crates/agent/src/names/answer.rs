//! Answers to DNS messages (RFC 1035, EDNS of RFC 6891), without I/O.

use super::zone::{Asker, Zone};
use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record};
use std::net::IpAddr;

/// Largest answer over UDP in bytes, whatever the client takes: it must not be fragmented on its way.
const LARGEST_UDP: u16 = 1232;

/// Largest message over TCP in bytes (RFC 1035, section 4.2.2).
const LARGEST_TCP: u16 = u16::MAX;

/// Time that an answer may be kept, in seconds: a change is to be seen at once.
const TTL: u32 = 0;

/// Length of a message's header in bytes (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram; a long answer is cut, and the client asks again over TCP.
    Udp,
    /// Over a connection.
    Tcp,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// This is the answer.
    Answer(Vec<u8>),
    /// The name belongs to no stack: the container's own name servers know the answer.
    Forward,
    /// It is no question.
    Ignore,
}

/// Replies to `message` of a container.
pub fn reply(message: &[u8], transport: Transport, asker: &Asker<'_>, zone: &Zone) -> Reply {
    let Some(kind) = message.get(2).filter(|_| message.len() >= HEADER) else { return Reply::Ignore };
    if kind & 0x80 != 0 {
        return Reply::Ignore;
    }
    let Ok(asked) = Message::from_vec(message) else { return failure(message, ResponseCode::FormErr) };
    if asked.metadata.op_code != OpCode::Query {
        return failure(message, ResponseCode::NotImp);
    }
    let [question] = asked.queries.as_slice() else { return failure(message, ResponseCode::FormErr) };
    if question.query_class != DNSClass::IN {
        return Reply::Forward;
    }
    match zone.addresses(asker, &lower_case(question), question.query_type) {
        Some(addresses) => answer(&asked, question, addresses, transport),
        None => Reply::Forward,
    }
}

/// The answer to `message` that reports a failure.
pub fn failure(message: &[u8], code: ResponseCode) -> Reply {
    let Some([high, low]) = message.get(..2) else { return Reply::Ignore };
    let mut metadata = Metadata::new(u16::from_be_bytes([*high, *low]), MessageType::Response, OpCode::Query);
    let mut response = Message::new(metadata.id, MessageType::Response, OpCode::Query);
    if let Ok(asked) = Message::from_vec(message) {
        metadata = Metadata::response_from_request(&asked.metadata);
        response.queries = asked.queries;
    }
    response.metadata = metadata;
    response.metadata.response_code = code;
    response.metadata.recursion_available = true;
    encode(&response)
}

/// A question's name as the zone has it: lower case, without the last dot.
fn lower_case(question: &Query) -> String {
    let mut name = String::with_capacity(question.name.len());
    for label in question.name.iter() {
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
    }
    name
}

fn answer(asked: &Message, question: &Query, addresses: Vec<IpAddr>, transport: Transport) -> Reply {
    let mut response = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
    response.metadata = Metadata::response_from_request(&asked.metadata);
    response.metadata.authoritative = true;
    response.metadata.recursion_available = true;
    response.queries.push(question.clone());
    let mut largest = LARGEST_TCP;
    if transport == Transport::Udp {
        largest = asked.max_payload().min(LARGEST_UDP);
    }
    if asked.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_UDP);
        response.set_edns(edns);
    }
    let record = |address: IpAddr| {
        let data = match address {
            IpAddr::V4(a) => RData::A(a.into()),
            IpAddr::V6(a) => RData::AAAA(a.into()),
        };
        Record::from_rdata(question.name.clone(), TTL, data)
    };
    response.answers = addresses.into_iter().map(record).collect();
    cut(response, usize::from(largest))
}

/// The message in at most `largest` bytes: with fewer answers, and the mark that there are more, if it is too long.
fn cut(mut response: Message, largest: usize) -> Reply {
    loop {
        match response.to_vec() {
            Ok(bytes) if bytes.len() <= largest => return Reply::Answer(bytes),
            _ if response.answers.is_empty() => return Reply::Ignore,
            Ok(bytes) => {
                // An address takes 16 bytes or 28: a compressed name, ten bytes, and itself (RFC 1035, section 4.1.3).
                let surplus = (bytes.len() - largest).div_ceil(28).max(1);
                response.metadata.truncation = true;
                response.answers.truncate(response.answers.len().saturating_sub(surplus));
            }
            Err(_) => return Reply::Ignore,
        }
    }
}

fn encode(response: &Message) -> Reply {
    response.to_vec().map_or(Reply::Ignore, Reply::Answer)
}

#[cfg(test)]
mod tests {
    use super::super::zone::tests::{container, networks};
    use super::*;
    use hickory_proto::rr::{Name, RecordType};
    use std::collections::BTreeSet;

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(77, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn zone(replicas: u32) -> Zone {
        let of = |i: u32| container("web", i, true, &[&format!("10.0.{}.{}", i / 250, i % 250 + 1)]);
        Zone::new(&(1..=replicas).map(of).collect::<Vec<_>>())
    }

    fn ask(message: &Message, transport: Transport, zone: &Zone) -> Option<Message> {
        match reply(
            &message.to_vec().unwrap(),
            transport,
            &Asker { stack: "shop", networks: &networks(&["shop_front"]) },
            zone,
        ) {
            Reply::Answer(bytes) => {
                assert!(transport == Transport::Tcp || bytes.len() <= usize::from(message.max_payload()));
                Some(Message::from_vec(&bytes).unwrap())
            }
            Reply::Forward => None,
            Reply::Ignore => panic!("no reply"),
        }
    }

    #[test]
    fn a_name_has_the_addresses_of_its_replicas() {
        let answer = ask(&question("WEB.", RecordType::A), Transport::Udp, &zone(2)).unwrap();
        assert_eq!((answer.metadata.id, answer.metadata.response_code), (77, ResponseCode::NoError));
        assert!(answer.metadata.recursion_available && answer.metadata.recursion_desired);
        assert_eq!((answer.answers.len(), answer.answers[0].ttl), (2, 0));
        assert_eq!(answer.queries[0].name.to_ascii(), "WEB.", "as it was asked (0x20)");
        let one = ask(&question("web-2.", RecordType::A), Transport::Udp, &zone(2)).unwrap();
        assert_eq!(one.answers.len(), 1);
    }

    #[test]
    fn a_name_without_such_records_is_no_other_servers_business() {
        for kind in [RecordType::AAAA, RecordType::MX, RecordType::TXT] {
            let answer = ask(&question("web.", kind), Transport::Udp, &zone(1)).unwrap();
            assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0), "{kind}");
        }
        let stopped = Zone::new(&[container("web", 1, false, &[])]);
        let answer = ask(&question("web.", RecordType::A), Transport::Udp, &stopped).unwrap();
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0));
    }

    /// As glibc and musl ask: A and AAAA in pairs.
    #[test]
    fn each_replica_comes_first_in_its_turn() {
        let first = |zone: &Zone, name: &str, kind: RecordType| {
            let answer = ask(&question(name, kind), Transport::Udp, zone).unwrap();
            answer.answers.first().map(|record| record.data.to_string())
        };
        let v4: Vec<_> = [1, 2].map(|i| container("web", i, true, &[&format!("10.0.0.{i}")])).into();
        let dual: Vec<_> =
            [1, 2].map(|i| container("web", i, true, &[&format!("10.0.0.{i}"), &format!("fd00::{i}")])).into();
        for all in [v4, dual] {
            let zone = Zone::new(&all);
            let mut firsts = [BTreeSet::new(), BTreeSet::new()];
            for _ in 0..2 {
                for (kind, firsts) in [RecordType::A, RecordType::AAAA].into_iter().zip(&mut firsts) {
                    firsts.extend(first(&zone, "web.", kind));
                    // One replica has no turns, and those of another name are its own.
                    first(&zone, "web-1.", kind);
                    first(&zone, "shop_web.", kind);
                }
            }
            let has_v6 = all[0].networks["shop_front"].addresses.len() > 1;
            assert_eq!(firsts.map(|f| f.len()), [2, if has_v6 { 2 } else { 0 }]);
        }
    }

    #[test]
    fn other_names_are_forwarded() {
        for name in ["example.org.", "web.example.org.", "db.", "."] {
            assert_eq!(ask(&question(name, RecordType::A), Transport::Udp, &zone(1)), None, "{name}");
        }
        let bytes = question("web.", RecordType::A).to_vec().unwrap();
        let elsewhere =
            reply(&bytes, Transport::Udp, &Asker { stack: "shop", networks: &networks(&["other_front"]) }, &zone(1));
        assert_eq!(elsewhere, Reply::Forward, "a stack's names are for its networks");
    }

    #[test]
    fn a_long_answer_is_cut_and_whole_over_tcp() {
        let (zone, asked) = (zone(100), question("web.", RecordType::A));
        let short = ask(&asked, Transport::Udp, &zone).unwrap();
        assert!(short.metadata.truncation && (1..100).contains(&short.answers.len()));
        let whole = ask(&asked, Transport::Tcp, &zone).unwrap();
        assert!(!whole.metadata.truncation && whole.answers.len() == 100);
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        let mut asked = asked;
        asked.set_edns(edns);
        let longer = ask(&asked, Transport::Udp, &zone).unwrap();
        assert!(longer.edns.is_some() && longer.answers.len() > short.answers.len());
    }

    #[test]
    fn messages_that_are_no_questions_get_an_error_or_nothing() {
        let of = |bytes: &[u8]| {
            reply(bytes, Transport::Udp, &Asker { stack: "shop", networks: &networks(&["shop_front"]) }, &zone(1))
        };
        assert_eq!(of(b""), Reply::Ignore);
        assert_eq!(of(&[0; 11]), Reply::Ignore);
        let mut answer = question("web.", RecordType::A);
        answer.metadata.message_type = MessageType::Response;
        assert_eq!(of(&answer.to_vec().unwrap()), Reply::Ignore, "two servers must not answer each other");
        let code = |bytes: &[u8]| match of(bytes) {
            Reply::Answer(bytes) => Message::from_vec(&bytes).unwrap().metadata.response_code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(&[0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0]), ResponseCode::FormErr);
        assert_eq!(code(&Message::new(1, MessageType::Query, OpCode::Query).to_vec().unwrap()), ResponseCode::FormErr);
        let mut notify = question("web.", RecordType::A);
        notify.metadata.op_code = OpCode::Notify;
        assert_eq!(code(&notify.to_vec().unwrap()), ResponseCode::NotImp);
    }

    /// Bytes of a generator (xorshift64, Marsaglia 2003), the same in each run.
    fn noise(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 33).unwrap()
    }

    #[test]
    fn a_damaged_question_gets_a_message_that_can_be_read_or_nothing() {
        let (zone, mut state) = (zone(100), 88_172_645_463_325_252);
        let mut asked = question("web.", RecordType::A);
        asked.set_edns(Edns::new());
        let whole = asked.to_vec().unwrap();
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + noise(&mut state) % 4 {
                let at = noise(&mut state) % bytes.len();
                bytes[at] = noise(&mut state).to_le_bytes()[0];
            }
            if noise(&mut state).is_multiple_of(8) {
                bytes.truncate(noise(&mut state) % bytes.len());
            }
            if let Reply::Answer(answer) =
                reply(&bytes, Transport::Udp, &Asker { stack: "shop", networks: &networks(&["shop_front"]) }, &zone)
            {
                assert_eq!(answer[..2], bytes[..2], "{bytes:?}");
                assert!(answer.len() <= usize::from(LARGEST_UDP) && Message::from_vec(&answer).is_ok(), "{bytes:?}");
            }
        }
    }
}
