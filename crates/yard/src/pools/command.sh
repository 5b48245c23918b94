#!/bin/sh
# Stackyard: runs the command that joins this server to its cluster, once.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=/var/lib/stackyard
volume='@VOLUME@' mount='@MOUNT@'
[ -e $state/joined ] && exit 0
umask 077
mkdir -p $state
say() { printf 'stackyard: %s\n' "$*" >/dev/console 2>/dev/null || printf 'stackyard: %s\n' "$*"; }
fail() { say "join: FAILED: $*"; exit 1; }

# Only devices whose id is the volume's: names like vdb mean nothing.
if [ -n "$volume" ]; then
    short=$(printf %s "$volume" | cut -c1-20)
    device=
    for _ in $(seq 120); do
        for link in /dev/disk/by-id/*"$short"*; do
            case $link in *-part[0-9]*) continue ;; esac
            [ -b "$link" ] && device=$(readlink -f "$link")
        done
        [ -n "$device" ] && break
        sleep 1
    done
    [ -n "$device" ] || fail "the data volume $volume did not appear"
    # 2: nothing is on it. Any other answer but a file system is left alone.
    blkid -p "$device" >/dev/null 2>&1; found=$?
    [ $found = 2 ] && { mkfs.ext4 -q "$device" || fail "the data volume cannot be formatted"; }
    mkdir -p "$mount"
    mountpoint -q "$mount" || mount "$device" "$mount" || fail "the data volume cannot be mounted at $mount"
    case $(blkid -p -s TYPE -o value "$device") in
        ext4) resize2fs "$device" >/dev/null 2>&1 ;;
        xfs) xfs_growfs "$mount" >/dev/null 2>&1 ;;
    esac
    uuid=$(blkid -p -s UUID -o value "$device")
    grep -q " $mount " /etc/fstab || echo "UUID=$uuid $mount auto defaults,nofail 0 2" >>/etc/fstab
fi

# The server's own id: from cloud-init, which asked the metadata service or read the config drive; else from there.
metadata=http://169.254.169.254/openstack/latest/meta_data.json
uuid_in() { sed -n 's/.*"uuid": *"\([0-9a-f-]\{36\}\)".*/\1/p' | head -n 1; }
id=$(grep -Eo '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' /var/lib/cloud/data/instance-id 2>/dev/null)
for _ in $(seq 30); do
    [ -n "$id" ] && break
    id=$({ curl -sf --max-time 5 $metadata || wget -qO- -T 5 $metadata; } 2>/dev/null | uuid_in)
    [ -n "$id" ] && break
    drive=$(blkid -t LABEL=config-2 -o device 2>/dev/null | head -n 1)
    if [ -n "$drive" ]; then
        mkdir -p $state/config && mount -o ro "$drive" $state/config 2>/dev/null &&
            id=$(uuid_in <$state/config/openstack/latest/meta_data.json)
        umount $state/config 2>/dev/null
    fi
    [ -n "$id" ] || sleep 2
done
[ -n "$id" ] || fail "neither the metadata service nor a config drive tells this server's id"
CATTLE_ID=$(printf %s "$id" | cut -c1-63)
export CATTLE_ID

# A default route is what commands that fetch something need.
for _ in $(seq 120); do
    [ -n "$(ip route show default 2>/dev/null; ip -6 route show default 2>/dev/null)" ] && break
    sleep 1
done

# It runs as root already, and sudo would take CATTLE_ID away.
sudo() {
    while :; do
        case ${1-} in
            -u* | -g* | --user* | --group*) command sudo "$@"; return ;;
            --) shift; break ;;
            -*) shift ;;
            *) break ;;
        esac
    done
    env "$@"
}
base64 -d >$state/command <<'STACKYARD'
@COMMAND@
STACKYARD
say "join: runs the command as $CATTLE_ID"
( . $state/command ) >$state/join.log 2>&1 </dev/null
status=$?
rm -f $state/command
if [ $status != 0 ]; then
    tail -n 10 $state/join.log | while IFS= read -r line; do say "| $line"; done
    fail "the command ended with $status"
fi
touch $state/joined
say "join: DONE"
