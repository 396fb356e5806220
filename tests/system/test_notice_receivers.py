#!/usr/bin/env python3
"""Channels of notices that are not HTTP, against the receivers that people have: rsyslog over TLS, snmptrapd with SNMPv3 informs.
Each is tried by `xunjian-collector notify-test`. FULL=1 waits for the silence that a wrong password of privacy makes, too."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from certs import Authority, new_key
from checks import check, failures
from ports import free_port

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLLECTOR = os.path.join(ROOT, "build", "xunjian-collector")
MIBS = os.path.join(ROOT, "tests", "fixtures", "mibs") + ":" + os.path.join(ROOT, "conf")
WAIT = 60
FULL = os.environ.get("FULL") == "1"
started = []

RSYSLOG = """
global(workDirectory="{folder}" defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{ca}"
       defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="{auth}" {peers})
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="keep")
template(name="all" type="string" string="%pri%\\t%timegenerated:::date-rfc3339%\\t%timestamp:::date-rfc3339%\\t%hostname%\\t%app-name%\\t%procid%\\t%msgid%\\t%structured-data%\\t%msg%\\n")
ruleset(name="keep") {{ action(type="omfile" file="{out}" template="all") }}
"""


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def read(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def until(what):
    """Waits for what() to be true."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        seen = what()
        if seen:
            return seen
        time.sleep(0.05)
    return what()


def start(argv, **kw):
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **kw)
    started.append(p)
    return p


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


def rsyslog(folder, name, ca, leaf, auth, peers=""):
    """Port of a receiver in the foreground, and the file that it writes."""
    own = os.path.join(folder, name)
    os.mkdir(own)
    out, port = os.path.join(own, "out"), free_port()
    conf = write(os.path.join(own, "rsyslog.conf"), RSYSLOG.format(folder=own, ca=ca, certificate=leaf[0], key=leaf[1], auth=auth,
                                                                   peers=peers, port=port, out=out))
    with open(os.path.join(own, "log"), "w", encoding="utf-8") as log:
        start(["rsyslogd", "-n", "-f", conf, "-i", os.path.join(own, "pid")], stdout=log, stderr=log)
    if not until(lambda: listens(port)):
        raise RuntimeError(f"rsyslogd does not listen: {read(os.path.join(own, 'log'))}")
    return port, out


def snmptrapd(folder):
    """Port of a receiver in the foreground that knows one user, and the file that it writes."""
    own = os.path.join(folder, "trapd")
    os.mkdir(own)
    port, out = free_port(), os.path.join(own, "out")
    conf = write(os.path.join(own, "snmptrapd.conf"), "createUser xj SHA-256 \"authenticate me\" AES \"encrypt me too\"\n"
                 "createUser weak SHA-256 \"authenticate me\"\nauthUser log xj priv\nauthUser log weak auth\n"
                 "disableAuthorization no\nformat2 <<<%v>>>\\n\n")
    with open(out, "w", encoding="utf-8") as f:
        start(["snmptrapd", "-f", "-Lo", "-C", "-c", conf, "-M", MIBS, "-m", "XUNJIAN-MIB", "-OQ",
               f"udp:127.0.0.1:{port}", f"udp6:[::1]:{port}"], stdout=f, stderr=f,
              env=dict(os.environ, SNMP_PERSISTENT_DIR=own))
    if not until(lambda: "NET-SNMP version" in read(out)):
        raise RuntimeError(f"snmptrapd does not start: {read(out)}")
    return port, out


class Mute:
    """A receiver over TLS that does what it is told to with each connection."""

    def __init__(self, certificate, how, family=socket.AF_INET):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1" if family == socket.AF_INET else "::1", 0), family=family)
        self.port = self.listener.getsockname()[1]
        self.how, self.read, self.kept = how, b"", []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            conn, _ = self.listener.accept()
            try:
                self.kept.append(self.how(self, self.context.wrap_socket(conn, server_side=True, suppress_ragged_eofs=True)))
            except OSError:
                conn.close()

    def reset(self, conn):
        """Never reads, and throws the connection away."""
        import struct
        time.sleep(0.3)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()

    def keep(self, conn):
        while data := conn.recv(65536):
            self.read += data
        return conn


