use super::neutron::{Segment, Settings};
use super::*;
use proptest::prelude::*;

fn payload(underlay: u32, layer: Layer) -> u32 {
    Path::new(underlay, &[layer]).unwrap().payload()
}

#[test]
fn known_values_of_tunnels_on_1500() {
    for (layer, expected) in [
        (Layer::neutron_gre(Ip::V4), 1458),
        (Layer::neutron_gre(Ip::V6), 1438),
        (Layer::Vxlan { ip: Ip::V4 }, 1450),
        (Layer::Vxlan { ip: Ip::V6 }, 1430),
        (Layer::Geneve { ip: Ip::V4, max_header_size: 30 }, 1450),
        (Layer::ovn_geneve(Ip::V4), 1442),
        (Layer::ovn_geneve(Ip::V6), 1422),
        (Layer::Wireguard { ip: Ip::V4 }, 1440),
        (Layer::Wireguard { ip: Ip::V6 }, 1420),
        (Layer::Flat, 1500),
        (Layer::Vlan { carried: false }, 1500),
        (Layer::Vlan { carried: true }, 1496),
        (Layer::Pppoe, 1492),
        (Layer::IpInIp { ip: Ip::V4 }, 1480),
        (Layer::Other { name: "Rancher 1.6 ipsec".into(), overhead: 98 }, 1402),
        // An IP-in-GRE tunnel of the kernel, as in `ip tunnel add mode gre`.
        (Layer::Gre { ip: Ip::V4, carries: Carries::Ip, key: false, sequence: false, checksum: false }, 1476),
    ] {
        assert_eq!(payload(1500, layer.clone()), expected, "{layer}");
    }
    assert_eq!(payload(9000, Layer::ovn_geneve(Ip::V4)), 8942);
}

fn esp(mode: EspMode, cipher: EspCipher, nat_t: bool, ip: Ip) -> Layer {
    Layer::Esp { ip, mode, cipher, nat_t }
}

#[test]
fn esp_with_gcm_takes_34_to_37_in_transport_mode() {
    for underlay in 1400..1600 {
        let layer = esp(EspMode::Transport, EspCipher::AES_GCM_16, false, Ip::V4);
        let overhead = underlay - layer.payload(underlay).unwrap();
        assert!((34..=37).contains(&overhead), "{underlay}: {overhead}");
    }
}

#[test]
fn esp_modes_and_nat_traversal_add_up() {
    let plain = esp(EspMode::Transport, EspCipher::AES_GCM_16, false, Ip::V4);
    // 1500 - 20 in the clear - 32 leaves 1448, already whole words; minus the trailer.
    assert_eq!(payload(1500, plain), 1466);
    assert_eq!(payload(1500, esp(EspMode::Transport, EspCipher::AES_GCM_16, true, Ip::V4)), 1458);
    assert_eq!(payload(1500, esp(EspMode::Tunnel, EspCipher::AES_GCM_16, false, Ip::V4)), 1446);
    assert_eq!(payload(1500, esp(EspMode::Tunnel, EspCipher::AES_GCM_16, false, Ip::V6)), 1426);
    // The figure that IPsec guides give for AES-CBC with SHA-1 in tunnel mode on 1500.
    assert_eq!(payload(1500, esp(EspMode::Tunnel, EspCipher::AES_CBC_SHA1_96, false, Ip::V4)), 1438);
    assert_eq!(payload(1500, esp(EspMode::Tunnel, EspCipher::AES_CBC_SHA256_128, true, Ip::V4)), 1422);
}

#[test]
fn neutron_computes_what_the_drivers_do() {
    let mut s = Settings { geneve_max_header_size: 38, ..Settings::default() };
    assert_eq!(s.network_mtu(Segment::Geneve), 1442);
    assert_eq!(s.network_mtu(Segment::Vxlan), 1450);
    assert_eq!(s.network_mtu(Segment::Gre), 1458);
    assert_eq!(s.network_mtu(Segment::Flat { physnet_mtu: None }), 1500);
    assert_eq!(s.network_mtu(Segment::Vlan { physnet_mtu: Some(1400) }), 1400);
    s.overlay_ip = Ip::V6;
    assert_eq!(s.network_mtu(Segment::Geneve), 1422);
    s.global_physnet_mtu = 9000;
    assert_eq!(s.network_mtu(Segment::Geneve), 8922);
    s.path_mtu = 1500;
    assert_eq!(s.network_mtu(Segment::Geneve), 1422);
    assert_eq!(s.multi_segment_mtu(&[Segment::Geneve, Segment::Vlan { physnet_mtu: None }]), 1422);
    s.global_physnet_mtu = 0;
    s.path_mtu = 0;
    assert_eq!(s.network_mtu(Segment::Geneve), 0);
}

