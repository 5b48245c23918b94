//! Hosts.

use super::{Client, ClientError};
use reqwest::Method;
use stackyard_api::{Drain, HostAddress, HostView, segment};
use std::net::IpAddr;

impl Client {
    /// Hosts that joined, of one yard and pool or of all.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn hosts(
        &self,
        yard: Option<&str>,
        pool: Option<&str>,
    ) -> Result<Vec<HostView>, ClientError> {
        let given = [("yard", yard), ("pool", pool)]
            .into_iter()
            .filter_map(|(k, v)| Some((k, v?)));
        let query: Vec<String> = given
            .map(|(key, value)| format!("{key}={}", segment(value)))
            .collect();
        let path = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        self.list(&format!("/api/v1/hosts{path}"), "listing hosts")
            .await
    }

    /// A host, by its id or as `yard/name`.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn host(&self, id: &str) -> Result<HostView, ClientError> {
        self.get(
            &format!("/api/v1/hosts/{}", segment(id)),
            &format!("asking for host {id}"),
        )
        .await
    }

    /// Begins or ends draining a host.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn drain_host(&self, id: &str, on: bool) -> Result<(), ClientError> {
        let request = self.request(
            Method::POST,
            &format!("/api/v1/hosts/{}/drain", segment(id)),
        );
        self.send(
            request.json(&Drain { on, leaving: false }),
            &format!("draining host {id}"),
        )
        .await
        .map(drop)
    }

    /// Begins or ends draining a host because its machine is about to go, or stays after all. What
    /// [`Self::drain_host`] began is not ended.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn host_leaves(&self, id: &str, leaves: bool) -> Result<(), ClientError> {
        let request = self.request(
            Method::POST,
            &format!("/api/v1/hosts/{}/drain", segment(id)),
        );
        let doing = if leaves { "draining" } else { "taking back" };
        self.send(
            request.json(&Drain {
                on: leaves,
                leaving: true,
            }),
            &format!("{doing} host {id}"),
        )
        .await
        .map(drop)
    }

    /// Changes the address at which others reach a host; the host as it is then.
    ///
    /// # Arguments
    /// - `id`: its id, or `yard/name`
    /// - `address`: one that its agent reports
    ///
    /// # Errors
    /// [`ClientError`]; its status is 400 if its agent does not report the address.
    pub async fn set_host_address(
        &self,
        id: &str,
        address: IpAddr,
    ) -> Result<HostView, ClientError> {
        let path = format!("/api/v1/hosts/{}/address", segment(id));
        let request = self
            .request(Method::PUT, &path)
            .json(&HostAddress { address });
        self.json(request, &format!("changing the address of host {id}"))
            .await
    }

    /// Asks for another server in a host's place; the host as it is then.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 409 if it is none of a pool.
    pub async fn replace_host(&self, id: &str) -> Result<HostView, ClientError> {
        let request = self.request(
            Method::POST,
            &format!("/api/v1/hosts/{}/replace", segment(id)),
        );
        self.json(request, &format!("marking host {id} to be replaced"))
            .await
    }

    /// Keeps a host's server after all.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 409 while a run of the yard goes on.
    pub async fn keep_host(&self, id: &str) -> Result<(), ClientError> {
        self.delete(
            &format!("/api/v1/hosts/{}/replace", segment(id)),
            &format!("taking back that host {id} is replaced"),
        )
        .await
    }

    /// Removes a host.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn remove_host(&self, id: &str) -> Result<(), ClientError> {
        self.delete(
            &format!("/api/v1/hosts/{}", segment(id)),
            &format!("removing host {id}"),
        )
        .await
    }
}
