#!/usr/bin/env python3
"""nova-compute with two habits that a single compute node needs.

It takes no work before it knows its resources: when Keystone, Placement or the conductor is away while it starts, Nova
only logs that, and every server scheduled in the next minute fails. And it is tied to the life of nova-libvirt: when
that container was started anew all guests are gone, and only a start of nova-compute resumes those that should run.
"""
import os
import pathlib
import sys
import threading
import time

from nova.cmd import compute

from nova import context
from nova.compute import manager
from oslo_log import log as logging

LOG = logging.getLogger("nova.start")
LIBVIRT = pathlib.Path("/run/libvirt/libvirt-sock")
# written by nova-libvirt at each start
BOOT = pathlib.Path("/run/libvirt/stackyard-boot")
# what the health check looks for
READY = pathlib.Path("/tmp/nova-compute-ready")

pre_start_hook = manager.ComputeManager.pre_start_hook
post_start_hook = manager.ComputeManager.post_start_hook


def know_resources(self, service_ref):
    pre_start_hook(self, service_ref)
    while self.rt.provider_tree is None:
        LOG.warning("The resources of this node are not known yet; trying again in 2 s")
        time.sleep(2)
        self.update_available_resource(context.get_admin_context(), startup=True)


def ready(self):
    post_start_hook(self)
    READY.touch()


def boot():
    try:
        return BOOT.read_text()
    except FileNotFoundError:
        return ""


def end_with_libvirt(first):
    while boot() in ("", first):
        time.sleep(2)
    print("start-nova-compute: libvirt was started anew; starting again to resume the guests", flush=True)
    os._exit(1)


READY.unlink(missing_ok=True)
while not (LIBVIRT.is_socket() and boot()):
    time.sleep(0.2)
threading.Thread(target=end_with_libvirt, args=(boot(),), daemon=True).start()
manager.ComputeManager.pre_start_hook = know_resources
manager.ComputeManager.post_start_hook = ready
sys.exit(compute.main())
