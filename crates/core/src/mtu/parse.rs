//! Layers as people write them: `geneve`, `vxlan:v6`, `esp:tunnel:aes-cbc-sha256:nat-t`.

use super::{Carries, EspCipher, EspMode, Ip, Layer};
use std::str::FromStr;

/// The words that [`Layer::from_str`] reads, each with what it means, for help texts.
pub const WORDS: [(&str, &str); 11] = [
    ("flat", "nothing around the packet"),
    ("vlan", "a tag on the wire, which costs nothing"),
    ("vlan:carried", "a tag inside what the layer beneath carries (QinQ, VLAN-transparent tunnels)"),
    ("gre[:ip][:key][:sequence][:checksum]", "GRE with frames, or with packets (ip); `gre:key` is Neutron's"),
    ("vxlan", "VXLAN"),
    ("geneve[:BYTES]", "Geneve; BYTES is Neutron's max_header_size, 38 (OVN's) unless given"),
    (
        "esp:tunnel|transport[:CIPHER][:nat-t]",
        "IPsec ESP; ciphers: aes-gcm, chacha20-poly1305, aes-cbc-sha1, aes-cbc-sha256, aes-cbc-sha512",
    ),
    ("wireguard", "WireGuard"),
    ("ipip", "IP in IP"),
    ("pppoe", "PPPoE"),
    ("NAME=BYTES", "anything else that takes a fixed number of bytes"),
];

/// A word that is no layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no layer: {why}")]
pub struct NoLayer {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl FromStr for Layer {
    type Err = NoLayer;

    /// Reads a layer; `:v6` says that it runs over IPv6.
    fn from_str(text: &str) -> Result<Self, NoLayer> {
        let wrong = |why: String| NoLayer { text: text.to_owned(), why };
        if let Some((name, bytes)) = text.split_once('=') {
            let overhead = bytes.parse().map_err(|_| wrong(format!("`{bytes}` is no number of bytes")))?;
            return Ok(Self::Other { name: name.to_owned(), overhead });
        }
        let mut words: Vec<&str> = text.split(':').collect();
        let name = words.remove(0);
        let ip = if take(&mut words, "v6") { Ip::V6 } else { Ip::V4 };
        take(&mut words, "v4");
        let layer = match name {
            "flat" => Self::Flat,
            "vlan" => Self::Vlan { carried: take(&mut words, "carried") },
            "gre" => Self::Gre {
                ip,
                carries: if take(&mut words, "ip") { Carries::Ip } else { Carries::Ethernet },
                key: take(&mut words, "key"),
                sequence: take(&mut words, "sequence"),
                checksum: take(&mut words, "checksum"),
            },
            "vxlan" => Self::Vxlan { ip },
            "geneve" => match words.first().map(|w| (w.parse(), *w)) {
                None => Self::ovn_geneve(ip),
                Some((Ok(max_header_size), word)) => {
                    take(&mut words, word);
                    Self::Geneve { ip, max_header_size }
                }
                Some((Err(_), word)) => return Err(wrong(format!("`{word}` is no number of bytes"))),
            },
            "esp" => Self::Esp {
                ip,
                mode: match (take(&mut words, "tunnel"), take(&mut words, "transport")) {
                    (true, false) => EspMode::Tunnel,
                    (false, true) => EspMode::Transport,
                    _ => return Err(wrong("say `esp:tunnel` or `esp:transport`".to_owned())),
                },
                nat_t: take(&mut words, "nat-t"),
                cipher: cipher(&mut words),
            },
            "wireguard" => Self::Wireguard { ip },
            "ipip" => Self::IpInIp { ip },
            "pppoe" => Self::Pppoe,
            _ => {
                let mut known: Vec<&str> = WORDS.iter().map(|(w, _)| w.split([':', '[']).next().unwrap_or(w)).collect();
                known.dedup();
                return Err(wrong(format!("there are {}", known.join(", "))));
            }
        };
        match words.first() {
            None => Ok(layer),
            Some(word) => Err(wrong(format!("`{name}` has no `{word}`"))),
        }
    }
}

/// Takes `word` out, if it is there.
fn take(words: &mut Vec<&str>, word: &str) -> bool {
    let place = words.iter().position(|w| *w == word);
    place.map(|i| words.remove(i)).is_some()
}

/// Takes a cipher out; AES-GCM where none is named.
fn cipher(words: &mut Vec<&str>) -> EspCipher {
    let known = [
        ("chacha20-poly1305", EspCipher::CHACHA20_POLY1305),
        ("aes-cbc-sha1", EspCipher::AES_CBC_SHA1_96),
        ("aes-cbc-sha256", EspCipher::AES_CBC_SHA256_128),
        ("aes-cbc-sha512", EspCipher::AES_CBC_SHA512_256),
        ("aes-gcm", EspCipher::AES_GCM_16),
    ];
    known.into_iter().find(|(word, _)| take(words, word)).map_or(EspCipher::AES_GCM_16, |(_, cipher)| cipher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_layers() {
        let esp = |mode, cipher, nat_t, ip| Layer::Esp { ip, mode, cipher, nat_t };
        for (text, layer) in [
            ("flat", Layer::Flat),
            ("vlan:carried", Layer::Vlan { carried: true }),
            ("gre:key", Layer::neutron_gre(Ip::V4)),
            ("vxlan:v6", Layer::Vxlan { ip: Ip::V6 }),
            ("geneve", Layer::ovn_geneve(Ip::V4)),
            ("geneve:30:v6", Layer::Geneve { ip: Ip::V6, max_header_size: 30 }),
            ("esp:transport", esp(EspMode::Transport, EspCipher::AES_GCM_16, false, Ip::V4)),
            ("esp:tunnel:aes-cbc-sha256:nat-t:v6", esp(EspMode::Tunnel, EspCipher::AES_CBC_SHA256_128, true, Ip::V6)),
            ("rancher=98", Layer::Other { name: "rancher".into(), overhead: 98 }),
        ] {
            assert_eq!(text.parse::<Layer>().unwrap(), layer, "{text}");
        }
    }

    #[test]
    fn other_words_are_not() {
        for (text, why) in [
            ("genev", "there are flat, vlan"),
            ("geneve:big", "`big` is no number of bytes"),
            ("esp", "say `esp:tunnel` or `esp:transport`"),
            ("esp:tunnel:des", "`esp` has no `des`"),
            ("vxlan:key", "`vxlan` has no `key`"),
            ("mine=x", "`x` is no number of bytes"),
        ] {
            let error = text.parse::<Layer>().unwrap_err();
            assert!(error.why.contains(why), "{text}: {error}");
        }
    }
}
