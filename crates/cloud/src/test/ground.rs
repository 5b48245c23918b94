//! What all checks stand on: image, flavor, networks, router, security group, keypair.

use base64::Engine as _;
use stackyard_openstack::{
    ExternalGateway, FixedIp, Flavor, FloatingIp, Gateway, Image, Keypair, Network, NewFloatingIp, NewKeypair,
    NewNetwork, NewPort, NewRouter, NewSecurityGroup, NewSecurityGroupRule, NewSubnet, Port, Router, SecurityGroup,
    SecurityGroupRule, Subnet,
};

use super::{TestBench, TestFault, sweep};

/// The networks' addresses: unlikely to be somebody's.
const FRONT: &str = "10.213.71.0/24";
const BACK: &str = "10.213.72.0/24";

/// Everything that is there before the first server.
pub struct TestGround {
    pub image: String,
    pub flavor: String,
    pub external: String,
    pub key: String,
    pub group: String,
    /// Network with a router.
    pub front: Net,
    /// Network that leads nowhere; the trunk's.
    pub back: Net,
    /// The router's port in the front network.
    pub router_port: String,
}

/// A network and its subnet.
pub struct Net {
    pub network: String,
    pub subnet: String,
}

impl TestBench<'_> {
    pub(super) async fn ground(&self) -> Result<TestGround, TestFault> {
        let (cloud, options) = (self.cloud, self.options);
        let image = async { Ok::<_, TestFault>(cloud.need::<Image>(&options.image).await?) };
        let flavor = async { Ok(cloud.need::<Flavor>(&options.flavor).await?) };
        let external = async { Ok(cloud.need::<Network>(&options.external).await?) };
        let (image, flavor, external, key, group, (front, router_port), back) = tokio::try_join!(
            image,
            flavor,
            external,
            self.keypair(),
            self.group(),
            self.front(),
            self.net("back", BACK, Gateway::None),
        )?;
        Ok(TestGround {
            image: image.id,
            flavor: flavor.id,
            external: external.id,
            key,
            group,
            front,
            back,
            router_port,
        })
    }

    async fn front(&self) -> Result<(Net, String), TestFault> {
        let external = self.cloud.need::<Network>(&self.options.external).await?;
        let router = NewRouter {
            name: self.name("router"),
            description: sweep::MARK.to_owned(),
            external_gateway_info: Some(ExternalGateway { network_id: external.id }),
        };
        let router = async { Ok::<_, TestFault>(self.cloud.create::<Router>(&router).await?) };
        let (net, router) = tokio::try_join!(self.net("front", FRONT, Gateway::Auto), router)?;
        let port = self.cloud.add_router_subnet(&router.id, &net.subnet).await?;
        Ok((net, port))
    }

    async fn net(&self, what: &str, cidr: &str, gateway_ip: Gateway) -> Result<Net, TestFault> {
        let new = NewNetwork { name: self.name(what), description: sweep::MARK.to_owned(), ..NewNetwork::default() };
        let network = self.cloud.create::<Network>(&new).await?;
        let new = NewSubnet {
            name: self.name(what),
            network_id: network.id.clone(),
            cidr: cidr.to_owned(),
            ip_version: 4,
            gateway_ip,
            description: sweep::MARK.to_owned(),
            ..NewSubnet::default()
        };
        let subnet = self.cloud.create::<Subnet>(&new).await?;
        Ok(Net { network: network.id, subnet: subnet.id })
    }

    /// Lets ICMP and port 80 in, and nothing else.
    async fn group(&self) -> Result<String, TestFault> {
        let new = NewSecurityGroup { name: self.name("group"), description: sweep::MARK.to_owned() };
        let group = self.cloud.create::<SecurityGroup>(&new).await?;
        let rule = |protocol: &str, port: Option<u32>| NewSecurityGroupRule {
            security_group_id: group.id.clone(),
            direction: "ingress".to_owned(),
            protocol: Some(protocol.to_owned()),
            port_range_min: port,
            port_range_max: port,
            ..NewSecurityGroupRule::default()
        };
        let (icmp, http) = (rule("icmp", None), rule("tcp", Some(80)));
        tokio::try_join!(self.cloud.create::<SecurityGroupRule>(&icmp), self.cloud.create::<SecurityGroupRule>(&http))?;
        Ok(group.id)
    }

    /// A key whose private half nobody has: nobody logs in.
    async fn keypair(&self) -> Result<String, TestFault> {
        let mut blob = Vec::new();
        let random = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
        for part in [b"ssh-ed25519".as_slice(), &random] {
            blob.extend(u32::try_from(part.len()).unwrap_or(0).to_be_bytes());
            blob.extend(part);
        }
        let public_key = format!("ssh-ed25519 {} {}", base64::engine::general_purpose::STANDARD.encode(blob), self.run);
        let new = NewKeypair { name: self.name("key"), public_key };
        Ok(self.cloud.create::<Keypair>(&new).await?.name)
    }

    pub(super) async fn port(&self, ground: &TestGround, net: &Net, what: &str) -> Result<Port, TestFault> {
        let new = NewPort {
            network_id: net.network.clone(),
            name: self.name(what),
            description: sweep::MARK.to_owned(),
            fixed_ips: vec![FixedIp { subnet_id: net.subnet.clone(), ip_address: None }],
            security_groups: Some(vec![ground.group.clone()]),
            ..NewPort::default()
        };
        Ok(self.cloud.create::<Port>(&new).await?)
    }

    pub(super) async fn floating_ip(&self, ground: &TestGround, port: &str) -> Result<String, TestFault> {
        let new = NewFloatingIp {
            floating_network_id: ground.external.clone(),
            port_id: Some(port.to_owned()),
            description: sweep::MARK.to_owned(),
            address: None,
        };
        Ok(self.cloud.create::<FloatingIp>(&new).await?.address)
    }
}
