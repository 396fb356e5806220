#!/usr/bin/env python3
"""A check of both families is a pair: up, v4-only, v6-only or down, with the reason of each family; and its times have a ratio, which
is a series of IPv6 and can have a limit."""

import json
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, wait  # noqa: E402


def main():
    pair = Pair(checks=1)
    with open(pair.path("inventory.d", "all.conf"), encoding="utf-8") as f:
        text = f.read()
    # Beyond it whatever IPv6 takes.
    pair.write("inventory.d/all.conf", text.replace('expect = "hello";', 'expect = "hello"; limits = [ "total_ratio above 0.00001" ];'))

    def seen():
        answer = json.loads(pair.ask("/api/v1/checks/echo-0"))
        check = answer["list"][0]
        return check.get("pair"), check["v4"], check["v6"], {r["family"]: (r["outcome"], r["reason"]) for r in check["rows"]}

    def expect(what, word, v4, v6, four, six):
        try:
            wait(what, lambda: seen() == (word, v4, v6, {4: four, 6: six}))
        except AssertionError:
            raise AssertionError(f"{what}: {seen()}") from None

    up, refused = ("up", ""), ("down", "connection refused")
    four, six = pair.echo.sockets
    try:
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        expect("both", "up", "up", "up", up, up)
        system = "/api/v1/systems/portal"
        wait("the limit degrades IPv6 alone", lambda: [json.loads(pair.ask(system))[k] for k in ("v4", "v6")] == ["up", "degraded"])

        def ratios(family):
            """Names of the ratios of a family that have a value, which is one."""
            columns = json.loads(pair.ask(f"/api/v1/values?check=echo-0&vantage=agent-1&family={family}&span=10m"))["columns"]
            return {c["name"] for c in columns if c["name"].endswith("_ratio") and any(v is not None and v > 0 for v in c["values"])}
        wait("the ratios are series of IPv6", lambda: ratios(6) == {"connect_ratio", "total_ratio"})
        wait("IPv4 has series, but no ratio", lambda: ratios(4) == set())
        six.shutdown(socket.SHUT_RDWR)
        six.close()
        expect("without IPv6", "v4-only", "up", "down", up, refused)
        four.shutdown(socket.SHUT_RDWR)
        four.close()
        expect("without both", "down", "down", "down", refused, refused)
        six = socket.create_server(("::1", pair.echo.port), family=socket.AF_INET6)
        threading.Thread(target=pair.echo.serve, args=(six,), daemon=True).start()
        expect("without IPv4", "v6-only", "down", "up", refused, up)
        print("  figure: up, v4-only, down and v6-only are told as they are, with the reason of each family")
        return 0
    except AssertionError as e:
        print(f"FAILED: {e}\n{pair.log('collector')[-2000:]}\n{pair.log('agent')[-1000:]}")
        return 1
    finally:
        six.close()
        pair.echo.sockets = []
        pair.clear()


if __name__ == "__main__":
    sys.exit(main())
