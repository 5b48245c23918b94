"""Writes clouds.yaml, secure.yaml and clouds-public.yaml with all that openstacksdk knows, and chooses variables."""
import json
import random

URLS = ["http://k.example:5000", "http://k.example:5000/v3", "https://k.example/identity", "https://{region_name}.k.example/v3"]
REGIONS = ["RegionOne", "RegionTwo", "GRA", "sbg", "eu-de.1", "7"]
WORDS = ["ann", "shop", "Users", "default", "007", "5e123456", "0x1f", "a b", "grün", "1.50", "true", "~x"]
SECRETS = ["pa55", "0123", "{braces", "p:w # d", "null", "'quoted'"]


def text(word):
    """A scalar that both read as this text, or as what stands in the file."""
    return json.dumps(word, ensure_ascii=False)


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, share):
        return self.random.random() < share

    def pick(self, items):
        return self.random.choice(items)

    def dashed(self, key):
        return key.replace("_", "-") if self.chance(0.05) else key

    def names(self, cloud, stem, share=0.8):
        """A domain of user or project, or one for both."""
        if not self.chance(share):
            return
        for key in self.pick([[f"{stem}_domain_id"], [f"{stem}_domain_name"], [f"{stem}_domain_id", f"{stem}_domain_name"],
                              ["domain_id"], ["domain_name"]]):
            self.put(cloud, key, self.pick(WORDS))

    def put(self, cloud, key, value, inner=0.85):
        """Into `auth`, next to it, or both with two values."""
        if self.chance(inner):
            cloud["auth"][self.dashed(key) if not key.startswith("auth_") else key] = value
            if self.chance(0.05):
                cloud[key] = value + "2"
        else:
            cloud[key] = value

    def scope(self, cloud):
        kind = self.random.random()
        if kind < 0.75:
            self.put(cloud, self.pick(["project_name", "project_id", "tenant_name", "tenant_id"]), self.pick(WORDS))
            self.names(cloud, "project")
            if self.chance(0.05):
                self.put(cloud, "tenant_name", "older")
        elif kind < 0.82:
            self.put(cloud, self.pick(["domain_id", "domain_name"]), self.pick(WORDS))
        elif kind < 0.86:
            self.put(cloud, "system_scope", "all", inner=1)
        elif kind < 0.9:
            self.put(cloud, "trust_id", "trust", inner=1)
        if self.chance(0.03):
            self.put(cloud, "trust_id", "other", inner=1)

    def login(self, cloud, secure):
        def secret(key):
            into = secure if self.chance(0.25) else cloud
            into.setdefault("auth", {})[key] = self.pick(SECRETS)

        kind = self.random.random()
        if kind < 0.6:
            if self.chance(0.4):
                cloud[self.pick(["auth_type", "auth_type", "auth_plugin"])] = self.pick(["password", "v3password"])
            self.put(cloud, self.pick(["username", "username", "user_id", "user_name"]), self.pick(WORDS))
            if self.chance(0.96):
                secret("password")
            self.names(cloud, "user")
            if self.chance(0.08):
                cloud["auth"][self.pick(["default_domain_id", "default_domain_name"])] = self.pick(WORDS)
            self.scope(cloud)
        elif kind < 0.78:
            if self.chance(0.9):
                cloud["auth_type"] = "v3applicationcredential"
            if self.chance(0.6):
                self.put(cloud, "application_credential_id", "credential")
            else:
                self.put(cloud, "application_credential_name", "ci")
                self.put(cloud, self.pick(["username", "user_id"]), self.pick(WORDS))
                self.names(cloud, "user")
            secret("application_credential_secret")
        elif kind < 0.92:
            cloud["auth_type"] = self.pick(["token", "v3token"])
            self.put(cloud, self.pick(["token", "token", "auth_token"]), "gAAA")
            self.scope(cloud)
        else:
            cloud["auth_type"] = self.pick(
                ["v3oidcpassword", "v3oidcclientcredential", "v3totp", "v2password", "none", "unheard"])
            self.put(cloud, "username", "ann")
            secret("password")
            self.scope(cloud)

    def region(self, cloud):
        kind = self.random.random()
        if kind < 0.55:
            cloud[self.dashed("region_name")] = self.pick(REGIONS)
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

    def rest(self, cloud):
        if self.chance(0.3):
            cloud[self.pick(["interface", "endpoint_type"])] = self.pick(
                ["public", "internal", "admin", "publicURL", "internalURL", "adminURL"] + (["shiny"] if self.chance(0.1) else []))
        if self.chance(0.2):
            cloud["verify"] = self.chance(0.5)
        if self.chance(0.1):
            cloud["insecure"] = self.chance(0.5)
        if self.chance(0.2):
            cloud["cacert"] = self.pick(["/etc/ca.pem", "~/ca.pem", "ca.pem"])
        if self.chance(0.1):
            cloud["cert"] = "/c.pem"
            if self.chance(0.7):
                cloud["key"] = "~/k.pem"
        if self.chance(0.15):
            cloud["api_timeout"] = self.pick([30, 7.5, 120])
        for service in ["compute", "network", "image", "volumev3", "block_storage", "volume", "load_balancer"]:
            if self.chance(0.06):
                end = self.pick(["endpoint_override", "endpoint_override", "endpoint"])
                cloud[f"{service}_{end}"] = self.pick(["http://x.example/v9", "http://{region_name}.example/v2.0/"])

    def cloud(self):
        """An entry, and what of it is in secure.yaml."""
        cloud, secure = {"auth": {}}, {}
        if self.chance(0.97):
            self.put(cloud, "auth_url", self.pick(URLS), inner=0.95)
        self.login(cloud, secure)
        self.region(cloud)
        self.rest(cloud)
        return cloud, secure

    def files(self):
        clouds, secures, public = {}, {}, {}
        for name in self.random.sample(["one", "two", "three"], self.pick([1, 1, 1, 2, 3])):
            cloud, secure = self.cloud()
            if self.chance(0.1):
                cloud[self.pick(["profile", "profile", "cloud"])] = profile = self.pick(["house", "unheard", "elastx"])
                if profile == "house":
                    base = {"auth": {"auth_url": "https://house.example/v3"}, "interface": "internal"}
                    if self.chance(0.5):
                        base["region_name"] = "House"
                    public["house"] = base
                    if self.chance(0.7):
                        cloud["auth"].pop("auth_url", None)
            clouds[name] = cloud
            if secure:
                secures[name] = secure
        return clouds, secures, public

    def variables(self, clouds):
        said = {}
        known = list(clouds)
        if len(known) > 1 and self.chance(0.95) or self.chance(0.2):
            said["OS_CLOUD"] = self.pick(known + (["absent"] if self.chance(0.1) else []))
        if self.chance(0.3):
            regions = [r if isinstance(r, str) else r["name"]
                       for c in clouds.values()
                       for r in (c.get("regions") or [c.get("region_name", "")]) if not isinstance(r, list)]
            said["OS_REGION_NAME"] = self.pick([r for r in regions if r] + [self.pick(REGIONS)])
        if self.chance(0.12):
            said |= {"OS_AUTH_URL": "http://env.example/v3", "OS_USERNAME": "env", "OS_PASSWORD": "pw",
                     "OS_PROJECT_NAME": "p", "OS_USER_DOMAIN_NAME": "Default",
                     self.pick(["OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME"]): "default"}
            if self.chance(0.3):
                said["OS_INTERFACE"] = "internal"
        return said


def dump(value, indent=0):
    """YAML with plain and quoted scalars, block and flow."""
    pad = "  " * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines += [f"{pad}{key}:", *dump(item, indent + 1)]
        elif isinstance(item, str):
            lines.append(f"{pad}{key}: {text(item)}")
        else:
            lines.append(f"{pad}{key}: {json.dumps(item, ensure_ascii=False)}")
    return lines


def project(seed):
    """Files by name, variables, and the cloud that is asked for."""
    made = Maker(seed)
    clouds, secures, public = made.files()
    end = made.pick(["yaml", "yaml", "yml", "json"])
    files = {}
    for stem, top, content in (("clouds", "clouds", clouds), ("secure", "clouds", secures), ("clouds-public", "public-clouds", public)):
        if content:
            files[f"{stem}.{end}"] = json.dumps({top: content}) if end == "json" else "\n".join(dump({top: content})) + "\n"
    variables = made.variables(clouds)
    asked = made.pick(list(clouds)) if made.chance(0.3) else None
    return files, variables, asked
