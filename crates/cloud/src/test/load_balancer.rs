//! Load balancer: one address, two members, both answer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use stackyard_openstack::{
    Listener, LoadBalancer, LoadBalancerPool, NewListener, NewLoadBalancer, NewMember, NewPool, Service,
};

use super::ground::TestGround;
use super::guest::Guest;
use super::{TestBench, TestFault, reach, sweep};

pub(super) const NAME: &str = "load balancer over two members";

/// For one change of a balancer.
const LIMIT: Duration = Duration::from_secs(90);

impl TestBench<'_> {
    pub(super) async fn load_balancer(&self, ground: &TestGround, a: &Guest<'_>, b: Option<&Guest<'_>>) {
        let there = self.cloud.has(Service::LoadBalancer).await.unwrap_or(false);
        if !self.wanted(&[NAME], there, "load balancers") {
            return;
        }
        let Some(b) = b else { return self.needs_second(NAME) };
        let work = async {
            b.says("TINY: ready", self.options.boot_limit).await?;
            let address = self.balance(ground, &[&a.address, &b.address]).await?;
            let started = Instant::now();
            let (mut names, mut asked, mut last) = (BTreeSet::new(), 0, String::new());
            // Which member answers is decided by the source port: both must come up soon.
            while names.len() < 2 && started.elapsed() < Duration::from_secs(60) {
                asked += 1;
                match reach::get_once(&address, "/hostname", Duration::from_secs(3)).await {
                    Ok(name) => {
                        names.insert(name);
                    }
                    Err(fault) => {
                        last = fault.0;
                        tokio::time::sleep(Duration::from_millis(300)).await;
                    }
                }
            }
            let names: Vec<_> = names.into_iter().collect();
            if names.len() < 2 {
                return Err(TestFault(format!(
                    "{asked} requests to {address} were answered by {names:?} only; {last}"
                )));
            }
            Ok(((), format!("{asked} requests to {address} were answered by {}", names.join(" and "))))
        };
        self.check(NAME, work).await;
    }

    /// Makes the balancer and returns its floating IP.
    async fn balance(&self, ground: &TestGround, members: &[&str]) -> Result<String, TestFault> {
        let new = NewLoadBalancer {
            name: self.name("lb"),
            description: sweep::MARK.to_owned(),
            vip_subnet_id: Some(ground.front.subnet.clone()),
            ..NewLoadBalancer::default()
        };
        let balancer: LoadBalancer = self.cloud.create(&new).await?;
        let settled = async || self.cloud.wait_for::<LoadBalancer>(&balancer.id, &["ACTIVE"], LIMIT).await;
        settled().await?;
        let new = NewListener {
            loadbalancer_id: Some(balancer.id.clone()),
            name: self.name("listener"),
            protocol: "TCP".to_owned(),
            protocol_port: 80,
            ..NewListener::default()
        };
        let listener: Listener = self.cloud.create(&new).await?;
        settled().await?;
        let new = NewPool {
            listener_id: Some(listener.id),
            name: self.name("pool"),
            protocol: "TCP".to_owned(),
            // The one algorithm that every provider has.
            lb_algorithm: "SOURCE_IP_PORT".to_owned(),
            ..NewPool::default()
        };
        let pool: LoadBalancerPool = self.cloud.create(&new).await?;
        settled().await?;
        for address in members {
            let member = NewMember {
                name: self.name("member"),
                address: (*address).to_owned(),
                protocol_port: 80,
                subnet_id: Some(ground.front.subnet.clone()),
                ..NewMember::default()
            };
            self.cloud.create_member(&pool.id, &member).await?;
            settled().await?;
        }
        self.floating_ip(ground, &balancer.vip_port_id).await
    }
}
