"""Compose projects written from a grammar of the specification, the same for the same seed.

A project is a dictionary of file names and texts, plus the Compose files and profiles to load it with. Values are
written in all their spellings: plain, quoted, with variables, in short and in long syntax, as list and as mapping.
"""
import random

SERVICES = ["web", "db", "cache", "job-1", "api.v2"]
VARIABLES = {"TAG": "1.2", "EMPTY": "", "PORT": "8080", "FLAG": "true", "NAME": "x y", "HASH": "a#b", "N": "3"}
WORDS = ["a", "b c", "x=y", "#tag", "1.10", "yes", "null", "it's", 'say "hi"', "a: b", "- x", "ä", "0440", "$$HOME", "{x}", "[y]", "*z", "&w"]


class Writer:
    """Writes one project."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.files, self.used = {}, {"volumes": set(), "networks": set(), "configs": set(), "secrets": set()}

    def some(self, chance=0.5):
        return self.r.random() < chance

    def pick(self, *options):
        return self.r.choice(options)

    def text(self, value):
        """A scalar in one of its spellings: JSON's quotes are YAML's, so are doubled single quotes."""
        kind = self.pick("double", "single", "plain")
        if kind == "plain" and value and all(c.isalnum() or c in "._/-" for c in value) and not value.lower() in ("yes", "null", "no", "on", "off", "y", "n", "~", "true", "false") and value[0].isalpha():
            return value
        if kind == "single" and "\n" not in value:
            return "'" + value.replace("'", "''") + "'"
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    def variable(self):
        """An interpolation and nothing else."""
        name = self.pick(*VARIABLES, "UNSET", "UNSET_TOO")
        other = self.pick("d", "a:b", "${TAG}", "${UNSET:-deep}", "", "x-y")
        return self.pick(f"${name}", f"${{{name}}}", f"${{{name}:-{other}}}", f"${{{name}-{other}}}", f"${{{name}:+{other}}}",
                         f"${{{name}+{other}}}", "${TAG:?must be set}", "${TAG?must be set}", "$$", "$${TAG}")

    def value(self):
        """A text, often with variables in it."""
        parts = [self.pick(*WORDS)] if self.some(0.7) else []
        if self.some(0.4):
            parts.insert(self.r.randrange(len(parts) + 1), self.variable())
        return self.pick("", "-", "/").join(parts)

    def pairs(self, keys, indent, key, bare=False):
        """A mapping or a list of pairs."""
        names = self.r.sample(keys, self.r.randint(1, min(3, len(keys))))
        lines = [f"{indent}{key}:"]
        if self.some():
            for name in names:
                value = "" if bare and self.some(0.15) else " " + self.text(self.value())
                lines.append(f"{indent}  {name}:{value}")
        else:
            for name in names:
                item = name if bare and self.some(0.15) else f"{name}={self.value()}"
                lines.append(f"{indent}  - {self.text(item)}")
        return lines

    def environment(self, indent):
        return self.pairs(["A", "B_2", "TAG", "UNSET", "PATHS", "Q"], indent, "environment", bare=True)

    def labels(self, indent):
        return self.pairs(["com.example.a", "b", "c-d", "e_f"], indent, "labels")

    def command(self, indent):
        key = self.pick("command", "entrypoint")
        lines = ["sh -c 'echo one  two'", 'run --flag="a b" c', "--color #fff --port 1", "a\\ b c", "echo $$(date +%F)", "x '' y", "java -jar #opt", "a  \t b", "q \"it's\" 'say \"x\"'"]
        if self.some(0.6):
            return [f"{indent}{key}: {self.text(self.pick(*lines))}"]
        if self.some(0.2):
            return [f"{indent}{key}: []"]
        return [f"{indent}{key}:", *(f"{indent}  - {self.text(self.value() or 'x')}" for _ in range(self.r.randint(1, 3)))]

    def block(self, indent):
        style = self.pick("|", ">", "|-", ">-")
        return [f"{indent}command: {style}", *(f"{indent}  {self.pick('serve --port 1', '--color #fff', 'a b', '--x')}" for _ in range(self.r.randint(1, 3)))]

    def ports(self, indent):
        short = ["80", "8080:80", "127.0.0.1:53:53/udp", "3000-3002", "9090-9091:8080-8081", "127.0.0.1:5000-5001:5000-5001", "[::1]:6001:6001",
                 "80/UDP", "0:81", "${PORT}:82", "${UNSET:-}:443:443", "8000-8003:83", "127.0.0.1::84", "7000:7000/tcp"]
        lines = [f"{indent}ports:"]
        for _ in range(self.r.randint(1, 3)):
            if self.some(0.7):
                lines.append(f"{indent}  - {self.text(self.pick(*short))}" if self.some(0.9) else f"{indent}  - {self.r.randint(1, 65535)}")
            else:
                lines.append(f"{indent}  - target: {self.pick('80', '${PORT}', '443')}")
                for key, values in (("published", ['"8080"', "8443", '"9000-9002"', '"0"']), ("host_ip", ["127.0.0.1", '"::1"', '""']), ("protocol", ["tcp", "udp"]), ("mode", ["host", "ingress"]), ("name", ["web"])):
                    if self.some(0.4):
                        lines.append(f"{indent}    {key}: {self.pick(*values)}")
        return lines

    def volumes(self, indent):
        lines = [f"{indent}volumes:"]
        for i in range(self.r.randint(1, 3)):
            name, target = self.pick("data", "logs"), f"/v{i}"
            self.used["volumes"].add(name)
            lines += self.pick(
                [f"{indent}  - {self.text(f'{name}:{target}' + self.pick('', ':ro', ':rw', ':nocopy', ':ro,nocopy'))}"],
                [f"{indent}  - {self.text(f'/abs/{name}:{target}' + self.pick('', ':ro', ':rshared', ':ro,rslave', '/'))}"],
                [f"{indent}  - {target}"],
                [f"{indent}  - type: volume", f"{indent}    source: {name}", f"{indent}    target: {target}", f"{indent}    read_only: {self.pick('true', 'false', '${FLAG}', 'yes')}", f"{indent}    volume: {{{self.pick('nocopy: true', 'subpath: a/b')}}}"],
                [f"{indent}  - type: bind", f"{indent}    source: /abs/../x", f"{indent}    target: {target}", f"{indent}    bind: {{{self.pick('create_host_path: false', 'propagation: slave')}}}"],
                [f"{indent}  - type: tmpfs", f"{indent}    target: {target}", f"{indent}    tmpfs: {{size: {self.pick('64m', '1gb', '1024')}, mode: {self.pick('0755', '01777')}}}"],
            )
        return lines

    def networks(self, indent):
        names = self.r.sample(["front", "back", "default"], self.r.randint(1, 2))
        self.used["networks"] |= set(names)
        if self.some():
            return [f"{indent}networks: [{', '.join(names)}]"]
        lines = [f"{indent}networks:"]
        for name in names:
            lines.append(f"{indent}  {name}:" + self.pick("", " {}", " {aliases: [x, y]}", " {ipv4_address: 10.1.0.5}", " {driver_opts: {a: b}, priority: 5}", ' {mac_address: "02:42:ac:11:00:01"}'))
        return lines

    def health(self, indent):
        test = self.pick("curl -f http://localhost || exit 1", "[CMD, curl, x]", "[CMD-SHELL, 'a || b']", "'echo #x'")
        lines = [f"{indent}healthcheck:", f"{indent}  test: {test}"]
        for key, values in (("interval", ["5s", "1m30s", "1d", "${UNSET:-10s}"]), ("timeout", ["500ms", "2.5s"]), ("retries", ["3", '"5"', "${N}"]), ("start_period", ["1h", "0s"]), ("start_interval", ["1s"])):
            if self.some(0.4):
                lines.append(f"{indent}  {key}: {self.pick(*values)}")
        return self.pick(lines, lines, lines, [f"{indent}healthcheck: {{disable: {self.pick('true', 'yes')}}}"], [f"{indent}healthcheck: {{test: [NONE]}}"])

    def depends(self, indent, name, names):
        others = names[: names.index(name)]
        if not others:
            return []
        other = self.pick(*others)
        condition = self.pick("service_started", "service_healthy", "service_completed_successfully")
        extra = self.pick("", ", restart: true", ", required: false", ", restart: true, required: true")
        return self.pick([f"{indent}depends_on: [{other}]"], [f"{indent}depends_on:", f"{indent}  {other}: {{condition: {condition}{extra}}}"], [f"{indent}links: [{other}]"])

    def deploy(self, indent):
        parts = {
            "replicas": self.pick("2", "${N}"), "mode": self.pick("replicated", "replicated-job"),
            "resources": self.pick("{limits: {cpus: '0.5', memory: 64m}}", "{limits: {pids: 5}, reservations: {memory: 32M, cpus: '0.25'}}", "{reservations: {devices: [{capabilities: [gpu], count: all}]}}"),
            "placement": self.pick("{constraints: [node.labels.a == b, 'node.role!=manager']}", "{preferences: [{spread: node.labels.zone}], max_replicas_per_node: 2}"),
            "update_config": self.pick("{parallelism: 2, delay: 10s, order: start-first}", "{failure_action: rollback, max_failure_ratio: 0.3, monitor: 1m}"),
            "rollback_config": "{parallelism: 0, failure_action: continue}",
            "restart_policy": self.pick("{condition: on-failure, max_attempts: 3}", "{condition: none}", "{condition: any}"),
        }
        if parts["mode"] == "replicated-job":
            parts["restart_policy"] = "{condition: on-failure}"
        chosen = [k for k in parts if self.some(0.4)]
        if parts["mode"] == "replicated-job" and "mode" in chosen and "restart_policy" not in chosen:
            chosen.append("restart_policy")
        return [f"{indent}deploy:", *(f"{indent}  {k}: {parts[k]}" for k in chosen)] if chosen else []

    def mounted(self, indent):
        kind = self.pick("configs", "secrets")
        name = self.pick("one", "two")
        self.used[kind].add(name)
        return [f"{indent}{kind}:", f"{indent}  - " + self.pick(name, f"{{source: {name}}}", f"{{source: {name}, target: /etc/t, mode: 0440}}", f"{{source: {name}, target: rel, uid: '5', gid: '6'}}")]

    def env_file(self, indent):
        name = self.pick("one.env", "two.env")
        lines = ["# a comment", "", "A=1", "export B_2 = two words # note", "C='$TAG ${X}'", 'D="$TAG\\n${A}"', "E=a#b", "F=", "TAG", "UNSET", 'G="one   ', 'two"', "H: yaml style", "I=${UNSET:-d}", "J=\"x\" # c", "K=$$x", "L='it\\'s'", "M=\"tab\\there\"", "N=99", "O=${N}"]
        # The lines of a value that goes over two are kept together.
        text = "\n".join(line for line in lines if line in ('G="one   ', 'two"') or self.some(0.6)) + "\n"
        self.files[name] = text
        return self.pick([f"{indent}env_file: {name}"], [f"{indent}env_file: [./{name}]"], [f"{indent}env_file:", f"{indent}  - path: {name}", f"{indent}    required: {self.pick('true', 'false')}", f"{indent}  - {{path: none.env, required: false}}"])

    def simple(self, indent):
        flag = lambda: self.pick("true", "false", "${FLAG}", "yes", "off", '"true"')
        return [indent + self.pick(
            f"privileged: {flag()}", f"read_only: {flag()}", f"init: {flag()}", f"tty: {flag()}", f"stdin_open: {flag()}",
            f"restart: {self.pick('always', chr(34) + 'no' + chr(34), 'unless-stopped', 'on-failure', 'on-failure:3', chr(34) * 2)}",
            f"hostname: {self.pick('h', '${TAG}-h', chr(34) + 'a.b' + chr(34))}", "domainname: example.org", f"user: {self.pick('root', '1000', chr(34) + '1000:1000' + chr(34))}",
            "working_dir: /srv", f"shm_size: {self.pick('64m', '1gb', '67108864')}", f"mem_limit: {self.pick('64m', '1g', '128M')}", f"cpus: {self.pick('0.5', '2', chr(34) + '1.5' + chr(34))}",
            "pids_limit: 100", "cap_add: [NET_ADMIN, SYS_TIME]", "cap_drop: [ALL]", "security_opt: [no-new-privileges:true]", "group_add: [mail, 100]",
            f"dns: {self.pick('1.1.1.1', '[1.1.1.1, 8.8.8.8]')}", f"dns_search: {self.pick('a.org', '[a.org, b.org]')}", "dns_opt: [ndots:1]",
            f"extra_hosts: {self.pick('[a=10.0.0.1]', '[' + chr(34) + 'b:10.0.0.2' + chr(34) + ']', '{c: 10.0.0.3}')}", f"stop_grace_period: {self.pick('1m30s', '10s', '1d')}", "stop_signal: SIGINT",
            f"sysctls: {self.pick('{net.core.somaxconn: 1024}', '[net.ipv4.ip_forward=1]')}", f"tmpfs: {self.pick('/run', '[/run, ' + chr(34) + '/tmp:size=64m,mode=755' + chr(34) + ']')}",
            f"ulimits: {self.pick('{nofile: {soft: 1, hard: 2}}', '{nproc: 65535, memlock: -1}')}", f"expose: {self.pick('[80]', '[' + chr(34) + '90/udp' + chr(34) + ', 100-102]')}",
            "logging: {driver: json-file, options: {max-size: 10m}}", "platform: linux/amd64", "cpu_shares: 512", "cpuset: 0-1", "oom_score_adj: -500", "annotations: {a: b}", "annotations: [a=b]",
            f"devices: {self.pick('[/dev/kvm]', '[' + chr(34) + '/dev/a:/dev/b:r' + chr(34) + ']')}", "device_cgroup_rules: ['c 1:3 mr']", "memswap_limit: 128m", "runtime: runc", "gpus: all",
            "gpus: [{driver: nvidia, count: 2}]", "pid: host", "ipc: shareable", "userns_mode: host", "post_start: [{command: [sync], user: root}]", "pre_stop: [{command: echo 'a b'}]",
            "container_name: fixed", "develop: {watch: []}", "x-any: {thing: 1}", "pull_policy: always", "storage_opt: {size: 1G}", "cgroup_parent: x",
        )]

    def service(self, name, names, indent):
        """A service; in an overriding file it may lack an image."""
        writers = [self.environment, self.labels, self.command, self.block, self.ports, self.volumes, self.networks, self.health, self.deploy, self.mounted, self.env_file,
                   lambda i: self.depends(i, name, names), *[self.simple] * 8]
        lines, seen = [], set()
        for write in self.r.sample(writers, self.r.randint(1, 7)):
            part = write(indent)
            key = part[0].split(":")[0].strip() if part else None
            if key and key not in seen:
                seen.add(key)
                lines += part
        return lines

    def tops(self):
        lines = []
        if self.used["volumes"]:
            lines.append("volumes:")
            lines += [f"  {v}:" + self.pick("", " {}", " {driver: local}", " {name: other}", " {external: true}", " {labels: {a: b}}", " {driver_opts: {type: tmpfs}}") for v in sorted(self.used["volumes"])]
        nets = [n for n in sorted(self.used["networks"]) if n != "default" or self.some()]
        if nets:
            lines.append("networks:")
            lines += [f"  {n}:" + self.pick("", " {}", " {driver: bridge}", " {internal: true}", " {external: true, name: shared}", " {ipam: {config: [{subnet: 10.1.0.0/16, gateway: 10.1.0.1, ip_range: 10.1.1.0/24}]}}", " {driver: overlay, attachable: true}", " {labels: [a=b]}") for n in nets]
        for kind in ("configs", "secrets"):
            if self.used[kind]:
                lines.append(f"{kind}:")
                for name in sorted(self.used[kind]):
                    self.files[f"{name}.txt"] = f"text of {name}\n"
                    forms = [f"{{file: ./{name}.txt}}", "{environment: TAG}"] + ([f"{{content: {self.text(self.value() or 'x')}}}"] if kind == "configs" else [])
                    lines.append(f"  {name}: {self.pick(*forms)}")
        return lines

    def project(self):
        names = self.r.sample(SERVICES, self.r.randint(1, 3))
        lines = []
        if self.some(0.2):
            lines.append(f"name: {self.pick('shop', 'MyShop', '${UNSET:-fallback}')}")
        anchor = self.some(0.15)
        if anchor:
            lines += ["x-base: &base", "  image: base", "  environment: {FROM: anchor, A: '0'}", "  labels: {l: '1'}"]
        lines.append("services:")
        for name in names:
            lines.append(f"  {name}:")
            if anchor and self.some():
                lines.append("    <<: *base")
            lines.append(f"    image: {self.text(self.pick('i', 'registry/x:1', 'i:${TAG}', 'i:${UNSET:-latest}', 'i@sha256:' + '0' * 64))}")
            if self.some(0.15):
                lines.append(f"    profiles: [{self.pick('p', 'q')}]")
            lines += self.service(name, names, "    ")
        if self.some(0.15):
            other = names[0]
            lines += ["  extended:", f"    extends: {self.pick(other, '{service: ' + other + '}', '{file: compose.yaml, service: ' + other + '}')}", *self.service("extended", [*names, "extended"], "    ")]
        paths = ["compose.yaml"]
        if self.some(0.15):
            lines.insert(0, "include: [sub/inner.yaml]")
            self.files["sub/inner.yaml"] = "services:\n  inner:\n    image: 'in:${TAG}-${INNER:-none}'\n    env_file: e.env\n"
            self.files["sub/e.env"] = "E=1\nT=$TAG\n"
            if self.some():
                self.files["sub/.env"] = "INNER=sub\nTAG=ignored\n"
        override = None
        if self.some(0.3):
            name = self.pick(*names)
            override = ["services:", f"  {name}:", *self.service(name, names, "    ")]
            keys = [line.split(":")[0].strip() for line in override[2:] if line.startswith("    ") and line[4] not in " -"]
            for key, tag in (("ports", "!override [\"1:1\"]"), ("environment", "!reset null"), ("labels", "!reset {}"), ("command", "!reset null"), ("dns", "!override [9.9.9.9]")):
                if key not in keys and self.some(0.15):
                    override.append(f"    {key}: {tag}")
            if len(override) == 2:
                override = None
        text = "\n".join(lines + self.tops()) + "\n"
        if override:
            if self.some(0.2):
                text += "---\n" + "\n".join(override) + "\n"
            else:
                self.files["over.yaml"] = "\n".join(override) + "\n"
                paths.append("over.yaml")
        self.files["compose.yaml"] = text
        extra = self.pick("", "COMPOSE_PROFILES=p\n", "COMPOSE_PROJECT_NAME=fromenv\n", "")
        self.files[".env"] = "".join(f"{k}={v}\n" if k != "NAME" else f"{k}='{v}'\n" for k, v in VARIABLES.items()) + extra
        return {"files": self.files, "paths": paths, "profiles": self.pick([], [], ["p"], ["p", "q"], ["*"])}


def project(seed):
    return Writer(seed).project()
