#!/usr/bin/env python3
"""A system fails that needs another one: judgement has that one probed at once, instead of waiting until its turn comes."""

import json
import os
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Echo, Pair, wait  # noqa: E402


def incidents(pair):
    db = sqlite3.connect(pair.path("collector", "judge", "judge.db"))
    try:
        return db.execute("SELECT subject FROM incident").fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        db.close()


def main():
    pair, base = Pair(), Echo()
    check = '{ id = "%s"; type = "tcp"; subject = "system/%s"; vantages = [ "agent-1" ]; interval = "%s"; timeout = "900ms"; ' \
            'host = "localhost"; port = %d; expect = "hello"; }'
    pair.write("inventory.d/all.conf", '''units = ( { id = "unit"; } );
systems = ( { id = "base"; unit = "unit"; }, { id = "portal"; unit = "unit"; depends = [ "base" ]; } );
sites = ( { id = "city"; level = "city"; } );
agents = ( { id = "agent-1"; site = "city"; } );
checks = ( %s );
''' % ",\n".join([check % ("portal-tcp", "portal", "1s", pair.echo.port), check % ("base-tcp", "base", "1h", base.port)]))
    try:
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        wait("the agent measures", lambda: pair.metric("xunjian_ingest_batches_total") >= 2)
        pair.echo.stop()
        began = time.monotonic()
        wait("the system is an incident of its own, as the other one was seen", lambda: incidents(pair) == [("system/portal",)])
        took = time.monotonic() - began
        wait("ingest has counted it", lambda: pair.metric("xunjian_ingest_probes_total") >= 1)
        wait("the other one was measured", lambda: json.loads(pair.ask("/api/v1/checks/base-tcp"))["list"][0]["rows"])
        print(f"  figure: an incident after {took:.1f} s, where what it needs is measured once an hour")
        return 0
    except AssertionError as e:
        print(f"FAILED: {e}\n{pair.log('collector')[-2000:]}\n{pair.log('agent')[-1000:]}")
        return 1
    finally:
        base.stop()
        pair.clear()


if __name__ == "__main__":
    sys.exit(main())
