//! The plugin is killed between any two of Docker's calls, and within them at any request to the cloud.

use crate::network::observed::{RuntimeView, Suspects};
use crate::network::tests::{Fixture, view};
use serde_json::{Value, json};
use stackyard_fake::Fault;
use std::time::Duration;

const NET: &str = "n1";
const END: &str = "e1";

/// How the plugin is set up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Plain,
    Pool,
    PrefetchDemand,
    Kuryr,
}

/// What Docker knows in the course of its calls.
#[derive(Default)]
struct Docker {
    pools: Vec<Value>,
    addresses: Vec<Value>,
    mac: Value,
}

/// Docker's calls for a network with two IP versions and a container on it, in its order (moby `libnetwork`:
/// `NewNetwork`, `CreateEndpoint`, `sbJoin`, `sbLeave`, `Delete`).
const CALLS: usize = 19;

impl Docker {
    async fn call(&mut self, fixture: &Fixture, mode: Mode, number: usize) -> Result<(), String> {
        let cidrs = [("10.8.0.0/24", "10.8.0.1"), ("fd00:8::/64", "fd00:8::1")];
        let end = json!({"NetworkID": NET, "EndpointID": END, "SandboxKey": "/x", "Options": {}});
        let driver = |method: &str| format!("NetworkDriver.{method}");
        match number {
            0 | 2 => {
                let v6 = number == 2;
                let pool = json!({"Pool": cidrs[usize::from(v6)].0, "SubPool": "", "Options": {}, "V6": v6});
                self.pools.push(fixture.try_call("IpamDriver.RequestPool", pool).await?["PoolID"].clone());
            }
            1 | 3 => {
                let gateway = json!({"PoolID": self.pools[number / 2], "Address": cidrs[number / 2].1,
                    "Options": {"RequestAddressType": "com.docker.network.gateway"}});
                fixture.try_call("IpamDriver.RequestAddress", gateway).await?;
            }
            4 => {
                let data = |n: usize, length: &str| json!([{"Pool": cidrs[n].0, "Gateway": format!("{}/{length}", cidrs[n].1)}]);
                let body =
                    json!({"NetworkID": NET, "Options": {}, "IPv4Data": data(0, "24"), "IPv6Data": data(1, "64")});
                fixture.try_call(&driver("CreateNetwork"), body).await?;
            }
            5 | 6 => {
                let mac = json!({"com.docker.network.endpoint.macaddress": "02:42:0a:08:00:02"});
                let options = if mode == Mode::Kuryr { mac } else { json!({}) };
                let asked = json!({"PoolID": self.pools[number - 5], "Address": "", "Options": options});
                self.addresses.push(fixture.try_call("IpamDriver.RequestAddress", asked).await?["Address"].clone());
            }
            7 => {
                let mac = if mode == Mode::Kuryr { "02:42:0a:08:00:02" } else { "" };
                let interface =
                    json!({"Address": self.addresses[0], "AddressIPv6": self.addresses[1], "MacAddress": mac});
                let body = json!({"NetworkID": NET, "EndpointID": END, "Interface": interface, "Options": {}});
                let made = fixture.try_call(&driver("CreateEndpoint"), body).await?;
                self.mac = if mode == Mode::Kuryr { mac.into() } else { made["Interface"]["MacAddress"].clone() };
            }
            8 => drop(fixture.try_call(&driver("EndpointOperInfo"), end).await?),
            9 => drop(fixture.try_call(&driver("Join"), end).await?),
            10 => drop(fixture.try_call(&driver("ProgramExternalConnectivity"), end).await?),
            11 => drop(fixture.try_call(&driver("RevokeExternalConnectivity"), end).await?),
            12 => drop(fixture.try_call(&driver("Leave"), end).await?),
            13 => drop(fixture.try_call(&driver("DeleteEndpoint"), end).await?),
            14 | 15 => {
                let address = self.addresses[number - 14].as_str().unwrap_or_default();
                let address = address.split('/').next().unwrap_or_default();
                let body = json!({"PoolID": self.pools[number - 14], "Address": address});
                fixture.try_call("IpamDriver.ReleaseAddress", body).await?;
            }
            16 | 17 => {
                drop(fixture.try_call("IpamDriver.ReleasePool", json!({"PoolID": self.pools[number - 16]})).await?);
            }
            _ => drop(fixture.try_call(&driver("DeleteNetwork"), json!({"NetworkID": NET})).await?),
        }
        if mode == Mode::Pool && (4..=13).contains(&number) {
            // What the plugin does by itself meanwhile.
            fixture.manager.tend().await.map_err(|e| e.to_string())?;
        }
        if mode == Mode::PrefetchDemand && number == 4 {
            fixture.manager.make_some(NET, 2).await.map_err(|e| e.to_string())?;
        }
        if mode == Mode::PrefetchDemand && number == 9 {
            fixture.manager.give_back_ahead(Duration::ZERO).await;
        }
        Ok(())
    }

