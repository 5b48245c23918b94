//! Prints how this process's clouds.yaml and variables are read, what Keystone would get of them, and which endpoints are
//! chosen: a JSON object, for tests/clouds.
//!
//! Arguments: a file with the catalog that Keystone answers with, and the cloud's name, if one is asked for.

use serde_json::{Value, json};
use stackyard_openstack::{Cloud, CloudConfig, Error, Options, RetryPolicy, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SERVICES: [Service; 6] =
    [Service::Compute, Service::Network, Service::Image, Service::Volume, Service::LoadBalancer, Service::ObjectStore];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let catalog = std::fs::read(arguments.next().ok_or("the catalog's file is missing")?)?;
    let answer = match CloudConfig::load(arguments.next().as_deref()) {
        Ok(config) => describe(config, serde_json::from_slice(&catalog)?).await?,
        Err(error) => json!({"error": error.to_string(), "hint": error.hint()}),
    };
    println!("{answer}");
    Ok(())
}

async fn describe(config: CloudConfig, catalog: Value) -> Result<Value, Box<dyn std::error::Error>> {
    let mut described = json!({
        "name": config.name, "region": config.region, "interface": config.interface.word(),
        "auth_url": config.auth_url, "verify": config.verify, "cacert": config.cacert, "cert": config.client_cert,
        "timeout": config.timeout.map(|t| t.as_secs_f64()),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut here = config;
    here.auth_url = format!("http://{}/v3", listener.local_addr()?);
    (here.cacert, here.client_cert, here.timeout) = (None, None, None);
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let connect = Cloud::connect(here, Options { retry, ..Options::default() });
    let (cloud, login) = tokio::join!(connect, answer(&listener, catalog));
    described["login"] = login?;
    let cloud = cloud?;
    for service in SERVICES {
        described["endpoints"][service.name()] = match cloud.endpoint(service).await {
            Ok(address) => address.into(),
            Err(Error::NoEndpoint { .. }) => Value::Null,
            Err(error) => error.to_string().into(),
        };
    }
    Ok(described)
}

/// Answers one login with a token that has this catalog; returns the request's body.
async fn answer(listener: &TcpListener, catalog: Value) -> Result<Value, Box<dyn std::error::Error>> {
    let (mut stream, _) = listener.accept().await?;
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err("the request ends early".into());
        }
        let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..at]).to_ascii_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if bytes.len() >= at + 4 + length.unwrap_or(0) {
            break (head, bytes.split_off(at + 4));
        }
    };
    let token = json!({"token": {
        "expires_at": "2100-01-01T00:00:00Z", "user": {"id": "u"}, "project": {"id": "PROJECT"}, "catalog": catalog,
    }});
    let token = token.to_string();
    let answer = format!(
        "HTTP/1.1 201 X\r\nX-Subject-Token: t\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{token}",
        token.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    // A token that is only read has no body.
    Ok(if head.starts_with("get ") { Value::Null } else { serde_json::from_slice(&body)? })
}
