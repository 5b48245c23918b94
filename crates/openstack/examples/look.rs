//! Looks at a cloud: `cargo run -p stackyard-openstack --example look [CLOUD]`. Changes nothing.

use std::process::ExitCode;
use std::sync::Arc;

use stackyard_openstack::{
    Cloud, CloudConfig, Error, Flavor, FloatingIp, Image, LoadBalancer, Network, Options, Port, RequestEvent, Resource,
    Router, SecurityGroup, Server, Service, Subnet, Trunk, Volume,
};

#[tokio::main]
async fn main() -> ExitCode {
    match look(std::env::args().nth(1).as_deref()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            if let Some(hint) = e.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn look(name: Option<&str>) -> Result<(), Error> {
    let observer: stackyard_openstack::Observer = Arc::new(|e: &RequestEvent| {
        let status = e.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
        println!("  {:>6.0} ms {status} {} {}", e.elapsed.as_secs_f64() * 1000.0, e.method, e.url);
    });
    let cloud =
        Cloud::connect(CloudConfig::load(name)?, Options { observer: Some(observer), ..Options::default() }).await?;
    let token = cloud.token().await?;
    println!(
        "{} in {:?} with roles {}",
        token.user.name,
        token.project.as_ref().map(|p| &p.name),
        token.roles.join(", ")
    );
    tokio::try_join!(
        list::<Network>(&cloud),
        list::<Subnet>(&cloud),
        list::<Router>(&cloud),
        list::<Port>(&cloud),
        list::<SecurityGroup>(&cloud),
        list::<FloatingIp>(&cloud),
        list::<Trunk>(&cloud),
        list::<Flavor>(&cloud),
        list::<Image>(&cloud),
        list::<Server>(&cloud),
        list::<Volume>(&cloud),
    )?;
    if cloud.has(Service::LoadBalancer).await? {
        list::<LoadBalancer>(&cloud).await?;
    }
    if cloud.has(Service::ObjectStore).await? {
        println!("containers: {:?}", cloud.containers("").await?.iter().map(|c| &c.name).collect::<Vec<_>>());
    }
    println!("compute quota: {:?}", cloud.compute_quota().await?);
    println!("volume quota: {:?}", cloud.volume_quota().await?);
    println!("{:?}", cloud.counts());
    Ok(())
}

async fn list<T: Resource>(cloud: &Cloud) -> Result<(), Error> {
    let all: Vec<T> = cloud.list(&[]).await?;
    let names: Vec<_> = all.iter().map(|t| if t.name().is_empty() { t.id() } else { t.name() }).collect();
    println!("{} {}(s): {}", all.len(), T::KIND.noun, names.join(", "));
    Ok(())
}
