//! Octavia load balancers. One can be created with all its parts by one request; later each part is
//! changed in its turn: while one changes, the whole balancer is `PENDING_UPDATE` and answers 409 to
//! the next change.
//! <https://docs.openstack.org/api-ref/load-balancer/v2/>

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::resource::{ByName, Kind, Resource, request};

/// A load balancer.
#[derive(Debug, Clone, Deserialize)]
pub struct LoadBalancer {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// `ACTIVE`, `PENDING_CREATE`, `PENDING_UPDATE`, `ERROR` ...
    #[serde(default)]
    pub provisioning_status: String,
    /// `ONLINE`, `OFFLINE`, `DEGRADED` ...
    #[serde(default)]
    pub operating_status: String,
    /// Its address.
    #[serde(default)]
    pub vip_address: String,
    /// Its port, where a floating IP leads.
    #[serde(default)]
    pub vip_port_id: String,
    /// Network of its address.
    #[serde(default)]
    pub vip_network_id: String,
    /// Subnet of its address.
    #[serde(default)]
    pub vip_subnet_id: String,
    /// `amphora`, `ovn` ...
    #[serde(default)]
    pub provider: String,
    /// When it was created.
    #[serde(default)]
    pub created_at: String,
}

request! {
    /// A load balancer to create. Listeners, pools and members may come with it, in one request.
    NewLoadBalancer {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// Subnet of its address.
        vip_subnet_id: Option<String>,
        /// Network of its address.
        vip_network_id: Option<String>,
        /// Wanted address.
        vip_address: Option<String>,
        /// `amphora`, `ovn` ...; the cloud's default if absent.
        provider: Option<String>,
        /// Listeners.
        listeners: Vec<NewListener>,
        /// Pools that no listener owns.
        pools: Vec<NewPool>,
    }
}

request! {
    /// What a load balancer listens on.
    NewListener {
        /// The balancer's id; absent within its own creation.
        loadbalancer_id: Option<String>,
        /// Name.
        name: String,
        /// Free text.
        description: String,
        /// `TCP`, `UDP`, `HTTP` ...
        protocol: String,
        /// Port.
        protocol_port: u32,
        /// Where it leads, by id.
        default_pool_id: Option<String>,
        /// Where it leads, created with it.
        default_pool: Option<NewPool>,
    }
}

request! {
    /// Members that share the load.
    NewPool {
        /// The balancer's id; absent within its own creation.
        loadbalancer_id: Option<String>,
        /// The listener's id.
        listener_id: Option<String>,
        /// Name.
        name: String,
        /// Free text.
        description: String,
        /// `TCP`, `UDP`, `HTTP` ...
        protocol: String,
        /// `ROUND_ROBIN`, `SOURCE_IP_PORT` (the only one of OVN) ...
        lb_algorithm: String,
        /// Members, created with it.
        members: Vec<NewMember>,
        /// How they are watched, created with it.
        healthmonitor: Option<NewHealthMonitor>,
    }
}

request! {
    /// One that takes a part of the load.
    NewMember {
        /// Name.
        name: String,
        /// Address.
        address: String,
        /// Port.
        protocol_port: u32,
        /// Its subnet, where it is not the balancer's.
        subnet_id: Option<String>,
        /// How much it takes beside others; 1 if absent.
        weight: Option<u32>,
    }
}

request! {
    /// How members that do not answer are found out.
    NewHealthMonitor {
        /// The pool's id; absent within its own creation.
        pool_id: Option<String>,
        /// Name.
        name: String,
        /// `TCP`, `UDP-CONNECT`, `HTTP` ...; cannot be changed.
        r#type: Option<String>,
        /// Seconds between two tries.
        delay: u64,
        /// Seconds until a try has failed.
        timeout: u64,
        /// Tries until a member is well again.
        max_retries: u64,
        /// Tries until a member counts as failed.
        max_retries_down: u64,
        /// For HTTP.
        url_path: Option<String>,
    }
}

