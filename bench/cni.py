"""CNI's ADD and DEL: `stackyard-cni` beside the reference plugin `bridge`, in turns, in namespaces of their own.

What Neutron takes of an ADD is measured with a tap before it, and taken off: `bridge` has no such thing to ask. So is
what passes between the plugin's last word to the agent, that all is set up, and the agent's answer: it waits for OVN.
"""
import json
import os
import socket
import statistics
import subprocess
import threading
import time

import net

NAME = "sybenchcni"
PLUGINS = "/usr/lib/cni"


class Namespace:
    def __init__(self, name):
        self.name, self.path = name, f"/run/netns/{name}"
        subprocess.run(["ip", "netns", "add", name], check=True)

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], check=True)


class Words:
    """Stands before the agent's socket, and notes down when what of a plugin's went by; what it takes by itself counts
    as the plugin's."""

    def __init__(self, path, agent):
        self.agent, self.waited = agent, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            plugin, _ = self.listener.accept()
            agent = socket.socket(socket.AF_UNIX)
            agent.connect(self.agent)
            for ends in ((plugin, agent), (agent, plugin)):
                threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, one, other):
        while True:
            data, files, _, _ = socket.recv_fds(one, 1 << 16, 4)
            if data == b"configured\n":
                self.asked = time.monotonic()
            elif data == b'"done"\n':
                self.waited = time.monotonic() - self.asked
            if not data:
                other.shutdown(socket.SHUT_WR)
                return
            socket.send_fds(other, [data], files)
            for file in files:
                os.close(file)


def call(plugin, command, namespace, conf):
    """When a plugin was started and when it had ended, by the monotonic clock."""
    env = os.environ | {"CNI_COMMAND": command, "CNI_CONTAINERID": namespace.name, "CNI_NETNS": namespace.path,
                        "CNI_IFNAME": "eth0", "CNI_PATH": PLUGINS}
    start = time.monotonic()
    done = subprocess.run([plugin], input=json.dumps(conf), env=env, text=True, capture_output=True)
    end = time.monotonic()
    if done.returncode:
        raise SystemExit(f"bench: {os.path.basename(plugin)} {command}: {done.stdout}{done.stderr}")
    return start, end


def measure(root, binary, clouds, sdk, samples):
    """Rows of the report."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ.pop(name, None)
    sdk(net.CLEAN)
    sdk(net.MAKE)
    bench = net.Bench(root, binary, clouds, sdk, samples, 0)
    try:
        return rows(bench)
    except BaseException:
        subprocess.run(["tail", "-n", "40", f"{bench.work}/log"])
        raise
    finally:
        bench.close()
        subprocess.run("ip netns list | grep -o '^sybench-[^ ]*' | xargs -rn1 ip netns del", shell=True)
        subprocess.run(["ip", "link", "del", "sybench0"], capture_output=True)
        subprocess.run(["rm", "-f", f"/run/stackyard/cni-{NAME}.sock"])


def rows(bench):
    neutron = f"{bench.work}/neutron.log"
    sdk = 'import openstack\nc = openstack.connect(cloud="local")\nprint(c.endpoint_for("network"))'
    endpoint = bench.sdk(sdk).split("//")[1].split("/")[0]
    bench.start(f"{bench.root}/bench/tap", net.NEUTRON_TAP, endpoint, neutron)
    bench.stackyard(NAME, tapped=True)
    ours, bridge = f"{bench.work}/stackyard-cni", f"{PLUGINS}/bridge"
    os.symlink(os.path.abspath(bench.binary), ours)
    words = Words(f"{bench.work}/words.sock", f"/run/stackyard/cni-{NAME}.sock")
    conf = {"cniVersion": "1.0.0", "name": "sybench", "type": "stackyard-cni", "network": "bench-net",
            "socket": f"{bench.work}/words.sock"}
    sides = {
        "bridge": (bridge, {"cniVersion": "1.0.0", "name": "sybench", "type": "bridge", "bridge": "sybench0", "isGateway": True,
                            "ipam": {"type": "host-local", "dataDir": f"{bench.work}/ipam", "routes": [{"dst": "0.0.0.0/0"}],
                                     "subnet": "10.98.0.0/24"}}),
        # One that names its subnet takes none of the pool.
        "cold": (ours, conf | {"subnets": ["bench-net"]}),
        "pool": (ours, conf | {"pool": 2}),
    }

    def asked(since, start, end):
        """Seconds that Neutron took between two times, and how often it was asked."""
        lines = [json.loads(line) for line in open(neutron)][since:] if os.path.exists(neutron) else []
        spans = [(max(l["at"], start), min(l["until"], end)) for l in lines if l["at"] < end and l["until"] > start]
        return sum(b - a for a, b in spans), len(spans)

    add, delete, whole, waited, requests = ({s: [] for s in sides} for _ in range(5))
    for n in range(bench.samples + 1):
        for side, (plugin, conf) in sides.items():
            if side == "pool" and n:
                bench.filled(f"{NAME}/cni", 2)
                # What the pool asks for is not this container's.
                time.sleep(1)
            namespace = Namespace(f"sybench-{n}")
            since = len(open(neutron).readlines()) if os.path.exists(neutron) else 0
            words.asked = words.waited = 0
            added = call(plugin, "ADD", namespace, conf)
            waits = words.waited
            if side == "pool":
                bench.filled(f"{NAME}/cni", 2)
                time.sleep(1)
            gone = call(plugin, "DEL", namespace, conf)
            time.sleep(0.1)
            namespace.remove()
            if n:  # The first round asks for what is then known.
                (of_add, count), (of_delete, _) = asked(since, *added), asked(since, *gone)
                if side == "pool":
                    of_add = 0  # What is asked meanwhile is for the pool: the container waits for none of it.
                whole[side].append((added[1] - added[0]) * 1000)
                waited[side].append(waits * 1000)
                add[side].append((added[1] - added[0] - of_add - waits) * 1000)
                delete[side].append((gone[1] - gone[0] - of_delete) * 1000)
                requests[side].append(count)
    add, delete, whole, waited, requests = ({s: statistics.median(v) for s, v in of.items()}
                                            for of in (add, delete, whole, waited, requests))
    share = lambda side: f"{add[side]:.1f} ms, {add[side] / add['bridge']:.2f} of bridge's"
    return [
        (f"CNI ADD, `bridge` with `host-local` (median of {bench.samples})", f"{add['bridge']:.1f} ms", ""),
        ("... `stackyard-cni` without Neutron's time and OVN's", share("cold"), "<= 1.0"),
        ("... from the pool, without OVN's", share("pool"), "<= 1.0"),
        ("what OVN takes to wire a port, as far as an ADD waits for it: cold, from the pool",
         f"{waited['cold']:.1f} ms, {waited['pool']:.1f} ms", ""),
        ("all of an ADD: cold, with its request; from the pool", f"{whole['cold']:.0f} ms ({requests['cold']:.0f} request), {whole['pool']:.1f} ms", ""),
        ("CNI DEL without Neutron's time: `bridge`, ours", f"{delete['bridge']:.1f} ms, {delete['cold']:.1f} ms", ""),
    ]
