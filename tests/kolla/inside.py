"""Run every case through one set_configs script; print what came out as JSON. Runs as root in a container.

Argument: the script. Each case starts from an empty /t, /configured, /run_command, /etc/kolla/defaults and
configuration directory.
"""
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, "/battery")
from cases import CASES  # noqa: E402

CONFIG_DIR = "/var/lib/kolla/config_files"
STATE_PATHS = ["/t", "/run_command", "/configured", "/etc/kolla"]


def reset():
    """Remove what an earlier case left."""
    for path in STATE_PATHS:
        if os.path.islink(path) or os.path.isfile(path):
            os.remove(path)
        elif os.path.isdir(path):
            shutil.rmtree(path)
    for name in os.listdir(CONFIG_DIR):
        path = os.path.join(CONFIG_DIR, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    os.makedirs("/t")


def tree(top):
    """{path: [kind, mode, uid, gid, content]} of everything at and below `top`."""
    found = {}
    paths = [top]
    for root, dirs, files in os.walk(top):
        paths += [os.path.join(root, name) for name in dirs + files]
    for path in paths:
        if not os.path.lexists(path):
            continue
        info = os.lstat(path)
        content = ""
        if stat.S_ISLNK(info.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(info.st_mode):
            # the saved state is JSON: compare its meaning
            with open(path, "rb") as stream:
                data = stream.read()
            content = json.loads(data) if path == "/etc/kolla/defaults/state" else hashlib.sha256(data).hexdigest()
        found[path] = [stat.S_IFMT(info.st_mode), oct(stat.S_IMODE(info.st_mode)), info.st_uid, info.st_gid, content]
    return found


def error_of(text):
    """The class of the last error that the output names."""
    known = re.findall(r"ERROR:?(?:root:|__main__:|kolla_set_configs:)? ?(\w+): ", text)
    raised = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception|KeyError))(?::|$)", text, re.M)
    if raised and "Traceback" in text:
        return raised[-1]
    return known[-1] if known else ""


def play(case, script):
    """Results of a case's steps."""
    reset()
    out = []
    for step in case["steps"]:
        kind, value = step[0], step[1] if len(step) > 1 else None
        if kind == "sh":
            subprocess.run(["bash", "-ec", value], check=True)
            continue
        if kind == "config":
            text = value if isinstance(value, str) else json.dumps(value)
            with open(CONFIG_DIR + "/config.json", "w") as stream:
                stream.write(text)
            continue
        env = {k: v for k, v in os.environ.items() if not k.startswith("KOLLA_")}
        strategy = case.get("strategy", "COPY_ALWAYS")
        if strategy is not None:
            env["KOLLA_CONFIG_STRATEGY"] = strategy
        args = ["/usr/bin/python3", script] + (["--check"] if kind == "check" else [])
        done = subprocess.run(args, env=env, capture_output=True, text=True)
        output = done.stdout + done.stderr
        after = {}
        for path in STATE_PATHS:
            after.update(tree(path))
        out.append({"step": kind, "status": done.returncode, "error": error_of(output), "tree": after, "output": output})
    return out


json.dump({case["name"]: play(case, sys.argv[1]) for case in CASES}, sys.stdout)