/// The id of another part.
#[derive(Debug, Clone, Deserialize)]
pub struct PartOf {
    /// Id.
    pub id: String,
}

/// A listener.
#[derive(Debug, Clone, Deserialize)]
pub struct Listener {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `ACTIVE`, `PENDING_CREATE`, `ERROR` ...
    #[serde(default)]
    pub provisioning_status: String,
    /// `TCP`, `UDP`, `HTTP` ...
    #[serde(default)]
    pub protocol: String,
    /// Port.
    #[serde(default)]
    pub protocol_port: u16,
    /// Where it leads.
    #[serde(default)]
    pub default_pool_id: Option<String>,
    /// The balancer.
    #[serde(default)]
    pub loadbalancers: Vec<PartOf>,
}

/// A pool.
#[derive(Debug, Clone, Deserialize)]
pub struct LoadBalancerPool {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `ACTIVE`, `PENDING_CREATE`, `ERROR` ...
    #[serde(default)]
    pub provisioning_status: String,
    /// `ROUND_ROBIN`, `SOURCE_IP_PORT` ...
    #[serde(default)]
    pub lb_algorithm: String,
    /// Its health monitor.
    #[serde(default)]
    pub healthmonitor_id: Option<String>,
    /// Its members.
    #[serde(default)]
    pub members: Vec<PartOf>,
    /// The balancer.
    #[serde(default)]
    pub loadbalancers: Vec<PartOf>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A member of a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Address.
    pub address: String,
    /// Port.
    pub protocol_port: u16,
    /// Its subnet, if said.
    #[serde(default)]
    pub subnet_id: Option<String>,
    /// How much it takes.
    #[serde(default)]
    pub weight: Option<u32>,
    /// `ACTIVE`, `PENDING_CREATE`, `ERROR` ...
    #[serde(default)]
    pub provisioning_status: String,
    /// `ONLINE`, `OFFLINE`, `NO_MONITOR` ...
    #[serde(default)]
    pub operating_status: String,
}

/// A health monitor.
#[derive(Debug, Clone, Deserialize)]
pub struct HealthMonitor {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `ACTIVE`, `PENDING_CREATE`, `ERROR` ...
    #[serde(default)]
    pub provisioning_status: String,
    /// `TCP`, `UDP-CONNECT`, `HTTP` ...
    #[serde(rename = "type")]
    pub monitor_type: String,
    /// Seconds between two tries.
    #[serde(default)]
    pub delay: u64,
    /// Seconds until a try has failed.
    #[serde(default)]
    pub timeout: u64,
    /// Tries until a member is well again.
    #[serde(default)]
    pub max_retries: u64,
    /// For HTTP.
    #[serde(default)]
    pub url_path: Option<String>,
    /// The pool.
    #[serde(default)]
    pub pools: Vec<PartOf>,
}

const fn kind(noun: &'static str, path: &'static str, one: &'static str, many: &'static str) -> Kind {
    Kind { service: Service::LoadBalancer, noun, path, list: "", one, many, by_name: ByName::Query, microversion: None }
}

impl Resource for LoadBalancer {
    type New = NewLoadBalancer;
    const KIND: Kind = kind("load balancer", "/lbaas/loadbalancers", "loadbalancer", "loadbalancers");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn status(&self) -> &str {
        &self.provisioning_status
    }
}

impl Resource for Listener {
    type New = NewListener;
    const KIND: Kind = kind("listener", "/lbaas/listeners", "listener", "listeners");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn status(&self) -> &str {
        &self.provisioning_status
    }
}

impl Resource for LoadBalancerPool {
    type New = NewPool;
    const KIND: Kind = kind("pool", "/lbaas/pools", "pool", "pools");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn status(&self) -> &str {
        &self.provisioning_status
    }
}

