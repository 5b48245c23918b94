//! Single actions: to make, change, remove one resource. Each may be run again.
//!
//! | kind | made by | marked in | found again by |
//! |---|---|---|---|
//! | network, subnet, router, port, security group, floating IP | POST | `description` | description |
//! | router interface | PUT add_router_interface | | the router's ports |
//! | rule | POST | | its content |
//! | keypair | POST | its name | name: 409 |
//! | server group | POST | its name | name |
//! | server, volume | POST | metadata | name, then metadata |
//! | load balancer | POST, with all its parts | `description` | description |
//! | object container | PUT | its name | name |
//! | attachment | POST | | the volume's attachments |

use crate::execute::{ActionError, Executor};
use crate::retry::{create_once, delete_until_gone, delete_within, retry};
use stackyard_core::yard::intend::{Ref, Spec};
use stackyard_core::yard::plan::Step;
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{
    FloatingIp, Keypair, Network, Resource, Result, Router, SecurityGroup, SecurityGroupRule,
    Server, ServerGroup, Subnet, Volume,
};
use std::collections::HashSet;

impl Executor<'_> {
    /// What a manifest says about a resource.
    pub(crate) fn spec(&self, key: &Key) -> Result<&Spec, ActionError> {
        self.intended
            .get(key)
            .map(|r| &r.spec)
            .ok_or_else(|| format!("{key} is not in the manifest").into())
    }

    /// The id of a resource of the yard or the cloud.
    pub(crate) fn refer(&self, to: &Ref) -> Result<String, ActionError> {
        match to {
            Ref::Own(key) => self.id(key),
            Ref::Cloud(kind, text) => Ok(self.inventory.resolve(*kind, text)?),
        }
    }

    /// Makes a resource; returns its id.
    pub(crate) async fn create(&self, key: &Key) -> Result<String, ActionError> {
        match self.spec(key)? {
            Spec::Network { .. } => self.create_network(key).await,
            Spec::Subnet { .. } => self.create_subnet(key).await,
            Spec::Router { external } => self.create_router(key, external.as_deref()).await,
            Spec::Interface { router, subnet } => self.create_interface(key, router, subnet).await,
            Spec::SecurityGroup => self.create_group(key).await,
            Spec::Rule { .. } => self.create_rule(key).await,
            Spec::Port { .. } => self.create_port(key).await,
            Spec::FloatingIp { external, to } => {
                self.create_floating_ip(key, external.as_deref(), to.as_ref())
                    .await
            }
            Spec::LoadBalancer(balancer) => self.create_load_balancer(key, balancer).await,
            Spec::ObjectContainer { .. } => self.create_container(key).await,
            Spec::Keypair { public_key } => self.create_keypair(key, public_key).await,
            Spec::PoolKeypair { pool } => {
                self.create_keypair(key, &self.pool_key(pool).await?).await
            }
            Spec::Volume { .. } => self.create_volume(key).await,
            Spec::ServerGroup { policy } => self.create_server_group(key, policy).await,
            Spec::Server(server) => self.create_server(key, server).await,
            Spec::Attachment { server, volume } => self.attach(key, server, volume).await,
        }
    }

    /// Changes fields of a resource.
    pub(crate) async fn change(&self, step: &Step) -> Result<(), ActionError> {
        let id = self.id(&step.key)?;
        match step.key.kind {
            Kind::Server => self.change_server(step, &id).await,
            Kind::Volume => self.change_volume(step, &id).await,
            // It is changed while it settles.
            Kind::LoadBalancer => self.mark_load_balancer(step, &id).await,
            Kind::ObjectContainer => self.change_container(&step.key, &id).await,
            _ => self.change_network_part(step, &id).await,
        }
    }

    /// Asks for the removal of a resource.
    pub(crate) async fn remove(&self, step: &Step) -> Result<(), ActionError> {
        let Some(id) = step.id.as_deref() else {
            return Ok(());
        };
        match step.key.kind {
            Kind::Network => self.delete::<Network>(step, id).await,
            Kind::Subnet => self.delete::<Subnet>(step, id).await,
            Kind::Router => self.delete::<Router>(step, id).await,
            Kind::Interface => self.remove_interface(step, id).await,
            Kind::SecurityGroup => self.delete::<SecurityGroup>(step, id).await,
            Kind::Rule => self.delete::<SecurityGroupRule>(step, id).await,
            Kind::Keypair => self.delete::<Keypair>(step, id).await,
            Kind::Volume => self.delete::<Volume>(step, id).await,
            Kind::ServerGroup => self.delete::<ServerGroup>(step, id).await,
            Kind::Port => {
                // A host's may carry a trunk, and a container's be behind one.
                delete_within(self.release, self.on_retry(&step.key), async || {
                    self.cloud.delete_port(id).await
                })
                .await?;
                Ok(())
            }
            Kind::Server => self.delete::<Server>(step, id).await,
            Kind::Attachment => self.detach(step, id).await,
            Kind::FloatingIp => self.delete::<FloatingIp>(step, id).await,
            Kind::LoadBalancer => {
                delete_until_gone(self.on_retry(&step.key), async || {
                    self.cloud.delete_load_balancer(id).await
                })
                .await?;
                Ok(())
            }
            Kind::ObjectContainer => self.remove_container(step, id).await,
        }
    }

    async fn delete<T: Resource>(&self, step: &Step, id: &str) -> Result<(), ActionError> {
        delete_within(self.release, self.on_retry(&step.key), async || {
            self.cloud.delete::<T>(id).await
        })
        .await?;
        Ok(())
    }

    /// Makes a resource of Neutron that carries its mark in its description.
    pub(super) async fn marked<T: Resource>(
        &self,
        key: &Key,
        new: &T::New,
        known: HashSet<&str>,
        description: impl Fn(&T) -> &str,
    ) -> Result<T> {
        let mark = self.mark(key).to_string();
        let make = async || self.cloud.create::<T>(new).await;
        // Those that were there before are doubles that go, or what is replaced.
        let find = async || {
            let found: Vec<T> = self.cloud.list(&[("description", &mark)]).await?;
            Ok(found
                .into_iter()
                .find(|t| description(t) == mark && !known.contains(t.id())))
        };
        create_once(self.on_retry(key), self.on_unknown_outcome(), make, find).await
    }

    /// Does what may be done twice.
    pub(crate) async fn retry_action<T>(
        &self,
        key: &Key,
        action: impl AsyncFn() -> Result<T>,
    ) -> Result<T, ActionError> {
        Ok(retry(self.on_retry(key), action).await?)
    }
}
