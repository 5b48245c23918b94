"""Runs the examples of docs/reference/api.md: `examples.py ROOT URL`, in a directory with the files that they name.

The lines of a block of the console that begin with `$ ` are given to one bash, as they are; only the address of
the server is another. Each must succeed, with a status that openapi/stackyard.json promises for its path, and say what
the document shows below it. A run that one section began has ended before the next section begins.
"""
import json, os, re, subprocess, sys, tempfile, time
from pathlib import Path
from urllib.parse import urlsplit

root, url = Path(sys.argv[1]), sys.argv[2]
# The cloud of the machine that this runs on is not ours to change; tests/cloud/api has one of its own.
LEFT_OUT = {"The cloud of the server's machine"}
# How long an answer without an end is listened to, in seconds.
LISTEN = 4


def examples(text):
    """Section, command and what it says, of each example."""
    section, block = "", None
    for line in text.splitlines():
        if block is None and line.startswith("## "):
            section = line[3:]
        elif line.startswith("```"):
            block = [] if line == "```console" else None
        elif block is not None:
            if line.startswith("$ "):
                block.append(line)
                yield [section, line[2:], []]
            else:
                yield [None, line, None]


def gathered(text):
    """The same with continued lines and what is said below put to their commands."""
    found = []
    for section, line, _ in examples(text):
        if section is not None:
            found.append((section, [line], []))
            continue
        _, command, said = found[-1]
        # A command goes on until it is whole.
        if not said and subprocess.run(["bash", "-n", "-c", "\n".join(command)], capture_output=True).returncode:
            command.append(line)
        elif not said and command[-1].rstrip().endswith("\\"):
            command.append(line)
        else:
            said.append(line)
    return [(section, "\n".join(command), said) for section, command, said in found]


class Shell:
    """One bash, in which variables and functions of earlier examples are there."""

    def __init__(self, directory):
        self.directory = Path(directory)
        (self.directory / "bin").mkdir()
        real = subprocess.run(["sh", "-c", "command -v curl"], capture_output=True, text=True).stdout.strip()
        curl = self.directory / "bin/curl"
        # Notes what was asked and answered; what has no end is listened to for a while.
        curl.write_text(f"""#!/usr/bin/env bash
listen=()
case " $* " in *" -N "*) listen=(--max-time {LISTEN}) ;; esac
code=0
"{real}" "${{listen[@]}}" "$@" -w '%{{stderr}}@@ %{{method}} %{{http_code}} %{{size_download}} %{{url_effective}}\\n' 2>"$CALL.new" || code=$?
sed -n 's/^@@ //p' "$CALL.new" >>"$CALL"
grep -v '^@@ ' "$CALL.new" >&2
read -r _ status size _ < <(sed -n 's/^@@ //p' "$CALL.new")
[ "$code" = 28 ] && [ "$status" = 200 ] && [ "$size" -gt 0 ] && code=0
exit "$code"
""")
        curl.chmod(0o755)
        environment = {**os.environ, "PATH": f"{curl.parent}:{os.environ['PATH']}", "CALL": str(self.directory / "calls")}
        self.bash = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, text=True)
        self.give("set -o pipefail")

    def give(self, text):
        self.bash.stdin.write(text + "\n")
        self.bash.stdin.flush()

    def run(self, command):
        """Exit code, output, complaints and calls of a command."""
        files = {name: self.directory / name for name in ("out", "err", "code", "calls")}
        for path in files.values():
            path.unlink(missing_ok=True)
        files["calls"].touch()
        # Its input is not this one, of which it would eat.
        self.give(f"{{ {command}\n}} >{files['out']} 2>{files['err']} </dev/null; echo $? >{files['code']}.new; mv {files['code']}.new {files['code']}")
        end = time.monotonic() + 90
        while not files["code"].exists():
            if time.monotonic() > end or self.bash.poll() is not None:
                return 99, "", "it does not end", []
            time.sleep(0.05)
        calls = [line.split(" ", 3) for line in files["calls"].read_text().splitlines()]
        return int(files["code"].read_text()), files["out"].read_text(), files["err"].read_text(), calls


DOCUMENT = json.loads((root / "openapi/stackyard.json").read_text())["paths"]


def promised(method, path):
    """Statuses of success that the document has for a path."""
    for template, item in DOCUMENT.items():
        if re.fullmatch(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template)), path):
            return [code for code in item.get(method.lower(), {}).get("responses", {}) if code.startswith("2")]
    return []


def as_told(line, output):
    """Whether an output has a line of the document in it: times, and what is cut off with `...`, differ."""
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(v) for key, v in value.items()}
        if isinstance(value, list):
            return [plain(v) for v in value]
        return "TIME" if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else value

    if line[0] in "[{":
        return plain(json.loads(line)) in [plain(json.loads(o)) for o in output.splitlines() if o[:1] in ("[", "{")]
    pattern = ".*".join(re.escape(part) for part in re.split(r"[0-9a-f]*\.\.\.", line))
    return any(re.fullmatch(pattern, o.strip()) for o in output.splitlines())


def settled(shell):
    """Waits until no run of the yard goes on."""
    for _ in range(150):
        if shell.run(f"api '{url}/api/v1/yards/shop/runs?state=running'")[1].strip() == "[]":
            return
        time.sleep(0.2)


def main():
    passed = failed = 0
    known = ""
    with tempfile.TemporaryDirectory() as directory:
        shell = Shell(directory)
        for section, command, said in gathered((root / "docs/reference/api.md").read_text()):
            if section in LEFT_OUT:
                continue
            if known == "Runs" and section != known:
                settled(shell)
            known = section
            if command.startswith("export S="):
                shell.give(f"export S={url}")
                continue
            code, output, complaints, calls = shell.run(command)
            wrong = [] if code == 0 else [f"it ended with {code}"]
            for method, status, _, address in calls:
                path = urlsplit(address).path
                if status not in promised(method, path):
                    wrong.append(f"{method} {path} is answered with {status}, of which the document says nothing")
            # A definition asks nothing, and neither does a file that is put together.
            if not calls and "$S" in command and "()" not in command:
                wrong.append("nothing was asked")
            wrong += [f"it does not say: {line}" for line in said if not as_told(line, output)]
            if wrong:
                failed += 1
                print(f"FAIL {section}: {command}")
                print("     " + "\n     ".join(wrong + (output + complaints).splitlines()[:20]))
            else:
                passed += 1
                print(f"PASS {section}: {command.splitlines()[0]}")
        shell.bash.stdin.close()
        shell.bash.wait(10)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed < 30)


main()
