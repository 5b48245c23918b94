"""Reads configuration as openstacksdk does: a JSON object for each line of standard input, as of config.rs.

The login is what keystoneauth's plugin posts to Keystone; `openstack --os-region-name` and OS_REGION_NAME are what
python-openstackclient hands to `get_one`.
"""
import json
import logging
import os
import sys
import warnings

from keystoneauth1.identity.generic import base as generic
from openstack.config import OpenStackConfig

# Where an override is looked up, by the service types that config.rs tells.
SERVICES = ["compute", "network", "image", "volume", "load-balancer"]


class Posted(Exception):
    """What a plugin sends."""


class Session:
    def post(self, url, json=None, **_):
        raise Posted(json)


def login(plugin, auth_url):
    if isinstance(plugin, generic.BaseGenericPlugin):
        plugin = plugin.create_plugin(Session(), (3, 0), auth_url)
    if not hasattr(plugin, "get_auth_ref"):
        return f"plugin {type(plugin).__name__}"
    try:
        plugin.get_auth_ref(Session())
    except Posted as posted:
        return posted.args[0]


def read(request):
    def files(stem):
        return [f"{folder}/{stem}.{end}" for folder in request["folders"] for end in ("yaml", "yml", "json")]

    config = OpenStackConfig(
        config_files=files("clouds"), secure_files=files("secure"), vendor_files=files("clouds-public")
    )
    one = config.get_one(cloud=request["cloud"], region_name=os.environ.get("OS_REGION_NAME", ""))
    verify, cert = one.get_requests_verify_args()
    auth_url = one.config["auth"].get("auth_url")
    timeout = one.config.get("api_timeout")
    return {
        "name": one.name,
        "region": one.region_name or None,
        "interface": one.get_interface().removesuffix("URL"),
        "auth_url": auth_url,
        "verify": bool(verify),
        "cacert": verify if isinstance(verify, str) else None,
        "cert": [cert, cert] if isinstance(cert, str) else cert and list(cert),
        "timeout": float(timeout) if timeout is not None else None,
        "endpoints": {service: one.get_endpoint(service) for service in SERVICES},
        "login": login(one._auth, auth_url),
    }


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    rest = {k: os.environ[k] for k in ("HOME", "PATH") if k in os.environ}
    for line in sys.stdin:
        request = json.loads(line)
        os.environ.clear()
        os.environ.update(rest | request["variables"])
        try:
            print(json.dumps(read(request)), flush=True)
        except Exception as error:  # whatever it is, it is a refusal
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
