#!/usr/bin/env python3
"""The collector's journal is lost, or one of before is put back, while the series stay: they go on with what is there."""

import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, wait  # noqa: E402


def begin(pair):
    with open(pair.path("collector.conf"), encoding="utf-8") as f:
        text = f.read().replace("series = {", 'series = { flush_within = "1s";')
    pair.write("collector.conf", text)
    pair.start("collector")
    pair.start("agent")
    writes_on(pair)


def writes_on(pair):
    """The series of a collector just started take results, write them, and say so: ingest may let the journal go."""
    wait("series take results", lambda: pair.metric("xunjian_series_sets_total") >= 16)
    wait("judgement takes results", lambda: pair.metric("xunjian_judge_results_total") >= 16)
    wait("series write them", lambda: pair.metric("xunjian_series_sets_written_total") >= 16)


def journal_lost(pair):
    assert pair.stop("collector")[0] == 0
    shutil.rmtree(pair.path("collector", "journal"))
    pair.start("collector")
    writes_on(pair)
    log = pair.log("collector")
    assert "is read from its start" in log, "it is not told that the journal is another one"
    assert "what it may not" not in log, "a view claimed to have passed what is not in the journal"


def journal_put_back(pair):
    """Its copy is older than what the series have written."""
    assert pair.stop("collector")[0] == 0
    shutil.copytree(pair.path("collector", "journal"), pair.path("copy"))
    pair.start("collector")
    writes_on(pair)
    assert pair.stop("collector")[0] == 0
    shutil.rmtree(pair.path("collector", "journal"))
    os.rename(pair.path("copy"), pair.path("collector", "journal"))
    pair.start("collector")
    writes_on(pair)
    assert "what it may not" not in pair.log("collector"), "a view claimed to have passed what is not in the journal"


def main():
    pair = Pair()
    try:
        begin(pair)
        journal_lost(pair)
        journal_put_back(pair)
    except AssertionError as e:
        print(f"FAIL {e}")
        print(pair.log("collector")[-3000:])
        return 1
    finally:
        pair.clear()
    print("series go on over a lost journal and one of before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
