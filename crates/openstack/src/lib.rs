//! Client for any OpenStack cloud.
//!
//! [`CloudConfig`] reads clouds.yaml, secure.yaml and the OS_* variables; [`Cloud`] logs in and
//! renews its token; every kind of resource is a struct that implements [`Resource`], whose shared
//! calls ([`Cloud::list`], [`Cloud::find`], [`Cloud::create`], [`Cloud::delete`],
//! [`Cloud::wait_for`] ...) are written once; what is special is a method of [`Cloud`] in the
//! resource's own file. Transient failures are retried where that is safe, an [`Error`] says what
//! was tried, what the cloud said, under which request id, and what to do.
//!
//! Why there is a client of our own: `docs/adr/0002-openstack-client.md`.

mod auth;
mod backup;
mod catalog;
mod cloud;
mod config;
mod ec2_credential;
mod error;
mod error_body;
mod firewall;
mod flavor;
mod floating_ip;
mod http;
mod identity;
mod image;
mod json;
mod keypair;
mod load_balancer;
mod network;
mod object;
mod port;
mod qos_policy;
mod quota;
mod resource;
mod router;
mod s3;
mod secret;
mod security_group;
mod server;
mod server_group;
mod stack;
mod subnet;
mod subnet_pool;
mod tag;
mod trunk;
mod volume;

pub use auth::{Named, Token};
pub use backup::{Backup, NewBackup};
pub use catalog::Service;
pub use cloud::{Call, Cloud};
pub use config::{
    Auth, CloudConfig, CloudEntry, CredentialRef, Domain, Interface, Ref, Scope, Sources, remove_cloud, upsert_cloud,
};
pub use ec2_credential::Ec2Credential;
pub use error::{ApiError, Error, Result, TransportError};
pub use firewall::{FirewallGroup, FirewallPolicy, FirewallRule, NewFirewallGroup, NewFirewallPolicy, NewFirewallRule};
pub use flavor::{Flavor, NewFlavor};
pub use floating_ip::{FloatingIp, NewFloatingIp, NewPortForwarding};
pub use http::{CloudTraffic, Counts, Observer, Options, RequestEvent, RetryPolicy, traffic};
pub use identity::{Credential, NewProject, NewRole, NewUser, Project, Role, User};
pub use image::{Image, NewImage};
pub use keypair::{Keypair, NewKeypair};
pub use load_balancer::{
    HealthMonitor, Listener, LoadBalancer, LoadBalancerPool, Member, NewHealthMonitor, NewListener, NewLoadBalancer,
    NewMember, NewPool, PartOf,
};
pub use network::{Network, NewNetwork};
pub use object::{Container, ContainerDetail, Object};
pub use port::{AddressPair, FixedIp, NewPort, Port, PortChange};
pub use qos_policy::{NewBandwidthLimit, NewQosPolicy, QosPolicy, QosRule};
pub use quota::Quota;
pub use reqwest::Method;
pub use resource::{ByName, Kind, Never, Resource, Unset};
pub use router::{ExternalGateway, NewRouter, Router};
pub use s3::S3Bucket;
pub use secret::Secret;
pub use security_group::{NewSecurityGroup, NewSecurityGroupRule, SecurityGroup, SecurityGroupRule};
pub use server::{Address, AttachedVolume, BlockDevice, ByItsName, Fault, NewServer, Nic, Nics, Server, user_data};
pub use server_group::{NewServerGroup, ServerGroup};
pub use stack::{HeatOutput, HeatStack, NewHeatStack};
pub use subnet::{Gateway, HostRoute, NewSubnet, Pool, Subnet};
pub use subnet_pool::{NewSubnetPool, SubnetPool};
pub use trunk::{NewTrunk, SubPort, Trunk};
pub use volume::{Attachment, NewVolume, Volume};
