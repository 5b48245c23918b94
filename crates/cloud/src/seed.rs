//! What a new cloud lacks before anybody can use it: a way out, flavors, a project for those who are
//! not administrators. (The image `tiny` comes with [`push`](crate::push).)
//!
//! | what | found by | mark |
//! |---|---|---|
//! | network `public` and its subnet | name | `description` |
//! | flavors | name | `description` |
//! | project and user `demo` with role `member` | name | `description` |
//!
//! Everything is looked up first, in parallel; what is there is left alone, even if somebody
//! changed it. Run again it changes nothing. Killed anywhere, the next run goes on.

use std::time::Instant;

use stackyard_core::progress::{Event, Onlooker};
use stackyard_openstack::{
    Cloud, Error, Flavor, Gateway, Network, NewFlavor, NewNetwork, NewProject, NewSubnet, NewUser, Pool, Project,
    Resource, Role, Secret, Subnet, User,
};

/// The mark on what is made here.
pub const MARK: &str = "stackyard:seed";

/// What there should be.
pub struct Seed {
    /// The way out.
    pub external: ExternalNetwork,
    /// Flavors; [`flavors`] has the usual ones.
    pub flavors: Vec<NewFlavor>,
    /// A project for those who are not administrators.
    pub demo: Option<Demo>,
}

/// The external network and its subnet.
#[derive(Debug, Clone)]
pub struct ExternalNetwork {
    /// Name, as `public`.
    pub name: String,
    /// The physical network's name in Neutron's configuration.
    pub physical_network: String,
    /// Addresses.
    pub cidr: String,
    /// The gateway's address.
    pub gateway: String,
    /// First and last address for routers and floating IPs.
    pub pool: (String, String),
}

/// A project and a user with the role `member` in it, both in the domain `default`.
#[derive(Debug, Clone)]
pub struct Demo {
    /// Name of both.
    pub name: String,
    /// The user's password.
    pub password: Secret,
}

/// The usual flavors, small enough for a machine that is a whole cloud.
pub fn flavors() -> Vec<NewFlavor> {
    // name, MiB, GiB, virtual processors
    let table = [
        ("m1.nano", 192, 1, 1),
        ("m1.tiny", 512, 1, 1),
        ("m1.small", 2048, 10, 1),
        ("m1.medium", 4096, 20, 2),
        // One container host: Debian and Docker in 1 GiB.
        ("m1.host", 1024, 8, 1),
    ];
    table
        .into_iter()
        .map(|(name, ram, disk, vcpus)| NewFlavor {
            name: name.to_owned(),
            ram,
            disk,
            vcpus,
            description: MARK.to_owned(),
        })
        .collect()
}

/// Makes what is missing. `cloud` needs the role `admin`.
///
/// # Errors
/// What the cloud says; what was made until then stays and is found by the next run.
pub async fn seed(cloud: &Cloud, seed: &Seed, onlooker: &dyn Onlooker) -> Result<(), Error> {
    tokio::try_join!(
        async { external(cloud, &seed.external, onlooker).await },
        async { flavor_set(cloud, &seed.flavors, onlooker).await },
        async {
            match &seed.demo {
                Some(wanted) => demo(cloud, wanted, onlooker).await,
                None => Ok(()),
            }
        },
    )?;
    Ok(())
}

