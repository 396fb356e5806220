#!/usr/bin/env python3
"""make bench: this product beside its peers, on the same work, in one run, on one machine.

usage: bench.py [--rounds N] [--minutes N] [--json FILE] [--list] [WORK ...]

Each work has subjects, of which one is ours. Rounds are interleaved (ours, peer, peer, ours ...), and what counts is
the median of CPU seconds per unit: wall time is at the mercy of whatever else the machine does. A line is a figure
made of those, with its aim. A peer that is not installed is named as not measured (`tests/deps bench` installs all).
Everything happens in private network and mount namespaces: loopback and veth pairs only. Needs root.
"""

import argparse
import ctypes
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "city"), os.path.join(ROOT, "tests", "system")]
sys.modules["bench"] = sys.modules[__name__]  # the works import it by that name
TOOLS = os.path.join(ROOT, "build", "release", "tests", "tools")
OURS = "xunjian"


class Missing(Exception):
    """A subject that cannot be measured here; the text says why."""


class Measure:
    """What one subject did in one round: units of work, CPU seconds, wall seconds, further figures by name."""

    def __init__(self, units, cpu, wall, **more):
        self.units, self.more = units, more
        more.update(cpu=cpu, wall=wall, cost=cpu / units if units else 0)


class Results:
    """All rounds of one work."""

    def __init__(self):
        self.measures, self.missing = {}, {}

    def all(self, subject, key):
        if subject not in self.measures:
            raise Missing(f"{subject}: {self.missing.get(subject, 'not run')}")
        found = [m.more[key] for m in self.measures[subject] if m.more.get(key) is not None]
        if not found:
            raise Missing(f"{subject} gave no {key}")
        return found

    def of(self, subject, key="cost"):
        return statistics.median(self.all(subject, key))


class Line:
    """One line of what is aimed at: figure(Results) against an aim; None: a figure without an aim."""

    def __init__(self, words, figure, aim=None, unit="x", at_most=False):
        self.words, self.figure, self.aim, self.unit, self.at_most = words, figure, aim, unit, at_most

    def judge(self, work, results):
        row = {"work": work.name, "line": self.words, "unit": self.unit, "aim": self.aim, "at_most": self.at_most}
        try:
            row["figure"] = float(f"{self.figure(results):.4g}")
        except Missing as e:
            return {**row, "verdict": "not measured", "why": str(e)}
        if self.aim is None:
            return {**row, "verdict": "figure"}
        met = row["figure"] <= self.aim if self.at_most else row["figure"] >= self.aim
        return {**row, "verdict": "met" if met else "not met"}


def times(peer, aim, key="cost", words=None):
    """How many times the peer's cost is ours."""
    return Line(words or f"{peer} : {OURS}", lambda r: r.of(peer, key) / r.of(OURS, key), aim)


class Work:
    """A name for the command line, what is done, the unit it is counted in, subjects [(name, function that gives a
    Measure)], lines, and the place it happens in (enter, leave), shared by works."""

    def __init__(self, name, what, unit, subjects, lines, place=None, rounds=None):
        self.name, self.what, self.unit, self.subjects, self.lines = name, what, unit, subjects, lines
        self.place, self.rounds = place, rounds


# ---------------------------------------------------------------- for the subjects


def tool(name):
    path = os.path.join(TOOLS, name)
    if not os.path.exists(path):
        raise SystemExit(f"bench: {path} is not there: run make bench")
    return path


def end_with_parent():
    ctypes.CDLL(None).prctl(1, 9)


def run_measured(argv, units, timeout=120, **kwargs):
    """Runs a program to its end; CPU of it and of its children."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout,
                       preexec_fn=end_with_parent, **kwargs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return p, Measure(units, cpu, time.monotonic() - began)


def children_of(pid):
    """A process and all below it."""
    found = [pid]
    for p in found:
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/children", encoding="ascii") as f:
                    found += [int(x) for x in f.read().split()]
        except OSError:
            pass
    return found


def cpu_of(*pids):
    """CPU seconds of processes so far, in ticks of 10 ms."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def precise_cpu_of(*pids):
    """The same from the scheduler, in ns; of threads that are still there."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def memory_of(kind, *pids):
    """MiB of processes: kind Rss or Pss."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8", errors="replace") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith(kind + ":"))
    return total / 1024


def threads_of(*pids):
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)


# ---------------------------------------------------------------- the run


def measure(work, rounds, end):
    """All subjects of a work, interleaved, until the rounds are done or the time is over."""
    results = Results()
    for k in range(work.rounds or rounds):
        if time.monotonic() > end and k > 0:
            break
        for name, function in work.subjects if k % 2 == 0 else work.subjects[::-1]:
            if name in results.missing:
                continue
            try:
                results.measures.setdefault(name, []).append(function())
            except Missing as e:
                results.missing[name] = str(e)
                results.measures.pop(name, None)
            except (subprocess.TimeoutExpired, OSError, ValueError, KeyError) as e:
                results.missing[name] = f"failed: {type(e).__name__} {e}"
                results.measures.pop(name, None)
    return results


