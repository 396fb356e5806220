#!/usr/bin/env python3
"""A real incident by the channels that are not HTTP, from inside the fence of the process that delivers: to rsyslog over TLS, to
snmptrapd as an inform, to a command as a user of its own. A runner of commands that was killed is there again; one that cannot be is told."""

import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_notice_receivers as receivers  # noqa: E402
from certs import Authority  # noqa: E402
from pair import Pair, wait  # noqa: E402
from processes import child, children_of  # noqa: E402
from test_notify import comment, on  # noqa: E402

USER = 1000000 + os.getpid()


def set_up(pair):
    """Files that rsyslog, snmptrapd and the command write."""
    ca = Authority(pair.folder, "Logs")
    port, log = receivers.rsyslog(pair.folder, "log", ca.pem, ca.leaf("log.gov.example", "DNS:localhost,IP:127.0.0.1"), "anon")
    trap_port, traps = receivers.snmptrapd(pair.folder)
    pages = pair.path("pages")
    os.chmod(pair.folder, 0o755)
    os.mkdir(pages)
    os.chown(pages, USER, USER)
    receivers.write(pair.path("page"), f'#!/bin/sh\ncat >> {pages}/words; echo "$XUNJIAN_KIND $XUNJIAN_SUBJECT $XUNJIAN_SEVERITY" >> '
                    f'{pages}/facts; echo by $(id -u)\n', 0o755)
    receivers.write(pair.path("commands.conf"), f'user = "{USER}";\ncommands = ( {{ name = "page"; path = "{pair.path("page")}"; }} );\n')
    receivers.write(pair.path("auth"), "authenticate me\n")
    receivers.write(pair.path("priv"), "encrypt me too\n")
    pair.write("notice.conf", f'''
channels = (
  {{ id = "log"; kind = "syslog"; ca = "{ca.pem}"; url = "tls://localhost:{port}"; }},
  {{ id = "nms"; kind = "inform"; url = "udp://localhost:{trap_port}"; user = "xj"; token_file = "auth"; secret_file = "priv"; }},
  {{ id = "pager"; kind = "command"; command = "page"; }}
);
routes = ( {{ audience = "operations"; channels = ( "log", "nms", "pager" ); kinds = ( "commented" ); }} );
''')
    with open(pair.path("collector.conf"), "a", encoding="utf-8") as f:
        f.write('notice = "notice.conf";\ncommands = "commands.conf";\n')
    return log, traps, pages


def all_is_told(pair, log, traps, pages):
    for channel in ("log", "nms", "pager"):
        wait(f"{channel} has taken it", lambda: on(pair, channel) and on(pair, channel)[0]["state"] == "taken")
    answers = {c: on(pair, c)[0]["tries"][-1]["answer"] for c in ("log", "nms", "pager")}
    assert answers == {"log": "handed over and read to its end; this protocol has no answer", "nms": "confirmed by the receiver",
                       "pager": f"exit status 0: by {USER}"}, answers
    line = wait("the log", lambda: receivers.read(log))
    # one family fails first: it may be told as degraded, and then be down
    state, severity, number = ("down", "critical", 2) if 'state="down"' in line else ("degraded", "warning", 4)
    assert all(f'{k}="{v}"' in line for k, v in (("kind", "problem"), ("subject", "system/portal"), ("state", state),
                                                 ("severity", severity))) and line.startswith(f"{16 * 8 + number}\t"), line
    trap = wait("the trap", lambda: re.search(r"<<<(.*?)>>>", receivers.read(traps), re.DOTALL)).group(1)
    assert "XUNJIAN-MIB::xunjianProblem" in trap and "system/portal" in trap and f"State.0 = {state}" in trap, trap
    facts = receivers.read(os.path.join(pages, "facts"))
    assert facts == f"problem system/portal {severity}\n", facts
    assert "门户" in receivers.read(os.path.join(pages, "words")), receivers.read(os.path.join(pages, "words"))


def main():
    for program in ("rsyslogd", "snmptrapd"):
        if not os.path.exists(f"/usr/sbin/{program}"):
            print(f"skipped: there is no {program}")
            return 77
    if os.geteuid() != 0:
        print("skipped: commands become another user, which needs root")
        return 77
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    pair = Pair(checks=2)
    try:
        files = set_up(pair)
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        wait("the system is up", lambda: json.loads(pair.ask("/api/v1/overview"))["systems"][0]["state"] == "up", 60)
        pair.echo.stop()
        incident = wait("an incident", lambda: json.loads(pair.ask("/api/v1/incidents"))["incidents"], 60)[0]
        all_is_told(pair, *files)
        # Guard and runner are from before the parent gave up its rights.
        guard = child(pair.processes["collector"].pid, "xj-runner-guard")
        os.kill(children_of(guard)[0], signal.SIGKILL)
        comment(pair, incident["id"], "by another runner")
        wait("the other runner", lambda: [t for n in on(pair, "pager") for t in n["tries"] if n["kind"] == "commented" and
                                          t["outcome"] == "taken"])
        second = wait("it is there", lambda: children_of(guard))[0]
        os.kill(guard, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
        gone = "the processes that start commands have ended: the collector must be started again"
        told = wait("that this is an incident", lambda: [i for i in json.loads(pair.ask("/api/v1/incidents"))["incidents"]
                                                         if i["subject"] == "monitoring/commands"])
        assert told[0]["reason"] == gone, told
        comment(pair, incident["id"], "without a runner")
        wait("that it is refused", lambda: [t for n in on(pair, "pager", "--failed") for t in n["tries"] if
                                            t["outcome"] == "refused" and t["answer"] == gone])
        ended = pair.stop("collector")
        assert ended[0] == 0, ended
    except AssertionError as e:
        print(f"FAILED: {e}\n{pair.log('collector')[-4000:]}")
        return 1
    finally:
        for p in receivers.started:
            p.terminate()
        for p in receivers.started:
            p.wait(timeout=receivers.WAIT)
        pair.clear()
    return 0


if __name__ == "__main__":
    sys.exit(main())
