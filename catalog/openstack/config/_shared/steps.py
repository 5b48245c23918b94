#!/usr/bin/env python3
"""Run management commands of one project in few seconds: steps.py STEPS.json

Importing a project costs more than most of its commands. This process imports it once, then forks a child
per command, which starts with the modules loaded and a clean configuration. STEPS.json:

    {"import": ["nova.cmd.manage"],          modules loaded beforehand
     "environment": {"NAME": "value"},       set before the import
     "groups": [[STEP, ...], ...]}           groups one after the other, the steps of a group at once

    STEP = {"run": ["nova-manage", "db", "sync"],     argv
            "module": "nova.cmd.manage",              whose main() is called; default: the first imported
            "ok": [0, 2],                             accepted exit statuses; default [0]
            "environment": {...}}                     for this step only

All steps must be fit to be run again: the job may be killed anywhere and then starts over.
"""
import importlib
import json
import os
import sys
import time
import traceback


def child(step, default_module):
    """Run one step in this (forked) process. Returns its exit status."""
    os.environ.update(step.get("environment", {}))
    sys.argv = list(step["run"])
    try:
        status = importlib.import_module(step.get("module", default_module)).main()
    except SystemExit as stop:
        status = stop.code
    if status is None or status is True:
        return 0
    if isinstance(status, int):
        return status
    print(status, file=sys.stderr)
    return 1


def start(step, default_module):
    """Fork a child for a step. Returns its pid."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        status = child(step, default_module)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status & 255)


def main():
    with open(sys.argv[1]) as stream:
        plan = json.load(stream)
    os.environ.update(plan.get("environment", {}))
    began = time.monotonic()
    modules = plan["import"]
    # some modules parse the command line while they are imported
    sys.argv = sys.argv[:1]
    for name in modules:
        importlib.import_module(name)
    print("steps: imported %s in %.1f s" % (", ".join(modules), time.monotonic() - began), flush=True)
    for group in plan["groups"]:
        running = {start(step, modules[0]): (step, time.monotonic()) for step in group}
        failed = []
        while running:
            pid, wait_status = os.wait()
            if pid not in running:
                continue
            step, began = running.pop(pid)
            status = os.waitstatus_to_exitcode(wait_status)
            words = " ".join(step["run"])
            print("steps: %s: status %d after %.1f s" % (words, status, time.monotonic() - began), flush=True)
            if status not in step.get("ok", [0]):
                failed.append("%s: exit status %d" % (words, status))
        if failed:
            sys.exit("steps: failed: " + "; ".join(failed))


main()
