//! Nova servers.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::resource::{ByName, Kind, Resource, Unset, request};

/// A server.
#[derive(Debug, Clone, Deserialize)]
pub struct Server {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `BUILD`, `ACTIVE`, `SHUTOFF`, `ERROR` ...
    #[serde(default)]
    pub status: String,
    /// What is being done to it.
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub task_state: Option<String>,
    /// Key and value pairs; where Stackyard puts its mark.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Addresses by network name.
    #[serde(default)]
    pub addresses: BTreeMap<String, Vec<Address>>,
    /// Why it is in ERROR.
    pub fault: Option<Fault>,
    /// Its flavor, as it was then.
    #[serde(default)]
    pub flavor: Value,
    /// Its image: an object with `id`, or an empty text if it boots from a volume.
    #[serde(default)]
    pub image: Value,
    /// Its key.
    pub key_name: Option<String>,
    /// When it was created.
    #[serde(default)]
    pub created: String,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `True` if it has a config drive, else empty.
    #[serde(default)]
    pub config_drive: String,
    /// Where it runs.
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    pub availability_zone: Option<String>,
    /// The host it runs on; shown to administrators.
    #[serde(rename = "OS-EXT-SRV-ATTR:host")]
    pub host: Option<String>,
    /// When it ran first; `None` if it never did. Empty where the cloud does not tell.
    #[serde(rename = "OS-SRV-USG:launched_at", default = "untold")]
    pub launched_at: Option<String>,
    /// Its volumes.
    #[serde(rename = "os-extended-volumes:volumes_attached", default)]
    pub volumes: Vec<AttachedVolume>,
}

#[allow(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
fn untold() -> Option<String> {
    Some(String::new())
}

/// An address of a server.
#[derive(Debug, Clone, Deserialize)]
pub struct Address {
    /// The address.
    pub addr: String,
    /// `fixed` or `floating`.
    #[serde(rename = "OS-EXT-IPS:type", default)]
    pub kind: String,
}

/// Why a server is in ERROR.
#[derive(Debug, Clone, Deserialize)]
pub struct Fault {
    /// In words.
    #[serde(default)]
    pub message: String,
    /// More words, for administrators a traceback.
    #[serde(default)]
    pub details: Option<String>,
}

/// A volume of a server.
#[derive(Debug, Clone, Deserialize)]
pub struct AttachedVolume {
    /// The volume's id.
    pub id: String,
}

/// The networks of a server to create.
#[derive(Debug, Clone, Default)]
pub enum Nics {
    /// Nova finds a network.
    #[default]
    Auto,
    /// None.
    None,
    /// These.
    List(Vec<Nic>),
}

/// One interface of a server to create.
#[derive(Debug, Clone)]
pub enum Nic {
    /// A new port on the network with this id.
    Network(String),
    /// The port with this id.
    Port(String),
}

impl Unset for Nics {}

impl Serialize for Nics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::None => serializer.serialize_str("none"),
            Self::List(list) => list.serialize(serializer),
        }
    }
}

impl Serialize for Nic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Network(id) => map.serialize_entry("uuid", id)?,
            Self::Port(id) => map.serialize_entry("port", id)?,
        }
        map.end()
    }
}

/// Something by name.
#[derive(Debug, Clone, Serialize)]
pub struct ByItsName {
    /// The name.
    pub name: String,
}

request! {
    /// A disk of a server to create.
    /// <https://docs.openstack.org/nova/latest/user/block-device-mapping.html>
    BlockDevice {
        /// 0 to boot from it, -1 (text, as Nova takes it) for data.
        boot_index: String,
        /// `image`, `volume`, `snapshot` or `blank`.
        source_type: String,
        /// `volume` or `local`.
        destination_type: String,
        /// The source's id.
        uuid: Option<String>,
        /// Size, in GiB.
        volume_size: Option<u64>,
        /// Cinder's type.
        volume_type: Option<String>,
        /// Whether it goes with the server.
        delete_on_termination: Option<bool>,
    }
}