async fn external(cloud: &Cloud, wanted: &ExternalNetwork, onlooker: &dyn Onlooker) -> Result<(), Error> {
    let subnet_name = format!("{}-v4", wanted.name);
    let subnet_named = [("name", subnet_name.as_str())];
    let find = async || {
        let named: Vec<Network> = cloud.list(&[("name", &wanted.name)]).await?;
        Ok::<_, Error>(named.into_iter().find(|n| n.external))
    };
    let (network, subnets) = tokio::try_join!(find(), cloud.list::<Subnet>(&subnet_named))?;
    let network = match network {
        Some(network) => network,
        None => {
            let new = NewNetwork {
                name: wanted.name.clone(),
                description: MARK.to_owned(),
                external: Some(true),
                network_type: Some("flat".to_owned()),
                physical_network: Some(wanted.physical_network.clone()),
                ..NewNetwork::default()
            };
            match create::<Network>(cloud, &wanted.name, &new, onlooker).await {
                Ok(network) => network,
                // Another `up` at the same moment; or a Neutron that has just started and did not list it.
                Err(e) if e.is_conflict() => find().await?.ok_or(e)?,
                Err(e) => return Err(e),
            }
        }
    };
    match subnets.into_iter().find(|s| s.network_id == network.id) {
        Some(subnet) => {
            if subnet.cidr != wanted.cidr || subnet.gateway_ip.as_deref() != Some(&wanted.gateway) {
                let text = format!(
                    "subnet {subnet_name:?} has {} with gateway {}, the answers say {} with {}; \
                     remove the network {:?} to have it recreated",
                    subnet.cidr,
                    subnet.gateway_ip.as_deref().unwrap_or("none"),
                    wanted.cidr,
                    wanted.gateway,
                    wanted.name,
                );
                onlooker.see(Event::Note { step: None, text });
            }
        }
        // A network with subnets of somebody's own choice is complete.
        None if !network.subnets.is_empty() => {}
        None => {
            let new = NewSubnet {
                name: subnet_name.clone(),
                network_id: network.id,
                cidr: wanted.cidr.clone(),
                ip_version: 4,
                gateway_ip: Gateway::Address(wanted.gateway.clone()),
                allocation_pools: vec![Pool { start: wanted.pool.0.clone(), end: wanted.pool.1.clone() }],
                enable_dhcp: Some(false),
                description: MARK.to_owned(),
                ..NewSubnet::default()
            };
            create::<Subnet>(cloud, &subnet_name, &new, onlooker).await?;
        }
    }
    Ok(())
}

async fn flavor_set(cloud: &Cloud, wanted: &[NewFlavor], onlooker: &dyn Onlooker) -> Result<(), Error> {
    let there: Vec<Flavor> = cloud.list(&[]).await?;
    let missing = wanted.iter().filter(|w| there.iter().all(|f| f.name != w.name));
    let create = missing.map(|new| async move {
        match create::<Flavor>(cloud, &new.name, new, onlooker).await {
            Ok(_) => Ok(()),
            // A flavor that this user may not see, or another `up` at the same moment.
            Err(e) if e.is_conflict() => Ok(()),
            Err(e) => Err(e),
        }
    });
    futures_util::future::try_join_all(create).await.map(drop)
}

async fn demo(cloud: &Cloud, wanted: &Demo, onlooker: &dyn Onlooker) -> Result<(), Error> {
    let query = [("name", wanted.name.as_str()), ("domain_id", "default")];
    let (projects, users) = tokio::try_join!(cloud.list::<Project>(&query), cloud.list::<User>(&query))?;
    let domain_id = || "default".to_owned();
    let project = match projects.into_iter().next() {
        Some(project) => project,
        None => {
            let new = NewProject { name: wanted.name.clone(), description: MARK.to_owned(), domain_id: domain_id() };
            create::<Project>(cloud, &wanted.name, &new, onlooker).await?
        }
    };
    let user = match users.into_iter().next() {
        Some(user) => user,
        None => {
            let (name, password) = (wanted.name.clone(), wanted.password.clone());
            let new = NewUser { name, password, description: MARK.to_owned(), domain_id: domain_id() };
            create::<User>(cloud, &wanted.name, &new, onlooker).await?
        }
    };
    if cloud.roles_of(&project.id, &user.id).await?.iter().all(|r| r.name != "member") {
        let key = format!("role member of {}", wanted.name);
        let grant = async {
            let role: Role = cloud.need("member").await?;
            cloud.grant(&project.id, &user.id, &role.id).await
        };
        step(onlooker, key, "granting", "granted", grant).await?;
    }
    Ok(())
}

async fn create<T: Resource>(cloud: &Cloud, name: &str, new: &T::New, onlooker: &dyn Onlooker) -> Result<T, Error> {
    step(onlooker, format!("{} {name}", T::KIND.noun), "creating", "created", cloud.create::<T>(new)).await
}

/// Tells the onlooker of a step's start and end.
pub(crate) async fn step<T, E: std::fmt::Display>(
    onlooker: &dyn Onlooker,
    key: String,
    doing: &str,
    did: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let started = Instant::now();
    onlooker.see(Event::Started { step: key.clone(), doing: doing.to_owned() });
    let outcome = work.await;
    onlooker.see(match &outcome {
        Ok(_) => Event::Done { step: key, did: did.to_owned(), took: started.elapsed() },
        Err(e) => Event::Failed { step: key, error: e.to_string() },
    });
    outcome
}
