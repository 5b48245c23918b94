"""Writes sets of clouds.yaml, secure.yaml, clouds-public.yaml, variables and a catalog, with all that openstacksdk knows."""
import json
import random

URLS = ["http://k.example:5000", "http://k.example:5000/v3", "https://k.example/identity", "https://{region_name}.k.example/v3"]
REGIONS = ["RegionOne", "RegionTwo", "GRA", "sbg", "eu-de.1", "7"]
WORDS = ["ann", "shop", "Users", "default", "007", "5e123456", "0x1f", "a b", "grün", "1.50", "true", "~x"]
SECRETS = ["pa55", "0123", "{braces", "p:w # d", "null", "'quoted'"]
# Scalars that YAML does not read as the text that they are; openstacksdk gets the number.
NUMBERS = ["0123", "007", "1.50", "0x1f", "12:30", "1_000"]
SERVICES = ["compute", "network", "image", "volumev3", "block_storage", "volume", "load_balancer", "object_store"]
INTERFACES = ["public", "internal", "admin", "publicURL", "internalURL", "adminURL"]
# What is no text, for keys that should have one.
WRONG = [None, "", 5, 1.5, True, ["a", "b"], {"a": "b"}, []]
# Folders of a set, in the order in which they are searched; and one that only OS_CLIENT_CONFIG_FILE leads to.
FOLDERS = ["work", "xdg/openstack", "home/.config/openstack"]


