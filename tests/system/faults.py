"""A table of faults that several tests fill: each tells what it made, and what the probe said of it."""

import json
import os

PLACE = os.environ.get("XUNJIAN_FAULTS")


def record(probe_type, fault, results):
    """One row: results as the one-shot use prints them."""
    if PLACE:
        row = {"type": probe_type, "fault": fault, "said": [[r["family"], r["outcome"], r["reason"]] for r in results]}
        with open(PLACE, "a", encoding="utf-8") as f:
            f.write(json.dumps(row, ensure_ascii=False) + "\n")
