"""The battery: each case is a list of steps.

("sh", text)      prepare or disturb, as root; sources live in S, destinations below /t
("config", what)  write config.json: a dict, or a text verbatim
("run",)          set_configs; ("check",): set_configs --check

`ours` overrides what is expected of our script at the given step, where it differs on purpose (`why`).
"""

S = "/var/lib/kolla/config_files"
RUN, CHECK = ("run",), ("check",)


def entry(source="a.conf", dest="/t/a.conf", owner="keystone", perm="0600", **more):
    """One entry of config_files; a key given as None is left out."""
    found = dict(source=S + "/" + source, dest=dest, owner=owner, perm=perm, **more)
    return {k: v for k, v in found.items() if v is not None}


def config(*entries, **more):
    """config.json with these config_files."""
    return ("config", dict({"command": "/bin/true --x", "config_files": list(entries)}, **more))


def only(**more):
    """config.json without config_files."""
    return ("config", dict({"command": "true"}, **more))


A = ("sh", f"printf hello >{S}/a.conf")
TREE = ("sh", f"cd {S}; mkdir -p d/sub/deep; echo 1 >d/one; echo 2 >d/sub/two; echo 3 >d/sub/deep/three; chmod 750 d/sub; "
              "chown nova:qemu d/sub/two; chmod 640 d/sub/two; ln -s one d/link")


def case(name, *steps, **more):
    return dict(name=name, steps=list(steps), **more)