class Plain(str):
    """A scalar that is written without quotes."""


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, share):
        return self.random.random() < share

    def pick(self, items):
        return self.random.choice(items)

    def word(self):
        return Plain(self.pick(NUMBERS)) if self.chance(0.01) else self.pick(WORDS)

    def dashed(self, key):
        return key.replace("_", "-") if self.chance(0.05) else key

    def names(self, cloud, stem, share=0.8):
        """A domain of user or project, or one for both."""
        if not self.chance(share):
            return
        for key in self.pick([[f"{stem}_domain_id"], [f"{stem}_domain_name"], [f"{stem}_domain_id", f"{stem}_domain_name"],
                              ["domain_id"], ["domain_name"]]):
            self.put(cloud, key, self.word())

    def put(self, cloud, key, value, inner=0.85):
        """Into `auth`, next to it, or both with two values."""
        if self.chance(inner):
            # One spelling only: which of two counts, the order of the file decides.
            known = [k for k in cloud["auth"] if k.replace("-", "_") == key]
            written = known[0] if known else key if key.startswith("auth_") else self.dashed(key)
            cloud["auth"][written] = value
            if written == key and self.chance(0.05):
                cloud[key] = value + "2"
        else:
            cloud[key] = value

    def scope(self, cloud):
        kind = self.random.random()
        if kind < 0.75:
            self.put(cloud, self.pick(["project_name", "project_id", "tenant_name", "tenant_id"]), self.word())
            self.names(cloud, "project")
            if self.chance(0.05):
                self.put(cloud, "tenant_name", "older")
        elif kind < 0.82:
            self.put(cloud, self.pick(["domain_id", "domain_name"]), self.word())
        elif kind < 0.86:
            self.put(cloud, "system_scope", "all", inner=1)
        elif kind < 0.9:
            self.put(cloud, "trust_id", "trust", inner=1)
        if self.chance(0.03):
            self.put(cloud, "trust_id", "other", inner=1)

    def login(self, cloud, secure):
        def secret(key):
            into = secure if self.chance(0.25) else cloud
            into.setdefault("auth", {})[key] = Plain(self.pick(NUMBERS)) if self.chance(0.02) else self.pick(SECRETS)

        kind = self.random.random()
        if kind < 0.6:
            if self.chance(0.4):
                cloud[self.pick(["auth_type"] * 9 + ["auth_plugin"])] = self.pick(["password", "v3password"])
            self.put(cloud, self.pick(["username", "username", "user_id", "user_name"]), self.word())
            if self.chance(0.96):
                secret("password")
            self.names(cloud, "user")
            if self.chance(0.08):
                cloud["auth"][self.pick(["default_domain_id", "default_domain_name"])] = self.word()
            self.scope(cloud)
        elif kind < 0.78:
            if self.chance(0.9):
                cloud["auth_type"] = "v3applicationcredential"
            if self.chance(0.6):
                self.put(cloud, "application_credential_id", "credential")
            else:
                self.put(cloud, "application_credential_name", "ci")
                self.put(cloud, self.pick(["username", "user_id"]), self.word())
                self.names(cloud, "user")
            secret("application_credential_secret")
        elif kind < 0.92:
            if self.chance(0.9):
                cloud["auth_type"] = self.pick(["token", "v3token"])
            self.put(cloud, self.pick(["token", "token", "auth_token"]), "gAAA")
            self.scope(cloud)
        else:
            self.other_login(cloud)

    def other_login(self, cloud):
        """A login that is not supported, complete where openstacksdk knows it."""
        kind = self.pick(["v3oidcpassword", "v3oidcclientcredentials", "v3totp", "v2password", "none", "unheard"])
        auth = cloud["auth"]
        cloud["auth_type"] = kind
        auth |= {"username": "ann", "password": "pw", "user_domain_id": "default", "project_id": "p"}
        if kind.startswith("v3oidc"):
            auth |= {"identity_provider": "idp", "protocol": "openid", "client_id": "c", "client_secret": "s",
                     "discovery_endpoint": "https://idp.example/d"}
            del auth["user_domain_id"]
        if kind == "v3oidcclientcredentials":
            del auth["username"], auth["password"]
        if kind == "v3totp":
            del auth["password"]
            auth["passcode"] = "123456"
        if kind == "v2password":
            del auth["user_domain_id"]
        if kind == "none":
            cloud["auth"] = {"endpoint": "http://alone.example"}

    def region(self, cloud):
        kind = self.random.random()
        if kind < 0.55:
            cloud[self.dashed("region_name")] = Plain("7") if self.chance(0.02) else self.pick(REGIONS)
        elif kind < 0.65:
            cloud["region_name"] = self.random.sample(REGIONS, 2) if self.chance(0.5) else ",".join(self.random.sample(REGIONS, 2))
        elif kind < 0.85:
            cloud["regions"] = []
            for name in self.random.sample(REGIONS, self.random.randint(1, 3)):
                if self.chance(0.5):
                    cloud["regions"].append(name)
                    continue
                values = {}
                if self.chance(0.5):
                    values["auth"] = {"auth_url": "http://own.example/v3"}
                if self.chance(0.4):
                    values["interface"] = self.pick(["internal", "admin"])
                if self.chance(0.3):
                    values["network_endpoint_override"] = "http://net.own.example"
                if self.chance(0.2):
                    values["verify"] = False
                cloud["regions"].append({"name": name, "values": values} if self.chance(0.9) else {"name": name})
            if self.chance(0.2):
                cloud["region_name"] = self.pick(REGIONS)
            if self.chance(0.06):
                cloud["regions"].insert(0, self.pick([{"values": {}}, {"name": "GRA", "interface": "admin"}, {"name": None},
                                                      {"name": "GRA", "values": ["a"]}, None, ["GRA"]]))
        elif kind < 0.88:
            cloud["region_name"] = ""
        elif kind < 0.9:
            cloud["regions"] = self.pick(["GRA", [], {"GRA": {}}, None])

    def rest(self, cloud):
        if self.chance(0.3):
            for key in self.pick([["interface"], ["endpoint_type"], ["interface", "endpoint_type"]]):
                cloud[key] = "shiny" if self.chance(0.02) else self.pick(INTERFACES)
        if self.chance(0.06):
            cloud[f"{self.pick(SERVICES)}_{self.pick(['interface', 'endpoint_type'])}"] = self.pick(INTERFACES)
        if self.chance(0.2):
            cloud["verify"] = self.chance(0.5)
        if self.chance(0.1):
            cloud["insecure"] = self.chance(0.5)
        if self.chance(0.02):
            cloud[self.pick(["verify", "insecure"])] = self.pick(["false", "true", "no", "1", "/etc/ca.pem", 0, 1])
        if self.chance(0.2):
            cloud["cacert"] = self.pick(["/etc/ca.pem", "~/ca.pem", "ca.pem"])
        if self.chance(0.1):
            cloud["cert"] = "/c.pem"
            if self.chance(0.7):
                cloud["key"] = "~/k.pem"
        if self.chance(0.15):
            cloud[self.pick(["api_timeout", "api_timeout", "compute_timeout"])] = self.pick([30, 7.5, 120, "15"])
        # One name of block storage is enough.
        volumes = ["volumev3", "block_storage", "volume"]
        for service in [s for s in SERVICES if s not in volumes] + [self.pick(volumes)]:
            if self.chance(0.06):
                end = self.pick(["endpoint_override", "endpoint_override", "endpoint"])
                cloud[f"{service}_{end}"] = self.pick(["http://x.example/v9", "http://{region_name}.example/v2.0/"])

    def oddity(self, cloud):
        """One thing that is wrong or unheard of."""
        kind = self.random.random()
        if kind < 0.4:
            into = cloud["auth"] if self.chance(0.6) else cloud
            keys = [key for key in into if key not in ("auth", "regions")]
            if keys:
                into[self.pick(keys)] = self.pick(WRONG)
        elif kind < 0.6:
            into = cloud["auth"] if self.chance(0.6) else cloud
            keys = [key for key in into if key != "auth"]
            if keys:
                del into[self.pick(keys)]
        elif kind < 0.72:
            cloud[self.pick(["identity_api_version", "colour", "image_format"])] = self.pick(["3", 3, [], {"a": "b"}])
        elif kind < 0.82:
            cloud["auth"][self.pick(["colour", "projectname"])] = "x"
        elif kind < 0.87:
            cloud["auth"] = self.pick([None, "text", ["a"]])
        elif kind < 0.92:
            # Nobody logs in.
            cloud["auth_type"] = "password"
            cloud["auth"] = {"auth_url": self.pick(URLS), "password": "pw"}
        else:
            cloud["compute_region_name"] = self.pick(REGIONS)

    def cloud(self):
        """An entry, and what of it is in secure.yaml."""
        cloud, secure = {"auth": {}}, {}
        if self.chance(0.97):
            self.put(cloud, "auth_url", self.pick(URLS), inner=0.95)
        self.login(cloud, secure)
        self.region(cloud)
        self.rest(cloud)
        return cloud, secure

    def clouds(self):
        """Entries of clouds.yaml, secure.yaml and clouds-public.yaml."""
        clouds, secures, public = {}, {}, {}
        for name in self.random.sample(["one", "two", "three"], self.pick([1, 1, 1, 2, 3])):
            cloud, secure = self.cloud()
            if self.chance(0.1):
                profile = self.pick(["house", "house", "unheard", "elastx"])
                if profile == "house":
                    base = {"auth": {"auth_url": "https://house.example/v3"}, "interface": "internal"}
                    if self.chance(0.5):
                        base[self.pick(["region_name", "regions"])] = ["House", "Garden"] if self.chance(0.3) else "House"
                        if base.get("regions") == "House":
                            base["regions"] = ["House"]
                    public["house"] = base
                    if self.chance(0.7):
                        cloud["auth"].pop("auth_url", None)
                cloud[self.pick(["profile", "profile", "cloud"])] = profile
            if self.chance(0.2):
                self.oddity(cloud)
            clouds[name] = cloud
            if secure:
                secures[name] = secure
        if len(clouds) > 1 and secures and self.chance(0.1):
            clouds[self.pick(list(secures))] = self.pick([None, "text"])
        return clouds, secures, public

    def variables(self, clouds):
        said = {}
        known = list(clouds)
        if self.chance(0.97 if len(known) > 1 else 0.4):
            said["OS_CLOUD"] = self.pick(known + (["absent", "sharer"] if self.chance(0.06) else []))
        if self.chance(0.25):
            regions = [r if isinstance(r, str) else r["name"]
                       for c in clouds.values() if isinstance(c, dict)
                       for r in self.regions_of(c)]
            said["OS_REGION_NAME"] = self.pick([r for r in regions if r] or REGIONS) if self.chance(0.9) else self.pick(REGIONS)
        if self.chance(0.12):
            said |= {"OS_AUTH_URL": "http://env.example/v3", "OS_USERNAME": "env", "OS_PASSWORD": "pw",
                     "OS_PROJECT_NAME": "p", "OS_USER_DOMAIN_NAME": "Default",
                     self.pick(["OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME"]): "default"}
            if self.chance(0.3):
                said["OS_INTERFACE"] = "internal"
            if self.chance(0.3):
                said["OS_INSECURE"] = self.pick(["true", "false", "1"])
            if self.chance(0.3):
                said["OS_CACERT"] = "/etc/env.pem"
            if self.chance(0.1):
                del said[self.pick(["OS_USERNAME", "OS_PASSWORD", "OS_AUTH_URL"])]
            if self.chance(0.1):
                said["OS_CLOUD_NAME"] = "house"
        elif self.chance(0.06):
            said |= self.pick([{"OS_PASSWORD": "pw"}, {"OS_IDENTITY_API_VERSION": "3"}, {"OS_CLOUD": ""}])
        return said

    @staticmethod
    def regions_of(cloud):
        value = cloud.get("regions") or cloud.get("region_name") or []
        values = value if isinstance(value, list) else [value]
        return [v for v in values if isinstance(v, str) or isinstance(v, dict) and isinstance(v.get("name"), str)]

    def catalog(self):
        """What Keystone answers with: most services in some of the regions, some interfaces left out."""
        entries = []
        some = self.random.sample(REGIONS, self.random.randint(1, 3))
        for kind in ["compute", "network", "image", self.pick(["volumev3", "block-storage"]), "load-balancer", "object-store"]:
            if self.chance(0.1):
                continue
            endpoints = []
            for region in self.random.sample(some, self.random.randint(1, len(some))):
                region = "*" if kind == "object-store" and self.chance(0.05) else region
                for interface in ["public", "internal", "admin"]:
                    if self.chance(0.9):
                        endpoints.append({"id": f"{kind}{region}{interface}", "interface": interface, "region": region,
                                          "region_id": region, "url": f"http://{kind}.{interface}.example/v2/{region}"})
            entries.append({"id": kind, "name": kind, "type": kind, "endpoints": endpoints})
        return entries

    def document(self, top, content):
        """A file's text: block style, JSON, or with an anchor that the entries share."""
        if content and self.chance(0.12):
            first = next(iter(content.values()))
            if all(isinstance(entry, dict) for entry in content.values()) and isinstance(first.get("auth"), dict) and first["auth"]:
                return anchored(top, content)
        return "\n".join(dump({top: content})) + "\n"

    def files(self, stem, top, content):
        """Where a kind of file lies: in one folder, in two of which the first counts, or not readable as YAML."""
        end = self.pick(["yaml", "yaml", "yml", "json"])
        write = (lambda c: json.dumps({top: c})) if end == "json" else (lambda c: self.document(top, c))
        folder = self.pick(["work", "work", *FOLDERS])
        found = {f"{folder}/{stem}.{end}": write(content)}
        broken = self.chance(0.04)
        if broken:
            # One that openstacksdk goes on to.
            found = {f"home/.config/openstack/{stem}.json": json.dumps({top: content})}
            found[f"work/{stem}.yaml"] = self.pick(["a: [1", "a: 1\n---\nb: 2\n", "- a\n- b\n", "", f"{top}:\n", "# none\n"])
        elif self.chance(0.1):
            other = {name: {"auth_type": "token", "auth": {"auth_url": "http://decoy.example", "token": "decoy"}} for name in content}
            at = self.pick(FOLDERS)
            found.setdefault(f"{at}/{stem}.{self.pick(['yaml', 'yml', 'json'])}", json.dumps({top: other}))
        return found


