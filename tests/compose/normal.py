"""Projects of both loaders in one form, so that they can be compared field by field.

`theirs` takes what compose-go gives, `ours` what `stackyard stack config --json` prints. Both become plain
dictionaries: sizes are bytes, durations nanoseconds, CPUs strings without trailing zeros; defaults and whatever
says nothing are left out; lists whose order means nothing are sorted.
"""
import posixpath
import re
from decimal import Decimal

UNITS = {"ns": 1, "us": 10**3, "\u00b5s": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
# Keys of a service that have no effect among hosts; our loader warns of each that it meets.
WITHOUT_EFFECT = {"attach", "build", "container_name", "develop", "isolation", "pull_policy", "scale"}
# Keys that are resolved into others.
RESOLVED = {"env_file", "label_file", "extends", "links", "mac_address"}
PLAIN = [
    "user", "working_dir", "hostname", "domainname", "privileged", "read_only", "tty", "stdin_open", "init", "stop_signal",
    "pid", "ipc", "uts", "cgroup", "runtime", "userns_mode", "cgroup_parent", "cpuset", "oom_kill_disable", "oom_score_adj",
    "pids_limit", "platform", "image",
]
LISTS = ["cap_add", "cap_drop", "security_opt", "group_add", "dns", "dns_search", "dns_opt", "device_cgroup_rules", "profiles"]
MAPS = ["environment", "labels", "annotations", "sysctls", "storage_opt"]
BYTES = ["shm_size", "mem_limit", "mem_reservation", "memswap_limit"]


def said(mapping):
    """Without what says nothing."""
    return {k: v for k, v in mapping.items() if v is not None and v is not False and v not in ("", [], {})}


def nanoseconds(text):
    if text in (None, ""):
        return None
    total = sum(Decimal(n) * UNITS[u] for n, u in re.findall(r"([0-9.]+)(ns|us|\u00b5s|ms|s|m|h)", text))
    return int(total)


def count(value):
    """A size in bytes, or another whole number."""
    return None if value in (None, "") else int(value)


def cpus(value):
    if value in (None, "", 0):
        return None
    return format(Decimal(str(value)).quantize(Decimal("1e-4")).normalize(), "f")


def undoubled(value):
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [undoubled(v) for v in value]
    if isinstance(value, dict):
        return {k: undoubled(v) for k, v in value.items()}
    return value


def texts(mapping):
    return {k: str(v) for k, v in (mapping or {}).items() if v is not None}


def mount(v):
    bind, volume, tmpfs = v.get("bind") or {}, v.get("volume") or {}, v.get("tmpfs") or {}
    path = lambda p: posixpath.normpath(p) if p else p
    source = v.get("source")
    return said({
        "type": v["type"], "source": path(source) if v["type"] == "bind" else source, "target": path(v["target"]),
        "read_only": v.get("read_only"), "nocopy": volume.get("nocopy"), "subpath": volume.get("subpath"),
        "propagation": bind.get("propagation"),
        "no_host_path": v["type"] == "bind" and bind.get("create_host_path") is False,
        "size": count(tmpfs.get("size")), "mode": tmpfs.get("mode"),
    })


def files(items, directory):
    out = []
    for item in items or []:
        target = item.get("target") or item["source"]
        mode = item.get("mode")
        out.append(said({
            "source": item["source"], "target": target if target.startswith("/") else directory + target,
            "uid": None if str(item.get("uid", "0")) == "0" else str(item["uid"]),
            "gid": None if str(item.get("gid", "0")) == "0" else str(item["gid"]),
            "mode": None if mode is None or int(str(mode), 8) == 0o444 else int(str(mode), 8),
        }))
    return sorted(out, key=str)


def port(p):
    published = str(p.get("published") or "")
    return said({"target": int(p["target"]), "published": "" if published == "0" else published,
                 "host_ip": p.get("host_ip"), "protocol": (p.get("protocol") or "tcp").lower()})


def exposed(items):
    out = set()
    for item in items or []:
        ports, _, protocol = str(item).lower().partition("/")
        first, _, last = ports.partition("-")
        out |= {f"{n}/{protocol or 'tcp'}" for n in range(int(first), int(last or first) + 1)}
    return sorted(out)


def device(d):
    if isinstance(d, str):
        return d
    if "=" in d.get("source", "") and not d["source"].startswith("/"):
        return d["source"]
    return [d["source"], d.get("target") or d["source"], d.get("permissions") or "rwm"]


def request(r):
    number = r.get("count")
    number = -1 if number in ("all", -1) else number
    return said({"driver": r.get("driver"), "count": number, "device_ids": r.get("device_ids"),
                 "capabilities": r.get("capabilities"), "options": r.get("options")})


def ulimit(u):
    return [int(u["soft"]), int(u["hard"])] if isinstance(u, dict) and "soft" in u else [int(u["single"] if isinstance(u, dict) else u)] * 2


def healthcheck(h):
    if not h:
        return None
    if h.get("disable") or h.get("test") == ["NONE"]:
        return {"disable": True}
    times = {k: nanoseconds(h.get(k)) for k in ("interval", "timeout", "start_period", "start_interval")}
    return {"test": h.get("test"), "retries": h.get("retries"), **{k: v for k, v in times.items() if v is not None}}


def update(u, default_monitor=5 * 10**9):
    """With the defaults of an update written out."""
    u = u or {}
    ratio = Decimal(str(u.get("max_failure_ratio") or 0)).quantize(Decimal("1e-6"))
    return {"parallelism": 1 if u.get("parallelism") is None else u["parallelism"], "delay": nanoseconds(u.get("delay")) or 0,
            "monitor": nanoseconds(u.get("monitor")) or default_monitor, "order": u.get("order") or "stop-first",
            "failure_action": u.get("failure_action") or "pause", "max_failure_ratio": str(ratio)}


def constraint(text):
    what, operator, value = re.match(r"\s*(\S*?)\s*(==|!=)\s*(.*?)\s*$", text).groups()
    return f"{what} {operator} {value}"


def placement(p):
    p = p or {}
    return said({"constraints": [constraint(c) for c in p.get("constraints") or []],
                 "spread": [s["spread"] for s in p.get("preferences") or []],
                 "max": p.get("max_replicas_per_node") or None})


def attachment(a):
    a = a or {}
    return said({k: a.get(k) for k in ("aliases", "ipv4_address", "ipv6_address", "mac_address", "driver_opts")})


def hosts(items):
    """`{name: [address]}` or `[name=address]` as a sorted list."""
    if isinstance(items, dict):
        items = [f"{name}={a}" for name, addresses in items.items() for a in ([addresses] if isinstance(addresses, str) else addresses)]
    return sorted((items or []))


def hook(h):
    return said({**{k: h.get(k) for k in ("command", "user", "privileged", "working_dir")}, "environment": texts(h.get("environment"))})


def common(s):
    """The fields of a service that both loaders name alike."""
    out = {k: s.get(k) for k in PLAIN}
    out |= {k: [str(i) for i in s.get(k) or []] for k in LISTS}
    out |= {k: texts(s.get(k)) for k in MAPS}
    out |= {k: count(s.get(k)) for k in BYTES}
    out |= {
        "volumes": sorted((mount(v) for v in s.get("volumes") or []), key=str),
        "configs": files(s.get("configs"), "/"), "secrets": files(s.get("secrets"), "/run/secrets/"),
        "tmpfs": sorted(s.get("tmpfs") or []), "devices": sorted(map(str, map(device, s.get("devices") or []))),
        "ports": sorted((port(p) for p in s.get("ports") or []), key=str), "expose": exposed(s.get("expose")),
        "extra_hosts": hosts(s.get("extra_hosts")), "logging": said(s.get("logging") or {}),
        "ulimits": {k: ulimit(u) for k, u in (s.get("ulimits") or {}).items()},
        "healthcheck": healthcheck(s.get("healthcheck")), "stop_grace_period": nanoseconds(s.get("stop_grace_period")),
        "cpu_shares": count(s.get("cpu_shares")) or None, "cpu_period": count(s.get("cpu_period")) or None,
        "cpu_quota": count(s.get("cpu_quota")) or None, "mem_swappiness": count(s.get("mem_swappiness")) or None,
        "post_start": [hook(h) for h in s.get("post_start") or []], "pre_stop": [hook(h) for h in s.get("pre_stop") or []],
        "network_mode": {"default": "bridge"}.get(s.get("network_mode"), s.get("network_mode")),
        "depends_on": {n: [d["condition"], bool(d.get("restart")), bool(d.get("required", True))] for n, d in (s.get("depends_on") or {}).items()},
    }
    out = said(out)
    # Empty lists say something here: not what the image has.
    out |= {k: s[k] for k in ("command", "entrypoint") if s.get(k) is not None}
    return out


def networks_of(s):
    nets = s.get("networks") or ({} if s.get("network_mode") else {"default": None})
    return {k: attachment(a) for k, a in nets.items()}


def their_service(name, s, services):
    out, deploy = common(s), s.get("deploy") or {}
    resources = deploy.get("resources") or {}
    limits, kept = resources.get("limits") or {}, resources.get("reservations") or {}
    nets = networks_of(s)
    if s.get("mac_address") and nets:
        nets[sorted(nets)[0]].setdefault("mac_address", s["mac_address"])
    for other in services.values():
        for link in other.get("links") or []:
            to, _, alias = link.partition(":")
            if to == name and alias and alias != to:
                for net in set(networks_of(other)) & set(nets):
                    aliases = nets[net].setdefault("aliases", [])
                    aliases += [] if alias in aliases else [alias]
    mode = deploy.get("mode") or "replicated"
    requests = [request(r) for r in [*(s.get("gpus") or []), *(kept.get("devices") or [])]]
    for r in requests:
        if "count" not in r and "device_ids" not in r:
            r["count"] = -1
        r.setdefault("capabilities", ["gpu"])
    out |= said({
        "networks": nets, "cpus": cpus(limits.get("cpus") or s.get("cpus")),
        "mem_limit": count(limits.get("memory")) or out.get("mem_limit"),
        "pids_limit": limits.get("pids") or out.get("pids_limit"),
        "mem_reservation": count(kept.get("memory")) or out.get("mem_reservation"),
        "reserved_cpus": cpus(kept.get("cpus")), "mode": mode, "placement": placement(deploy.get("placement")),
        "update": update(deploy.get("update_config")), "rollback": update(deploy.get("rollback_config")),
        "gpus": requests, "restart": their_restart(name, s, services),
    })
    replicas = deploy.get("replicas") if deploy.get("replicas") is not None else s.get("scale")
    out["replicas"] = None if mode.startswith("global") else 1 if replicas is None else replicas
    known = {*PLAIN, *LISTS, *MAPS, *BYTES, *WITHOUT_EFFECT, *RESOLVED, "volumes", "configs", "secrets", "tmpfs", "devices", "ports",
             "expose", "extra_hosts", "logging", "ulimits", "healthcheck", "stop_grace_period", "cpu_shares", "cpu_period",
             "cpu_quota", "mem_swappiness", "post_start", "pre_stop", "network_mode", "depends_on", "command", "entrypoint",
             "networks", "cpus", "deploy", "gpus", "restart"}
    # Whatever is new is a difference until it is looked at.
    return out | {f"unknown {k}": v for k, v in said(s).items() if k not in known and not k.startswith("x-")}


def their_restart(name, s, services):
    policy = (s.get("deploy") or {}).get("restart_policy")
    if s.get("restart"):
        return s["restart"]
    if policy:
        most = policy.get("max_attempts")
        failure = f"on-failure:{most}" if most is not None else "on-failure"
        words = {"none": "no", "on-failure": failure, "any": "always"}
        return words.get(policy.get("condition") or "any", policy.get("condition"))
    waited = any((o.get("depends_on") or {}).get(name, {}).get("condition") == "service_completed_successfully" for o in services.values())
    job = "job" in ((s.get("deploy") or {}).get("mode") or "") or (s.get("labels") or {}).get("dev.stackyard.job") == "true"
    # Documented: among hosts, what should run is started again unless the file says otherwise.
    return "no" if waited or job else "unless-stopped"


def our_service(s):
    out, deploy = common(s), s.get("deploy") or {}
    mode = deploy.get("mode") or "replicated"
    out |= said({
        "networks": networks_of(s), "cpus": cpus(s.get("cpus")), "mode": mode, "placement": placement(deploy.get("placement")),
        "reserved_cpus": cpus(((deploy.get("resources") or {}).get("reservations") or {}).get("cpus")),
        "update": update(deploy.get("update_config")), "rollback": update(deploy.get("rollback_config")),
        "gpus": [request(r) for r in s.get("gpus") or []], "restart": s.get("restart"),
    })
    out["replicas"] = None if mode.startswith("global") else deploy.get("replicas", 1)
    return out


def network(n, key, name):
    n = n or {}
    external = bool(n.get("external"))
    if external:
        return {"name": n.get("name") or key, "external": True}
    pools = [said({k: p.get(k) for k in ("subnet", "gateway", "ip_range", "aux_addresses")}) for p in (n.get("ipam") or {}).get("config") or []]
    overlay = n.get("driver") == "overlay"
    return said({
        "name": n.get("name") or f"{name}_{key}", "driver": None if overlay else n.get("driver"),
        "driver_opts": {} if overlay else texts(n.get("driver_opts")), "labels": texts(n.get("labels")), "internal": n.get("internal"),
        "enable_ipv6": n.get("enable_ipv6"), "pools": pools, "ipam_options": texts((n.get("ipam") or {}).get("options")),
    })


def volume(v, key, name):
    v = v or {}
    if v.get("external"):
        return {"name": v.get("name") or key, "external": True}
    return said({"name": v.get("name") or f"{name}_{key}", "driver": v.get("driver"), "driver_opts": texts(v.get("driver_opts")),
                 "labels": texts(v.get("labels"))})


def project(p, service):
    name, services = p["name"], p.get("services") or {}
    out = {"name": name, "services": {n: service(n, s, services) for n, s in services.items()}}
    used = {kind: set() for kind in ("networks", "volumes", "configs", "secrets")}
    for s in out["services"].values():
        used["networks"] |= set(s.get("networks") or {})
        used["volumes"] |= {v["source"] for v in s.get("volumes", []) if v["type"] == "volume" and "source" in v}
        used["configs"] |= {c["source"] for c in s.get("configs", [])}
        used["secrets"] |= {c["source"] for c in s.get("secrets", [])}
    tops = lambda kind: p.get(kind) or {}
    out["networks"] = {k: network(tops("networks").get(k), k, name) for k in used["networks"]}
    out["volumes"] = {k: volume(tops("volumes").get(k), k, name) for k in used["volumes"]}
    for kind, keys in (("configs", ("file", "environment", "content")), ("secrets", ("file", "environment"))):
        out[kind] = {}
        for k in used[kind]:
            entry = said({key: (tops(kind).get(k) or {}).get(key) for key in keys})
            if "file" in entry:
                entry["file"] = posixpath.normpath(entry["file"])
            if "environment" in entry:
                entry.pop("content", None)
            out[kind][k] = entry
    return out


def theirs(p):
    return project(p, their_service)


def ours(p):
    return project(undoubled(p), lambda _, s, __: our_service(s))


def differences(a, b, path=""):
    """Paths at which two values differ, with both values."""
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for key in sorted(set(a) | set(b), key=str):
            out += differences(a.get(key), b.get(key), f"{path}.{key}" if path else str(key))
        return out
    return [] if a == b else [(path, a, b)]
