"""One TCP connection between members of a Neutron network: two servers, a server and a container, two containers, and
these through a VXLAN of their own in that network, as container platforms in servers make one.

The servers are tiny guests; whoever pulls counts bytes and takes the time, on both kinds with the same busybox.
"""
import json
import os
import statistics
import subprocess
import time

import net

MIB = 48
# Sends to whoever connects to port 7001.
SEND = f"#!/bin/sh\nexec dd if=/dev/zero bs=65536 count={MIB * 16}\n"
# pull ADDRESS: bytes received, and the uptime before and after in seconds.
PULL = ("#!/bin/sh\n[ -z \"$QUERY_STRING\" ] || printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
        "read -r start _ </proc/uptime\nbytes=$(nc ${QUERY_STRING:-$1} 7001 </dev/null | wc -c)\nread -r end _ </proc/uptime\n"
        "echo \"$bytes $start $end\"\n")
IMAGE = "stackyard-bench/talker:1"
GROUP = "bench-net-open"
SERVERS = ("bench-net-a", "bench-net-b")

MAKE = f"""
import base64, openstack
c = openstack.connect(cloud="local")
g = c.network.create_security_group(name="{GROUP}")
for protocol in ("icmp", "tcp", "udp"): c.network.create_security_group_rule(security_group_id=g.id, direction="ingress", protocol=protocol)
user_data = r'''#!/bin/sh
mkdir -p /www/cgi-bin
cat >/send <<"E"
{SEND}E
cat >/www/cgi-bin/pull <<"E"
{PULL}E
chmod 755 /send /www/cgi-bin/pull
httpd -p 8080 -h /www
nc -ll -p 7001 -e /send &
'''
made = [c.compute.create_server(name=name, image_id=c.image.find_image("tiny").id, flavor_id=c.compute.find_flavor("m1.nano").id,
        networks=[{{"uuid": c.network.find_network("bench-net").id}}], security_groups=[{{"name": "{GROUP}"}}],
        user_data=base64.b64encode(user_data.encode()).decode()) for name in {SERVERS}]
for s in made:
    s = c.compute.wait_for_server(s, wait=180)
    print(next(c.network.ports(device_id=s.id)).fixed_ips[0]["ip_address"])
"""
CLEAN = f"""
import openstack
c = openstack.connect(cloud="local")
for name in {SERVERS}:
    if s := c.compute.find_server(name):
        c.compute.delete_server(s)
        c.compute.wait_for_delete(s, wait=120)
"""
CLEAN_GROUP = f"""
import openstack
c = openstack.connect(cloud="local")
for g in c.network.security_groups(name="{GROUP}"): c.network.delete_security_group(g)
"""


def talker(work):
    os.makedirs(f"{work}/talker/bin")
    for name, text in (("send", SEND), ("pull", PULL)):
        with open(f"{work}/talker/{name}", "w") as f:
            f.write(text)
        os.chmod(f"{work}/talker/{name}", 0o755)
    subprocess.run(["cp", "/bin/busybox", f"{work}/talker/bin/busybox"], check=True)
    for name in ("sh", "dd", "nc", "wc", "wget", "timeout"):
        os.symlink("busybox", f"{work}/talker/bin/{name}")
    subprocess.run(f"tar -C {work}/talker -c . | docker import --change 'ENV PATH=/bin' --change "
                   f"'CMD [\"nc\",\"-ll\",\"-p\",\"7001\",\"-e\",\"/send\"]' - {IMAGE}", shell=True, check=True, stdout=subprocess.DEVNULL)


def measure(root, binary, clouds, sdk, samples):
    """Rows of the report."""
    sdk(CLEAN)
    sdk(net.CLEAN)
    sdk(CLEAN_GROUP)
    sdk(net.MAKE)
    bench = net.Bench(root, binary, clouds, sdk, samples, 0)
    try:
        talker(bench.work)
        return rows(bench, sdk(MAKE).split())
    except BaseException:
        subprocess.run(["tail", "-n", "40", f"{bench.work}/log"])
        raise
    finally:
        sdk(CLEAN)
        bench.close()
        sdk(CLEAN_GROUP)
        net.quiet("docker", "rmi", "-f", IMAGE)


def in_namespace(container, *words):
    pid = net.docker("inspect", "-f", "{{.State.Pid}}", container)
    subprocess.run(["nsenter", "-t", pid, "-n", "ip", *words], check=True)


def rows(bench, servers):
    bench.stackyard("sybench")
    network = bench.create("sybench", "bench-path", "-o", f"security-groups={GROUP}").network
    address = {}
    for name in ("bench-one", "bench-two"):
        net.docker("run", "-d", "--init", "--name", name, "--label", "stackyard-bench", "--network", network, IMAGE)
        address[name] = net.docker("inspect", "-f", f"{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}", name)
    for here, there, own in (("bench-one", "bench-two", 1), ("bench-two", "bench-one", 2)):
        in_namespace(here, "link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "dev", "eth0", "remote", address[there])
        in_namespace(here, "addr", "add", f"10.96.0.{own}/24", "dev", "vx0")
        in_namespace(here, "link", "set", "vx0", "up")
    mtu = {link: json.loads(subprocess.run(
        ["nsenter", "-t", net.docker("inspect", "-f", "{{.State.Pid}}", "bench-one"), "-n", "ip", "-j", "link", "show", link],
        check=True, text=True, stdout=subprocess.PIPE).stdout)[0]["mtu"] for link in ("eth0", "vx0")}

    def by_container(source):
        return net.docker("exec", "bench-one", "timeout", "120", "/pull", source)

    def by_server(source):
        return net.docker("exec", "bench-one", "timeout", "120", "wget", "-q", "-O", "-", f"http://{servers[1]}:8080/cgi-bin/pull?{source}")

    def rate(pull, source):
        """MiB a second."""
        count, start, end = pull(source).split()
        if int(count) != MIB << 20:
            raise SystemExit(f"bench: {count} of {MIB << 20} bytes came from {source}")
        return MIB / (float(end) - float(start))

    def answers(pull, source):
        try:
            return int(pull(source).split()[0]) == MIB << 20
        except (SystemExit, IndexError):
            return False

    for pull in (by_server, by_container):
        net.until("the servers", lambda: answers(pull, servers[0]), 120)
    pulls = {"server to server": (by_server, servers[0]), "server to container": (by_container, servers[0]),
             "container to server": (by_server, address["bench-one"]), "direct": (by_container, address["bench-two"]),
             "nested": (by_container, "10.96.0.2")}
    rates = {name: [] for name in pulls}
    for n in range(bench.samples + 1):
        for name, (pull, source) in pulls.items():
            measured = rate(pull, source)
            if n:  # The first round warms up.
                rates[name].append(measured)
            time.sleep(0.2)
    rates = {name: statistics.median(of) for name, of in rates.items()}
    base = rates["server to server"]
    share = lambda name: f"{rates[name]:.0f} MiB/s, {rates[name] / base:.2f} of that"
    return [
        (f"server to server (median of {bench.samples})", f"{base:.0f} MiB/s", ""),
        ("server to container", share("server to container"), ">= 0.95"),
        ("container to server", share("container to server"), ">= 0.95"),
        (f"container to container, packets of {mtu['eth0']} bytes", f"{rates['direct']:.0f} MiB/s", ""),
        (f"... through a VXLAN in that network, packets of {mtu['vx0']} bytes",
         f"{rates['nested']:.0f} MiB/s, {rates['nested'] / rates['direct']:.2f} of that", ""),
    ]