def scalar(value):
    return str(value) if isinstance(value, Plain) else json.dumps(value, ensure_ascii=False)


def dump(value, indent=0):
    """Block style; lists in flow style."""
    pad = "  " * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines += [f"{pad}{key}:", *dump(item, indent + 1)]
        else:
            lines.append(f"{pad}{key}: {scalar(item)}")
    return lines


def anchored(top, content):
    """The first entry has an anchor that the others merge, and its `auth` one that a further entry has."""
    lines = [f"{top}:"]
    for at, (name, entry) in enumerate(content.items()):
        if at == 0:
            lines += [f"  {name}: &first", "    auth: &login", *dump(entry["auth"], 3)]
            lines += dump({k: v for k, v in entry.items() if k != "auth"}, 2)
        else:
            lines += [f"  {name}:", "    <<: *first", *dump(entry, 2)]
    # Which of two mappings with the same key counts, PyYAML decides by where its texts lie in memory.
    key = next(key for key in ("cacert", "api_timeout", "image_format") if key not in next(iter(content.values())))
    return "\n".join([*lines, f"  sharer: {{auth: *login, <<: [*first, {{{key}: 9}}]}}"]) + "\n"


def project(seed):
    """A set: files by path, variables (with {root} for the set's folder), and the cloud that is asked for."""
    made = Maker(seed)
    clouds, secures, public = made.clouds()
    files = {"catalog.json": json.dumps(made.catalog())}
    for stem, top, content in (("clouds", "clouds", clouds), ("secure", "clouds", secures), ("clouds-public", "public-clouds", public)):
        if content:
            files |= made.files(stem, top, content)
    variables = made.variables(clouds)
    if made.chance(0.6):
        variables["XDG_CONFIG_HOME"] = "{root}/xdg"
    if made.chance(0.08):
        variables["OS_CLIENT_CONFIG_FILE"] = "{root}/other/mine.yaml"
        if made.chance(0.8):
            files["other/mine.yaml"] = made.document("clouds", made.clouds()[0])
    asked = made.pick(list(clouds)) if made.chance(0.3) else None
    return files, variables, asked
