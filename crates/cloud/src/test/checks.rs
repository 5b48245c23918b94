//! The order of things, and the checks of servers, floating IPs and security groups.

use std::time::{Duration, Instant};

use stackyard_openstack::{NewServer, Nic, Nics, Port, Server, user_data};

use super::ground::TestGround;
use super::guest::{Guest, script_a, script_b, tail};
use super::reach::{self, PortKnock};
use super::trunk::TrunkedGuest;
use super::volume::{BACKUP, VOLUME};
use super::{Event, TestBench, TestFault, firewall, load_balancer, sweep, trunk};

const GROUND: &str = "networks, router, group, key";
const SERVER: &str = "server";
const SECOND: &str = "second server";
const CONSOLE: &str = "console";
const METADATA: &str = "metadata";
const PING: &str = "floating IP: ping";
const TCP: &str = "floating IP: TCP";
const BULK: &str = "floating IP: bulk TCP";
const GROUP: &str = "security group";

/// What cannot be tried without the first server.
const ON_SERVERS: [&str; 11] =
    [CONSOLE, METADATA, PING, TCP, BULK, GROUP, VOLUME, BACKUP, trunk::NAME, load_balancer::NAME, firewall::NAME];

impl TestBench<'_> {
    pub(super) async fn all(&self) {
        match sweep::sweep(self.cloud, sweep::PATIENCE).await {
            Ok(swept) if swept.is_empty() => {}
            Ok(swept) => (self.hear)(Event::Note(format!("left by an earlier test: {swept}"))),
            Err(fault) => (self.hear)(Event::Note(format!("an earlier test left something: {}", fault.0))),
        }
        tokio::join!(self.objects(), self.with_servers());
    }

    async fn with_servers(&self) {
        let ground = self.check(GROUND, async { Ok((self.ground().await?, String::new())) });
        let Some(ground) = ground.await else {
            self.blocked(&[SERVER, SECOND], GROUND);
            self.blocked(&ON_SERVERS, GROUND);
            return;
        };
        // The volume is ready by the time a guest is.
        let trunked = self.trunked(&ground).await;
        let (a, b, volume) =
            tokio::join!(self.first(&ground, &trunked), self.second(&ground, &trunked), self.new_volume("volume"));
        let Some((a, a_port)) = a else {
            self.blocked(&ON_SERVERS, SERVER);
            return;
        };
        tokio::join!(
            self.network_side(&ground, &a, &a_port, b.as_ref()),
            self.volumes(&a, volume),
            self.trunk(&trunked, &a, b.as_ref()),
        );
    }

    /// The checks that need the first guest's floating IP, the firewall last since it cuts it off.
    async fn network_side(&self, ground: &TestGround, a: &Guest<'_>, port: &Port, b: Option<&Guest<'_>>) {
        let limit = self.options.boot_limit;
        let ready = self.check(CONSOLE, async { Ok(((), a.says("TINY: ready", limit).await?)) }).await;
        if ready.is_none() {
            self.blocked(&[METADATA, PING, TCP, BULK, GROUP, load_balancer::NAME, firewall::NAME], CONSOLE);
            return;
        }
        let metadata = self.check(METADATA, async {
            Ok(((), a.says("TINY: metadata instance-id=i-", Duration::from_secs(5)).await?))
        });
        let address = async {
            let address = self.check(PING, async {
                let address = self.floating_ip(ground, &port.id).await?;
                let took = reach::ping(&address, Duration::from_secs(30)).await?;
                Ok((address.clone(), format!("{address} in {:.1} ms", took.as_secs_f64() * 1000.0)))
            });
            address.await
        };
        let (_, address) = tokio::join!(metadata, address);
        let Some(address) = address else {
            self.blocked(&[TCP, BULK, GROUP, load_balancer::NAME, firewall::NAME], PING);
            return;
        };
        let tcp = self.check(TCP, async {
            let body = reach::get(&address, "/", Duration::from_secs(20)).await?;
            if !body.contains("hello from") {
                return Err(TestFault(format!("http://{address}/ says {body:?}")));
            }
            Ok(((), format!("http://{address}/ says {body:?}")))
        });
        let group = self.check(GROUP, async {
            // The guest listens there, so silence is the group's doing.
            a.says("TINY: user-data start", Duration::from_secs(10)).await?;
            match reach::knock(&address, 81, Duration::from_secs(3)).await? {
                PortKnock::Silence => Ok(((), "port 81, not allowed, stays silent".to_owned())),
                other => Err(TestFault(format!("port 81 of {address} is not allowed but answers: {other:?}"))),
            }
        });
        let (tcp, _) = tokio::join!(tcp, group);
        if tcp.is_none() {
            self.blocked(&[BULK, load_balancer::NAME, firewall::NAME], TCP);
            return;
        }
        // Small packets get through where large ones do not.
        self.check(BULK, async { Ok(((), reach::bulk(&address, Duration::from_secs(30)).await?)) }).await;
        self.load_balancer(ground, a, b).await;
        self.firewall(ground, &address).await;
    }

    async fn first(&self, ground: &TestGround, trunked: &Result<TrunkedGuest, TestFault>) -> Option<(Guest<'_>, Port)> {
        let work = async {
            let trunked = trunked.as_ref().ok();
            let front = self.port(ground, &ground.front, "a-front");
            let back = self.port(ground, &ground.back, "a-back");
            let (front, back) = tokio::try_join!(front, back)?;
            let script = script_a(&self.run, trunked.map(|t| t.address.as_str()));
            let (guest, words) = self.boot(ground, "a", &[&front, &back], &script).await?;
            Ok(((guest, front), words))
        };
        self.check(SERVER, work).await
    }

    async fn second(&self, ground: &TestGround, trunked: &Result<TrunkedGuest, TestFault>) -> Option<Guest<'_>> {
        let work = async {
            let (front, vlan) = match trunked {
                Ok(t) => (t.parent.clone(), Some(t.vlan())),
                Err(_) => (self.port(ground, &ground.front, "b-front").await?, None),
            };
            self.boot(ground, "b", &[&front], &script_b(vlan.as_ref())).await
        };
        self.check(SECOND, work).await
    }

    async fn boot(
        &self,
        ground: &TestGround,
        what: &str,
        ports: &[&Port],
        script: &str,
    ) -> Result<(Guest<'_>, String), TestFault> {
        let started = Instant::now();
        let new = NewServer {
            name: self.name(what),
            flavor: ground.flavor.clone(),
            image: ground.image.clone(),
            networks: Nics::List(ports.iter().map(|p| Nic::Port(p.id.clone())).collect()),
            key_name: Some(ground.key.clone()),
            user_data: Some(user_data(script)),
            metadata: sweep::metadata(),
            ..NewServer::default()
        };
        let server: Server = self.cloud.create(&new).await?;
        let server = match self.cloud.wait_for::<Server>(&server.id, &["ACTIVE"], self.options.boot_limit).await {
            Ok(server) => server,
            Err(e) => {
                let console = self.cloud.console(&server.id, Some(10)).await.unwrap_or_default();
                return Err(TestFault(format!("{} (console: {})", TestFault::from(e).0, tail(&console))));
            }
        };
        let words = format!("ACTIVE after {:.1} s", started.elapsed().as_secs_f64());
        let address = ports.first().and_then(|p| p.address()).unwrap_or_default().to_owned();
        Ok((Guest::new(self.cloud, server, address), words))
    }

    /// Names of the checks on the second server, for those that cannot be tried without it.
    pub(super) fn needs_second(&self, name: &'static str) {
        self.blocked(&[name], SECOND);
    }

    /// The same for a backup without a volume.
    pub(super) fn needs_volume(&self) {
        self.blocked(&[BACKUP], VOLUME);
    }
}
