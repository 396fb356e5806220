#!/usr/bin/env python3
"""The scorecard probe against nginx and Knot DNS in a network of its own: sites whose readiness for IPv6 is known to the link.

Exact: k of n links that fail over IPv6 alone give (n-k)/n at each level; names, delegation, redirects, content, ports as they are.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import certs
import faults
import nginx
import once
import pair
from checks import check, failures

V4, V6 = "127.0.0.80", "240e:0:0:1::80"
ZONE = f"""$TTL 300
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
@ NS ns2
ns1 A 127.0.0.53
ns1 AAAA 240e:0:0:1::53
ns2 A 127.0.0.53
ns2 AAAA 240e:0:0:1::54
www A {V4}
www AAAA {V6}
part A {V4}
part AAAA {V6}
other A {V4}
other AAAA {V6}
moved A {V4}
moved AAAA {V6}
only4 A {V4}
only6 AAAA {V6}
hostile A {V4}
hostile AAAA {V6}
refused A {V4}
refused AAAA 240e:0:0:1::81
far A {V4}
far AAAA 2409::1
local A {V4}
local AAAA ::1
safe A {V4}
safe AAAA {V6}
"""
PARTIAL = f"""$TTL 300
@ SOA ns1.gov.cn. hostmaster 1 3600 600 86400 60
@ NS ns1.gov.cn.
@ NS ns4.partial.cn.
@ NS ns9.gov.cn.
ns4 A 127.0.0.53
www A {V4}
www AAAA {V6}
"""
# Name servers over IPv6 that are none: by the address of the only one, what is told.
NO_SERVERS = {
    "closed": (V6, f"at {V6}: port unreachable"), "refused": ("240e:0:0:1::55", "answers REFUSED at 240e:0:0:1::55"),
    "lame": ("240e:0:0:1::56", "is lame at 240e:0:0:1::56"), "silent": ("240e:0:0:1::57", "at 240e:0:0:1::57: no answer within 750ms"),
}
# Of 12 links of the home page one is broken in both families, 3 over IPv6 alone: by status, by a redirect to a name without IPv6,
# by a connection that ends. Each of the 8 good ones has one link of its own, of which 2 fail over IPv6.
LINKS = [f"page{i}" for i in range(12)]
BROKEN = {"page1": "return 404;", "page2": "return 302 http://only4.gov.cn/;", "page3": "return 444;"}


def probe(url, *options, timeout="30s", delay="0s"):
    (r,) = once.probe("scorecard", f"url={url}", f"timeout={timeout}", f"delay={delay}", "ports=80,8081", "attempts=2", "weight_speed=0", *options)
    return r


def values(r):
    return {name: v["value"] for name, v in r["values"].items()}


def expect(what, r, outcome, reason, **wanted):
    faults.record("scorecard", what, [r])
    seen = values(r)
    good = r["family"] == 0 and r["outcome"] == outcome and r["reason"] == reason
    check(what, good and all(seen.get(k) == v for k, v in wanted.items()),
          f"{r['family']} {r['outcome']} \"{r['reason']}\", " + str({k: (seen.get(k), v) for k, v in wanted.items() if seen.get(k) != v}))
    return seen


def html(title, links, resources=(), text="政务服务 text of the page"):
    body = "".join(f'<p><a href="{link}">{link}</a>' for link in links) + "".join(f'<img src="{r}">' for r in resources)
    return f"<!doctype html><html><head><title>{title}</title><script>var a='<a href=/no>';</script></head><body>{text}{body}</body></html>"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def hostile():
    """Deep nesting, end tags that close nothing, a tag of very many attributes, comments without end, links without number."""
    deep = "<div>" * 20000 + "</x>" * 20000
    tag = "<a " + " ".join(f"a{i}" for i in range(20000)) + ">"
    return tag + "".join(f"<a href=/{i}>" for i in range(5000)) + "<!-- x" * 5000 + deep


def sites(folder):
    """One server of each name and family."""
    blocks = []

    def site(name, both, only4="", only6=""):
        for listen, more in ((f"{V4}:80", only4), (f"[{V6}]:80", only6)):
            blocks.append(f"server {{ listen {listen}; server_name {name}; default_type text/html; root {folder}/{name}; {both} {more} }}")

    write(f"{folder}/www.gov.cn/index.html", html("门户", ["/a", "b", "#top", "mailto:x@y", "http://elsewhere.cn/", "javascript:void(0)"], ["i.png"]))
    for name in ("a", "b"):
        write(f"{folder}/www.gov.cn/{name}", html(name, ["/", "/a", "/c"]))
    write(f"{folder}/www.gov.cn/c", html("c", []))
    site("www.gov.cn", "location = /old { return 301 /; }")

    links = [*LINKS, "page4#x", "/gone", "//part.gov.cn/page5"]
    write(f"{folder}/part.gov.cn/index.html", html("门户", links))
    for i, name in enumerate(LINKS):
        write(f"{folder}/part.gov.cn/{name}", html(name, [f"/deep/{i}"]))
        write(f"{folder}/part.gov.cn/deep/{i}", html("deep", ["/below"]))
    site("part.gov.cn", "location = /deep/11 { default_type application/pdf; }",
         only6="".join(f"location = /{name} {{ {act} }}" for name, act in BROKEN.items()) +
         "location = /deep/4 { return 500; } location = /deep/5 { return 403; }")
    write(f"{folder}/other.gov.cn/index.html", html("门户", [], ["1.png", "2.png"]))
    write(f"{folder}/other6/index.html", html("Portal", [], ["1.png"]))
    site("other.gov.cn", "", only6=f"location / {{ root {folder}/other6; }}")
    site("moved.gov.cn", "", only4="location / { return 302 http://www.gov.cn/; }", only6="location / { return 302 http://only4.gov.cn/; }")
    root = certs.Authority(folder, "Root")
    good, old = root.leaf("safe", "DNS:safe.gov.cn"), root.leaf("old", "DNS:safe.gov.cn", days=(-40, -10))
    for listen, (cert, key) in ((f"{V4}:443", good), (f"[{V6}]:443", good), (f"{V4}:444", good), (f"[{V6}]:444", old)):
        blocks.append(f"server {{ listen {listen} ssl; server_name safe.gov.cn; default_type text/html; root {folder}/www.gov.cn; "
                      f"ssl_certificate {cert}; ssl_certificate_key {key}; }}")
    for name in ("only4.gov.cn", "only6.gov.cn", "local.gov.cn"):
        write(f"{folder}/{name}/index.html", html("门户", ["a"]))
        write(f"{folder}/{name}/a", html("a", []))
        site(name, "")
    write(f"{folder}/hostile.gov.cn/index.html", hostile())
    site("hostile.gov.cn", "")
    blocks.append("server { listen [::1]:80; server_name local.gov.cn; root %s/local.gov.cn; default_type text/html; }" % folder)
    blocks.append(f"server {{ listen {V4}:80; server_name refused.gov.cn far.gov.cn ~\\.cn$; default_type text/html; root {folder}/www.gov.cn; }}")
    blocks.append(f"server {{ listen [{V6}]:80; server_name ~\\.cn$; default_type text/html; root {folder}/www.gov.cn; }}")
    return blocks


def start_knot(folder):
    write(f"{folder}/gov.cn.zone", ZONE)
    write(f"{folder}/partial.cn.zone", PARTIAL)
    for name, (address, _) in NO_SERVERS.items():
        write(f"{folder}/{name}.cn.zone", f"$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns AAAA {address}\nwww A {V4}\nwww AAAA {V6}\n")
    zones = "".join(f"  - domain: {z}\n    storage: {folder}\n    file: {z}.zone\n    zonefile-sync: -1\n    journal-content: none\n"
                    for z in ("gov.cn", "partial.cn", *(f"{name}.cn" for name in NO_SERVERS)))
    write(f"{folder}/knot.conf", f"""server:
    rundir: {folder}
    listen: [127.0.0.53@53, "240e:0:0:1::53@53", "240e:0:0:1::54@53"]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/knot
