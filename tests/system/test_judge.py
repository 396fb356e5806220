#!/usr/bin/env python3
"""The ledger of a real collector: an outage is in it to the second, once, whatever is killed meanwhile; and one that nobody
could report while it lasted is in it as well, when the agent's backlog has come."""

import datetime
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import COLLECTOR, Pair, wait  # noqa: E402
from processes import child  # noqa: E402

CHINA = datetime.timezone(datetime.timedelta(hours=8))


def figures(pair, *words, began):
    """Of the local days since it began, for one that runs over midnight."""
    first, last = (datetime.datetime.fromtimestamp(t, CHINA).strftime("%Y-%m-%d") for t in (began, time.time()))
    p = subprocess.run([COLLECTOR, "availability", "-c", pair.path("collector.conf"), "--json", *words, f"{first}..{last}"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode == 1:
        return None
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)


def incidents(pair, began):
    """Those that opened since then, newest first."""
    first, last = (datetime.datetime.fromtimestamp(t, CHINA).strftime("%Y-%m-%d") for t in (began, time.time()))
    return json.loads(subprocess.run([COLLECTOR, "incidents", "-c", pair.path("collector.conf"), "--json", f"{first}..{last}"],
                                     stdout=subprocess.PIPE, check=True, text=True).stdout)


def kill_judge(pair):
    before = child(pair.processes["collector"].pid, "xj-judge")
    os.kill(before, signal.SIGKILL)
    wait("judgement is there again", lambda: child(pair.processes["collector"].pid, "xj-judge") not in (None, before))


def on_the_wall(pair):
    """What the page says of the system, and whether that goes by votes."""
    o = json.loads(pair.ask("/api/v1/overview") or "{}")
    return (o["judged"], *(o["systems"][0][k] for k in ("state", "v4", "v6"))) if o else None


def outage(pair, seconds, wall=False):
    """When the service was away."""
    pair.echo.stop()
    down = time.time()
    if wall:
        wait("the wall says so", lambda: on_the_wall(pair) == (True, "down", "down", "down"), seconds)
    time.sleep(max(0, down + seconds - time.time()))
    pair.echo.start()
    return time.time() - down


def rows_of(pair):
    """What stands in the ledger, for the words of a failure."""
    db = sqlite3.connect(pair.path("collector", "judge", "judge.db"))
    return "\n".join(" ".join(map(str, row)) for table in ("stretch", "revision", "late", "landmark")
                     for row in [(table,)] + db.execute(f"SELECT * FROM {table}").fetchall())


def bad_settings_change_nothing(pair):
    """Each is told with its place, and judgement goes on by the old ones: the outage that follows is seen."""
    with open(pair.path("inventory.d", "all.conf"), encoding="utf-8") as f:
        good = f.read()
    bad = (
        ("all.conf:2: systems depend on each other in a circle",
         good.replace('name = "门户"; }', 'name = "门户"; depends = ( "b" ); }, { id = "b"; unit = "unit"; name = "b"; depends = ( "portal" ); }')),
        ("all.conf:6: quorum is 3, but there are 1 vantages", good.replace('interval = "1s";', 'interval = "1s"; quorum = 3;', 1)),
        ('all.conf:1: service: "workday 9-25"', good.replace('name = "单位";', 'name = "单位"; service = "workday 9-25";')),
        ("china.conf:2: holidays:", None),
    )
    for words, text in bad:
        pair.write("inventory.d/all.conf", text or good)
        if text is None:
            pair.write("calendar/china.conf", 'years = ( { year = 2026; source = "-";\nholidays = ( "2026-02-30" ); workdays = ( ); } );\n')
        refused = pair.log("collector").count("reload refused")
        pair.processes["collector"].send_signal(signal.SIGHUP)
        wait(words, lambda: words in pair.log("collector") and pair.log("collector").count("reload refused") > refused)
    begun = pair.log("collector").count("judgement is ready")
    kill_judge(pair)
    wait("judgement begins again by what was good", lambda: pair.log("collector").count("judgement is ready") > begun)
    pair.write("calendar/china.conf", "years = ( );\n")
    print(f"  figure: {len(bad)} bad settings refused with their place, the old ones stay")


def says_the_same(pair, period):
    """The command and the API, in each form; the ledger grows each second meanwhile, so one after the other at most a few times."""
    for form, option in (("json", "--json"), ("csv", "--csv"), ("text", None)):
        def same():
            over_api = pair.ask(f"/api/v1/availability?period={period}&system=portal&format={form}")
            p = subprocess.run([COLLECTOR, "availability", "-c", pair.path("collector.conf"), "--system", "portal", *filter(None, [option]),
                                period], stdout=subprocess.PIPE, check=True)
            return over_api.strip("\n") == p.stdout.decode().strip("\n")  # with the line ends of a spreadsheet
        wait(f"the command and the API say the same as {form}", same, 60)


def near(is_, wanted, slack=1.6):
    """Results come every second, each a part of it apart from the others."""
    return abs(is_ - wanted) <= slack


def main():
    began, pair = time.time(), Pair()
    sums = {}

    def sum_of(*words):
        f = figures(pair, *words, began=began)
        sums["last"] = f
        return f["sum"] if f else {"up": 0, "down": 0, "outages": 0, "unknown": 0}

    try:
        os.makedirs(pair.path("calendar"))
        pair.write("calendar/china.conf", "years = ( );\n")
        with open(pair.path("collector.conf"), "a", encoding="utf-8") as f:
            f.write('calendar = "calendar";\n')
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        wait("the system is up in the ledger", lambda: sum_of()["up"] >= 3)
        assert sum_of()["down"] == 0
        bad_settings_change_nothing(pair)

        down_at = time.time()
        assert on_the_wall(pair) == (True, "up", "up", "up"), on_the_wall(pair)
        away = outage(pair, 6, wall=True)
        kill_judge(pair)
        wait("the outage is over in the ledger", lambda: sum_of()["outages"] == 1 and sum_of()["up"] > 8)
        one = sum_of()
        assert near(one["down"], away), f"away {away:.1f} s, in the ledger {one['down']}: {sums}"
        for family in ("ipv4", "ipv6"):
            part = sum_of("--family", family)
            assert near(part["down"], away), f"{family}: {part}"
        print(f"  figure: an outage of {away:.1f} s: {one['down']} s in the ledger, once, over a SIGKILL of judgement")

        # Nobody hears of this one while it lasts.
        pair.kill("collector")
        time.sleep(3)
        hidden = outage(pair, 6)
        time.sleep(4)
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        wait("late evidence is in the ledger", lambda: sum_of()["outages"] == 2, 60)
        two = sum_of()
        assert near(two["down"] - one["down"], hidden), f"hidden {hidden:.1f} s: {one} {two}"
        assert two["unknown"] <= one["unknown"] + 4, f"what was measured is not unknown: {two}"
        assert sums["last"]["subjects"][0]["revisions"] > 0, "the past was corrected, and that is not told"
        over_api = json.loads(pair.ask(f"/api/v1/availability?period={sums['last']['period']}&system=portal"))
        assert (over_api["sum"]["down"], over_api["sum"]["outages"]) == (two["down"], 2), over_api
        says_the_same(pair, sums["last"]["period"])
        again = sum_of()
        assert (again["down"], again["outages"]) == (two["down"], 2), "the same again"
        print(f"  figure: an outage of {hidden:.1f} s while the collector was away: {two['down'] - one['down']} s in the "
              "ledger when the backlog had come")
        found = wait("an incident that is closed", lambda: [i for i in incidents(pair, began) if i["phase"] == "closed"], 150)
        assert [(i["subject"], i["state"], i["reason"]) for i in found] == [("system/portal", "down", "connection refused")], found
        assert near(found[0]["since"], down_at), (found, down_at)
        assert pair.stop("collector")[0] == 0
        assert sum_of()["down"] == two["down"]
        assert len(incidents(pair, began)) == 1, "what is learned late wakes nobody"
    except AssertionError as e:
        print(f"FAIL {e}")
        print(pair.log("agent")[-2000:], pair.log("collector")[-4000:], json.dumps(sums)[-3000:], rows_of(pair),
              sep="\n---\n")
        return 1
    finally:
        pair.clear()
    return 0


if __name__ == "__main__":
    sys.exit(main())
