"""Compare what two implementations did: compare.py THEIRS OURS COUNTS."""
import json
import pathlib
import sys

from cases import CASES

theirs, ours = (json.loads(pathlib.Path(p).read_text()) for p in sys.argv[1:3])
passed = failed = 0
for case in CASES:
    name, faults = case["name"], []
    differs = case.get("ours")
    for number, (a, b) in enumerate(zip(theirs[name], ours[name])):
        label = "%d (%s)" % (number + 1, a["step"])
        wanted = a
        if differs and number in differs:
            # a place where we do better on purpose: the case says what we must give instead
            wanted = dict(a, **differs[number])
            if (a["status"], a["error"]) == (wanted["status"], wanted["error"]):
                faults.append("step %s: no longer differs, remove the exception" % label)
        for field in ("status", "error"):
            if wanted[field] != b[field]:
                faults.append("step %s: %s: wanted %r, ours %r\n%s" % (label, field, wanted[field], b[field], b["output"][-700:]))
        for path in sorted(set(a["tree"]) | set(b["tree"])):
            if a["tree"].get(path) != b["tree"].get(path):
                faults.append("step %s: %s: theirs %s, ours %s" % (label, path, a["tree"].get(path), b["tree"].get(path)))
    if faults:
        failed += 1
        print("FAIL %s" % name)
        for fault in faults:
            print("     " + fault.replace("\n", "\n     "))
    else:
        passed += 1
        note = " (differs on purpose: %s)" % case["why"] if differs else ""
        print("PASS %s: %s%s" % (name, " ".join("%s=%d" % (s["step"], s["status"]) for s in ours[name]), note))
pathlib.Path(sys.argv[3]).write_text("%d %d\n" % (passed, failed))
sys.exit(1 if failed else 0)
