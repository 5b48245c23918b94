#!/bin/sh
# Joins this machine to a Stackyard server: installs Docker Engine from the distribution's packages if
# there is none, fetches the binary from the server, joins, and keeps the agent running. `stackyard host
# join` prints the line that runs this. May be run again after a failure.
set -eu

server='' ca='' ca_sha256='' name='' bin=/usr/local/bin/stackyard
fail() { printf 'join: %s\n' "$*" >&2; exit 1; }
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "$1 needs a value"
    case $1 in
        --server) server=${2%/} ;;
        --ca) ca=$2 ;;
        --ca-sha256) ca_sha256=$2 ;;
        --token) STACKYARD_JOIN_TOKEN=$2 ;;
        --name) name=$2 ;;
        *) fail "unknown option $1" ;;
    esac
    shift 2
done
[ -n "$server" ] || fail 'give --server https://HOST:PORT'
[ -n "${STACKYARD_JOIN_TOKEN:-}" ] || fail 'no join token: set STACKYARD_JOIN_TOKEN'
# Not for what is installed here to see.
token=$STACKYARD_JOIN_TOKEN
unset STACKYARD_JOIN_TOKEN
[ "$(id -u)" = 0 ] || fail 'run this as root: it installs the agent'
command -v curl >/dev/null || fail 'curl is missing; install it'

case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *) fail "there is no agent for $(uname -m)" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$ca" ]; then
    [ -n "$ca_sha256" ] || fail 'give --ca FILE or --ca-sha256 DIGEST, to know the server by'
    ca=$work/ca.pem
    curl -fsSk "$server/ca.pem" -o "$ca"
fi
if [ -n "$ca_sha256" ]; then
    echo "$ca_sha256  $ca" | sha256sum -c - >/dev/null || fail "the CA of $server is not the one that was expected"
fi

# need PACKAGE...: installs the first one that the distribution has.
need() {
    for package in "$@"; do
        echo "join: installs $package"
        if command -v apt-get >/dev/null; then
            # The lists of a fresh machine are old or not there, unattended upgrades hold the lock.
            { apt-get -q -o DPkg::Lock::Timeout=300 update &&
                DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y \
                    --no-install-recommends "$package"; } >"$work/log" 2>&1 && return 0
        elif command -v dnf >/dev/null; then
            dnf -q install -y "$package" >"$work/log" 2>&1 && return 0
        elif command -v zypper >/dev/null; then
            zypper -q --non-interactive install "$package" >"$work/log" 2>&1 && return 0
        else
            return 1
        fi
    done
    tail -n 5 "$work/log" >&2
    return 1
}
if ! command -v dockerd >/dev/null && ! command -v docker >/dev/null; then
    need docker.io docker moby-engine docker-ce || fail 'Docker Engine is missing and cannot be installed; install it'
    if [ -d /run/systemd/system ]; then
        systemctl enable --quiet --now docker.service || fail 'Docker Engine does not start: see journalctl -u docker'
    fi
fi

# A running binary cannot be written over, but another can take its place.
curl -fsS --cacert "$ca" "$server/agent/$arch" -o "$bin.new" || fail "cannot fetch the agent from $server"
chmod 755 "$bin.new"
mv "$bin.new" "$bin"

STACKYARD_JOIN_TOKEN=$token "$bin" agent join --server "$server" --ca "$ca" ${name:+--name "$name"} ||
    fail 'the machine has not joined'

if [ -d /run/systemd/system ]; then
    cat > /etc/systemd/system/stackyard-agent.service <<UNIT
[Unit]
Description=Stackyard agent
Wants=network-online.target
After=network-online.target docker.service

[Service]
ExecStart=$bin agent run
Restart=always
RestartSec=2
# Containers go on without the agent.
KillMode=process

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable --quiet stackyard-agent.service
    systemctl restart stackyard-agent.service
    echo 'join: joined; the agent runs as stackyard-agent.service'
else
    mkdir -p /var/log
    nohup "$bin" agent run >>/var/log/stackyard-agent.log 2>&1 </dev/null &
    echo "join: joined; the agent runs as process $!, until the machine boots again (there is no systemd here)"
fi