zone:
{zones}log:
  - target: stderr
    any: warning
""")
    with open(f"{folder}/knot.log", "wb") as log:
        return subprocess.Popen(["knotd", "-c", f"{folder}/knot.conf"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def bad_server(address, answer):
    """A name server that repeats the question, with these flags; or says nothing."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind((address, 53))

    def serve():
        while True:
            data, sender = s.recvfrom(2048)
            if answer is not None:
                s.sendto(data[:2] + answer + b"\0\1" + bytes(6) + data[12:data.index(0, 12) + 5], sender)
    threading.Thread(target=serve, daemon=True).start()


def exact():
    r = probe("http://www.gov.cn/old")
    expect("all is there", r, "up", "", score=100, aaaa=100, aaaa_global=1, delegation=100, ns=2, ns_v6=2, home=100, success=100,
           success_v4=100, links2=2, links2_v6=2, level2=100, links3=1, links3_v6=1, level3=100, same=100, ports=100, ports_v4=1,
           ports_v6=1, ports_differ=0, status_v4=200, status_v6=200)
    seen = values(r)
    check("times of both families and their ratio", all(seen.get(f"{k}_v{f}", 0) > 0 for k in ("resolve", "connect", "first_byte", "page", "rate")
                                                        for f in (4, 6)), seen)
    check("the ratio is v6/v4", abs(seen["page_ratio"] - seen["page_v6"] / seen["page_v4"]) < 0.02 * seen["page_ratio"], seen)

    r = probe("http://part.gov.cn/")
    seen = expect("3 of 12 links fail over IPv6", r, "up", "level 2: 3 of 12 links not over IPv6: http://part.gov.cn/page1 status 404; "
                  "level 3: 2 of 12 links not over IPv6: http://part.gov.cn/deep/4 status 500", links2=12, links2_v6=9, level2=75,
                  links3=12, links3_v6=10, level3=83.33, same=100)
    check("the score is the mean by weight", abs(seen["score"] - (10 + 10 + 20 + 10 + 20 * .75 + 10 * 10 / 12 + 10 + 5) / .95) < .01, seen)
    print(f"  figure: scorecard of 12 + 12 links, 3 + 2 of them without IPv6: level 2 {seen['level2']}, level 3 {seen['level3']}, score {seen['score']}")
    r = probe("http://part.gov.cn/", "exclude=page1", "links2=4", "links3=0")
    expect("page1, page10 and page11 are left out, no more than 4 are tried", r, "up",
           "level 2: 2 of 4 links not over IPv6: http://part.gov.cn/page2 redirected to http://only4.gov.cn/: no AAAA record",
           links2=4, links2_v6=2, level2=50, level3=None)


