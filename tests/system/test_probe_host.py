#!/usr/bin/env python3
"""What an agent sees of its own host: from the shell against what the kernel says, and in a running agent behind its fence,
through the collector, to the page."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import AGENT, Pair, wait  # noqa: E402

TYPES = ("cpu", "memory", "load", "disk", "interface", "protocol", "process", "descriptors", "entropy", "uptime", "self")


def once(kind):
    p = subprocess.run([AGENT, "probe", kind, "--json"], stdout=subprocess.PIPE, text=True)
    assert p.returncode == 0, f"{kind}: {p.returncode} {p.stdout}"
    results = json.loads(p.stdout)
    assert all(r["family"] == 0 for r in results), results
    return {r["part"]: {k: v["value"] for k, v in r["values"].items()} for r in results}


def test_once():
    cpus = once("cpu")
    assert len(cpus) == 1 + cpus[""]["cores"] and cpus[""]["cores"] == os.cpu_count(), cpus.keys()
    assert all(0 <= v["busy"] <= 100 for v in cpus.values()), cpus
    with open("/proc/meminfo") as f:
        total = next(int(line.split()[1]) * 1024 for line in f if line.startswith("MemTotal"))
    memory = once("memory")[""]
    assert memory["total"] == total and 0 < memory["available"] < total, memory
    load = once("load")[""]
    assert abs(load["load1"] - os.getloadavg()[0]) < 1, (load, os.getloadavg())
    root, fs = once("disk")["/"], os.statvfs("/")
    assert root["size"] == fs.f_blocks * fs.f_frsize and root["inodes"] == fs.f_files, (root, fs)
    assert abs(root["available"] - fs.f_bavail * fs.f_frsize) < 1 << 30, (root, fs)
    up = float(open("/proc/uptime").read().split()[0])
    assert abs(once("uptime")[""]["uptime"] - up) < 5
    assert once("descriptors")[""]["most"] > once("descriptors")[""]["open"] > 0
    here = {int(x) for x in os.listdir("/proc") if x.isdigit()}
    assert abs(once("process")[""]["count"] - len(here)) < 50
    assert set(once("protocol")) >= {"", "IPv4"}
    for name, values in once("interface").items():
        if name:
            with open(f"/sys/class/net/{name}/mtu") as f:
                assert values["mtu"] == int(f.read()), (name, values)


def test_help():
    """Of what all types take, each shows what it has a use for."""
    for kind, families, credentials in (("memory", False, False), ("icmp", True, False), ("snmp", True, True), ("systemd", False, False)):
        text = subprocess.run([AGENT, "probe", kind, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert ("families = " in text, "credentials_file = " in text, "timeout = " in text) == (families, credentials, True), text


def with_host_checks(pair):
    checks = ",\n".join(f'  {{ id = "own-{k}"; type = "{k}"; subject = "host/agent-1"; vantages = [ "agent-1" ]; interval = "1s"; }}'
                        for k in TYPES)
    path = pair.path("inventory.d", "all.conf")
    with open(path) as f:
        text = f.read()
    pair.write(path, text.rstrip().removesuffix(");").rstrip() + ",\n" + checks + "\n);\n")


def test_in_agent():
    pair = Pair(checks=1)
    try:
        with_host_checks(pair)
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")

        def seen():
            host = json.loads(pair.ask("/api/v1/agents/agent-1"))
            up = {c["type"]: [r for r in c["rows"] if r["family"] == 0 and r["outcome"] == "up"] for c in host["list"]}
            seen.last = host
            # Shares of a processor take two looks.
            parts = {r["part_name"] for rows in up.values() for r in rows}
            return up if all(up.get(k) for k in TYPES) and host["state"] == "up" and {"cpu0", "/"} <= parts else None

        up = wait("all types are up on the page, with their parts", seen)

        def newest(check, *names):
            """The newest value of each of these series, once each has one: they begin after the page has the results."""
            columns = json.loads(pair.ask(f"/api/v1/values?check={check}&vantage=agent-1&family=0&span=10m"))["columns"]
            values = {c["name"]: next((v for v in reversed(c["values"]) if v is not None), None) for c in columns}
            return values if None not in map(values.get, names) else None

        assert wait("series of the memory", lambda: newest("own-memory", "total"))["total"] > 0
        own = wait("series of the agent itself", lambda: newest(
            "own-self", "processes", "shares", "journal", "journal_most", "descriptors_share"))
        # The engine and its helper, who has another user where the agent was started as root.
        assert own["processes"] >= 2 and own["shares"] > 1 << 20 and 0 <= own["journal"] <= own["journal_most"], own
        assert 0 < own["descriptors_share"] < 100, own
        print("  figure: %d rows of %d host types on the page" % (sum(map(len, up.values())), len(TYPES)))
    except AssertionError:
        print(json.dumps(getattr(seen, "last", None))[:3000], pair.log("agent")[-2000:], pair.log("collector")[-2000:], sep="\n---\n")
        raise
    finally:
        pair.clear()


def main():
    try:
        test_once()
        test_help()
        test_in_agent()
    except AssertionError as e:
        print(f"FAIL {e}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
