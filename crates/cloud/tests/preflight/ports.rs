use crate::docker::{Image, container};
use crate::support::{Place, ask, elsewhere, expect, question};
use stackyard_cloud::preflight::{Input, Outcome, Port};
use std::net::{TcpListener, TcpStream, UdpSocket};

const ID: &str = "ports.free";

fn wants(number: u16, udp: bool) -> (tempfile::TempDir, Input) {
    let (home, mut input) = question();
    input.ports = vec![Port { number, udp, service: "keystone".to_owned() }];
    (home, input)
}

/// A port that nothing listens on.
fn unused() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn whoever_holds_a_port_is_named() {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (_home, input) = wants(port, false);
        let report = ask(&input);
        expect(&report, ID, Outcome::Fail, &format!("(pid {})", std::process::id()));
        expect(&report, ID, Outcome::Fail, &format!("{port} (keystone) is held by preflight"));
        drop(listener);
        expect(&ask(&input), ID, Outcome::Pass, "all 1 free");
    }
}

#[test]
fn udp_counts_only_for_udp() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    expect(&ask(&wants(port, true).1), ID, Outcome::Fail, &format!("{port}/udp"));
    expect(&ask(&wants(port, false).1), ID, Outcome::Pass, "free");
}

/// Somebody else's address is in nobody's way.
#[test]
fn other_addresses_do_not_matter() {
    let script = "ip link set lo up; ip address add 192.0.2.9/32 dev lo; busybox httpd -p 192.0.2.9:4711";
    let (_home, mut input) = wants(4711, false);
    let place = Place { unshare: "-n --kill-child -pf --mount-proc", script, ..Place::default() };
    expect(&elsewhere(&place, &input), ID, Outcome::Pass, "free");
    input.api_address = "192.0.2.9".parse().unwrap();
    expect(&elsewhere(&place, &input), ID, Outcome::Fail, "on 192.0.2.9");
}

#[test]
fn containers_are_named_and_ones_own_are_fine() {
    let image = Image::busybox();
    let (_home, mut input) = wants(unused(), false);
    let (port, stack) = (input.ports[0].number, input.stack.clone());

    let published = container(&image, &format!("--publish 127.0.0.1:{port}:80"), "sleep 600");
    expect(&ask(&input), ID, Outcome::Fail, &format!("the container {}", published.name));
    drop(published);

    let label = format!("--network host --label dev.stackyard.stack={stack}");
    let listening = container(&image, &label, &format!("httpd -f -p 127.0.0.1:{port}"));
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::yield_now();
    }
    expect(&ask(&input), ID, Outcome::Fail, &format!("`docker stop {}`", listening.name));
    input.exists = true;
    expect(&ask(&input), ID, Outcome::Pass, "1 of 1 in use by this cloud");
}

#[test]
fn ports_of_outgoing_connections_are_no_good_choice() {
    let (_home, input) = wants(40_000, false);
    let range = "echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range";
    expect(
        &elsewhere(&Place::new("-n", range), &input),
        "ports.ephemeral",
        Outcome::Warn,
        "ip_local_reserved_ports=40000",
    );
    let reserved = format!("{range}; echo 39999-40001 > /proc/sys/net/ipv4/ip_local_reserved_ports");
    expect(&elsewhere(&Place::new("-n", &reserved), &input), "ports.ephemeral", Outcome::Pass, "32768 to 60999");
}
