//! Neutron routers.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::resource::{ByName, Kind, Resource, request};

/// A router.
#[derive(Debug, Clone, Deserialize)]
pub struct Router {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `ACTIVE`, `DOWN`, `ERROR` ...
    #[serde(default)]
    pub status: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The project's id.
    #[serde(default)]
    pub project_id: String,
    /// When it was created; sorts by time.
    #[serde(default)]
    pub created_at: String,
    /// The way out, if it has one.
    pub external_gateway_info: Option<ExternalGateway>,
}

/// A router's way out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExternalGateway {
    /// The external network's id.
    pub network_id: String,
}

request! {
    /// A router to create.
    NewRouter {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// The way out.
        external_gateway_info: Option<ExternalGateway>,
    }
}

impl Resource for Router {
    type New = NewRouter;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "router",
        path: "/routers",
        list: "",
        one: "router",
        many: "routers",
        by_name: ByName::Query,
        microversion: None,
    };
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn status(&self) -> &str {
        &self.status
    }
}

impl Cloud {
    /// Gives a router a foot in a subnet, at the subnet's gateway address. Returns the new port's id.
    ///
    /// # Errors
    /// [`crate::Error::Api`], as 409 if it has one there already.
    pub async fn add_router_subnet(&self, router: &str, subnet: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct RouterResponse {
            port_id: String,
        }
        let call = self.call(
            crate::Method::PUT,
            Service::Network,
            format!("/routers/{}/add_router_interface", segment(router)),
        );
        Ok(call.on("router", router).json(&json!({"subnet_id": subnet})).read::<RouterResponse>().await?.port_id)
    }

    /// Takes it away; whether there was one.
    ///
    /// # Errors
    /// [`crate::Error::Api`], as 409 while a floating IP needs it.
    pub async fn remove_router_subnet(&self, router: &str, subnet: &str) -> Result<bool> {
        let call = self.call(
            crate::Method::PUT,
            Service::Network,
            format!("/routers/{}/remove_router_interface", segment(router)),
        );
        call.on("router", router).json(&json!({"subnet_id": subnet})).gone().await
    }
}