    /// What Docker has after that call.
    fn view(&self, number: usize) -> RuntimeView {
        let mac = self.mac.as_str().unwrap_or_default();
        let mut seen = if (7..13).contains(&number) { view(&[(END, NET, mac)]) } else { view(&[]) };
        if !(4..16).contains(&number) {
            seen.networks.clear();
        }
        seen
    }
}

async fn fixture(mode: Mode) -> Fixture {
    let mut fixture = Fixture::new().await;
    set_up(&mut fixture, mode);
    fixture
}

fn set_up(fixture: &mut Fixture, mode: Mode) {
    fixture.manager.kuryr = mode == Mode::Kuryr;
    if mode == Mode::Pool {
        fixture.manager.pool = "2".parse().unwrap();
    }
}

async fn killed(fixture: &mut Fixture, mode: Mode) {
    fixture.restart().await;
    set_up(fixture, mode);
}

/// Passes of the reconciler when Docker has forgotten all of it.
async fn nothing_is_left(fixture: &Fixture, when: &str) {
    let mut nothing = view(&[]);
    nothing.networks.clear();
    // Docker asks for pools just before it makes a network: some time later.
    for (id, mut pool) in fixture.manager.ledger.pools.all() {
        pool.asked -= 3600;
        fixture.manager.ledger.pools.put(&id, &pool).unwrap();
    }
    let mut suspects = Suspects::default();
    // A network goes in the pass after its ports, kuryr's subnet pool in the pass after its network.
    for _ in 0..3 {
        fixture.pass(&nothing, &mut suspects).await;
    }
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new(), "{when}");
    assert!(fixture.fake_wiring.0.lock().unwrap().is_empty(), "{when}");
    let ledger = &fixture.manager.ledger;
    assert!(
        ledger.endpoints.all().is_empty() && ledger.spares.all().is_empty() && ledger.networks.all().is_empty(),
        "{when}"
    );
}

#[tokio::test]
async fn killed_between_any_two_calls_and_docker_gives_up() {
    for mode in [Mode::Plain, Mode::Pool, Mode::PrefetchDemand, Mode::Kuryr] {
        for last in 0..CALLS {
            let (mut fixture, mut docker) = (fixture(mode).await, Docker::default());
            for number in 0..=last {
                docker.call(&fixture, mode, number).await.unwrap();
            }
            killed(&mut fixture, mode).await;
            nothing_is_left(&fixture, &format!("{mode:?}, killed after call {last}")).await;
        }
    }
}

#[tokio::test]
async fn killed_between_any_two_calls_and_docker_goes_on() {
    for mode in [Mode::Plain, Mode::Pool, Mode::PrefetchDemand, Mode::Kuryr] {
        for last in 0..CALLS - 1 {
            let (mut fixture, mut docker) = (fixture(mode).await, Docker::default());
            for number in 0..CALLS {
                let when = format!("{mode:?}, killed after call {last}: call {number}");
                docker.call(&fixture, mode, number).await.unwrap_or_else(|e| panic!("{when}: {e}"));
                if number == last {
                    killed(&mut fixture, mode).await;
                    // What Docker has is left alone.
                    let before = fixture.fake.world().count("ports");
                    let seen = docker.view(number);
                    if seen.networks.contains(NET) && !(5..7).contains(&number) {
                        fixture.pass(&seen, &mut Suspects::default()).await;
                        assert!(number > 12 || fixture.fake.world().count("ports") == before, "{when}");
                    }
                }
            }
            nothing_is_left(&fixture, &format!("{mode:?}, killed after call {last}")).await;
        }
    }
}

/// The cloud does what it is asked, and the plugin is killed before it hears so.
#[tokio::test]
async fn killed_at_any_request() {
    for mode in [Mode::Plain, Mode::Pool, Mode::PrefetchDemand, Mode::Kuryr] {
        for request in 0.. {
            let (mut fixture, mut docker) = (fixture(mode).await, Docker::default());
            fixture.fake.fail(move |number, _| (number >= request).then_some(Fault::AnswerLost));
            let mut number = 0;
            while number < CALLS && docker.call(&fixture, mode, number).await.is_ok() {
                number += 1;
            }
            fixture.fake.fail(|_, _| None);
            killed(&mut fixture, mode).await;
            nothing_is_left(&fixture, &format!("{mode:?}, killed at request {request}, in call {number}")).await;
            if number == CALLS {
                break;
            }
        }
    }
}
