#!/bin/sh
# Called by udhcpc with the lease in variables: https://www.rfc-editor.org/rfc/rfc2132 names the options.
case $1 in
deconfig)
    ip addr flush dev "$interface"
    ip link set "$interface" up
    ;;
bound|renew)
    if [ "$1" = bound ]; then
        ip addr flush dev "$interface"
        ip addr add "$ip/$mask" dev "$interface"
        # overlay networks are smaller than 1500
        [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
        # classless routes, when given, replace the router (RFC 3442); one default route is enough
        if [ -n "$staticroutes" ]; then
            set -- $staticroutes
            while [ $# -ge 2 ]; do
                case $1 in
                0.0.0.0/0) router=$2 ;;
                *) if [ "$2" = 0.0.0.0 ]; then ip route add "$1" dev "$interface"; else ip route add "$1" via "$2" dev "$interface"; fi 2>/dev/null ;;
                esac
                shift 2
            done
        fi
        for gateway in $router; do
            ip route | grep -q '^default' || ip route add default via "$gateway" dev "$interface"
            break
        done
        for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
        for out in /dev/ttyS0 /dev/tty1; do
            echo "TINY: dhcp $interface ip=$ip/$mask router=$router mtu=$mtu dns=$dns lease=$lease server=$serverid" >$out
        done
        : >/run/address
    fi
    ;;
esac
