#!/usr/bin/env python3
"""Neutron's metadata agent with its privileged helpers forked from it, before it gives up being root.

The agent starts each helper as a program of its own, and each loads all of Neutron: three times 100 MB. Forked, they
share that memory. A helper that dies is started in the old way, by the agent itself.
"""
import gc
import os
import pwd
import sys

from neutron import privileged
from neutron.cmd.agents import ovn_metadata as agent
from neutron.conf.agent.ovn.metadata import config
from oslo_privsep import priv_context

# what a helper calls, loaded once here
from neutron.privileged.agent.linux import ip_lib, netlink_lib, utils  # noqa: F401

USER = "neutron"
HELPERS = (privileged.default, privileged.link_cmd, privileged.namespace_cmd)

setup_privsep = config.setup_privsep


def fork_helpers():
    """Called by the agent when its configuration is read and nothing runs yet."""
    setup_privsep()
    # the collector would write into every page that is shared
    gc.collect()
    gc.freeze()
    for helper in HELPERS:
        helper.start(priv_context.Method.FORK)
    user = pwd.getpwnam(USER)
    os.setgroups(os.getgrouplist(USER, user.pw_gid))
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=USER, LOGNAME=USER)


config.setup_privsep = fork_helpers
sys.exit(agent.main())