request! {
    /// A server to create.
    NewServer {
        /// Name.
        name: String,
        /// Flavor's id.
        #[serde(rename = "flavorRef")]
        flavor: String,
        /// Image's id; empty to boot from a volume.
        #[serde(rename = "imageRef")]
        image: String,
        /// Interfaces.
        networks: Nics,
        /// Key's name.
        key_name: Option<String>,
        /// Security groups for new ports, by name or id.
        security_groups: Vec<ByItsName>,
        /// User-data in base64: see [`user_data`].
        user_data: Option<String>,
        /// Key and value pairs; where Stackyard puts its mark.
        metadata: BTreeMap<String, String>,
        /// Where it may run.
        availability_zone: Option<String>,
        /// Whether it gets its metadata as a disk, too.
        config_drive: Option<bool>,
        /// Disks.
        block_device_mapping_v2: Vec<BlockDevice>,
        /// Tags.
        tags: Vec<String>,
    }
}

/// User-data in the form that Nova takes; 65,535 bytes of that at most.
pub fn user_data(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

impl Resource for Server {
    type New = NewServer;
    const KIND: Kind = Kind {
        service: Service::Compute,
        noun: "server",
        path: "/servers",
        list: "/servers/detail",
        one: "server",
        many: "servers",
        by_name: ByName::Regex,
        // 2.67 brought volume types in block device mappings; 2.79 delete_on_termination on attach.
        microversion: Some("2.79"),
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
        self.fault.as_ref().map(|f| f.message.clone())
    }
}

impl Server {
    /// The first fixed address.
    pub fn address(&self) -> Option<&str> {
        self.addresses.values().flatten().find(|a| a.kind != "floating").map(|a| a.addr.as_str())
    }
}

impl Cloud {
    /// The last `lines` lines of a server's console, all without.
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 409 while it has no console yet.
    pub async fn console(&self, server: &str, lines: Option<u32>) -> Result<String> {
        #[derive(Deserialize)]
        struct ServerResponse {
            output: Option<String>,
        }
        let arguments = lines.map_or_else(|| json!({}), |n| json!({"length": n}));
        let call = self.server_action(server, &json!({"os-getConsoleOutput": arguments})).idempotent();
        Ok(call.read::<ServerResponse>().await?.output.unwrap_or_default())
    }

    /// Starts a server that is shut off.
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 409 in any other state.
    pub async fn start_server(&self, server: &str) -> Result<()> {
        self.server_action(server, &json!({"os-start": null})).done().await
    }

    /// Shuts a server off.
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 409 in any other state than ACTIVE or ERROR.
    pub async fn stop_server(&self, server: &str) -> Result<()> {
        self.server_action(server, &json!({"os-stop": null})).done().await
    }

    /// Attaches a volume. The guest sees it when the volume is `in-use`.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn attach_volume(&self, server: &str, volume: &str) -> Result<()> {
        let call = self.call(
            crate::Method::POST,
            Service::Compute,
            format!("/servers/{}/os-volume_attachments", segment(server)),
        );
        call.on("server", server).json(&json!({"volumeAttachment": {"volumeId": volume}})).done().await
    }

    /// Ids of the volumes that Nova has attached to a server, or is attaching.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn attached_volumes(&self, server: &str) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct AttachmentList {
            #[serde(rename = "volumeAttachments")]
            all: Vec<AttachmentEntry>,
        }
        #[derive(Deserialize)]
        struct AttachmentEntry {
            #[serde(rename = "volumeId")]
            volume: String,
        }
        let path = format!("/servers/{}/os-volume_attachments", segment(server));
        let call = self.call(crate::Method::GET, Service::Compute, path).on("server", server);
        Ok(call.read::<AttachmentList>().await?.all.into_iter().map(|a| a.volume).collect())
    }

    /// Detaches a volume: whether it was attached. It is free when the volume is `available`.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn detach_volume(&self, server: &str, volume: &str) -> Result<bool> {
        let path = format!("/servers/{}/os-volume_attachments/{}", segment(server), segment(volume));
        self.call(crate::Method::DELETE, Service::Compute, path).on("server", server).gone().await
    }

    fn server_action(&self, server: &str, action: &Value) -> crate::cloud::Call<'_> {
        let call = self.call(crate::Method::POST, Service::Compute, format!("/servers/{}/action", segment(server)));
        call.on("server", server).microversion(Server::KIND.microversion).json(action)
    }
}