def subject_rows(work, results):
    for name, _ in work.subjects:
        if name in results.missing:
            yield {"work": work.name, "subject": name, "missing": results.missing[name]}
            continue
        measures = results.measures[name]
        keys = {k for m in measures for k in m.more}
        row = {k: statistics.median(m.more[k] for m in measures if m.more.get(k) is not None)
               for k in keys if any(isinstance(m.more.get(k), (int, float)) for m in measures)}
        costs = [m.more["cost"] * 1e6 for m in measures]
        yield {"work": work.name, "subject": name, "unit": work.unit, "rounds": len(measures),
               "cpu_us": row.pop("cost") * 1e6, "cpu_us_min": min(costs), "cpu_us_max": max(costs), **row}


def print_subject(r):
    if "missing" in r:
        print(f"    {r['subject']:<22} not measured: {r['missing']}")
        return
    more = " ".join(f"{k}={v:.4g}" for k, v in sorted(r.items())
                    if isinstance(v, (int, float)) and not k.startswith("cpu_us") and k not in ("cpu", "rounds"))
    cost = f"{r['cpu_us']:>11.3f} us CPU per {r['unit']} ({r['cpu_us_min']:.3f} - {r['cpu_us_max']:.3f} in {r['rounds']})" \
        if r["cpu_us"] else " " * 11
    print(f"    {r['subject']:<22} {cost}  {more}")


def print_line(r):
    sign = "<=" if r["at_most"] else ">="
    aim = "" if r["aim"] is None else f"{sign} {r['aim']:g}"
    figure = f"{r['figure']:g} {r['unit']}" if "figure" in r else r["why"]
    verdict = {"met": "met", "not met": "NOT MET", "figure": ""}.get(r["verdict"], r["verdict"])
    print(f"  {r['work']:<12} {r['line']:<64} {figure:>14}  {aim:<9} {verdict}")


def all_works():
    """One module work_<group>.py per group; each has works(): a list of works."""
    found = []
    for name in ("probes", "dns", "path", "exec", "collector", "wire", "agent", "host", "growth"):
        if os.path.exists(os.path.join(HERE, f"work_{name}.py")):
            found += importlib.import_module(f"work_{name}").works()
    return found


def enter_private_namespaces():
    """A private mount and network namespace for this process: nothing is left behind when it ends."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000 | 0x00020000) != 0:
        raise SystemExit("bench: needs root (namespaces)")
    for argv in (["mount", "--make-rprivate", "/"], ["mount", "-t", "sysfs", "sysfs", "/sys"], ["ip", "link", "set", "lo", "up"]):
        subprocess.run(argv, check=argv[0] != "mount", stderr=subprocess.DEVNULL)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "")
    return {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cpu": model, "cores": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=15, help="bound of the whole run")
    parser.add_argument("--json", help="write everything there too")
    parser.add_argument("--list", action="store_true", help="the names of the works")
    parser.add_argument("works", nargs="*", metavar="WORK", help="a name, or the beginning of some")
    options = parser.parse_args()
    works = all_works()
    if options.list:
        print("\n".join(f"{w.name:<12} {w.what}" for w in works))
        return 0
    for name in options.works:
        if not any(w.name.startswith(name) for w in works):
            parser.error(f"no work {name}; there are {', '.join(w.name for w in works)}")
    works = [w for w in works if not options.works or any(w.name.startswith(n) for n in options.works)]
    end = time.monotonic() + options.minutes * 60
    enter_private_namespaces()
    kept = {"machine": machine(), "subjects": [], "lines": [], "seconds": {}}
    print("bench: %(cores)d cores, %(cpu)s, kernel %(kernel)s, load average %(load).1f at the start. CPU time counts; "
          "medians of interleaved rounds (least - most)." % kept["machine"], flush=True)
    for i, work in enumerate(works):
        print(f"\n{work.name}: {work.what}", flush=True)
        now = time.monotonic()
        if now > end - 10:
            results = Results()
            results.missing = {name: "the time of the run was over" for name, _ in work.subjects}
        else:
            if work.place:
                work.place.enter()
            results = measure(work, options.rounds, now + (end - 30 - now) / (len(works) - i))
            if work.place and (i + 1 == len(works) or works[i + 1].place is not work.place):
                work.place.leave()
        rows = list(subject_rows(work, results))
        lines = [line.judge(work, results) for line in work.lines]
        took = time.monotonic() - now
        for r in rows:
            print_subject(r)
        print(f"    (the work took {took:.0f} s)")
        for r in lines:
            print_line(r)
        sys.stdout.flush()
        kept["subjects"] += rows
        kept["lines"] += lines
        kept["seconds"][work.name] = round(took, 1)
    kept["machine"]["load_at_end"] = os.getloadavg()[0]
    print("\nbench: all lines; load average %.1f at the end" % kept["machine"]["load_at_end"])
    for r in kept["lines"]:
        print_line(r)
    if options.json:
        os.makedirs(os.path.dirname(os.path.abspath(options.json)), exist_ok=True)
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(kept, f, ensure_ascii=False, indent=1)
        print(f"bench: {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
