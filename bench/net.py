"""Containers' ports: kuryr-libnetwork 18 from PyPI beside `stackyard agent standalone`, on one cloud and one Docker.

Both drivers are called by the same Docker for the same Neutron network, in turns, so that what else the machine
does falls on both. Requests and the drivers' own time are measured with a tap before Neutron and one before the
driver; times of `docker run` and bursts without any.
"""
import concurrent.futures
import functools
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

PLUGINS = "/run/docker/plugins"
SPECS = "/etc/docker/plugins"
IMAGE = "stackyard-bench/guest:1"
KURYR_PORT = 23750
NEUTRON_TAP = "127.0.0.1:23751"
KURYR_TAP = "127.0.0.1:23752"


def quiet(*args, **kw):
    return subprocess.run(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)


def docker(*args):
    done = subprocess.run(["docker", *args], text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f"bench: docker {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout.strip()


def until(what, ready, seconds=60):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise SystemExit(f"bench: {what} is not ready after {seconds} s")
        time.sleep(0.05)


def rss(pid):
    """Resident memory in MiB of a process and its children."""
    own = int(re.search(r"^VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M)[1]) / 1024
    children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    return own + sum(rss(int(child)) for child in children)


class Side:
    """A Docker network of a driver."""

    def __init__(self, name, network):
        self.name, self.network = name, network

    def run(self, container):
        """Seconds of `docker run` until the container runs."""
        start = time.monotonic()
        docker("run", "-d", "--name", container, "--label", "stackyard-bench", "--network", self.network, IMAGE)
        return time.monotonic() - start

    @staticmethod
    def remove(*containers):
        start = time.monotonic()
        docker("rm", "-f", *containers)
        return time.monotonic() - start


class Bench:
    def __init__(self, root, binary, clouds, sdk, samples, pool):
        self.root, self.binary, self.clouds, self.sdk, self.samples, self.pool = root, binary, clouds, sdk, samples, pool
        self.work = tempfile.mkdtemp(prefix="stackyard-bench-net-")
        os.chmod(self.work, 0o700)
        self.children, self.networks = [], []
        self.ovs = docker("volume", "inspect", "-f", "{{.Mountpoint}}", "openstack_run_openvswitch")

    @functools.cached_property
    def venv(self):
        """Where kuryr is."""
        return subprocess.run([f"{self.root}/tests/net/venv"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()

    @functools.cached_property
    def auth(self):
        return json.loads(subprocess.run(
            [f"{self.venv}/bin/python", "-c", "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))['clouds']['local']['auth']))", self.clouds],
            check=True, text=True, stdout=subprocess.PIPE).stdout)

    def start(self, *args, env=None):
        with open(f"{self.work}/log", "a") as log:
            child = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | (env or {}))
        self.children.append(child)
        return child

    def end(self, child):
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
        self.children.remove(child)

    def answers(self, *curl):
        return quiet("curl", "-sf", "--noproxy", "*", "--max-time", "2", "-d", "{}", *curl).returncode == 0

    def kuryr(self, tapped=False):
        conf = f"{self.work}/kuryr.conf"
        with open(os.open(conf, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
            f.write(f"[DEFAULT]\nbindir = {self.venv}/libexec/kuryr\n[neutron]\nauth_type = password\n")
            f.writelines(f"{k} = {v}\n" for k, v in self.auth.items())
        # As scripts/run_kuryr.sh of the sdist starts it, but that it says that it ends each connection: else Docker
        # sends its next call into one that is being closed, again without the body, and gets a 400.
        env = {"OVS_RUNDIR": self.ovs, "PATH": f"{self.venv}/bin:{os.environ['PATH']}"}
        if tapped:
            env |= {"http_proxy": f"http://{NEUTRON_TAP}", "no_proxy": ""}
        child = self.start(
            f"{self.venv}/bin/uwsgi", "--http-socket", f"127.0.0.1:{KURYR_PORT}", "--master", "--need-app", "--processes", "1",
            "--threads", "1", "--virtualenv", self.venv, "--wsgi", "kuryr_libnetwork.server:app", "--pyargv",
            f"--config-file {conf}", "--add-header", "Connection: close", "--die-on-term", env=env)
        until("kuryr", lambda: self.answers(f"http://127.0.0.1:{KURYR_PORT}/Plugin.Activate"))
        return child

    def stackyard(self, name, tapped=False):
        clouds = self.clouds
        if tapped:
            clouds = f"{self.work}/clouds.yaml"
            text = re.sub(r"^(\s+)(region_name:)", rf'\1network_endpoint_override: "http://{NEUTRON_TAP}/v2.0"\n\1\2', open(self.clouds).read(), flags=re.M)
            with open(os.open(clouds, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
                f.write(text)
        plugins = f"{self.work}/plugins" if tapped else PLUGINS
        child = self.start(self.binary, "agent", "standalone", "--cloud", "local", "--name", name, "--ovsdb", f"unix:{self.ovs}/db.sock",
                           "--state", f"{self.work}/{name}", "--plugins", plugins, "--reconcile", "600",
                           env={"OS_CLIENT_CONFIG_FILE": clouds})
        until("the agent", lambda: self.answers("--unix-socket", f"{plugins}/{name}.sock", "http://p/Plugin.Activate"))
        return child

    def create(self, driver, name, *options):
        kuryrs = ["-o", "neutron.net.name=bench-net"] if "kuryr" in driver else ["--ipam-opt", "network=bench-net"]
        docker("network", "create", "-d", driver, "--ipam-driver", driver, *kuryrs, "--subnet", "10.99.0.0/22", "--gateway", "10.99.0.1",
               *options, name)
        self.networks.append(name)
        return Side(name, name)

    def forget(self, side):
        docker("network", "rm", side.network)
        self.networks.remove(side.network)

    def filled(self, name, ports=None):
        ports = ports or self.pool
        ready = lambda: sum('"ready":true' in open(f).read().replace(" ", "") for f in glob.glob(f"{self.work}/{name}/spares/*.json")) >= ports
        until("the pool", ready, 180)

    def ports(self):
        """Ports of containers in the cloud that are no pool's."""
        return int(self.sdk(
            'import openstack\nc = openstack.connect(cloud="local")\nn = c.network.find_network("bench-net")\n'
            'print(len([p for p in c.network.ports(network_id=n.id) if not p.device_owner.startswith("network:") and p.device_id != "spare"]))'))

    def tapped(self, side, driver_log, neutron_log, count=5, before=lambda: None):
        """Medians of requests and own time of attaches, and requests of detaches."""
        lines = lambda f: [json.loads(l) for l in open(f)] if os.path.exists(f) else []
        attach, detach, own, calls = [], [], [], []
        neutrons = lambda since: [l for l in lines(neutron_log)[since:] if "/v2.0/" in l["path"]]
        for n in range(count + 1):
            before()
            mark = len(lines(neutron_log)), len(lines(driver_log))
            side.run(f"bench-{n}")
            called = lines(driver_log)[mark[1]:]
            end = max(c["got"] for c in called)
            # What a pool asks for meanwhile is answered later.
            asked = [a for a in neutrons(mark[0]) if a["until"] <= end]
            waited = 0
            for c in called:
                spans = sorted((max(a["at"], c["sent"]), min(a["until"], c["got"])) for a in asked)
                spans = [s for s in spans if s[0] < s[1]]
                waited += sum(s[1] - s[0] for s in spans)
            join = sum(c["got"] - c["sent"] for c in called if c["path"].endswith(".Join"))
            # What a pool asks for afterwards is not the removal's.
            time.sleep(2.5)
            before()
            time.sleep(1)
            mark = len(lines(neutron_log))
            side.remove(f"bench-{n}")
            time.sleep(0.5)
            if n:  # The first one asks for what is then known.
                attach.append(len(asked))
                detach.append(len(neutrons(mark)))
                calls.append(join * 1000)
                own.append((sum(c["got"] - c["sent"] for c in called) - waited) * 1000)
        return {k: statistics.median(v) for k, v in (("attach", attach), ("detach", detach), ("own", own), ("join", calls))}

    def burst(self, side, count):
        before = self.ports()
        names = [f"bench-burst-{n}" for n in range(count)]

        def one(name):
            return quiet("docker", "run", "-d", "--name", name, "--label", "stackyard-bench", "--network", side.network, IMAGE).returncode
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            failed = sum(code != 0 for code in pool.map(one, names))
        took = time.monotonic() - start
        quiet("docker", "rm", "-f", *names)
        time.sleep(2)
        leaked = self.ports() - before
        return took, failed, leaked

    def close(self):
        quiet("sh", "-c", "docker ps -aq --filter label=stackyard-bench | xargs -r docker rm -f")
        for network in self.networks:
            if quiet("docker", "network", "rm", network).returncode:
                print(f"bench: network {network} stays until Docker Engine is started again", flush=True)
        for child in list(self.children):
            self.end(child)
        for path in glob.glob(f"{PLUGINS}/sybench*.sock") + glob.glob(f"{SPECS}/kuryrbench*.spec"):
            os.remove(path)
        quiet("docker", "rmi", "-f", IMAGE)
        self.sdk(CLEAN)
        shutil.rmtree(self.work)


MAKE = """
import openstack
c = openstack.connect(cloud="local")
n = c.network.create_network(name="bench-net")
c.network.create_subnet(network_id=n.id, ip_version=4, cidr="10.99.0.0/22", name="bench-net")
"""
# What Neutron itself takes for ports as `agent standalone` asks for them: seconds of one, of COUNT one after another, of
# COUNT in requests of eight.
ALONE = """
import json, statistics, time
import openstack
c = openstack.connect(cloud="local")
n = c.network.find_network("bench-net")
s = next(c.network.subnets(network_id=n.id))
g = next(c.network.security_groups(name="default", project_id=c.current_project_id))
host = next(a.host for a in c.network.agents() if "Controller" in a.agent_type)
def body(i):
    return {"network_id": n.id, "name": f"alone-{i}", "device_id": f"alone-{i}", "device_owner": "compute:stackyard",
            "binding:host_id": host, "security_groups": [g.id], "fixed_ips": [{"subnet_id": s.id}]}
def make(count, together):
    start = time.monotonic()
    made = []
    for i in range(0, count, together):
        many = [body(j) for j in range(i, min(i + together, count))]
        answer = c.network.post("/ports", json={"ports": many} if together > 1 else {"port": many[0]})
        assert answer.status_code == 201, answer.text
        answer = answer.json()
        made += answer["ports"] if together > 1 else [answer["port"]]
    took = time.monotonic() - start
    for port in made:
        c.network.delete_port(port["id"])
    return took
make(2, 1)
print(json.dumps([statistics.median(make(1, 1) for _ in range(9)), make(COUNT, 1), make(COUNT, 8)]))
"""
CLEAN = """
import openstack
c = openstack.connect(cloud="local")
for n in c.network.networks(name="bench-net"):
    for p in c.network.ports(network_id=n.id):
        if not p.device_owner.startswith("network:"): c.network.delete_port(p)
    c.network.delete_network(n)
for p in c.network.subnet_pools(name="kuryrPool-10.99.0.0/22"): c.network.delete_subnet_pool(p)
"""


# For how long nothing starts before a container does whose start is measured, in seconds.
REST = 2
# How much later Neutron answers in the burst that shows what waiting for it costs, in seconds.
AWAY = 1


def guest(work):
    os.makedirs(f"{work}/image/bin")
    shutil.copy("/bin/busybox", f"{work}/image/bin/busybox")
    os.symlink("busybox", f"{work}/image/bin/sleep")
    subprocess.run(f"tar -C {work}/image -c . | docker import --change 'CMD [\"/bin/sleep\",\"3600\"]' - {IMAGE}", shell=True,
                   check=True, stdout=subprocess.DEVNULL)


def measure(root, binary, clouds, sdk, samples, bursts):
    """Rows of the report."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ.pop(name, None)
    sdk(CLEAN)
    sdk(MAKE)
    bench = Bench(root, binary, clouds, sdk, samples, max(bursts))
    try:
        guest(bench.work)
        return rows(bench, bursts)
    except BaseException:
        subprocess.run(["tail", "-n", "40", f"{bench.work}/log"])
        raise
    finally:
        bench.close()


def rows(bench, bursts):
    os.makedirs(SPECS, exist_ok=True)
    for name, port in (("kuryrbench", KURYR_PORT), ("kuryrbenchtap", KURYR_TAP.split(":")[1])):
        with open(f"{SPECS}/{name}.spec", "w") as f:
            f.write(f"http://127.0.0.1:{port}\n")
    neutron, driver = f"{bench.work}/neutron.log", f"{bench.work}/driver.log"
    tap = [f"{bench.root}/bench/tap"]

    # Neutron has nothing else to do yet.
    alone = {count: json.loads(bench.sdk(ALONE.replace("COUNT", str(count)))) for count in bursts}

    # With taps: requests and own time.
    of = {}
    proxy = bench.start(*tap, NEUTRON_TAP, "proxy", neutron)
    front = bench.start(*tap, KURYR_TAP, f"127.0.0.1:{KURYR_PORT}", driver)
    theirs = bench.kuryr(tapped=True)
    side = bench.create("kuryrbenchtap", "bench-kuryr-tap")
    of["kuryr"] = bench.tapped(side, driver, neutron)
    bench.forget(side)
    for child in (theirs, front, proxy):
        bench.end(child)
    endpoint = bench.sdk('import openstack\nc = openstack.connect(cloud="local")\nprint(c.endpoint_for("network"))').split("//")[1].split("/")[0]
    proxy = bench.start(*tap, NEUTRON_TAP, endpoint, neutron)
    front = bench.start(*tap, f"{PLUGINS}/sybenchtap.sock", f"{bench.work}/plugins/sybenchtap.sock", driver)
    ours = bench.stackyard("sybenchtap", tapped=True)
    for name, options in (("cold", ()), ("pool", ("-o", "pool=3"))):
        side = bench.create("sybenchtap", f"bench-{name}-tap", *options)
        ready = (lambda: bench.filled("sybenchtap", 3)) if name == "pool" else (lambda: None)
        of[name] = bench.tapped(side, driver, neutron, before=ready)
        bench.forget(side)
    for child in (ours, proxy):
        bench.end(child)

    # A Neutron that is farther away.
    proxy = bench.start(*tap, NEUTRON_TAP, endpoint, neutron, str(AWAY))
    ours = bench.stackyard("sybenchtap", tapped=True)
    side = bench.create("sybenchtap", "bench-away")
    took = []
    for _ in range(4):
        took.append(side.run("bench-one"))
        side.remove("bench-one")
    away_one, away_all = statistics.median(took[1:]), bench.burst(side, bursts[0])
    bench.forget(side)
    for child in (ours, front, proxy):
        bench.end(child)

    # Without: how long containers take.
    theirs, ours = bench.kuryr(), bench.stackyard("sybench")
    for name, *links in (("nothing",), ("link", str(max(bursts) + 10))):
        bench.start(f"{bench.root}/bench/nothing", f"{PLUGINS}/sybench{name}.sock", *links)
        until("the driver that does nothing", lambda: os.path.exists(f"{PLUGINS}/sybench{name}.sock"))
    sides = {"none": Side("none", "none")}
    for name, driver in (("bridge", ("-d", "bridge")), ("nothing", ("-d", "sybenchnothing", "--ipam-driver", "null")),
                         ("link", ("-d", "sybenchlink", "--ipam-driver", "null"))):
        # Docker may count endpoints that are gone, and then keeps the network until it is started again.
        network = f"bench-{name}-{os.getpid()}"
        docker("network", "create", *driver, network)
        bench.networks.append(network)
        sides[name] = Side(name, network)
    sides |= {"kuryr": bench.create("kuryrbench", "bench-kuryr"), "cold": bench.create("sybench", "bench-cold"),
              "pool": bench.create("sybench", "bench-pool", "-o", f"pool={bench.pool}")}
    ran, removed = {s: [] for s in sides}, {s: [] for s in sides}
    for n in range(bench.samples + 1):
        for name, side in sides.items():
            bench.filled("sybench")
            # What is left to do of the last one's port is not this one's.
            time.sleep(REST)
            took = side.run("bench-one")
            bench.filled("sybench")
            gone = side.remove("bench-one")
            if n:  # The first round warms up.
                ran[name].append(took * 1000)
                removed[name].append(gone * 1000)
    at_once = {}
    for count in bursts:
        for name, side in sides.items():
            bench.filled("sybench")
            at_once[name, count] = bench.burst(side, count)
            print(f"= {count} at once, {name}: {at_once[name, count]}", flush=True)
    memory = rss(theirs.pid), rss(ours.pid)
    for name in ("kuryr", "cold", "pool"):
        bench.forget(sides[name])

    median = {s: statistics.median(v) for s, v in ran.items()}
    rm = {s: statistics.median(v) for s, v in removed.items()}
    extra = {s: median[s] - median["none"] for s in sides}
    post = statistics.median(one for one, _, _ in alone.values())
    one = lambda name: f"{of[name]['attach']:.0f} / {of[name]['detach']:.0f}"
    burst = lambda name, count: f"{at_once[name, count][0]:.1f} s, {at_once[name, count][1]} failed, {at_once[name, count][2]} left"
    ratio = lambda name, count: at_once[name, count][0] / at_once["kuryr", count][0]
    result = [
        ("requests to Neutron before a container runs / for its removal: kuryr", one("kuryr"), ""),
        ("... ours", one("cold"), "1 / 1"),
        ("... ours, from the pool", one("pool"), "0 / 1"),
        ("the driver's own time in an attach, all calls, without Neutron: kuryr", f"{of['kuryr']['own']:.1f} ms", ""),
        ("... ours, from the pool", f"{of['pool']['own']:.1f} ms, {of['pool']['own'] / of['kuryr']['own']:.2f} of kuryr's", "<= 5 ms, <= 0.1"),
        ("... ours, cold, but for Join, which waits for OVN to wire the port", f"{of['cold']['own'] - of['cold']['join']:.1f} ms "
         f"(Join {of['cold']['join']:.0f} ms)", "<= 5 ms"),
        (f"`docker run` until it runs (median of {bench.samples}): network `none`, a bridge network of Docker's own, a driver that "
         "does nothing, one that only hands over a link that is there, kuryr, ours, ours from the pool",
         ", ".join(f"{median[s]:.0f} ms" for s in sides), ""),
        ("kuryr's extra time by ours", f"{extra['kuryr'] / extra['cold']:.1f}", ">= 3.5"),
        ("... by what Neutron alone takes to make a port", f"{extra['kuryr'] / post / 1000:.1f} ({post * 1000:.0f} ms)", ""),
        ("... by that and a driver that only hands over a link", f"{extra['kuryr'] / (post * 1000 + extra['link']):.1f}", ""),
        ("kuryr's extra time by ours from the pool", f"{extra['kuryr'] / extra['pool']:.1f}", ">= 20"),
        ("... by that of a driver that does nothing; of one that only hands over a link",
         f"{extra['kuryr'] / extra['nothing']:.1f}; {extra['kuryr'] / extra['link']:.1f}", ""),
        ("`docker rm -f`, the same seven", ", ".join(f"{rm[s]:.0f} ms" for s in sides), ""),
    ]
    for count in bursts:
        result += [
            (f"{count} containers at once: network `none`, a bridge network of Docker's own, a driver that does nothing, one that only "
             "hands over a link", ", ".join(f"{at_once[s, count][0]:.1f} s" for s in ("none", "bridge", "nothing", "link")), ""),
            ("... kuryr", burst("kuryr", count), ""),
            ("... ours", f"{burst('cold', count)}; {ratio('cold', count):.2f} of kuryr's time", "<= 0.33"),
            ("... ours from the pool", f"{burst('pool', count)}; {ratio('pool', count):.2f} of kuryr's time", "<= 0.1"),
            ("... a driver that does nothing; one that only hands over a link",
             f"{ratio('nothing', count):.2f}; {ratio('link', count):.2f} of kuryr's time", ""),
            ("... Neutron alone, which makes that many ports one after another; in requests of eight",
             f"{alone[count][1]:.1f} s, {alone[count][2]:.1f} s", ""),
        ]
    result.append((f"with a Neutron that answers {AWAY} s later, ours: a container, {bursts[0]} at once",
                   f"{away_one:.1f} s, {away_all[0]:.1f} s, {away_all[1]} failed, {away_all[2]} left", ""))
    result.append(("memory of the driver afterwards, resident: kuryr, ours", f"{memory[0]:.0f} MiB, {memory[1]:.0f} MiB", ""))
    return result
