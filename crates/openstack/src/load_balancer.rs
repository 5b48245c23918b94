//! Octavia load balancers. Each part of one is created in its turn: while one changes, the whole
//! balancer is `PENDING_UPDATE` and answers 409 to the next change.
//! <https://docs.openstack.org/api-ref/load-balancer/v2/>

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::call::segment;
use crate::catalog::Service;
use crate::cloud::Cloud;
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
    }
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
}

/// A member of a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// Id.
    pub id: String,
    /// Address.
    pub address: String,
    /// Port.
    pub protocol_port: u32,
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

impl Cloud {
    /// Adds a member to a pool.
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 409 while the balancer changes.
    pub async fn create_member(&self, pool: &str, member: &NewMember) -> Result<Member> {
        #[derive(Deserialize)]
        struct Answer {
            member: Member,
        }
        let call =
            self.call(crate::Method::POST, Service::LoadBalancer, format!("/lbaas/pools/{}/members", segment(pool)));
        Ok(call.on("member", &member.address).json(&json!({"member": member})).read::<Answer>().await?.member)
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
