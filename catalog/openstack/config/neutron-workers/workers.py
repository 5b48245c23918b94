#!/usr/bin/env python3
"""Neutron's background work in one process: OVN's maintenance and the plug-ins' periodic tasks.

Neutron has two programs for it, neutron-ovn-maintenance-worker and neutron-periodic-workers. Each loads all of
Neutron and then forks a worker that shares little with it: four processes of 100 MB for tasks that sleep most of
the time. Here the same workers are threads of one.
"""
from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

from neutron_lib.api import attributes  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_service import service as launching  # noqa: E402

from neutron import manager, server, service  # noqa: E402
from neutron.api import extensions  # noqa: E402


def workers():
    """Start all workers of the loaded plug-ins that are not RPC servers, and wait for their end."""
    manager.init()
    extension_manager = extensions.PluginAwareExtensionManager.get_instance()
    extension_manager.extend_resources("2.0", attributes.RESOURCES)
    launcher = launching.Launcher(cfg.CONF, restart_method="mutate")
    started = [service._get_ovn_maintenance_worker()]
    started += service._prepare_periodic_workers(service._get_plugins_workers())
    for worker in started:
        # this process keeps its own name
        worker.set_proctitle = "off"
        launcher.launch_service(worker)
    launcher.wait()


server.boot_server(workers)
