//! Limits of links on a real Open vSwitch, with real streams, in network namespaces of each test's own. Needs root and
//! Debian's openvswitch-switch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Container, Vswitch, own_namespace, run, until};
use serde_json::json;
use stackyard_wire::binding::{self, Naming, Plug, Vif};
use stackyard_wire::kernel::Kernel;
use stackyard_wire::{Rate, limit};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const IDS: [&str; 2] = ["aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"];
const MACS: [&str; 2] = ["fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b"];

/// How fast a stream flows, in bit/s, once its beginning is over.
fn speed(from: &Container, to: &Container, address: &'static str) -> f64 {
    let (begin, end) = (Duration::from_millis(1500), Duration::from_millis(5500));
    let server = to.inside(move || {
        let (mut stream, _) = TcpListener::bind(address).unwrap().accept().unwrap();
        let (start, mut bytes, mut data) = (Instant::now(), 0_usize, vec![0; 1 << 16]);
        let mut first = None;
        while let Ok(n @ 1..) = stream.read(&mut data) {
            if start.elapsed() >= end {
                break;
            }
            if start.elapsed() >= begin {
                first.get_or_insert_with(Instant::now);
                bytes += n;
            }
        }
        f64::from(u32::try_from(bytes * 8).unwrap()) / first.unwrap().elapsed().as_secs_f64()
    });
    let client = from.inside(move || {
        let start = Instant::now();
        let mut stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let data = vec![7; 1 << 14];
        while start.elapsed() < Duration::from_secs(20) && stream.write_all(&data).is_ok() {}
    });
    let speed = server.join().unwrap();
    client.join().unwrap();
    speed
}

#[test]
fn a_stream_is_as_fast_as_its_limit_both_ways() {
    own_namespace();
    run(&["ip", "link", "set", "lo", "up"]);
    let vswitch = Vswitch::whole();
    vswitch.control(&["add-br", "br-x", "--", "set", "bridge", "br-x", "datapath_type=netdev"]);
    let details = json!({"bridge_name": "br-x"}).as_object().cloned().unwrap();
    let vif = Vif { vif_type: "ovs".into(), details, ..Vif::default() };
    let driver = binding::driver(&vif, Some(&vswitch.switch())).unwrap();
    let containers = [Container::new(), Container::new()];
    let rate = Rate { rate: 20_000_000, burst: 400_000 };
    for (n, address) in ["10.0.0.1/24", "10.0.0.2/24"].into_iter().enumerate() {
        let (host, end) = Naming::Stackyard.devices(&vif, IDS[n]);
        let plug = Plug {
            host: &host,
            container: &end,
            port: IDS[n],
            mac: MACS[n],
            mtu: 1442,
            owner: "cni:test",
            ids: &[],
            home: None,
        };
        driver.plug(&plug).unwrap();
        containers[n].take(&end, MACS[n], address);
    }
    let [one, two] = &containers;
    until("both see each other", || std::panic::catch_unwind(|| one.run(&["ping", "-c1", "-W1", "10.0.0.2"])).is_ok());
    // To the container by the host's end, out of it by its own.
    let (host, _) = Naming::Stackyard.devices(&vif, IDS[0]);
    limit(&host, &rate).unwrap();
    one.inside(move || {
        let mut inside = Kernel::open().unwrap();
        let link = inside.link("eth0").unwrap().unwrap();
        inside.limit(&link, &rate).unwrap();
    })
    .join()
    .unwrap();
    // The switch looks at all of its ports again.
    vswitch.control(&["add-br", "br-y"]);
    let mut here = Kernel::open().unwrap();
    let link = here.link(&host).unwrap().unwrap();
    assert_eq!(here.limit_of(&link).unwrap(), Some(rate.rate), "the switch leaves it alone");
    let wanted = 18_000_000.0..22_000_000.0;
    let (there, back) = (speed(two, one, "10.0.0.1:5000"), speed(one, two, "10.0.0.2:5000"));
    assert!(wanted.contains(&there) && wanted.contains(&back), "to the container {there}, out of it {back} bit/s");
}
