//! Prints how configuration is read and what Keystone would get of it, for tests/clouds: a JSON object for each line of
//! standard input, which has `folders`, `variables` and `cloud` (a name, or null).

use std::io::BufRead as _;

use serde::Deserialize;
use serde_json::{Value, json};
use stackyard_openstack::{Cloud, CloudConfig, Error, Options, RetryPolicy, Service, Sources};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Request {
    folders: Vec<std::path::PathBuf>,
    variables: std::collections::BTreeMap<String, String>,
    cloud: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let Request { folders, variables, cloud } = serde_json::from_str(&line?)?;
        let told = match CloudConfig::load_from(cloud.as_deref(), &Sources { folders, variables }) {
            Ok(config) => tell(config).await?,
            Err(error) => json!({"error": error.to_string(), "hint": error.hint()}),
        };
        println!("{told}");
    }
    Ok(())
}

async fn tell(config: CloudConfig) -> Result<Value, Box<dyn std::error::Error>> {
    let mut told = json!({
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
    let (cloud, login) = tokio::join!(connect, answer(&listener));
    told["login"] = login?;
    let cloud = cloud?;
    for service in [Service::Compute, Service::Network, Service::Image, Service::Volume, Service::LoadBalancer] {
        told["endpoints"][service.name()] = match cloud.endpoint(service).await {
            Ok(address) => address.into(),
            Err(Error::NoEndpoint { .. }) => Value::Null,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(told)
}

/// Answers one login with a token without services; what was asked.
async fn answer(listener: &TcpListener) -> Result<Value, Box<dyn std::error::Error>> {
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
    let token =
        json!({"token": {"expires_at": "2100-01-01T00:00:00Z", "user": {"id": "u"}, "project": {"id": "PROJECT"}}});
    let token = token.to_string();
    let answer = format!(
        "HTTP/1.1 201 X\r\nX-Subject-Token: t\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{token}",
        token.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    // A token that is only read has no body.
    Ok(if head.starts_with("get ") { Value::Null } else { serde_json::from_slice(&body)? })
}
