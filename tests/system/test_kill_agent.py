#!/usr/bin/env python3
"""The agent killed at random instants, or with the power cut, loses nothing that it had synced and counts nothing twice in
the store; a state folder that is put back, or cloned to a second host, is told, and nothing of it is lost in silence.

FULL=1: 1,000 kills and 200 power cuts, else 60 and 6; and the mutant that sends before it syncs must be noticed.
SEED=N repeats a run."""

import os
import random
import shutil
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from collector_bed import Disk, may_mount  # noqa: E402
from pair import FULL, ROOT, TOOLS, Pair, free_port, wait  # noqa: E402

SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
CHECKS = 30
MISSING_MAX = 3 * CHECKS  # what a second brings from two families, and a little
JUDGE = os.path.join(TOOLS, "agent_judge")


def judged(pair, state=None, program=None):
    """Stops the agent, compares, and starts it again; the words of the judge when all is in the store."""
    time.sleep(1)  # at least one round of results more
    pair.stop("agent")
    p = subprocess.run([JUDGE, os.path.join(state or pair.path("agent"), "journal"), pair.path("collector", "journal"),
                        "agent-1"], stdout=subprocess.PIPE, text=True)
    pair.start("agent", program=program)
    words = p.stdout.split()
    counts = dict(zip(words[::2], map(int, words[1::2])))
    # What the last second brought may still be under way when the agent is stopped: the very end may be missing.
    if counts["twice"] or counts["other"]:
        raise AssertionError(p.stdout)
    return counts if counts["missing"] <= MISSING_MAX else None


def test_kills(pair, kills):
    for _ in range(kills):
        time.sleep(random.uniform(0.02, 0.35))
        pair.kill("agent")
        pair.start("agent")
    time.sleep(3)
    counts = wait("all is in the store", lambda: judged(pair), 90)
    print(f"  figure: {kills} SIGKILLs of the agent: {counts['entries']} entries, {counts['results']} results, "
          f"none twice, none other; {counts['missing']} of the last second under way")


def test_put_back(pair):
    """An old copy of the state folder is used again."""
    pair.stop("agent")
    shutil.copytree(pair.path("agent"), pair.path("copy"))
    pair.start("agent")
    before = pair.metric("xunjian_ingest_cloned_total")
    results = pair.metric("xunjian_ingest_results_total")
    wait("results come", lambda: pair.metric("xunjian_ingest_results_total") > results + 10)
    pair.stop("agent")
    shutil.rmtree(pair.path("agent"))
    shutil.copytree(pair.path("copy"), pair.path("agent"))
    pair.start("agent")
    wait("a state folder that was put back is told", lambda: pair.metric("xunjian_ingest_cloned_total") > before)
    results = pair.metric("xunjian_ingest_results_total")
    wait("its results are taken", lambda: pair.metric("xunjian_ingest_results_total") > results + 10)
    assert "cloned-or-rolled-back" in pair.log("collector"), "nothing is told in the log"


def test_clone(pair):
    """A copy of the state folder goes to work on a second host, beside the first."""
    pair.stop("agent")
    shutil.copytree(pair.path("agent"), pair.path("clone"))
    pair.start("agent")
    before = pair.metric("xunjian_ingest_cloned_total")
    results = pair.metric("xunjian_ingest_results_total")
    wait("results come", lambda: pair.metric("xunjian_ingest_results_total") > results + 10)
    pair.write_agent("clone", name="second", metrics=free_port())
    pair.write("boot_id", str(uuid.uuid4()) + "\n")
    pair.start("second", wrap=["unshare", "-m", "sh", "-c", 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"',
                               pair.path("boot_id")])
    wait("a cloned state folder is told", lambda: pair.metric("xunjian_ingest_cloned_total") > before, 40)
    time.sleep(3)  # rounds of both
    for name in ("second", "agent"):
        pair.stop(name)
    # What each of the two has and the other has not stands in the store: positions alone are not unique any more.
    for state in ("agent", "clone"):
        p = subprocess.run([JUDGE, pair.path(state, "journal"), pair.path("collector", "journal"), "agent-1"],
                           stdout=subprocess.PIPE, text=True)
        counts = dict(zip(p.stdout.split()[::2], map(int, p.stdout.split()[1::2])))
        assert counts["missing"] <= MISSING_MAX, f"{state}: {p.stdout}"
    assert "cloned-or-rolled-back" in pair.log("collector"), "nothing is told in the log"
    pair.start("agent")


def cut_power(disk, pair, program, cuts):
    """An agent whose state is on the disk; the power goes at random instants. Words when a promise is broken, or None."""
    state = os.path.join(disk.at, "agent")
    pair.write_agent(state)
    pair.start("collector")
    wait("the collector serves", lambda: pair.ask("/-/ready"))
    pair.start("agent", program=program)
    wait("results come", lambda: pair.metric("xunjian_ingest_results_total") > 10)
    for done in range(1, cuts + 1):
        time.sleep(random.uniform(0.2, 1.6))
        disk.cut()
        pair.kill("agent")
        disk.umount()
        disk.mount()
        pair.start("agent", program=program)
        if pair.metric("xunjian_ingest_cloned_total") > 0:
            return f"taken for a clone after power cut {done}"
    time.sleep(3)
    try:
        counts = wait("all is in the store", lambda: judged(pair, state, program), 60)
    except AssertionError as e:
        return str(e)
    if pair.metric("xunjian_ingest_cloned_total") > 0:
        return f"taken for a clone after {cuts} power cuts"
    print(f"  figure: {cuts} power cuts of the agent: {counts['results']} results, none twice, none other; "
          f"{counts['missing']} of the last second under way")
    return None


def with_power(program, cuts):
    disk, pair = Disk(64), Pair(CHECKS)
    try:
        return cut_power(disk, pair, program, cuts)
    finally:
        pair.clear()
        disk.remove()


def test_power_cuts():
    wrong = with_power(None, 200 if FULL else 6)
    assert wrong is None, wrong
    if not FULL:
        return
    made = subprocess.run([os.path.join(ROOT, "tests/mutants/build"), "agent-send-before-sync", "all"],
                          stdout=subprocess.PIPE, text=True, check=True)
    wrong = with_power(os.path.join(ROOT, made.stdout.strip(), "build/xunjian-agent"), 40)
    assert wrong is not None, "the mutant that sends before it syncs survived 40 power cuts"
    print(f"  figure: the mutant that sends before it syncs: {wrong.strip()}")


def main():
    random.seed(SEED)
    print(f"SEED={SEED}")
    mounts = may_mount()
    pair = Pair(CHECKS)
    try:
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        wait("results come", lambda: pair.metric("xunjian_ingest_results_total") > 10)
        test_kills(pair, 1000 if FULL else 60)
        test_put_back(pair)
        if mounts:
            test_clone(pair)
            pair.clear()
            test_power_cuts()
        else:
            print("  figure: clone and power cuts left out: no right to mount here")
    except AssertionError as e:
        print(f"FAIL {e}")
        print(pair.log("agent")[-3000:], pair.log("collector")[-3000:], sep="\n---\n")
        return 1
    finally:
        pair.clear()
    return 0


if __name__ == "__main__":
    sys.exit(main())