#[test]
fn a_path_explains_itself() {
    let layers = [Layer::ovn_geneve(Ip::V4), Layer::Vxlan { ip: Ip::V4 }, Layer::Vlan { carried: true }];
    let path = Path::new(1500, &layers).unwrap();
    insta::assert_snapshot!(path.explain(), @r"
     1500  underlay
     1442  Geneve over IPv4: -58 (IPv4 20 + UDP 8 + Geneve 8 + options 8 + Ethernet 14)
     1392  VXLAN over IPv4: -50 (IPv4 20 + UDP 8 + VXLAN 8 + Ethernet 14)
     1388  VLAN tag inside: -4 (802.1Q tag 4)
    ");
    let small = Path::new(1320, &layers).unwrap();
    assert!(!small.carries_ipv6());
    assert!(small.explain().ends_with("IPv6 needs 1280 (RFC 8200, section 5)\n"));
}

#[test]
fn a_path_that_cannot_be_names_the_layer() {
    let error = Path::new(120, &[Layer::Flat, Layer::Vxlan { ip: Ip::V4 }, Layer::Vxlan { ip: Ip::V4 }]).unwrap_err();
    assert_eq!(error, TooSmall { name: "VXLAN over IPv4".into(), underlay: 70 });
}

fn ips() -> impl Strategy<Value = Ip> {
    prop_oneof![Just(Ip::V4), Just(Ip::V6)]
}

fn layers() -> impl Strategy<Value = Layer> {
    let ciphers = prop_oneof![
        Just(EspCipher::AES_GCM_16),
        Just(EspCipher::AES_CBC_SHA1_96),
        Just(EspCipher::AES_CBC_SHA512_256),
        (0u32..32, prop_oneof![Just(1u32), Just(8), Just(16)], 0u32..64).prop_map(|(iv, block, icv)| EspCipher {
            iv,
            block,
            icv
        }),
    ];
    let modes = prop_oneof![Just(EspMode::Transport), Just(EspMode::Tunnel)];
    prop_oneof![
        Just(Layer::Flat),
        any::<bool>().prop_map(|carried| Layer::Vlan { carried }),
        (ips(), any::<[bool; 4]>()).prop_map(|(ip, [eth, key, sequence, checksum])| Layer::Gre {
            ip,
            carries: if eth { Carries::Ethernet } else { Carries::Ip },
            key,
            sequence,
            checksum
        }),
        ips().prop_map(|ip| Layer::Vxlan { ip }),
        (ips(), 0u32..300).prop_map(|(ip, max_header_size)| Layer::Geneve { ip, max_header_size }),
        (ips(), modes, ciphers, any::<bool>()).prop_map(|(ip, mode, cipher, nat_t)| Layer::Esp {
            ip,
            mode,
            cipher,
            nat_t
        }),
        ips().prop_map(|ip| Layer::Wireguard { ip }),
        ips().prop_map(|ip| Layer::IpInIp { ip }),
        Just(Layer::Pppoe),
    ]
}

proptest! {
    #[test]
    fn payload_is_the_largest_that_fits(underlay in 1300u32..70_000, layer in layers()) {
        let fits = layer.payload(underlay).unwrap();
        prop_assert!(layer.needed(fits) <= underlay);
        prop_assert!(layer.needed(fits + 1) > underlay);
    }

    #[test]
    fn needed_is_the_smallest_that_carries(size in 68u32..70_000, layers in prop::collection::vec(layers(), 0..6)) {
        let underlay = needed(size, &layers);
        prop_assert!(Path::new(underlay, &layers).unwrap().payload() >= size);
        let less = Path::new(underlay - 1, &layers).map_or(0, |p| p.payload());
        prop_assert!(less < size);
    }

    #[test]
    fn a_larger_underlay_never_carries_less(underlay in 4000u32..70_000, more in 0u32..64, layers in prop::collection::vec(layers(), 0..6)) {
        let a = Path::new(underlay, &layers).unwrap();
        let b = Path::new(underlay + more, &layers).unwrap();
        prop_assert!(a.payload() <= b.payload());
        prop_assert!(b.payload() <= a.payload() + more.max(64));
    }

    #[test]
    fn steps_chain_and_sums_add_up(underlay in 4000u32..70_000, layers in prop::collection::vec(layers(), 1..6)) {
        let path = Path::new(underlay, &layers).unwrap();
        let mut beneath = underlay;
        for step in &path.steps {
            prop_assert_eq!(step.underlay, beneath);
            prop_assert_eq!(step.overhead, beneath - step.payload);
            let sum: u32 = step.formula.split(" + ").filter_map(|t| t.rsplit(' ').next()?.parse::<u32>().ok()).sum();
            prop_assert_eq!(sum, step.overhead, "{}", &step.formula);
            beneath = step.payload;
        }
        prop_assert_eq!(path.overhead(), underlay - beneath);
    }

    #[test]
    fn no_size_makes_it_panic(underlay in any::<u32>(), layer in layers()) {
        if let Ok(path) = Path::new(underlay, &[layer]) {
            path.explain();
        }
    }
}
