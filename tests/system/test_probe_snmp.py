#!/usr/bin/env python3
"""The snmp probe against snmpd over v2c and v3 in both families: what is told, every way that it can be refused, liars, three
hundred devices with a dead one, an agent that loads the library when it first needs it and keeps the secrets, and
notifications that hasten a check and are no state."""

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
import urllib.request

import faults
import pair

failures = []
LOAD = os.path.join(pair.TOOLS, "probe_load")
DEVICES, DEAD = 300, 150
SECRET = "a-secret-of-the-test"
UPS = ".1.3.6.1.2.1.33.1."
SENSOR = ".1.3.6.1.2.1.99.1.1.1."


def tlv(tag, *parts):
    return bytes([tag, sum(map(len, parts))]) + b"".join(parts)


# a message of v3 to an engine that is not known yet: a GET of nothing by nobody
DISCOVERY = tlv(0x30, b"\2\1\3", tlv(0x30, b"\2\1\5", b"\2\3\0\xff\xe3", b"\4\1\4", b"\2\1\3"),
                tlv(4, tlv(0x30, b"\4\0\2\1\0\2\1\0\4\0\4\0\4\0")),
                tlv(0x30, b"\4\0\4\0", tlv(0xa0, b"\2\1\7\2\1\0\2\1\0", tlv(0x30))))


def check(what, good, seen=""):
    if not good:
        failures.append(what)
        print(f"FAIL {what}: {seen}", flush=True)