def names():
    expect("no AAAA record", probe("http://only4.gov.cn/"), "down", "home page over IPv6: no AAAA record", aaaa=0, home=0, success=0,
           level2=0, same=0, delegation=100, ports=None)
    expect("no A record", probe("http://only6.gov.cn/"), "up", "home page over IPv4: no A record", aaaa=100, home=100, level2=100,
           links2=1, same=None, success_v4=0)
    expect("no such name", probe("http://nowhere.gov.cn/"), "down", "home page over IPv6: no such name", aaaa=0, home=0)
    expect("an AAAA record that is not global", probe("http://local.gov.cn/"), "up", "the AAAA record is no global address; "
           "port 8081 is open over IPv6 only", aaaa=0, aaaa_count=1, aaaa_global=0, home=100, ports=50, ports_differ=1)
    expect("a broken AAAA record", probe("http://refused.gov.cn/"), "down", "home page over IPv6: connection refused", aaaa=100, home=0,
           success=0, success_v4=100, level2=0, same=0)
    expect("no way to IPv6 of our own", probe("http://far.gov.cn/"), "unknown", "IPv6: this host has no route to it", home=None, score=None)
    expect("a delegation in part", probe("http://www.partial.cn/"), "up", "delegation: 2 of 3 name servers of partial.cn not over IPv6: "
           "ns4.partial.cn has no AAAA record", ns=3, ns_v6=1, delegation=33.33, home=100)
    for name, (_, words) in NO_SERVERS.items():
        expect(f"a name server: {name}", probe(f"http://www.{name}.cn/"), "up", f"delegation: 1 of 1 name servers of {name}.cn not over IPv6: "
               f"ns.{name}.cn {words}", ns=1, ns_v6=0, delegation=0, home=100)


def pages(folder):
    ca = f"ca={folder}/Root/ca.pem"
    expect("over TLS", probe("https://safe.gov.cn/", ca), "up", "", home=100, success=100, level2=100, level3=100, same=100)
    expect("an expired certificate over IPv6 alone", probe("https://safe.gov.cn:444/", ca), "down",
           "home page over IPv6: certificate expired on " + certs.moment(-10)[:4] + "-" + certs.moment(-10)[4:6] + "-" + certs.moment(-10)[6:8],
           home=0, success_v4=100, same=0, links2=2, links2_v6=0, level2=0)
    expect("nobody's certificate", probe("https://safe.gov.cn/"), "down",
           "home page over IPv6: certificate comes from an issuer that is not known here", success_v4=0)
    expect("another page over IPv6", probe("http://other.gov.cn/"), "up", "another title over IPv6; the resources are alike by 66.7%",
           same_status=1, same_title=0, same_text=100, same_resources=66.67, same=66.67)
    expect("a redirect to where no IPv6 is", probe("http://moved.gov.cn/"), "down",
           "home page over IPv6: redirected to http://only4.gov.cn/: no AAAA record", home=0, success_v4=100)
    began = time.monotonic()
    r = probe("http://hostile.gov.cn/", "links2=3", "links3=0")
    check("a hostile page", r["outcome"] == "up" and time.monotonic() - began < 5, r)
    r = probe("http://part.gov.cn/", timeout="2s", delay="100ms")
    seen = values(r)
    check("a crawl that has no time ends with what it tried", r["outcome"] == "up" and "time for " in r["reason"] and
          0 < seen["links2"] < 12 and seen["level2"] == round(100 * seen["links2_v6"] / seen["links2"], 2), r)


