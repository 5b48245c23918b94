//! Heat stacks: as much as it takes to run a template and to see it through.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::catalog::Service;
use crate::cloud::Cloud;
use crate::error::Result;
use crate::resource::{ByName, Kind, Never, Resource, request};

/// A stack.
#[derive(Debug, Clone, Deserialize)]
pub struct HeatStack {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(rename = "stack_name", default)]
    pub name: String,
    /// `CREATE_IN_PROGRESS`, `CREATE_COMPLETE`, `CREATE_FAILED` ...
    #[serde(rename = "stack_status", default)]
    pub status: String,
    /// Why.
    #[serde(rename = "stack_status_reason", default)]
    pub reason: Option<String>,
    /// Its outputs; not in lists.
    #[serde(default)]
    pub outputs: Vec<HeatOutput>,
}

/// An output of a stack.
#[derive(Debug, Clone, Deserialize)]
pub struct HeatOutput {
    /// Its name.
    pub output_key: String,
    /// Its value.
    #[serde(default)]
    pub output_value: Value,
}

request! {
    /// A stack to create.
    NewHeatStack {
        /// Name.
        stack_name: String,
        /// The template as text.
        template: String,
        /// Values of its parameters.
        parameters: BTreeMap<String, Value>,
        /// Minutes until creation counts as failed.
        timeout_mins: Option<u32>,
        /// Tags, with commas between; where Stackyard puts its mark.
        tags: String,
    }
}

impl Resource for HeatStack {
    // Its creation is not wrapped as its answers are: see `create_heat_stack`.
    type New = Never;
    const KIND: Kind = Kind {
        service: Service::Orchestration,
        noun: "Heat stack",
        path: "/stacks",
        list: "",
        one: "stack",
        many: "stacks",
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
    fn reason(&self) -> Option<String> {
        self.reason.clone()
    }
}

impl Cloud {
    /// Creates a stack and returns its id. (Heat takes its creation without the key around it that
    /// its answers have.)
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 400 for a broken template, 409 for a name that is taken.
    pub async fn create_heat_stack(&self, new: &NewHeatStack) -> Result<String> {
        #[derive(Deserialize)]
        struct StackResponse {
            stack: Id,
        }
        #[derive(Deserialize)]
        struct Id {
            id: String,
        }
        let call = self.call(crate::Method::POST, Service::Orchestration, "/stacks").on("Heat stack", &new.stack_name);
        Ok(call.json(new).read::<StackResponse>().await?.stack.id)
    }

    /// The stack with this name and id (Heat redirects from either alone).
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn heat_stack(&self, name: &str, id: &str) -> Result<HeatStack> {
        #[derive(Deserialize)]
        struct StackResponse {
            stack: HeatStack,
        }
        let path = format!("/stacks/{}/{}", crate::cloud::segment(name), crate::cloud::segment(id));
        Ok(self
            .call(crate::Method::GET, Service::Orchestration, path)
            .on("Heat stack", name)
            .read::<StackResponse>()
            .await?
            .stack)
    }

    /// Begins to remove a stack: whether it was there.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn delete_heat_stack(&self, name: &str, id: &str) -> Result<bool> {
        let path = format!("/stacks/{}/{}", crate::cloud::segment(name), crate::cloud::segment(id));
        self.call(crate::Method::DELETE, Service::Orchestration, path).on("Heat stack", name).gone().await
    }
}
