#!/usr/bin/env python3
"""Make Keystone know this cloud's services: make-catalog CATALOG.json

Roles, service users, domains, services and endpoints are brought to what the file says; services named under
`absent` lose their endpoints and go. Running it again changes nothing. Standard library only: it starts in a
tenth of the time an OpenStack client needs.

API: https://docs.openstack.org/api-ref/identity/v3/
"""
import http.client
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# no proxy of the environment comes between services on one machine
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Keystone:
    """Calls to the identity API with an administrator's token."""

    def __init__(self, auth_url):
        self.auth_url = auth_url
        self.headers = {"Content-Type": "application/json"}
        self.changes = 0

    def request(self, method, path, body=None, expect=(200, 201, 204)):
        """One call. Returns (status, headers, decoded body); statuses not in `expect` end the program."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.auth_url + path, data, self.headers, method=method)
        for attempt in range(30):
            try:
                with OPENER.open(request, timeout=30) as answer:
                    text = answer.read()
                    return answer.status, answer.headers, json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                if error.code in expect:
                    return error.code, error.headers, None
                if error.code < 500 or attempt == 29:
                    sys.exit("catalog: %s %s: status %d: %s" % (method, path, error.code, text[:600]))
                reason = "status %d" % error.code
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                if attempt == 29:
                    sys.exit("catalog: %s %s%s: %s" % (method, self.auth_url, path, error))
                reason = error
            print("catalog: %s %s: %s; trying again" % (method, path, reason), flush=True)
            time.sleep(1)

    def token(self, name, password, project=None):
        """A token of a user of the default domain, or None if the password is wrong."""
        auth = {"identity": {"methods": ["password"], "password": {"user": {
            "name": name, "domain": {"id": "default"}, "password": password}}}}
        if project:
            auth["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
        status, headers, _ = self.request("POST", "/auth/tokens", {"auth": auth}, expect=(201, 401))
        return headers["X-Subject-Token"] if status == 201 else None

    def list(self, kind, **query):
        """All entries of a collection."""
        path = "/%s?%s" % (kind, urllib.parse.urlencode(query))
        return self.request("GET", path)[2][kind]

    def create(self, kind, **fields):
        """A new entry. `kind` is the singular of the collection."""
        print("catalog: create %s %s" % (kind, fields.get("name") or fields.get("url")), flush=True)
        self.changes += 1
        return self.request("POST", "/%ss" % kind, {kind: fields})[2][kind]

    def update(self, kind, entry, **fields):
        """Bring fields of an entry to their values, if they differ."""
        if all(entry.get(key) == value for key, value in fields.items()):
            return
        print("catalog: update %s %s" % (kind, entry.get("name") or entry["id"]), flush=True)
        self.changes += 1
        self.request("PATCH", "/%ss/%s" % (kind, entry["id"]), {kind: fields})

    def delete(self, kind, entry):
        """Remove an entry; one that is gone already is no error."""
        print("catalog: delete %s %s" % (kind, entry.get("name") or entry["url"]), flush=True)
        self.changes += 1
        self.request("DELETE", "/%ss/%s" % (kind, entry["id"]), expect=(204, 404))

    def put(self, path):
        """Make a relation; one that exists is no error."""
        self.request("PUT", path, expect=(200, 201, 204, 409))


def user(keystone, name, password, domain="default"):
    """A user with this password. Returns the user's id."""
    found = keystone.list("users", name=name, domain_id=domain)
    if not found:
        return keystone.create("user", name=name, domain_id=domain, password=password)["id"]
    if domain == "default" and not keystone.token(name, password):
        keystone.changes += 1
        keystone.request("PATCH", "/users/" + found[0]["id"], {"user": {"password": password}})
    return found[0]["id"]


def people(keystone, wanted):
    """Roles, users, the project of the services, domains."""
    roles = {role["name"]: role["id"] for role in keystone.list("roles")}
    for name in wanted["roles"]:
        if name not in roles:
            roles[name] = keystone.create("role", name=name)["id"]
    for prior, implied in wanted["implied_roles"]:
        keystone.put("/roles/%s/implies/%s" % (roles[prior], roles[implied]))
    found = keystone.list("projects", name="service", domain_id="default")
    project = found[0] if found else keystone.create("project", name="service", domain_id="default")
    for entry in wanted["users"]:
        identity = user(keystone, entry["name"], entry["password"])
        for role in wanted["service_roles"]:
            keystone.put("/projects/%s/users/%s/roles/%s" % (project["id"], identity, roles[role]))
    for entry in wanted["domains"]:
        found = keystone.list("domains", name=entry["name"])
        domain = (found[0] if found else keystone.create("domain", name=entry["name"]))["id"]
        identity = user(keystone, entry["admin"]["name"], entry["admin"]["password"], domain)
        keystone.put("/domains/%s/users/%s/roles/%s" % (domain, identity, roles["admin"]))


def services(keystone, wanted):
    """Services and their endpoints in this region."""
    have = {service["name"]: service for service in keystone.list("services")}
    endpoints = {}
    for endpoint in keystone.list("endpoints", region_id=wanted["region"]):
        endpoints.setdefault(endpoint["service_id"], []).append(endpoint)
    for entry in wanted["services"]:
        service = have.get(entry["name"])
        if service is None:
            service = keystone.create("service", name=entry["name"], type=entry["type"])
        missing = dict(entry["urls"])
        for endpoint in endpoints.get(service["id"], []):
            url = missing.pop(endpoint["interface"], None)
            if url is None:
                keystone.delete("endpoint", endpoint)
            else:
                keystone.update("endpoint", endpoint, url=url)
        for interface, url in missing.items():
            keystone.create("endpoint", service_id=service["id"], interface=interface, url=url,
                            region_id=wanted["region"])
    for name in wanted["absent"]:
        if name in have:
            for endpoint in endpoints.get(have[name]["id"], []):
                keystone.delete("endpoint", endpoint)
            keystone.delete("service", have[name])


def main():
    with open(sys.argv[1]) as stream:
        wanted = json.load(stream)
    keystone = Keystone(wanted["auth_url"])
    token = keystone.token(wanted["admin"]["name"], wanted["admin"]["password"], "admin")
    if token is None:
        sys.exit("catalog: Keystone at %s refuses the administrator's password: was it changed by hand? "
                 "The secret keystone_admin_password must hold it." % wanted["auth_url"])
    keystone.headers["X-Auth-Token"] = token
    people(keystone, wanted)
    services(keystone, wanted)
    print("catalog: done, %d changes" % keystone.changes)


main()