class Snmpd:
    """snmpd in the foreground on a port of all of loopback, with a UPS and a sensor made up."""

    def __init__(self, folder):
        self.folder, self.port = folder, pair.free_port()
        overrides = {UPS + "2.1.0": 2, UPS + "2.4.0": 87, UPS + "4.1.0": 5, UPS + "4.4.1.5.1": 33, SENSOR + "1.7": 8,
                     SENSOR + "2.7": 9, SENSOR + "3.7": 1, SENSOR + "4.7": 415, SENSOR + "5.7": 1}
        with open(f"{folder}/snmpd.conf", "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(f"""rocommunity {SECRET} 127.0.0.0/8
rocommunity6 {SECRET} ::1
exactEngineID 0x8000000001020304
createUser both SHA-256 "{SECRET}-1" AES "{SECRET}-2"
createUser strong SHA-512 "{SECRET}-1" AES-256 "{SECRET}-2"
createUser auth SHA "{SECRET}-1"
rouser both priv
rouser strong priv
rouser auth auth
""")
            f.writelines(f"override {oid} integer {value}\n" for oid, value in overrides.items())
            f.write('override .1.3.6.1.2.1.47.1.1.1.1.7.7 octet_str "CPU <b>\udcff"\n')
        self.start(200)

    def start(self, boots):
        """As one that was started so often; its engine stays the same."""
        folder = self.folder
        os.makedirs(f"{folder}/persistent", exist_ok=True)
        with open(f"{folder}/persistent/snmpd.conf", "w", encoding="ascii") as f:
            f.write(f"engineBoots {boots}\noldEngineID 0x8000000001020304\n")
        many = [f"udp:127.1.{n >> 8}.{n & 255}:{self.port}" for n in range(1, DEVICES + 1) if n != DEAD]
        with open(f"{folder}/snmpd.log", "wb") as log:
            self.process = subprocess.Popen(
                ["snmpd", "-f", "-Lo", "-C", "-c", f"{folder}/snmpd.conf,{folder}/persistent/snmpd.conf", "-p", f"{folder}/snmpd.pid",
                 f"udp:127.0.0.1:{self.port}", f"udp6:[::1]:{self.port}", *many], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=dict(os.environ, SNMP_PERSISTENT_DIR=f"{folder}/persistent", MIBS=""))

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def probe(folder, *options, timeout="600ms"):
    p = subprocess.run([pair.AGENT, "probe", "snmp", "--json", f"timeout={timeout}", f"credentials_file={folder}/credentials.conf",
                        *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    try:
        return json.loads(p.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"{options}: {p.stdout}") from None


def value(r, name):
    return r["values"].get(name, {}).get("value")


def both(folder, what, outcome, reason, *options, timeout="600ms"):
    got = [r for r in probe(folder, "host=localhost", *options, timeout=timeout) if r["part"] == ""]
    faults.record("snmp", what, got)
    check(f"{what}: both families", [r["family"] for r in got] == [4, 6], got)
    for r in got:
        check(f"{what} (IPv{r['family']})", r["outcome"] == outcome and r["reason"] == reason, r)


def write_credentials(folder):
    with open(f"{folder}/credentials.conf", "w", encoding="utf-8") as f:
        os.fchmod(f.fileno(), 0o600)
        good = f'auth_password = "{SECRET}-1"; priv_password = "{SECRET}-2"'
        f.write(f"""credentials = (
 {{ id = "both"; user = "both"; {good}; }},
 {{ id = "strong"; user = "strong"; auth = "sha512"; priv = "aes256"; {good}; }},
 {{ id = "auth"; user = "auth"; auth = "sha1"; priv = "none"; {good}; }},
 {{ id = "community"; community = "{SECRET}"; }},
 {{ id = "nobody"; user = "nobody"; {good}; }},
 {{ id = "wrong-auth"; user = "both"; auth_password = "{SECRET}-9"; priv_password = "{SECRET}-2"; }},
 {{ id = "wrong-priv"; user = "both"; auth_password = "{SECRET}-1"; priv_password = "{SECRET}-9"; }},
 {{ id = "no-priv"; user = "both"; priv = "none"; {good}; }},
 {{ id = "more"; user = "auth"; auth = "sha1"; {good}; }} );
""")


def what_is_told(folder, port):
    names = {i for _, i in socket.if_nameindex()} - {"lo"}
    got = probe(folder, "host=localhost", f"port={port}", "credentials=both", "what=interfaces", "what=host", "what=ups",
                "what=sensors", "what=ip", "oids=uptime=1.3.6.1.2.1.1.3.0", "oids=none=1.3.6.1.2.1.1.99.0", "interfaces=lo",
                "interfaces=gone", timeout="5s")
    for family in (4, 6):
        parts = {r["part"]: r for r in got if r["family"] == family}
        own = parts[""]
        check(f"IPv{family}: own", own["outcome"] == "up" and value(own, "interfaces") == len(names) + 1
              and value(own, "host_processes") > 0 and value(own, "ups_on_battery") == 1 and value(own, "ups_charge") == 87
              and value(own, "ipv4_in") is not None and value(own, "ipv6_in") is not None, own)
        check(f"IPv{family}: interfaces", names <= set(parts), parts.keys())
        check(f"IPv{family}: rates", value(parts["lo"], "rx_bytes") is not None and value(parts["lo"], "link") == 1
              and parts["lo"]["outcome"] == "up", parts["lo"])
        check(f"IPv{family}: missing", parts["gone"]["reason"] == "there is no such interface", parts["gone"])
        check(f"IPv{family}: ups", value(parts["ups output 1"], "line_load") == 33, parts["ups output 1"])
        check(f"IPv{family}: sensor", value(parts.get("sensor CPU <b>?", {"values": {}}), "sensor_temperature") == 41.5, parts.keys())
        check(f"IPv{family}: object", value(parts["oid uptime"], "value") > 0, parts["oid uptime"])
        check(f"IPv{family}: noSuchObject", parts["oid none"]["outcome"] == "unknown" and parts["oid none"]["reason"]
              == "noSuchObject: the device does not have it, or does not show it", parts["oid none"])


def who_is_refused(folder, port):
    for name in ("both", "strong", "auth", "community"):
        both(folder, f"credentials {name}", "up", "", f"port={port}", f"credentials={name}", "what=system")
    for name, reason in (
            ("nobody", 'the device does not know user "nobody" (usmStatsUnknownUserNames)'),
            ("wrong-auth", 'wrong auth password or protocol of user "both" (usmStatsWrongDigests)'),
            ("wrong-priv", 'the device names its engine, but does not answer user "both" within 600ms: a wrong priv password or '
             'protocol looks like this'),
            ("no-priv", "the device answered with authorizationError"),
            ("more", 'the device does not allow authPriv to user "auth" (usmStatsUnsupportedSecLevels)'),
            ("absent", 'this agent has no credentials "absent"')):
        both(folder, name, "unknown", reason, f"port={port}", f"credentials={name}", "what=system")
    both(folder, "a wrong community", "down", "no answer within 600ms: the device is silent, or refuses the community",
         f"port={port}", "community=wrong", "what=system")
    both(folder, "a closed port", "down", "port unreachable", f"port={pair.free_port()}", "credentials=both")


class Liar:
    """Sends noise, the request itself, an answer to another request and one of another kind, but no answer."""

    def __init__(self):
        self.port = pair.free_port()
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.bind((address, self.port))
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        while True:
            request, sender = s.recvfrom(4096)
            at = request.index(b"public") + 6  # the tag of the PDU, its length, the request-id
            response = bytearray(request)
            response[at] = 0xa2
            response[at + 5] ^= 0x55
            for packet in (os.urandom(60), request, bytes(response), b"\x30\x84\xff\xff\xff\xff", request[:20], b""):
                s.sendto(packet, sender)


def who_lies(folder):
    liar = Liar()
    got = probe(folder, "host=localhost", f"port={liar.port}", "community=public", "what=system")
    check("a liar: both families", [r["family"] for r in got] == [4, 6], got)
    for r in got:
        check(f"a liar (IPv{r['family']})", r["outcome"] == "down" and r["reason"] == "no answer within 600ms: the device is silent, or "
              "refuses the community: what came did not answer the request" and value(r, "foreign") == 6, r)


def who_is_slow():
    """One that has more to tell than the time allows, and one that falls silent on the way."""
    for what, options, timeout, outcome, reason in (
            ("a slow device", ("120",), "600ms", "unknown", "not all was read within 600ms: the device still answers"),
            *((("a device that falls silent", ("0", "3"), "2s", "down", "the device fell silent: not all was read within 2s"),)
              if pair.FULL else ())):
        port = pair.free_port()
        device = subprocess.Popen([os.path.join(pair.TOOLS, "snmp_device"), "127.0.0.1", str(port), "100", *options],
                                  stdin=subprocess.DEVNULL)
        try:
            pair.wait(what, lambda: any(f":{port:04X} " in line for line in open("/proc/net/udp", encoding="ascii")))
            p = subprocess.run([pair.AGENT, "probe", "snmp", "--json", f"timeout={timeout}", "host=127.0.0.1", f"port={port}",
                                "retry=1s" if outcome == "unknown" else "retry=200ms", "community=public"], stdout=subprocess.PIPE,
                               text=True, check=False)
            own = json.loads(p.stdout)[0]
            faults.record("snmp", what, [own])
            check(what, own["outcome"] == outcome and own["reason"] == reason, own)
        finally:
            device.kill()
            device.wait()


def three_hundred(port):
    dead = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # takes what goes to its address, and says nothing
    dead.bind((f"127.1.0.{DEAD}", port))
    f = json.loads(subprocess.run([LOAD, "snmp", "127.1.0.1", str(DEVICES), str(DEVICES), "timeout=1s", "host=@", f"port={port}",
                                   f"community={SECRET}", "what=system"], stdout=subprocess.PIPE, text=True, check=True).stdout)
    check("one dead of 300", f["up"] == DEVICES - 1 and f["down"] == 1, f)
    check("it delays none", f["wall_s"] < 5, f)
    print(f"  figure: snmp {DEVICES} devices, one dead, all at once: {f['wall_s']} s with a time-out of 1 s, "
          f"{f['cpu_s'] / DEVICES * 1e6:.0f} us CPU per device")
    dead.close()


def own_memory(pid):
    """KiB that are no files: what sharing with others does not move."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Anonymous:"))


