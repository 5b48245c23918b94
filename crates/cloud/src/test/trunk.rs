//! Trunk: the second server's port carries a VLAN into the back network, where the first has a leg.

use std::time::Duration;

use stackyard_openstack::{NewTrunk, Port, SubPort, Trunk};

use super::ground::TestGround;
use super::guest::{Guest, Vlan};
use super::{TestBench, TestFault, sweep};

pub(super) const NAME: &str = "trunk subport";

/// VLAN id within the trunk.
const VLAN: u32 = 201;

/// A trunk, ready for a server to boot on its parent.
pub(super) struct TrunkedGuest {
    pub parent: Port,
    mac: String,
    /// The subport's address.
    pub address: String,
}

impl TrunkedGuest {
    pub fn vlan(&self) -> Vlan {
        Vlan { id: VLAN, mac: self.mac.clone(), address: format!("{}/24", self.address) }
    }
}

impl TestBench<'_> {
    pub(super) async fn trunked(&self, ground: &TestGround) -> Result<TrunkedGuest, TestFault> {
        let parent = self.port(ground, &ground.front, "parent");
        let subport = self.port(ground, &ground.back, "subport");
        let (parent, subport) = tokio::try_join!(parent, subport)?;
        let new = NewTrunk {
            name: self.name("trunk"),
            description: sweep::MARK.to_owned(),
            port_id: parent.id.clone(),
            sub_ports: vec![SubPort {
                port_id: subport.id.clone(),
                segmentation_type: "vlan".to_owned(),
                segmentation_id: VLAN,
            }],
        };
        self.cloud.create::<Trunk>(&new).await?;
        let address = subport.address().ok_or("the subport has no address")?.to_owned();
        Ok(TrunkedGuest { parent, mac: subport.mac_address, address })
    }

    pub(super) async fn trunk(&self, trunked: &Result<TrunkedGuest, TestFault>, a: &Guest<'_>, b: Option<&Guest<'_>>) {
        if trunked.is_ok() && b.is_none() {
            return self.needs_second(NAME);
        }
        let work = async {
            let trunked = trunked.as_ref().map_err(|f| TestFault(f.0.clone()))?;
            let b = b.ok_or("there is no second server")?;
            let up = b.says("TEST: vlan", self.options.boot_limit).await?;
            if !up.contains("up.") {
                return Err(TestFault(format!(
                    "the guest cannot join VLAN {VLAN}: {}",
                    b.says("TEST: vlan down.", Duration::ZERO).await?
                )));
            }
            a.says("TEST: subport ping ok.", Duration::from_secs(90)).await?;
            let name = a.says("TEST: subport http", Duration::from_secs(60)).await?;
            if !name.contains(&b.server.name) {
                return Err(TestFault(format!("{} should be {}, but says {name:?}", trunked.address, b.server.name)));
            }
            Ok(((), format!("{} answers ping and HTTP through VLAN {VLAN} ({name})", trunked.address)))
        };
        self.check(NAME, work).await;
    }
}
