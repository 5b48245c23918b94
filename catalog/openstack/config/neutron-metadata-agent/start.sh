#!/bin/bash
# The metadata agent, after what a former life left on the switch is gone. Its namespaces and their links went with
# the container, the switch still has the ports; and a link that comes back under its old name within moments is not
# listened to by the datapath in user space. Ports of guests and containers carry their MAC, these do not.
set -u
switch() { ovs-vsctl --db=tcp:127.0.0.1:6640 --timeout=10 "$@"; }
switch --format=csv --no-headings --columns=name,external_ids list Interface |
    awk -F, '/iface-id=/ && !/attached-mac=/ {gsub(/"/, "", $1); print $1}' |
    while read -r port; do
        switch --if-exists del-port br-int "$port"
        for _ in {1..50}; do
            [[ -e /sys/class/net/$port ]] || break
            sleep 0.1
        done
    done
exec fork-metadata-agent --config-file /etc/neutron/neutron.conf --config-file /etc/neutron/ovn_metadata.ini