class Relay:
    """A wire between a sender of notifications and the agent, which keeps the last that went by."""

    def __init__(self, to):
        self.near, self.far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.near.bind(("127.0.0.1", 0))
        self.far.connect(("127.0.0.1", to))
        self.port, self.kept, self.sender = self.near.getsockname()[1], b"", None
        threading.Thread(target=self.there, daemon=True).start()
        threading.Thread(target=self.back, daemon=True).start()

    def there(self):
        while True:
            packet, self.sender = self.near.recvfrom(65536)
            self.kept = packet
            self.far.send(packet)

    def back(self):
        while True:
            try:
                self.near.sendto(self.far.recv(65536), self.sender)
            except OSError:  # while the agent is started again
                continue

    def replay(self):
        self.far.send(self.kept)


class Notified:
    """An agent that takes notifications. Its check has a while to begin by its interval before tell() hastens it."""

    def __init__(self, folder, port):
        self.metrics, self.traps, self.folder, self.port = pair.free_port(), pair.free_port(), folder, port
        self.start("6s")

    def start(self, interval):
        with open(f"{self.folder}/notified.conf", "w", encoding="utf-8") as f:
            f.write(f'id = "agent-2"; state = "{self.folder}/notified"; credentials = "credentials.conf"; metrics = {{ listen = '
                    f'"127.0.0.1:{self.metrics}"; }};\ntraps = {{ listen = [ "127.0.0.1:{self.traps}", "[::1]:{self.traps}" ]; }};\n'
                    f'checks = ( {{ id = "s"; type = "snmp"; host = "localhost"; port = {self.port}; credentials = "both"; '
                    f'interval = "{interval}"; timeout = "900ms"; }} );\n')
        with open(f"{self.folder}/notified.log", "ab") as log:
            self.process = subprocess.Popen([pair.AGENT, "run", "-c", f"{self.folder}/notified.conf"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
            return next(float(line.split()[1]) for line in answer.read().decode().splitlines()
                        if line.startswith("xunjian_agent_" + name))

    def send(self, program, oid, to, *options, how=("-v2c", "-c", "anything"), wait="10"):
        return subprocess.run([program, *how, "-r0", f"-t{wait}", *options, to if ":" in to[4:] and "[" not in to else f"{to}:{self.traps}",
                               "", oid], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=dict(os.environ, MIBS="")).returncode

    def discover(self):
        """Asks the engine who it is, as RFC 3414 section 4 has it: its id and the number of its starts."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.sendto(DISCOVERY, ("127.0.0.1", self.traps))
            answer = s.recv(4096)
        at = answer.index(b"\x80\x00\x00\x00\x05")
        boots = answer[at + 21:]
        return answer[at:at + 21], int.from_bytes(boots[2:2 + boots[1]], "big")

    def tell_v3(self):
        """Informs of v3: of a known user, of a wrong one, of a stranger, replayed, and after a restart."""
        link_down = ".1.3.6.1.6.3.1.1.5.3"
        users = {"both": ("SHA-256", "AES"), "strong": ("SHA-512", "AES-256"), "auth": ("SHA", None)}

        def how(user, password=f"{SECRET}-1"):
            auth, priv = users[user]
            return ("-v3", "-u", user, "-a", auth, "-A", password,
                    *(("-l", "authPriv", "-x", priv, "-X", f"{SECRET}-2") if priv else ("-l", "authNoPriv")))

        def count(end):
            return self.metric(f'notifications_total{{end="{end}"}}')

        for user in users:
            taken = count("taken")
            seen = self.send("snmpinform", link_down, "127.0.0.1", how=how(user))
            check(f"an Inform of v3 is answered ({user})", seen == 0 and count("taken") == taken + 1, seen)
        check("over IPv6", self.send("snmpinform", link_down, "udp6:[::1]", how=how("both")) == 0)
        taken = count("taken")
        check("a wrong password is refused", self.send("snmpinform", link_down, "127.0.0.1", how=how("both", "not-the-password")) != 0)
        check("a stranger is not answered", self.send("snmpinform", link_down, "127.0.0.1", "--clientaddr=127.0.0.2", how=how("both"),
                                                          wait="0.3") != 0)
        check("neither is taken", count("taken") == taken, count("taken"))
        relay = Relay(self.traps)
        check("an Inform through a wire that keeps it", self.send("snmpinform", link_down, f"127.0.0.1:{relay.port}", how=how("both")) == 0)
        check("it is taken", count("taken") == taken + 1)
        relay.replay()
        pair.wait("the replay", lambda: count("again") == 1)
        check("a replay moves nothing", count("taken") == taken + 1, count("taken"))
        before = self.discover()
        self.end()
        self.start("1s")
        pair.wait("results", lambda: self.metric('results_total{outcome="up"}') >= 2)
        after = self.discover()
        check("the engine is the same after a restart, started once more", after[0] == before[0] and after[1] > before[1],
              (before, after))
        reported = count("reported")
        relay.replay()
        pair.wait("the replay of before", lambda: count("reported") == reported + 1)
        check("what was sent to it before is not taken", count("taken") == 0 and count("again") == 0)
        check("an Inform after the restart", self.send("snmpinform", link_down, "127.0.0.1", how=how("both")) == 0)

    def tell(self):
        link_down, other = ".1.3.6.1.6.3.1.1.5.3", ".1.3.6.1.6.3.1.1.5.5"
        pair.wait("results", lambda: self.metric('results_total{outcome="up"}') >= 2)
        check("nothing is hastened yet", self.metric("runs_repeated_total") == 0)
        self.send("snmptrap", link_down, "127.0.0.1", "--clientaddr=127.0.0.2")
        self.send("snmptrap", other, "127.0.0.1")
        stranger = self.send("snmpinform", link_down, "127.0.0.1", "--clientaddr=127.0.0.2", wait="0.3")
        check("a stranger's Inform is not answered", stranger != 0 and self.metric('notifications_total{end="foreign"}') == 2
              and self.metric('notifications_total{end="other"}') == 1, stranger)
        check("strangers hasten nothing", self.metric("runs_repeated_total") == 0)
        for program, to in (("snmpinform", "127.0.0.1"), ("snmptrap", "udp6:[::1]")):
            check(f"{program} is taken", self.send(program, link_down, to) == 0)
        pair.wait("a run in haste", lambda: self.metric("runs_repeated_total") >= 1)
        check("each is counted", self.metric('notifications_total{end="taken"}') == 2)
        check("it is no state", self.metric('results_total{outcome="down"}') == 0)

    def set_back(self, snmpd):
        """The device is put back as it came from the factory: its engine counts its boots from 1 on."""
        snmpd.end()
        snmpd.start(1)
        seen = self.metric('results_total{outcome="up"}')
        pair.wait("the device is heard again", lambda: self.metric('results_total{outcome="up"}') > seen + 1)

    def end(self):
        self.process.terminate()
        self.process.wait(10)


def an_agent(folder, port):
    """Loads the library for its first check of the type, as nobody behind its fence; its log has no secret."""
    metrics = pair.free_port()
    echo = pair.Echo()

    def write(checks):
        with open(f"{folder}/agent.conf", "w", encoding="utf-8") as f:
            f.write(f'id = "agent-1"; state = "{folder}/state"; log_level = "debug"; credentials = "credentials.conf";\n'
                    f'metrics = {{ listen = "127.0.0.1:{metrics}"; }};\nchecks = ( {checks} );\n')

    plain = f'{{ id = "t"; type = "tcp"; host = "localhost"; port = {echo.port}; interval = "1s"; timeout = "900ms"; }}'
    write(plain)
    with open(f"{folder}/agent.log", "wb") as log:
        agent = subprocess.Popen([pair.AGENT, "run", "-c", f"{folder}/agent.conf"], stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=log, start_new_session=True)

    def maps():
        with open(f"/proc/{agent.pid}/maps", encoding="ascii", errors="replace") as f:
            return f.read()

    def metric(name):
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=5) as answer:
            return next(float(line.split()[1]) for line in answer.read().decode().splitlines()
                        if line.startswith("xunjian_agent_" + name))

    try:
        pair.wait("results of tcp", lambda: metric('results_total{outcome="up"}') >= 2)
        check("the library is not loaded for other checks", "libnetsnmp" not in maps())
        before = own_memory(agent.pid)
        write(f'{{ id = "s"; type = "snmp"; host = "localhost"; port = {port}; credentials = "both"; interval = "1s"; '
              f'timeout = "900ms"; }}')
        agent.send_signal(signal.SIGHUP)
        pair.wait("the reload", lambda: metric("reloads_total") == 1)
        seen = metric('results_total{outcome="up"}')
        pair.wait("results of snmp", lambda: metric('results_total{outcome="up"}') > seen + 4)
        check("the library is loaded for the first snmp check", "libnetsnmp" in maps())
        check("an agent has the credentials", metric('results_total{outcome="unknown"}') == 0)
        print(f"  figure: snmp in an agent: {before} KiB of its own before, {own_memory(agent.pid)} KiB after its first checks")
    finally:
        agent.terminate()
        agent.wait(10)
        echo.stop()
    with open(f"{folder}/agent.log", encoding="utf-8", errors="replace") as f:
        check("no secret is logged", SECRET not in f.read())


def main():
    if shutil.which("snmpd") is None:
        print("not installed: snmpd")
        return 77
    folder = tempfile.mkdtemp(prefix="xunjian-snmp-")
    snmpd = notified = None
    try:
        write_credentials(folder)
        snmpd = Snmpd(folder)
        pair.wait("snmpd", lambda: all(r["outcome"] == "up" for r in probe(
            folder, "host=localhost", f"port={snmpd.port}", f"community={SECRET}", "what=system", timeout="500ms")))
        notified, began = Notified(folder, snmpd.port), time.monotonic()
        for step in (lambda: what_is_told(folder, snmpd.port), lambda: who_is_refused(folder, snmpd.port),
                     lambda: who_lies(folder), who_is_slow,
                     lambda: three_hundred(snmpd.port), lambda: an_agent(folder, snmpd.port),
                     notified.tell, notified.tell_v3, *([lambda: notified.set_back(snmpd)] if pair.FULL else [])):
            step()
            if pair.FULL:
                print(f"  {time.monotonic() - began:.1f} s")
    except AssertionError as e:
        failures.append(str(e))
        print(f"FAIL {e}")
        for name in ("snmpd.log", "agent.log", "notified.log"):
            if os.path.exists(f"{folder}/{name}"):
                print(open(f"{folder}/{name}", encoding="utf-8", errors="replace").read()[-2000:])
    finally:
        if notified is not None:
            notified.end()
        if snmpd is not None:
            snmpd.end()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
