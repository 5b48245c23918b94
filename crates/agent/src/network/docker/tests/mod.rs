//! The plugin's calls as Docker makes them, against the fake cloud; what it plugs is only noted down.

mod endpoints;
mod expose;
mod firewall;
mod ipam;
mod kills;
mod load_balancer;
mod networks;
mod plugin;
mod publish;
mod reconcile;
mod warm_pool;

use crate::network::observed::RuntimeView;
use crate::network::tests::{Fixture, view};
use serde_json::{Value, json};

const MAC: &str = "02:42:0a:00:00:07";

const END: &str = "e1";

/// Docker's view with the endpoint and without it.
fn seen(fixture: &Fixture) -> RuntimeView {
    let mac = fixture.manager.ledger.endpoints.get(END).map(|e| e.mac).unwrap_or_default();
    view(&[(END, "n1", &mac)])
}

async fn detach(fixture: &Fixture) -> Result<Value, String> {
    fixture.try_call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": "n1", "EndpointID": END})).await
}

async fn try_attach(fixture: &Fixture, options: &Value) -> Result<Value, String> {
    let body = json!({"NetworkID": "n1", "EndpointID": END, "Interface": {}, "Options": options});
    fixture.try_call("NetworkDriver.CreateEndpoint", body).await
}
