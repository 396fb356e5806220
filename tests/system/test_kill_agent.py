#!/usr/bin/env python3
"""The agent killed at random instants loses nothing that it had synced and counts nothing twice in the store; a state
folder that is put back or cloned is told, and nothing of it is lost in silence.

FULL=1: 1,000 kills, else 60. SEED=N repeats a run."""

import os
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import FULL, TOOLS, Pair, wait  # noqa: E402

SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
JUDGE = os.path.join(TOOLS, "agent_judge")


def judged(pair):
    """Stops the agent, compares, and starts it again; the words of the judge when all is in the store."""
    time.sleep(1)  # at least one round of results more
    pair.stop("agent")
    p = subprocess.run([JUDGE, pair.path("agent", "journal"), pair.path("collector", "journal"), "agent-1"],
                       stdout=subprocess.PIPE, text=True)
    pair.start("agent")
    words = p.stdout.split()
    counts = dict(zip(words[::2], map(int, words[1::2])))
    # What the last second brought may still be under way when the agent is stopped: the very end may be missing.
    if counts["twice"] or counts["other"]:
        raise AssertionError(p.stdout)
    return counts if counts["missing"] <= 12 else None


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


def main():
    random.seed(SEED)
    print(f"SEED={SEED}")
    pair = Pair()
    try:
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        wait("results come", lambda: pair.metric("xunjian_ingest_results_total") > 10)
        test_kills(pair, 1000 if FULL else 60)
        test_put_back(pair)
    except AssertionError as e:
        print(f"FAIL {e}")
        print(pair.log("agent")[-3000:], pair.log("collector")[-3000:], sep="\n---\n")
        return 1
    finally:
        pair.clear()
    return 0


if __name__ == "__main__":
    sys.exit(main())
