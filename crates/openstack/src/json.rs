//! Reading JSON that services write: `null` is as good as a field that is not there.
//!
//! Clouds tell `"description": null` of what is older than the extension that brought the field, or what a plugin
//! does not keep, where another cloud tells an empty text. The types of this crate give such fields a default, and
//! no answer is read in another way than by this module, so that none of them needs to say it.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_json::Value;

/// Fields whose `null` says something that their absence does not: a server that never ran has no such time, and a
/// cloud without the extension tells of none.
const NULL_SAYS: [&str; 1] = ["OS-SRV-USG:launched_at"];

/// Reads a body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(body).and_then(read_value)
}

/// Reads what is JSON already.
pub(crate) fn read_value<T: DeserializeOwned>(mut value: Value) -> serde_json::Result<T> {
    drop_nulls(&mut value);
    serde_json::from_value(value)
}

/// Reads a text that some releases tell as a number, such as a rule's protocol.
pub(crate) fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        other => Err(D::Error::custom(format!("{other} is neither text nor a number"))),
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| !field.is_null() || NULL_SAYS.contains(&name.as_str()));
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;
    use serde::de::Visitor;
    use serde::de::value::Error as Refused;
    use serde_json::json;
    use std::cell::Cell;

    /// Hears which fields a struct has, and reads nothing.
    struct Names<'c>(&'c Cell<&'static [&'static str]>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Refused;
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
            Err(Refused::custom("only names are of interest"))
        }
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Refused> {
            self.0.set(fields);
            self.deserialize_any(visitor)
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    /// The smallest JSON of a type, with null in all other fields.
    fn nothing_else<T: for<'de> Deserialize<'de>>(least: Value) -> Value {
        let names = Cell::new([].as_slice());
        let _ = T::deserialize(Names(&names));
        let mut value = least;
        for name in names.get() {
            if value.get(*name).is_none() {
                value[*name] = Value::Null;
            }
        }
        value
    }

    macro_rules! reads {
        ($($type:ty: $least:tt,)*) => {$(
            let value = nothing_else::<$type>(json!($least));
            let read: serde_json::Result<$type> = read_value(value.clone());
            assert!(read.is_ok(), "{}: {:?} of {value}", stringify!($type), read.err());
        )*};
    }

    #[test]
    fn every_type_bears_null_in_all_that_is_optional() {
        reads! {
            Backup: {"id": "1"},
            FirewallGroup: {"id": "1"},
            FirewallPolicy: {"id": "1"},
            FirewallRule: {"id": "1"},
            Flavor: {"id": "1", "name": "a", "ram": 1, "disk": 1, "vcpus": 1},
            FloatingIp: {"id": "1", "floating_ip_address": "203.0.113.1", "floating_network_id": "2"},
            Image: {"id": "1", "name": null, "status": null, "min_disk": null, "min_ram": null, "tags": null, "os_hash_value": null},
            Keypair: {"name": "a"},
            LoadBalancer: {"id": "1"},
            Listener: {"id": "1"},
            LoadBalancerPool: {"id": "1"},
            HealthMonitor: {"id": "1", "type": "TCP"},
            Member: {"id": "1", "address": "10.0.0.1", "protocol_port": 80},
            Named: {"id": "1"},
            Network: {"id": "1"},
            Port: {"id": "1", "network_id": "2"},
            FixedIp: {"subnet_id": "1"},
            AddressPair: {"ip_address": "10.0.0.1"},
            Project: {"id": "1", "name": "a"},
            QosPolicy: {"id": "1"},
            Role: {"id": "1", "name": "a"},
            Router: {"id": "1"},
            SecurityGroup: {"id": "1"},
            SecurityGroupRule: {"id": "1", "security_group_id": "2", "direction": "ingress", "ethertype": "IPv4"},
            Server: {"id": "1"},
            ServerGroup: {"id": "1"},
            HeatStack: {"id": "1"},
            Subnet: {"id": "1", "network_id": "2", "cidr": "10.0.0.0/8", "ip_version": 4},
            SubnetPool: {"id": "1", "ip_version": 4},
            Trunk: {"id": "1", "port_id": "2"},
            User: {"id": "1", "name": "a"},
            Volume: {"id": "1", "size": 1},
            Attachment: {"server_id": "1"},
        }
    }

    #[test]
    fn a_server_that_never_ran_is_told_apart_from_one_of_which_nothing_is_told() {
        let read = |more: Value| {
            let mut server = json!({"id": "1", "name": "a", "status": "ERROR"});
            server.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            read_value::<Server>(server).unwrap().launched_at
        };
        assert_eq!(read(json!({"OS-SRV-USG:launched_at": null})), None);
        assert_eq!(read(json!({})), Some(String::new()));
        assert_eq!(read(json!({"OS-SRV-USG:launched_at": "2026-11-28"})), Some("2026-11-28".to_owned()));
    }

    #[test]
    fn null_is_as_good_as_nothing_at_any_depth() {
        let port = json!({"id": "1", "network_id": "2", "name": null, "tags": null, "security_groups": null,
            "fixed_ips": [{"subnet_id": "3", "ip_address": null}]});
        let port: Port = read(port.to_string().as_bytes()).expect("port");
        assert_eq!((port.name.as_str(), port.security_groups.len(), port.fixed_ips.len()), ("", 0, 1));
        let volume: Volume =
            read_value(json!({"id": "1", "size": 1, "metadata": {"a": null, "b": "c"}})).expect("volume");
        assert_eq!(volume.metadata.len(), 1);
    }

    #[test]
    fn a_protocol_may_be_a_number() {
        let rule = |protocol: Value| {
            let rule = json!({"id": "1", "security_group_id": "2", "direction": "ingress", "ethertype": "IPv4",
                "protocol": protocol});
            read_value::<SecurityGroupRule>(rule).map(|rule| rule.protocol)
        };
        assert_eq!(rule(json!(58)).expect("number"), Some("58".to_owned()));
        assert_eq!(rule(json!("tcp")).expect("text"), Some("tcp".to_owned()));
        assert_eq!(rule(Value::Null).expect("null"), None);
        assert!(rule(json!(["tcp"])).is_err());
    }

    #[test]
    fn names_are_heard() {
        let value = nothing_else::<Network>(json!({"id": "1"}));
        assert!(value.get("description").is_some_and(Value::is_null), "{value}");
    }
}
