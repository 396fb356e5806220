#!/usr/bin/env python3
"""A process of the collector that hangs is ended and started again, the others go on; time in which all stood still is nobody's
fault. And the service manager hears what it is to hear: ready, alive, reloading, stopping."""

import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from collector_bed import COLLECTOR, Bed, check, failures, figure, wait_for  # noqa: E402
from processes import children_of, status_of  # noqa: E402

WITHIN = 6  # seconds
ROLES = ("xj-ingest", "xj-series", "xj-judge", "xj-web", "xj-render", "xj-notify")


def roles(bed):
    """Process ids of the roles by name."""
    return {status_of(p).get("Name"): p for p in children_of(bed.process.pid)}


class Manager:
    """Listens as systemd would."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "manager")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.said = []

    def heard(self, word, count=1):
        def look():
            try:
                while True:
                    self.said.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return sum(word in s for s in self.said) >= count
        return wait_for(look)


def main():
    bed = Bed(agents=1, checks=1)
    manager = Manager(bed.folder)
    with open(bed.conf, "a", encoding="utf-8") as f:
        f.write(f'answer_within = "{WITHIN}s";\n')
    try:
        bed.start(program=COLLECTOR, wrap=("env", "NOTIFY_SOCKET=" + manager.path, "WATCHDOG_USEC=1000000"))
        check(manager.heard("READY=1"), "the manager hears that all are ready")
        check(manager.heard("WATCHDOG=1", 3), "and again and again that the parent lives")

        before = roles(bed)
        check(set(before) == set(ROLES), f"every role runs: {sorted(before)}")
        began = time.monotonic()
        os.kill(before["xj-series"], signal.SIGSTOP)
        check(wait_for(lambda: roles(bed).get("xj-series", before["xj-series"]) != before["xj-series"]), "what hangs is replaced")
        figure(f"a process that hung was replaced after {time.monotonic() - began:.1f} s, with a limit of {WITHIN} s")
        check("process does not answer, ending it role=series" in bed.log(), "the log names it")
        check(wait_for(lambda: bed.log().count("series are ready") == 2), "it works again")
        after = roles(bed)
        check(all(after[r] == before[r] for r in ROLES if r != "xj-series"), "the others went on")

        os.kill(after["xj-series"], signal.SIGSTOP)
        time.sleep(2)  # long enough to be asked what it does not answer
        os.killpg(bed.process.pid, signal.SIGSTOP)
        time.sleep(WITHIN + 2)  # the time is what is tested
        os.kill(bed.process.pid, signal.SIGCONT)  # first, so that it does not find the answer
        time.sleep(1)
        os.killpg(bed.process.pid, signal.SIGCONT)
        manager.said.clear()
        check(manager.heard("WATCHDOG=1", 4), "it goes on")
        check(roles(bed) == after, "nobody is ended for having stood still with all")

        os.kill(bed.process.pid, signal.SIGHUP)
        check(manager.heard("RELOADING=1"), "the manager hears of a reload")
        check(manager.heard("READY=1"), "and of its end")
        os.kill(bed.process.pid, signal.SIGTERM)
        check(bed.process.wait(30) == 0, "it ends well")
        check(manager.heard("STOPPING=1"), "the manager hears of the end")
    finally:
        if bed.process is not None and bed.process.poll() is None:
            bed.kill()
        if failures:
            print(bed.log()[-4000:])
        bed.remove()
    sys.exit(1 if failures else 0)


main()
