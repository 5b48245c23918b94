//! Addresses that Docker asks for before the endpoint.

use super::MAC;
use crate::network::tests::{Fixture, run_container};
use serde_json::json;

#[tokio::test]
async fn with_addresses_asked_for_first_it_is_one_request_for_both_versions() {
    let fixture = Fixture::new().await;
    let (v4, v6) = fixture.dual_network().await;
    fixture.requests();
    let ask =
        |pool: &str| json!({"PoolID": pool, "Address": "", "Options": {"com.docker.network.endpoint.macaddress": MAC}});
    let first = fixture.call("IpamDriver.RequestAddress", ask(&v4)).await;
    let second = fixture.call("IpamDriver.RequestAddress", ask(&v6)).await;
    assert_eq!((&first["Address"], &second["Address"]), (&json!("10.6.0.50/24"), &json!("fd00:6::32/64")));
    let interface = json!({"Address": first["Address"], "AddressIPv6": second["Address"], "MacAddress": MAC});
    let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {}});
    let answer = fixture.call("NetworkDriver.CreateEndpoint", body).await;
    assert_eq!(answer, json!({"Interface": {}}), "Docker knows all");
    assert_eq!(fixture.requests(), ["POST /ports"]);
    fixture.call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": "n2", "EndpointID": "e1"})).await;
    fixture.call("IpamDriver.ReleaseAddress", json!({"PoolID": v4, "Address": "10.6.0.50"})).await;
    assert_eq!(fixture.requests().len(), 1, "one DELETE");
    assert_eq!(fixture.ports(), 0);
}

#[tokio::test]
async fn a_chosen_address_waits_for_what_the_endpoint_says() {
    let fixture = Fixture::new().await;
    let (v4, v6) = fixture.dual_network().await;
    fixture.requests();
    let mac = json!({"com.docker.network.endpoint.macaddress": MAC});
    let chosen =
        fixture.call("IpamDriver.RequestAddress", json!({"PoolID": v4, "Address": "10.6.0.9", "Options": mac})).await;
    assert_eq!(chosen["Address"], "10.6.0.9/24");
    assert_eq!(fixture.requests(), Vec::<String>::new());
    // The other version is not chosen: the port is made, with the chosen one in it.
    let other = fixture.call("IpamDriver.RequestAddress", json!({"PoolID": v6, "Address": "", "Options": mac})).await;
    let interface = json!({"Address": "10.6.0.9/24", "AddressIPv6": other["Address"], "MacAddress": MAC});
    let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {"dns-name": "db"}});
    fixture.call("NetworkDriver.CreateEndpoint", body).await;
    let requests = fixture.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[1].starts_with("PUT /ports/"), "its name came later: {requests:?}");
    let wrong = json!({"PoolID": v4, "Address": "10.7.0.9", "Options": mac});
    assert!(fixture.try_call("IpamDriver.RequestAddress", wrong).await.unwrap_err().contains("not in 10.6.0.0/24"));
}

/// `--ip --ip6 --mac-address`: Docker tells the MAC address of its user's when it has the addresses.
#[tokio::test]
async fn what_is_chosen_for_one_is_not_for_the_next() {
    let fixture = Fixture::new().await;
    let (v4, v6) = fixture.dual_network().await;
    for (pool, address) in [(&v4, "10.6.0.9"), (&v6, "fd00:6::9")] {
        fixture.call("IpamDriver.RequestAddress", json!({"PoolID": pool, "Address": address})).await;
    }
    let interface = json!({"Address": "10.6.0.9/24", "AddressIPv6": "fd00:6::9/64", "MacAddress": MAC});
    let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {}});
    fixture.call("NetworkDriver.CreateEndpoint", body).await;
    for pool in [&v4, &v6] {
        let next = fixture.call("IpamDriver.RequestAddress", json!({"PoolID": pool, "Address": ""})).await;
        assert!(!["10.6.0.9/24", "fd00:6::9/64"].contains(&next["Address"].as_str().unwrap()), "{next}");
    }
}

#[tokio::test]
async fn an_address_that_no_endpoint_came_of_is_given_back() {
    let fixture = Fixture::new().await;
    let (v4, _) = fixture.dual_network().await;
    let ask = json!({"PoolID": v4, "Address": "", "Options": {"com.docker.network.endpoint.macaddress": MAC}});
    fixture.call("IpamDriver.RequestAddress", ask).await;
    assert_eq!(fixture.ports(), 1);
    fixture.call("IpamDriver.ReleaseAddress", json!({"PoolID": v4, "Address": "10.6.0.50"})).await;
    assert_eq!(fixture.ports(), 0);
}

#[tokio::test]
async fn without_mac_addresses_calls_of_one_endpoint_are_told_by_their_order() {
    let fixture = Fixture::new().await;
    let pools = fixture.dual_network().await;
    fixture.requests();
    run_container(&fixture, &pools, "e1").await;
    run_container(&fixture, &pools, "e2").await;
    assert_eq!(fixture.requests(), ["POST /ports", "POST /ports"]);
    let ends = fixture.manager.ledger.endpoints.all();
    assert_eq!(ends.keys().collect::<Vec<_>>(), ["e1", "e2"]);
    assert_ne!(ends["e1"].port, ends["e2"].port);
    // One that fails after its first address, and is told so; then one with an address of its own.
    let ask = json!({"PoolID": pools.0, "Address": "", "Options": {}});
    let given = fixture.call("IpamDriver.RequestAddress", ask).await["Address"].clone();
    let address = given.as_str().unwrap().split('/').next().unwrap();
    fixture.call("IpamDriver.ReleaseAddress", json!({"PoolID": pools.0, "Address": address})).await;
    fixture.requests();
    let ask = json!({"PoolID": pools.0, "Address": "10.6.0.99", "Options": {}});
    fixture.call("IpamDriver.RequestAddress", ask).await;
    let ask = json!({"PoolID": pools.1, "Address": "", "Options": {}});
    let v6 = fixture.call("IpamDriver.RequestAddress", ask).await["Address"].clone();
    // `--mac-address` is known last: the port is made anew.
    let interface = json!({"Address": "10.6.0.99/24", "AddressIPv6": v6, "MacAddress": MAC});
    let of = json!({"NetworkID": "n2", "EndpointID": "e3", "Interface": interface, "Options": {}});
    assert_eq!(fixture.call("NetworkDriver.CreateEndpoint", of).await, json!({"Interface": {}}));
    let third = fixture.manager.ledger.endpoints.get("e3").unwrap();
    assert!(third.mac == MAC && third.has("10.6.0.99".parse().unwrap()));
    assert_eq!(fixture.ports(), 3);
}

/// Without `--ipam-driver` Docker gives out addresses itself.
#[tokio::test]
async fn addresses_of_dockers_own_are_refused() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    let neutron = fixture.manager.ledger.networks.get("n1").unwrap().neutron;
    for pool in ["172.18.0.0/16", "10.5.0.0/24"] {
        let options = json!({"com.docker.network.generic": {"network": neutron}});
        let data = json!([{"AddressSpace": "LocalDefault", "Pool": pool, "Gateway": ""}]);
        let body = json!({"NetworkID": "n3", "Options": options, "IPv4Data": data});
        let error = fixture.try_call("NetworkDriver.CreateNetwork", body).await.unwrap_err();
        assert!(error.contains("add --ipam-driver stackyard") && error.contains(pool), "{error}");
    }
}
