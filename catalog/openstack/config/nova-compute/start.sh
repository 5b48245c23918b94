#!/bin/bash
# nova-compute, tied to the life of nova-libvirt: when that container was started anew all guests are gone, and
# only a start of nova-compute resumes those that should run.
set -u
boot_file=/run/libvirt/stackyard-boot
until [[ -S /run/libvirt/libvirt-sock && -s $boot_file ]]; do sleep 0.2; done
boot=$(<"$boot_file")
nova-compute --config-file /etc/nova/nova.conf &
child=$!
trap 'kill -TERM $child' TERM INT
# a wait that costs no process: nobody ever writes into this pipe
exec 3<> <(:)
while kill -0 "$child" 2>/dev/null; do
    read -r -t 2 -u 3
    if [[ -s $boot_file && $(<"$boot_file") != "$boot" ]]; then
        echo "start-nova-compute: libvirt was started anew; starting again to resume the guests"
        kill -TERM "$child"
        for _ in 1 2 3 4 5; do kill -0 "$child" 2>/dev/null && read -r -t 1 -u 3; done
        kill -KILL "$child" 2>/dev/null
        exit 1
    fi
done
wait "$child"
