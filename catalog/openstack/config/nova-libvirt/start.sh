#!/bin/bash
# libvirtd and virtlogd. Guests belong to this container: they survive a crash of either daemon, which is started
# again here, and end with the container; nova-compute resumes them when it sees the new boot mark.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# what an earlier life left: sockets and the state of guests that are gone
find /run/libvirt -mindepth 1 -delete 2>/dev/null
mkdir -p /run/libvirt /var/lib/libvirt/qemu /var/log/libvirt/qemu
# this container's own device nodes (privileged containers get copies), not the host's
if [[ -c /dev/kvm ]]; then
    chgrp qemu /dev/kvm && chmod 0660 /dev/kvm
fi

stopping=
declare -A child
run() { # run NAME COMMAND...: start a daemon and remember it
    local name=$1
    shift
    "$@" &
    child[$name]=$!
}
start_log() { run virtlogd virtlogd --config /etc/libvirt/virtlogd.conf; }
start_virt() { run libvirtd libvirtd --config /etc/libvirt/libvirtd.conf; }
stop() {
    stopping=yes
    # libvirtd first, so that nova-compute sees a lost connection and not guests that shut themselves down
    kill -TERM "${child[libvirtd]}" 2>/dev/null
    # QEMU writes out its caches on TERM
    pkill -TERM -f '^/usr/bin/qemu-system' 2>/dev/null
    for _ in {1..50}; do
        pgrep -f '^/usr/bin/qemu-system' >/dev/null || break
        sleep 0.1
    done
    kill -TERM "${child[virtlogd]}" 2>/dev/null
    exit 0
}
trap stop TERM INT

start_log
until [[ -S /run/libvirt/virtlogd-sock ]]; do sleep 0.05; done
start_virt
until [[ -S /run/libvirt/libvirt-sock ]]; do sleep 0.1; done
chown root:nova /run/libvirt/libvirt-sock /run/libvirt/libvirt-sock-ro 2>/dev/null
cat /proc/sys/kernel/random/uuid >/run/libvirt/.boot && mv /run/libvirt/.boot /run/libvirt/stackyard-boot

while [[ -z $stopping ]]; do
    wait -n
    [[ -z $stopping ]] || break
    for name in "${!child[@]}"; do
        if ! kill -0 "${child[$name]}" 2>/dev/null; then
            echo "start-libvirt: $name ended; starting it again" >&2
            sleep 1
            case $name in
                virtlogd) start_log ;;
                libvirtd) start_virt ;;
            esac
        fi
    done
done
