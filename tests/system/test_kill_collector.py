#!/usr/bin/env python3
"""The collector killed at random instants under load: no acknowledged entry is missing, none stands there twice, and every
RRD file dumps equal to one that was made value by value without any interruption.

FULL=1: 1,000 kills, else 150. Most kills take all processes at once, the others one role alone. SEED=N repeats a run."""

import os
import random
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import COLLECTOR, FULL, TOOLS, Pair, wait  # noqa: E402
from processes import children_of  # noqa: E402

SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
KILLS = int(os.environ.get("KILLS", 1000 if FULL else 150))
AGENTS, CHECKS = 20, 25  # a result of 12 values each second: 6,000 values/s
PUSHER, REFERENCE = (os.path.join(TOOLS, name) for name in ("pusher", "reference"))


class Storm(Pair):
    """The collector of a pair, with virtual agents instead of a real one."""

    def write_inventory(self, _interval):
        agents = ", ".join(f'{{ id = "agent-{i}"; name = "观测点"; site = "city"; }}' for i in range(AGENTS))
        checks = ",\n".join(f'''{{ id = "check-{i}-{k}"; type = "icmp"; subject = "system/portal"; vantages = [ "agent-{i}" ];
 interval = "1s"; timeout = "900ms"; host = "192.0.2.1"; }}''' for i in range(AGENTS) for k in range(CHECKS))
        self.write("inventory.d/all.conf", f'''units = ( {{ id = "unit"; name = "单位"; }} );
systems = ( {{ id = "portal"; unit = "unit"; name = "门户"; }} );
sites = ( {{ id = "city"; level = "city"; name = "市"; }} );
agents = ( {agents} );
checks = ( {checks} );
''')

    def prepare(self):
        for i in range(AGENTS):
            subprocess.run([COLLECTOR, "ca", "issue", "--ca", self.path("pki"), f"agent-{i}"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.path("collector.conf"), encoding="utf-8") as f:
            text = f.read().replace("series = {", 'series = { flush_within = "1s";')
        self.write("collector.conf", text)

    def push(self, seconds):
        url = f"https://127.0.0.1:{self.ingest}"
        with open(self.path("acks"), "ab") as acks, open(self.path("pusher.log"), "ab") as log:
            words = [f"agents={AGENTS}", f"checks={CHECKS}", f"seconds={seconds}"]
            return subprocess.Popen([PUSHER, "push", url, self.path("pki"), *words], stdout=acks, stderr=log)

    def roles(self):
        return children_of(self.processes["collector"].pid)

    def serves(self):
        try:
            socket.create_connection(("127.0.0.1", self.ingest), timeout=1).close()
            return True
        except OSError:
            return False

    def restart(self):
        """Starts it; seconds until it takes connections."""
        began = time.monotonic()
        self.start("collector")
        while not self.serves():
            assert time.monotonic() - began < 20, "the collector does not serve again"
            time.sleep(0.002)
        return time.monotonic() - began


def kill_once(storm, times):
    time.sleep(random.uniform(0.01, 0.3))
    if random.random() < 0.25:
        victims = storm.roles()
        if victims:
            try:
                os.kill(random.choice(victims), signal.SIGKILL)
            except ProcessLookupError:
                pass
        return
    storm.kill("collector")
    times.append(storm.restart())


def judge(storm):
    with open(storm.path("acks"), "rb") as acks:
        p = subprocess.run([PUSHER, "check", storm.path("collector", "journal")], stdin=acks, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, "the journal is not what was acknowledged:\n" + p.stdout
    return p.stdout.strip()


def main():
    random.seed(SEED)
    print(f"SEED={SEED}")
    storm, times = Storm(), []
    try:
        storm.prepare()
        storm.restart()
        seconds = KILLS // 2
        pusher = storm.push(seconds)
        for done in range(KILLS):
            kill_once(storm, times)
            assert pusher.poll() is None or done > KILLS // 2, "the load ended: " + open(storm.path("pusher.log")).read()
            if pusher.poll() is not None:
                assert pusher.returncode == 0, "the load ended badly: " + open(storm.path("pusher.log")).read()
                pusher = storm.push(10)
        assert pusher.wait(seconds + 120) == 0, "the load did not end well: " + open(storm.path("pusher.log")).read()
        wait("the series are written", lambda: storm.ask("/-/ready"))
        time.sleep(3)
        storm.stop("collector", 20)
        words = judge(storm)
        p = subprocess.run([REFERENCE, storm.path("collector", "journal"), storm.path("collector", "rrd"), "archives=0:3600"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert p.returncode == 0, "series differ from the reference:\n" + p.stdout[-3000:]
        times.sort()
        print(f"  figure: {KILLS} SIGKILLs of the collector, {len(times)} of all its processes: {words}; RRD: "
              f"{p.stdout.strip().splitlines()[-1] if p.stdout.strip() else 'all equal'}")
        print("  figure: " + open(storm.path("pusher.log")).read().strip().replace("\n", "; "))
        print(f"  figure: restart to serving: median {times[len(times) // 2] * 1000:.0f} ms, "
              f"p99 {times[len(times) * 99 // 100] * 1000:.0f} ms")
    except AssertionError as e:
        print(f"FAIL {e}")
        print(storm.log("collector")[-4000:])
        return 1
    finally:
        storm.clear()
    return 0


if __name__ == "__main__":
    sys.exit(main())
