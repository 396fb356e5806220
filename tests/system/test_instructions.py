#!/usr/bin/env python3
"""Instructions that fixed work takes (tests/tools/count_work), against those kept in tests/bench/instructions.json.

Unlike time, they do not depend on what else the machine does: two runs differ by less than one in ten thousand. More or
less than 5 % off is a failure: more is a regression, less is to be kept. UPDATE=1 writes what is counted now.
Counts hold for one compiler and its flags; with another one there is nothing to compare with, and the test is skipped.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEPT = os.path.join(ROOT, "tests", "bench", "instructions.json")
TOOL = os.path.join(ROOT, "build", "release", "tests", "tools", "count_work")
OBJECT = os.path.join(ROOT, "build", "release", "lib", "wire.o")
TOLERANCE = 0.05


def skip(why):
    print(why)
    sys.exit(77)


def compiler():
    """What made the objects, and how: it stands in their debug information. The checksum has two ways, by processor."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        sse = " sse4.2" if re.search(r"(?m)^flags.*\bsse4_2\b", f.read()) else ""
    said = subprocess.run(["readelf", "-wi", "--dwarf-depth=1", OBJECT], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"DW_AT_producer\s*:.*?\): (.*)", said)
    return f"{found.group(1).strip()} ({platform.machine()}{sse})" if found else "unknown"


def count(folder):
    """{name: instructions per unit}."""
    out = os.path.join(folder, "out")
    run = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", TOOL, os.path.join(folder, "journal")],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"count_work: {run.stdout}{run.stderr}")
    units = {name: int(n) for name, n in (line.split() for line in run.stdout.splitlines())}
    table = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", out], stdout=subprocess.PIPE,
                           text=True, check=True).stdout
    taken = {m.group(2): int(m.group(1).replace(",", ""))
             for m in re.finditer(r"(?m)^\s*([\d,]+) .*count_work\.c:count_(\w+) \[", table)}
    if set(taken) != set(units):
        sys.exit(f"counted {sorted(taken)}, done {sorted(units)}")
    return {name: round(taken[name] / units[name], 2) for name in units}


def main():
    if not shutil.which("valgrind"):
        skip("valgrind is not installed")
    made_by = compiler()
    with open(KEPT, encoding="utf-8") as f:
        kept = json.load(f)
    if made_by != kept["compiler"] and os.environ.get("UPDATE") != "1":
        skip(f"counts are kept for \"{kept['compiler']}\", this is \"{made_by}\"")
    folder = tempfile.mkdtemp(prefix="xunjian-count-")
    try:
        now = count(folder)
    finally:
        shutil.rmtree(folder)
    if os.environ.get("UPDATE") == "1":
        with open(KEPT, "w", encoding="utf-8") as f:
            json.dump({"compiler": made_by, "per unit": now}, f, indent=1)
            f.write("\n")
        return 0
    bad = 0
    for name in sorted(set(now) | set(kept["per unit"])):
        a, b = kept["per unit"].get(name), now.get(name)
        if a is None or b is None or abs(b - a) > a * TOLERANCE:
            bad = 1
            print(f"FAILED: {name}: {b} instructions per unit, {a} are kept. Meant so? UPDATE=1 python3 {sys.argv[0]}")
        else:
            print(f"  figure: {name} {b:.1f} instructions per unit ({b / a - 1:+.2%})")
    return bad


if __name__ == "__main__":
    sys.exit(main())