CASES = [
    # the file itself
    case("no config.json", RUN),
    case("config.json is not JSON", ("config", "{"), RUN),
    case("config.json is empty", ("config", ""), RUN),
    case("config.json is a list", ("config", "[]"), RUN),
    case("no command", ("config", {"config_files": []}), RUN),
    case("command only", only(), RUN),
    case("command is not text", ("config", {"command": 5}), RUN),
    case("unknown top-level key is ignored", only(surprise=1), RUN),
    case("config.yaml goes first", ("sh", f"printf 'command: from yaml\\n' >{S}/config.yaml"), only(), RUN),
    case("config.yaml is empty", ("sh", f": >{S}/config.yaml"), RUN),
    case("config.yaml is broken", ("sh", f"printf '{{' >{S}/config.yaml"), RUN),
    # strategies
    case("no strategy", A, config(entry()), RUN, strategy=None),
    case("unknown strategy", A, config(entry()), RUN, strategy="COPY_SOMETIMES"),
    case("COPY_ALWAYS copies again", A, config(entry()), RUN, ("sh", f"echo new >{S}/a.conf"), RUN, CHECK),
    case("COPY_ONCE copies once", A, config(entry()), RUN, ("sh", f"echo new >{S}/a.conf"), RUN, CHECK, strategy="COPY_ONCE"),
    # one file
    case("one file", A, config(entry()), RUN, CHECK),
    case("owner u:g", A, config(entry(owner="nova:qemu")), RUN, CHECK),
    case("owner u:", A, config(entry(owner="nova:")), RUN, CHECK),
    case("unknown user", A, config(entry(owner="nobody-here")), RUN),
    case("unknown group", A, config(entry(owner="nova:nobody-here")), RUN),
    case("owner missing", A, config(entry(owner=None)), RUN),
    case("perm missing", A, config(entry(perm=None)), RUN),
    case("source missing in entry", config({"dest": "/t/x", "owner": "nova", "perm": "0600"}), RUN),
    case("dest missing in entry", config({"source": S + "/a.conf", "owner": "nova", "perm": "0600"}), RUN),
    case("unknown key in entry", A, config(entry(mode="0600")), RUN),
    case("unknown key in second entry", A, config(entry(), entry(dest="/t/b", foo=1)), RUN),
    case("dest with slash", A, config(entry(dest="/t/dir/")), RUN, CHECK),
    case("parents are made", A, config(entry(dest="/t/x/y/z.conf")), RUN),
    case("dest is replaced", A, ("sh", "echo old >/t/a.conf; chmod 777 /t/a.conf"), config(entry()), RUN, CHECK),
    case("dest directory is replaced by a file", A, ("sh", "mkdir -p /t/a.conf/x"), config(entry()), RUN),
    case("dest link is replaced", A, ("sh", "ln -s /nowhere /t/a.conf"), config(entry()), RUN),
    case("source is a link", A, ("sh", f"ln -s a.conf {S}/l.conf"), config(entry("l.conf")), RUN, CHECK),
    case("perm of three digits", A, config(entry(perm="644")), RUN),
    case("perm as Python octal", A, config(entry(perm="0o640")), RUN),
    case("perm with set-group-id", A, config(entry(perm="2755")), RUN),
    case("perm is nonsense", A, config(entry(perm="rw-r--r--")), RUN),
    case("perm has an 8", A, config(entry(perm="0680")), RUN),
    # absence
    case("missing source", config(entry()), RUN),
    case("missing source after a good one", A, config(entry(), entry("b.conf", "/t/b")), RUN),
    case("missing but optional", config(entry(optional=True)), RUN, CHECK),
    case("optional and there", A, config(entry(optional=True)), RUN, CHECK),
    # globs
    case("glob into a directory", ("sh", f"cd {S}; echo 1 >a.x; echo 2 >b.x; echo 3 >c.y"), config(entry("*.x", "/t/d/")), RUN),
    case("glob matches nothing", config(entry("*.x", "/t/d/")), RUN),
    case("glob matches nothing, optional", config(entry("*.x", "/t/d/", optional=True)), RUN, CHECK),
    case("glob of directories", TREE, config(entry("d*", "/t/d/")), RUN),
    # directories
    case("a directory", TREE, config(entry("d", "/t/out")), RUN),
    case("a directory into a directory", TREE, config(entry("d", "/t/out/")), RUN),
    case("a directory replaces", TREE, ("sh", "mkdir /t/out; echo old >/t/out/stale"), config(entry("d", "/t/out")), RUN),
    case("a directory merges", TREE, ("sh", "mkdir -p /t/out/sub; echo old >/t/out/stale; echo old >/t/out/one"),
         config(entry("d", "/t/out", merge=True)), RUN),
    case("merge over a file in the way", TREE, ("sh", "mkdir /t/out; echo file >/t/out/sub"),
         config(entry("d", "/t/out", merge=True)), RUN),
    case("merge twice", TREE, config(entry("d", "/t/out", merge=True)), RUN, RUN),
    case("preserve properties", TREE, config(entry("d", "/t/out", owner=None, perm=None, preserve_properties=True)), RUN),
    case("preserve and merge keep links", TREE,
         config(entry("d", "/t/out", owner=None, perm=None, preserve_properties=True, merge=True)), RUN),
    # defaults of the image come back
    case("a file no longer named disappears", A, config(entry()), RUN, config(), CHECK, RUN),
    case("the image's file comes back", A, ("sh", "echo image >/t/a.conf; chmod 604 /t/a.conf; chown glance /t/a.conf"),
         config(entry()), RUN, config(), RUN),
    case("the image's directory comes back", TREE, ("sh", "mkdir /t/out; echo image >/t/out/own"), config(entry("d", "/t/out")), RUN,
         config(), RUN),
    case("three rounds", A, ("sh", "echo image >/t/a.conf"), config(entry()), RUN, config(), RUN, config(entry()), RUN),
    # directories, files, permissions
    case("directories", only(directories=[{"path": "/t/x/y", "owner": "nova", "perm": "0750"}]), RUN),
    case("directories: readable becomes enterable", only(directories=[{"path": "/t/x", "owner": "nova", "perm": "0644"}]), RUN),
    case("directories: perm missing", only(directories=[{"path": "/t/x", "owner": "nova"}]), RUN),
    case("directories: null", only(directories=[{"path": "/t/x", "owner": None, "perm": "0750"}]), RUN),
    case("directories: glob", only(directories=[{"path": "/t/*", "owner": "nova", "perm": "0750"}]), RUN),
    case("directories: there already", ("sh", "mkdir /t/x"), only(directories=[{"path": "/t/x", "owner": "nova", "perm": "0750"}]), RUN),
    case("directories: a file in the way", ("sh", "echo >/t/x"), only(directories=[{"path": "/t/x", "owner": "nova", "perm": "0750"}]), RUN),
    case("files", only(files=[{"path": "/t/f", "owner": "nova:qemu", "perm": "0640"}]), RUN),
    case("files: content stays", ("sh", "echo keep >/t/f"), only(files=[{"path": "/t/f", "owner": "nova", "perm": "0640"}]), RUN),
    case("files: no parent", only(files=[{"path": "/t/x/f", "owner": "nova", "perm": "0640"}]), RUN),
    case("files: link", ("sh", "ln -s /x /t/f"), only(files=[{"path": "/t/f", "owner": "nova", "perm": "0640"}]), RUN),
    case("files: directory", ("sh", "mkdir /t/f"), only(files=[{"path": "/t/f", "owner": "nova", "perm": "0640"}]), RUN),
    case("permissions", ("sh", "mkdir -p /t/x/y; echo >/t/x/f"), only(permissions=[{"path": "/t/x", "owner": "nova", "perm": "0700"}]), RUN),
    case("permissions: recurse", ("sh", "mkdir -p /t/x/y; echo >/t/x/f; echo >/t/x/y/g"),
         only(permissions=[{"path": "/t/x", "owner": "nova:kolla", "perm": "0640", "recurse": True}]), RUN),
    case("permissions: recurse, owner alone", ("sh", "mkdir -p /t/x/y; echo >/t/x/f"),
         only(permissions=[{"path": "/t/x", "owner": "nova:kolla", "recurse": True}]), RUN),
    case("permissions: exclude one", ("sh", "mkdir -p /t/x/y; echo >/t/x/f; echo >/t/x/y/g"),
         only(permissions=[{"path": "/t/x", "owner": "nova", "recurse": True, "exclude": ["/y/"]}]), RUN),
    case("permissions: exclude two", ("sh", "mkdir -p /t/x/y; echo >/t/x/f; echo >/t/x/y/g"),
         only(permissions=[{"path": "/t/x", "owner": "nova", "recurse": True, "exclude": ["/y/", "g$"]}]), RUN),
    case("permissions: glob", ("sh", "echo >/t/a1; echo >/t/a2; echo >/t/b"), only(permissions=[{"path": "/t/a*", "owner": "nova", "perm": "0600"}]), RUN),
    case("permissions: nothing there", only(permissions=[{"path": "/t/none", "owner": "nova"}]), RUN),
    case("permissions: unknown user", only(permissions=[{"path": "/t", "owner": "nobody-here"}]), RUN),
    case("permissions: no owner", only(permissions=[{"path": "/t"}]), RUN),
    # drift
    case("check before any run", A, config(entry()), CHECK),
    case("check: content drifted", A, config(entry()), RUN, ("sh", "echo x >>/t/a.conf"), CHECK),
    case("check: mode drifted", A, config(entry()), RUN, ("sh", "chmod 644 /t/a.conf"), CHECK),
    case("check: owner drifted", A, config(entry()), RUN, ("sh", "chown nova /t/a.conf"), CHECK),
    case("check: group drifted", A, config(entry()), RUN, ("sh", "chgrp nova /t/a.conf"), CHECK),
    case("check: file gone", A, config(entry()), RUN, ("sh", "rm /t/a.conf"), CHECK),
    case("check: source changed", A, config(entry()), RUN, ("sh", f"echo x >>{S}/a.conf"), CHECK),
    case("check: source gone", A, config(entry()), RUN, ("sh", f"rm {S}/a.conf"), CHECK),
    case("check: command differs", A, config(entry()), RUN, config(entry(), command="/bin/false"), CHECK),
    case("check: a new entry, not laid out", A, config(entry()), RUN, config(entry(), entry(dest="/t/b")), CHECK),
    case("check: a flat directory", ("sh", f"mkdir {S}/flat; echo 1 >{S}/flat/a; echo 2 >{S}/flat/b"),
         config(entry("flat", "/t/out")), RUN, CHECK, ("sh", "echo x >>/t/out/b"), CHECK),
    case("check: config broken", A, config(entry()), RUN, ("config", "{"), CHECK),
    # where we differ on purpose
    case("check: perm of three digits", A, config(entry(perm="644")), RUN, CHECK,
         ours={1: {"status": 0, "error": ""}}, why="Kolla compares the text of the mode, so 644 always drifts"),
    case("check: preserve properties", A, config(entry(owner=None, perm=None, preserve_properties=True)), RUN, CHECK,
         ours={1: {"status": 0, "error": ""}}, why="Kolla compares with an owner that the entry does not have"),
    case("check: a tree with directories", TREE, ("sh", f"rm {S}/d/link"), config(entry("d", "/t/out", perm="0755")), RUN, CHECK,
         ("sh", "chmod 700 /t/out/sub/two"), CHECK),
]
