//! FWaaS v2: a group on the router's port cuts port 80 off, ICMP stays, and all is well without it.

use std::time::{Duration, Instant};

use stackyard_openstack::{
    FirewallGroup, FirewallPolicy, FirewallRule, NewFirewallGroup, NewFirewallPolicy, NewFirewallRule,
};

use super::ground::TestGround;
use super::reach::{self, PortKnock};
use super::{TestBench, TestFault, sweep};

pub(super) const NAME: &str = "firewall group on the router";

/// For a change to get from the API to the flows.
const LIMIT: Duration = Duration::from_secs(30);

impl TestBench<'_> {
    pub(super) async fn firewall(&self, ground: &TestGround, address: &str) {
        let there = self.cloud.list::<FirewallGroup>(&[]).await.is_ok();
        if !self.wanted(&[NAME], there, "firewall groups (extension fwaas_v2)") {
            return;
        }
        let work = async {
            let rule = |what: &str, action: &str, port: Option<&str>| NewFirewallRule {
                name: self.name(what),
                description: sweep::MARK.to_owned(),
                action: action.to_owned(),
                protocol: port.map(|_| "tcp".to_owned()),
                destination_port: port.map(str::to_owned),
                ..NewFirewallRule::default()
            };
            let (deny, allow) = (rule("deny", "deny", Some("80")), rule("allow", "allow", None));
            let (deny, allow) =
                tokio::try_join!(self.cloud.create::<FirewallRule>(&deny), self.cloud.create::<FirewallRule>(&allow))?;
            let new = NewFirewallPolicy {
                name: self.name("policy"),
                description: sweep::MARK.to_owned(),
                firewall_rules: vec![deny.id, allow.id],
            };
            let policy: FirewallPolicy = self.cloud.create(&new).await?;
            let new = NewFirewallGroup {
                name: self.name("firewall"),
                description: sweep::MARK.to_owned(),
                ingress_firewall_policy_id: Some(policy.id.clone()),
                egress_firewall_policy_id: Some(policy.id),
                ports: Some(vec![ground.router_port.clone()]),
            };
            let group: FirewallGroup = self.cloud.create(&new).await?;
            self.becomes(address, &PortKnock::Silence).await?;
            reach::ping(address, LIMIT).await?;
            let free = NewFirewallGroup { ports: Some(Vec::new()), ..NewFirewallGroup::default() };
            self.cloud.update::<FirewallGroup>(&group.id, &free).await?;
            self.becomes(address, &PortKnock::Open).await?;
            Ok(((), format!("port 80 of {address}: silent with it, ping answered, open again without")))
        };
        self.check(NAME, work).await;
    }

    /// Waits until port 80 behaves so.
    async fn becomes(&self, address: &str, wanted: &PortKnock) -> Result<(), TestFault> {
        let started = Instant::now();
        loop {
            let now = reach::knock(address, 80, Duration::from_secs(2)).await?;
            if now == *wanted {
                return Ok(());
            }
            if started.elapsed() > LIMIT {
                return Err(TestFault(format!("port 80 of {address} is {now:?} where it should be {wanted:?}")));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}
