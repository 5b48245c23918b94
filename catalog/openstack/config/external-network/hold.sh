#!/bin/bash
# Holds the host's side of the external network, and looks after it every few seconds:
#   without a Neutron interface: the gateway's address on br-ex, forwarding, NAT to the outside, and Docker's
#     leave to forward (its FORWARD chain drops by default);
#   with one: that card in br-ex, up and without an address of ours.
# All of it is taken back when this ends. Every step may be repeated.
# With the argument "check" it only says whether all is in place.
set -u
. /etc/stackyard/external-network.conf
prefix=${cidr#*/}
table=stackyard_external

# The rules of Docker live where its own iptables put them.
iptables=
for tool in iptables-nft iptables-legacy; do
    if $tool -w 5 -S DOCKER-USER >/dev/null 2>&1; then
        iptables="$tool -w 5"
    fi
done

nat_rules() {
    nft -f - <<NFT
table ip $table
delete table ip $table
table ip $table {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr $cidr ip daddr != $cidr oifname != "br-ex" masquerade
    }
}
NFT
}

# whole DEVICE FEATURE...: what passes between DEVICE and the switch is whole packets, none to be cut into segments.
whole() {
    [[ $segments = ours ]] || return
    local device=$1 feature
    for feature in "${@:2}"; do
        ethtool -k "$device" 2>/dev/null | grep -q "^$feature: on" && ethtool -K "$device" "$feature" off 2>/dev/null
    done
}

hold_nat() {
    # a card that an earlier answer named goes back
    for port in $(ovs-vsctl --timeout=5 --bare --columns=name find Port external_ids:stackyard=neutron-interface); do
        ovs-vsctl --timeout=5 --if-exists del-port br-ex "$port"
    done
    if ! ip -4 -o address show dev br-ex | grep -qF " $gateway/$prefix "; then
        ip address replace "$gateway/$prefix" dev br-ex && echo "br-ex has $gateway/$prefix"
    fi
    [[ $(</sys/class/net/br-ex/flags) =~ [13579bdf]$ ]] || ip link set br-ex up
    whole br-ex tcp-segmentation-offload
    [[ $(</proc/sys/net/ipv4/ip_forward) = 1 ]] || echo 1 >/proc/sys/net/ipv4/ip_forward
    nft list table ip $table >/dev/null 2>&1 || { nat_rules && echo "traffic of $cidr leaves by NAT"; }
    if [[ -n $iptables ]]; then
        $iptables -C DOCKER-USER -i br-ex -j ACCEPT 2>/dev/null || $iptables -I DOCKER-USER -i br-ex -j ACCEPT
        $iptables -C DOCKER-USER -o br-ex -j ACCEPT 2>/dev/null || $iptables -I DOCKER-USER -o br-ex -j ACCEPT
    fi
}

hold_interface() {
    drop_nat
    if [[ ! -e /sys/class/net/$interface ]]; then
        echo "the Neutron interface $interface does not exist" >&2
        return
    fi
    if [[ $(ovs-vsctl --timeout=5 --if-exists port-to-br "$interface" 2>/dev/null) != br-ex ]]; then
        ovs-vsctl --timeout=5 --may-exist add-port br-ex "$interface" -- \
            set Port "$interface" external_ids:stackyard=neutron-interface && echo "br-ex has $interface"
    fi
    ip link set "$interface" mtu "$mtu" up
    whole "$interface" generic-receive-offload large-receive-offload
    [[ $(</sys/class/net/br-ex/flags) =~ [13579bdf]$ ]] || ip link set br-ex up
}

drop_nat() {
    nft delete table ip $table 2>/dev/null
    ip address delete "$gateway/$prefix" dev br-ex 2>/dev/null
    if [[ -n $iptables ]]; then
        while $iptables -D DOCKER-USER -i br-ex -j ACCEPT 2>/dev/null; do :; done
        while $iptables -D DOCKER-USER -o br-ex -j ACCEPT 2>/dev/null; do :; done
    fi
}

release() {
    drop_nat
    # In user space br-ex is a device of the switch; the kernel's datapath would keep bridges for ever.
    ovs-vsctl --timeout=3 --if-exists del-port br-ex "${interface:-none}" 2>/dev/null
    [[ -z $interface || $segments != ours ]] || ethtool -K "$interface" generic-receive-offload on 2>/dev/null
    exit 0
}

if [[ ${1:-} = check ]]; then
    if [[ -n $interface ]]; then
        [[ $(ovs-vsctl --timeout=5 port-to-br "$interface") = br-ex ]]
    else
        ip -4 -o address show dev br-ex up | grep -qF " $gateway/$prefix " && nft list table ip $table >/dev/null
    fi
    exit
fi
trap release TERM INT

exec 3<> <(:)
while :; do
    if [[ -e /sys/class/net/br-ex ]]; then
        if [[ -n $interface ]]; then hold_interface; else hold_nat; fi
    fi
    read -r -t 3 -u 3
done
