#!/bin/sh
# Stackyard: makes this machine a host. Images that bring the agent and have booted with it need
# nothing more; others get agent and Docker Engine. May be run again.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
say() { printf 'stackyard: %s\n' "$*"; [ -t 0 ] || printf 'stackyard: %s\n' "$*" >/dev/console 2>/dev/null; :; }
fail() { say "agent: FAILED: $*"; exit 1; }
[ "$(id -u)" = 0 ] || fail "this needs root"
[ -x /usr/bin/stackyard ] && systemctl is-active --quiet stackyard-prepare && exit 0
[ -d /run/systemd/system ] || fail "there is no systemd here"
umask 077
mkdir -p /etc/stackyard
if [ ! -e /etc/stackyard/agent.json ]; then
    base64 -d >/etc/stackyard/agent.json.new <<'STACKYARD'
@CONFIG@
STACKYARD
    mv /etc/stackyard/agent.json.new /etc/stackyard/agent.json
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base64 -d >"$work/ca.pem" <<'STACKYARD'
@CA@
STACKYARD

need() {
    for package in "$@"; do
        say "installs $package"
        if command -v apt-get >/dev/null; then
            # cloud-init and unattended upgrades hold the lock at the first boot
            { apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$package" ||
                { apt-get -q -o DPkg::Lock::Timeout=300 update &&
                    apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$package"; }; } \
                >"$work/log" 2>&1 && return 0
        elif command -v dnf >/dev/null; then
            dnf -q install -y "$package" >"$work/log" 2>&1 && return 0
        elif command -v zypper >/dev/null; then
            zypper -q --non-interactive install "$package" >"$work/log" 2>&1 && return 0
        else
            echo "neither apt-get, dnf nor zypper" >"$work/log"
        fi
    done
    tail -n 5 "$work/log"
    return 1
}

bin=/usr/bin/stackyard
if [ ! -x $bin ]; then
    bin=/usr/local/bin/stackyard
    case $(uname -m) in
        x86_64) arch=amd64 ;;
        aarch64) arch=arm64 ;;
        *) fail "there is no agent for $(uname -m)" ;;
    esac
    command -v curl >/dev/null || need curl || fail "curl cannot be installed"
    if [ ! -x $bin ]; then
        say "fetches the agent"
        for attempt in $(seq 30); do
            for server in @SERVERS@; do
                curl -fsS --connect-timeout 10 --cacert "$work/ca.pem" "$server/agent/$arch" -o $bin.new && break 2
            done
            [ "$attempt" = 30 ] && fail "no agent can be fetched from @SERVERS@"
            sleep 5
        done
        chmod 755 $bin.new && mv $bin.new $bin
    fi
fi

umask 022
units=/etc/systemd/system
[ -e $units/stackyard-prepare.service ] || cat >$units/stackyard-prepare.service <<UNIT
[Unit]
Description=Stackyard: make the host ready for Docker
After=cloud-init.service
Before=docker.service
ConditionPathExists=/etc/stackyard/agent.json

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$bin agent prepare
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
UNIT
[ -e $units/stackyard-agent.service ] || cat >$units/stackyard-agent.service <<UNIT
[Unit]
Description=Stackyard: agent
After=docker.service network-online.target
Wants=network-online.target
ConditionPathExists=/etc/stackyard/agent.json
StartLimitIntervalSec=0

[Service]
ExecStart=$bin agent run
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
UNIT
if [ ! -e $units/docker.service.d/stackyard.conf ]; then
    mkdir -p $units/docker.service.d
    printf '[Unit]\nRequires=stackyard-prepare.service\nAfter=stackyard-prepare.service\n' >$units/docker.service.d/stackyard.conf
fi
systemctl daemon-reload

# The volume for Docker's data is mounted before Docker writes anything.
if ! systemctl is-active --quiet stackyard-prepare; then
    systemctl stop docker.socket docker.service 2>/dev/null
    say "prepares"
    systemctl restart stackyard-prepare || fail "the machine cannot be prepared: $(journalctl -u stackyard-prepare -n 3 -o cat | tr '\n' ' ')"
fi
command -v dockerd >/dev/null || need docker.io docker moby-engine docker-ce || fail "Docker Engine cannot be installed"
systemctl enable --quiet docker stackyard-prepare stackyard-agent || fail "units cannot be enabled"
systemctl start docker || fail "Docker does not start: $(journalctl -u docker -n 3 -o cat | tr '\n' ' ')"
systemctl restart stackyard-agent || fail "the agent does not start"
say "the agent runs"