def in_an_agent(folder):
    """Behind its fence the library can still be loaded, and is only when it is used."""
    def settings(check_of_site):
        write(f"{folder}/agent.conf", f"""id = "a"; state = "{folder}/state"; log_level = "debug";
checks = ( {{ id = "plain"; type = "tcp"; interval = "1s"; timeout = "900ms"; host = "{V4}"; port = 80; }} {check_of_site} );
""")

    def result_of(name):
        def lines():
            with open(log, encoding="utf-8") as f:
                return [line for line in f if f"result check={name}" in line]
        return pair.wait(f"a result of {name}", lines)[0]

    def has_library():
        maps = f"pgrep -g {agent.pid} | sed 's|.*|/proc/&/maps|' | xargs cat"
        return b"libxml2" in subprocess.run(["sh", "-c", maps], stdout=subprocess.PIPE, check=False).stdout
    settings("")
    log = f"{folder}/agent.log"
    with open(log, "wb") as f:
        agent = subprocess.Popen([pair.AGENT, "run", "-c", f"{folder}/agent.conf"], stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                 start_new_session=True)
    try:
        result_of("plain")
        before = has_library()
        settings(', { id = "site"; type = "scorecard"; interval = "1s"; timeout = "900ms"; delay = "0s"; ports = "80"; url = "http://part.gov.cn/"; }')
        agent.send_signal(signal.SIGHUP)
        line = result_of("site")
        check("an agent has the same result", "outcome=up" in line and "level 2: 3 of 12 links not over IPv6" in line, line)
        check("the HTML library is there when it is used, not before", not before and has_library(), before)
    finally:
        os.killpg(agent.pid, signal.SIGKILL)
        agent.wait()


def own_faults(knot):
    os.kill(knot.pid, signal.SIGSTOP)
    expect("a silent resolver", probe("http://www.gov.cn/", timeout="1s"), "unknown", "no answer from the resolver in time", score=None)
    os.kill(knot.pid, signal.SIGCONT)
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    r = probe("http://www.gov.cn/", f"ipv4={V4}", f"ipv6={V6}", timeout="2s")
    check("our own interface is down", r["outcome"] == "unknown" and r["reason"].startswith("IPv6: this host has no ") and not r["values"], r)


def inside(folder):
    for command in (["ip", "link", "set", "lo", "up"], *[["ip", "addr", "add", f"240e:0:0:1::{a}/128", "dev", "lo", "nodad"] for a in
                                                        ("53", "54", "55", "56", "57", "80", "81")],
                    ["mount", "--bind", f"{folder}/resolv.conf", "/etc/resolv.conf"]):
        subprocess.run(command, check=True)
    knot, server = start_knot(folder), nginx.Nginx(folder)
    six = socket.create_server(("::1", 8081), family=socket.AF_INET6)
    for address, answer in (("55", b"\x80\5"), ("56", b"\x80\0"), ("57", None)):
        bad_server(f"240e:0:0:1::{address}", answer)
    try:
        server.servers = sites(folder) + ["server { listen 127.0.0.1:9999 ; }"]
        server.start()
        pair.wait("names", lambda: json.loads(subprocess.run(
            [pair.AGENT, "probe", "dns", "--json", "host=127.0.0.53", "name=www.gov.cn", "timeout=500ms"], stdout=subprocess.PIPE,
            text=True, check=False).stdout)[0]["outcome"] == "up")
        exact()
        names()
        pages(folder)
        in_an_agent(folder)
        own_faults(knot)
    finally:
        six.close()
        server.stop()
        knot.kill()
        knot.wait(10)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


def main():
    if len(sys.argv) > 1:
        return inside(sys.argv[1])
    missing = [name for name in ("knotd", "unshare", "ip") if shutil.which(name) is None] + [nginx.BINARY] * (not os.path.exists(nginx.BINARY))
    if missing or os.geteuid() != 0:
        print(f"not installed: {' '.join(missing)}" if missing else "needs root for a network of its own")
        return 77
    folder = tempfile.mkdtemp(prefix="xunjian-scorecard-")
    os.chmod(folder, 0o755)
    os.mkdir(f"{folder}/knot")
    write(f"{folder}/resolv.conf", "nameserver 127.0.0.53\n")
    try:
        return subprocess.run(["unshare", "-nm", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", sys.executable, __file__, folder], check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
