#cloud-boothook
#!/bin/sh
# Stackyard: the agent's configuration. Written once; the token in it is good for one join.
set -eu
[ -e /etc/stackyard/agent.json ] && exit 0
umask 077
mkdir -p /etc/stackyard
base64 -d >/etc/stackyard/agent.json.new <<'STACKYARD'
@CONFIG@
STACKYARD
mv /etc/stackyard/agent.json.new /etc/stackyard/agent.json
