"""Reads configuration as openstacksdk does: a JSON object for each line of standard input, which has `root` (the folder of
a set), `variables` and `cloud` (a name, or null).

The login is what keystoneauth's plugin posts to Keystone. OS_REGION_NAME and `--os-region-name` are what
python-openstackclient hands to `get_one`. Endpoints are those that configuration sets, else those that keystoneauth finds
in the catalog.
"""
import importlib
import json
import logging
import os
import sys
import warnings

from keystoneauth1 import exceptions
from keystoneauth1.access import service_catalog
from keystoneauth1.identity.generic import base as generic
from openstack.config import loader

# Services as examples/config.rs calls them, and as openstacksdk does.
SERVICES = {"volume": "block-storage"} | {same: same for same in ["compute", "network", "image", "load-balancer", "object-store"]}


class Posted(Exception):
    """What a plugin sends."""


class Session:
    def post(self, url, json=None, **_):
        raise Posted(json)


def login(plugin, auth_url):
    if isinstance(plugin, generic.BaseGenericPlugin):
        plugin = plugin.create_plugin(Session(), (3, 0), auth_url)
    if not type(plugin).__module__.startswith("keystoneauth1.identity.v3") or "oidc" in type(plugin).__module__:
        return f"plugin {type(plugin).__name__}"
    try:
        plugin.get_auth_ref(Session())
    except Posted as posted:
        return posted.args[0]


def endpoint(one, service, catalog):
    found = one.get_endpoint(service)
    # Blank is any.
    wanted = {"interface": one.get_interface(service) or None, "region_name": one.get_region_name(service) or None}
    try:
        return found or catalog.url_for(service_type=service, **wanted)
    except exceptions.CatalogException:
        return None


def read(request):
    # The search path is made when the module is loaded.
    config = importlib.reload(loader).OpenStackConfig()
    one = config.get_one(cloud=request["cloud"], region_name=os.environ.get("OS_REGION_NAME", ""))
    verify, cert = one.get_requests_verify_args()
    interface = one.get_interface()
    auth_url = one.config["auth"].get("auth_url")
    timeout = one.config.get("api_timeout")
    with open(f"{request['root']}/catalog.json") as file:
        catalog = service_catalog.ServiceCatalogV3(json.load(file))
    return {
        "name": one.name,
        "region": one.region_name or None,
        "interface": interface.removesuffix("URL") if isinstance(interface, str) else interface,
        "auth_url": auth_url,
        # The HTTP library checks certificates where this is not set.
        "verify": verify is None or bool(verify),
        "cacert": verify if isinstance(verify, str) else None,
        "cert": [cert, cert] if isinstance(cert, str) else cert and list(cert),
        "timeout": float(timeout) if timeout is not None else None,
        "login": login(one._auth, auth_url),
        "endpoints": {ours: endpoint(one, theirs, catalog) for ours, theirs in SERVICES.items()},
    }


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        request = json.loads(line)
        os.environ.clear()
        os.environ.update(request["variables"])
        os.chdir(f"{request['root']}/work")
        try:
            print(json.dumps(read(request)), flush=True)
        except Exception as error:  # whatever it is, it is a refusal
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