def main():
    for program in ("rsyslogd", "snmptrapd", "smilint"):
        if shutil.which(program) is None and not os.path.exists(f"/usr/sbin/{program}"):
            print(f"skipped: there is no {program}")
            return 77
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    folder = tempfile.mkdtemp(prefix="xunjian-test-receivers-")
    try:
        run(folder)
    finally:
        for p in started:
            p.terminate()
        for p in started:
            p.wait(timeout=WAIT)
        shutil.rmtree(folder)
    return 1 if failures else 0


def check_mib():
    """The module is sound to the two parsers of Debian, with the base modules beside it."""
    p = subprocess.run(["smilint", "-c", "/dev/null", "-l", "6", f"{ROOT}/conf/XUNJIAN-MIB.txt"], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, env=dict(os.environ, SMIPATH=MIBS), check=False)
    # the numbers of Net-SNMP above our root have no names here
    seen = [line for line in p.stdout.splitlines() if "implicit node definition" not in line]
    check("smilint finds nothing", p.returncode == 0 and not seen, seen)
    p = subprocess.run(["snmptranslate", "-M", MIBS, "-m", "XUNJIAN-MIB", "-On", "XUNJIAN-MIB::xunjianBeat"], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    check("snmptranslate reads it", p.stdout.strip() == ".1.3.6.1.4.1.8072.9999.9999.26.0.4", p.stdout)


def run(folder):
    check_mib()
    ca, strange = Authority(folder, "Logs"), Authority(folder, "Stranger")
    server = ca.leaf("log.gov.example", "DNS:log.gov.example,IP:127.0.0.1,IP:::1")
    ours = (os.path.join(folder, "ours.pem"), new_key(os.path.join(folder, "ours.key")))
    ca.sign(ours[0], ours[1], "collector", (-1, 30), "extendedKeyUsage=clientAuth\nsubjectAltName=DNS:collector.gov.example\n")
    os.chmod(ours[1], 0o600)
    plain, plain_out = rsyslog(folder, "plain", ca.pem, server, "anon")
    mutual, mutual_out = rsyslog(folder, "mutual", ca.pem, server, "x509/name", 'permittedPeer=["collector.gov.example"]')
    trap_port, trap_out = snmptrapd(folder)
    resets, keeps = Mute(server, Mute.reset), Mute(server, Mute.keep, socket.AF_INET6)
    write(os.path.join(folder, "auth"), "authenticate me\n")
    write(os.path.join(folder, "priv"), "encrypt me too\n")
    write(os.path.join(folder, "wrong"), "something else\n")
    log = f'kind = "syslog"; ca = "{ca.pem}";'
    inform = f'kind = "inform"; url = "udp://127.0.0.1:{trap_port}";'
    passwords = 'token_file = "auth"; secret_file = "priv";'
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    channels = [
        f'{{ id = "log"; {log} url = "tls://127.0.0.1:{plain}"; facility = 10; }}',
        f'{{ id = "log-name"; {log} url = "tls://localhost:{plain}"; }}',
        f'{{ id = "log-mutual"; {log} url = "tls://127.0.0.1:{mutual}"; certificate = "{ours[0]}"; key = "{ours[1]}"; }}',
        f'{{ id = "log-nobody"; {log} url = "tls://127.0.0.1:{mutual}"; }}',
        f'{{ id = "log-strange"; kind = "syslog"; ca = "{strange.pem}"; url = "tls://127.0.0.1:{plain}"; }}',
        f'{{ id = "log-resets"; {log} url = "tls://127.0.0.1:{resets.port}"; }}',
        f'{{ id = "log-keeps"; {log} url = "tls://[::1]:{keeps.port}"; }}',
        f'{{ id = "log-closed"; {log} url = "tls://127.0.0.1:{free_port()}"; }}',
        f'{{ id = "inform"; {inform} user = "xj"; {passwords} }}',
        f'{{ id = "inform-6"; kind = "inform"; url = "udp://[::1]:{trap_port}"; user = "xj"; {passwords} }}',
        f'{{ id = "inform-wrong"; {inform} user = "xj"; token_file = "wrong"; secret_file = "priv"; }}',
        f'{{ id = "inform-unread"; {inform} user = "xj"; token_file = "auth"; secret_file = "wrong"; }}',
        f'{{ id = "inform-nobody"; {inform} user = "nobody"; {passwords} }}',
        f'{{ id = "inform-closed"; kind = "inform"; url = "udp://127.0.0.1:{free_port()}"; user = "xj"; {passwords} }}',
    ]
    write(os.path.join(folder, "notice.conf"), "channels = (\n" + ",\n".join(channels) + "\n);\n")
    conf = write(os.path.join(folder, "collector.conf"),
                 f'name = "city"; state = "state"; inventory = "{ROOT}/conf/inventory.d"; notice = "notice.conf";\n')

    def try_channel(name):
        p = subprocess.run([COLLECTOR, "notify-test", "-c", conf, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=2 * WAIT, check=False)
        return p.returncode, p.stdout

    cases = (  # channel, exit status, words
        ("log", 0, "taken: handed over and read to its end; this protocol has no answer"),
        ("log-name", 1, "not taken: certificate of localhost: hostname mismatch"),
        ("log-mutual", 0, "taken: handed over"),
        ("log-nobody", 1, "not taken: the receiver "),
        ("log-strange", 1, "not taken: certificate of 127.0.0.1: "),
        ("log-resets", 1, "not taken: the receiver did not read to the end"),
        ("log-keeps", 0, "taken: handed over"),
        ("log-closed", 1, "not taken: connection refused"),
        ("inform", 0, "taken: confirmed by the receiver"),
        ("inform-6", 0, "taken: confirmed by the receiver"),
        ("inform-wrong", 1, 'refused: wrong auth password or protocol of user "xj"'),
        ("inform-nobody", 1, 'refused: the device does not know user "nobody"'),
        ("inform-closed", 1, "not taken: "),
    )
    if FULL: # silence, until the time of the try is over
        cases += (("inform-unread", 1, 'not taken: the device names its engine, but does not answer user "xj"'),)
    for name, code, words in cases:
        seen = try_channel(name)
        check(name, seen[0] == code and f"{name}: {words}" in seen[1], seen)
        check(f"{name} prints no secret", "encrypt me" not in seen[1] and "authenticate me" not in seen[1], seen)
    check_log(until(lambda: read(plain_out).splitlines()), until(lambda: read(mutual_out).splitlines()))
    length, _, message = keeps.read.partition(b" ")
    check("octets are counted", int(length) == len(message) and message.startswith(b"<134>1 20"), keeps.read)
    check("the message has its mark", b"] \xef\xbb\xbf\xe3\x80\x90" in message, message)
    traps = re.findall(r"<<<(.*?)>>>", read(trap_out), re.DOTALL)
    check("both informs have arrived, and no more", len(traps) == 2, read(trap_out))
    check_trap(traps[0] if traps else "")


def check_log(lines, mutual):
    check("one message has arrived", len(lines) == 1 and len(mutual) == 1, (lines, mutual))
    if len(lines) != 1:
        return
    pri, _, stamp, host, app, proc, kind, data, message = lines[0].split("\t")
    check("facility and severity", pri == str(10 * 8 + 6), pri)
    check("the stamp has the offset of Shanghai", stamp.endswith("+08:00"), stamp)
    check("host, program, source, kind", (host, app, proc, kind) == (socket.gethostname(), "xunjian", "city", "test"), lines[0])
    check("structured data", data.startswith('[xunjian@8072.9999.9999.26 key="city-test-') and 'severity="info"' in data and
          'channel="log"' in data and data.endswith("]"), data)
    check("the words", "【测试】巡检通知" in message and "无需处理。 | Test of channel log" in message, message)


def check_trap(line):
    objects = dict(re.findall(r'(?:^|\t)([\w:.-]+) = ((?:"[^"]*"|[^\t"])*)', line))
    check("it is a test", "XUNJIAN-MIB::xunjianTest" in objects.values(), objects)
    value = lambda name: objects.get(f"XUNJIAN-MIB::xunjian{name}.0", "missing")
    check("its key", value("Key").startswith("city-test-") and value("Key").endswith("-inform"), objects)
    check("its kind, severity, state", (value("Kind"), value("Severity"), value("State")) == ("test", "info", "none"), objects)
    check("its time", value("Since").endswith("+8:0") and value("Since").startswith("20"), objects)
    check("its words", value("Title") == "【测试】巡检通知 [TEST] xunjian notice" and "无需处理" in value("Body"), objects)
    check("its collector", value("Collector") == "city", objects)
    for name in ("Incident", "Subject", "Unit", "Cause"):
        check(f"it has {name}", value(name) != "missing", objects)


if __name__ == "__main__":
    sys.exit(main())