impl Resource for HealthMonitor {
    type New = NewHealthMonitor;
    const KIND: Kind = kind("health monitor", "/lbaas/healthmonitors", "healthmonitor", "healthmonitors");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn status(&self) -> &str {
        &self.provisioning_status
    }
}

impl Cloud {
    /// Members of a pool.
    ///
    /// # Errors
    /// As of [`Cloud::list`].
    pub async fn members(&self, pool: &str) -> Result<Vec<Member>> {
        #[derive(Deserialize)]
        struct LoadBalancerResponse {
            members: Vec<Member>,
        }
        let path = format!("/lbaas/pools/{}/members", segment(pool));
        let call = self.call(crate::Method::GET, Service::LoadBalancer, path).on("members of pool", pool);
        // All at once: without a limit Octavia pages by 1,000 at the earliest.
        Ok(call.read::<LoadBalancerResponse>().await?.members)
    }

    /// The same; none if there is no such pool.
    ///
    /// # Errors
    /// As of [`Cloud::list`].
    pub async fn find_members(&self, pool: &str) -> Result<Option<Vec<Member>>> {
        match self.members(pool).await {
            Err(e) if e.is_not_found() => Ok(None),
            members => members.map(Some),
        }
    }

    /// Gives a pool these members and no others; what is there already stays.
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 409 while the balancer changes.
    pub async fn set_members(&self, pool: &str, members: &[NewMember]) -> Result<()> {
        let path = format!("/lbaas/pools/{}/members", segment(pool));
        let call = self.call(crate::Method::PUT, Service::LoadBalancer, path).on("members of pool", pool);
        call.json(&json!({"members": members})).done().await
    }

    /// Gives a pool these members, too; one of the same address and port becomes so (Octavia 2.12 and later,
    /// `additive_only`).
    ///
    /// # Errors
    /// As of [`Cloud::set_members`].
    pub async fn add_members(&self, pool: &str, members: &[NewMember]) -> Result<()> {
        let path = format!("/lbaas/pools/{}/members", segment(pool));
        let call = self.call(crate::Method::PUT, Service::LoadBalancer, path).on("members of pool", pool);
        call.query("additive_only", "true").json(&json!({"members": members})).done().await
    }

    /// Removes a member from a pool: whether it was there.
    ///
    /// # Errors
    /// As of [`Cloud::set_members`].
    pub async fn delete_member(&self, pool: &str, member: &str) -> Result<bool> {
        let path = format!("/lbaas/pools/{}/members/{}", segment(pool), segment(member));
        self.call(crate::Method::DELETE, Service::LoadBalancer, path).on("member", member).gone().await
    }

    /// Names of the providers that the cloud has.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn load_balancer_providers(&self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct LoadBalancerResponse {
            providers: Vec<Provider>,
        }
        #[derive(Deserialize)]
        struct Provider {
            name: String,
        }
        let call = self.call(crate::Method::GET, Service::LoadBalancer, "/lbaas/providers").on("providers", "");
        Ok(call.read::<LoadBalancerResponse>().await?.providers.into_iter().map(|p| p.name).collect())
    }

    /// Adds a member to a pool.
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 409 while the balancer changes.
    pub async fn create_member(&self, pool: &str, member: &NewMember) -> Result<Member> {
        #[derive(Deserialize)]
        struct LoadBalancerResponse {
            member: Member,
        }
        let call =
            self.call(crate::Method::POST, Service::LoadBalancer, format!("/lbaas/pools/{}/members", segment(pool)));
        Ok(call
            .on("member", &member.address)
            .json(&json!({"member": member}))
            .read::<LoadBalancerResponse>()
            .await?
            .member)
    }

    /// Removes a load balancer with all its parts: whether it was there.
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 409 while it changes.
    pub async fn delete_load_balancer(&self, id: &str) -> Result<bool> {
        let call =
            self.call(crate::Method::DELETE, Service::LoadBalancer, format!("/lbaas/loadbalancers/{}", segment(id)));
        call.on("load balancer", id).query("cascade", "true").gone().await
    }
}
