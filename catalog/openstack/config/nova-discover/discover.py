#!/usr/bin/env python3
"""Map this machine's nova-compute into the cell, as soon as it has announced itself: discover-host

Does what `nova-manage cell_v2 discover_hosts` does, but in one process that tries again until the host is
mapped, since a start of Python costs more than the look-up. Ends at once when the host is mapped already.
"""
import os
import sys
import time

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"

import nova.conf  # noqa: E402
from nova import config, context, exception, objects  # noqa: E402
from nova.objects import host_mapping  # noqa: E402

LIMIT = 120  # seconds


def main():
    config.parse_args(["discover-host"])
    objects.register_all()
    admin = context.get_admin_context()
    name = nova.conf.CONF.host
    end = time.monotonic() + LIMIT
    while True:
        try:
            host_mapping.HostMapping.get_by_host(admin, name)
            print("discover-host: %s is mapped" % name)
            return
        except exception.HostMappingNotFound:
            if time.monotonic() > end:
                sys.exit("discover-host: nova-compute on %s did not announce itself within %d s: see its log, "
                         "and that `host` there is this name" % (name, LIMIT))
        host_mapping.discover_hosts(admin, status_fn=print)
        time.sleep(0.5)


main()
