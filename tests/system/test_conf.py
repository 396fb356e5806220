#!/usr/bin/env python3
"""Every file in conf/ is read by the real programs, which take it; a wrong line is told and refused."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONF = os.path.join(ROOT, "conf")
COLLECTOR, AGENT = (os.path.join(ROOT, "build", "xunjian-" + p) for p in ("collector", "agent"))
failures = []


def run(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return p.returncode, p.stdout.strip()


def expect(what, seen, status, words=""):
    if seen[0] != status or words not in seen[1]:
        failures.append(what)
        print(f"FAIL {what}: expected {status} and \"{words}\", got {seen[0]}: {seen[1]}", flush=True)


def settings_for(folder, inventory, **series):
    path = os.path.join(folder, "collector.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'state = "state"; inventory = "{inventory}";\n')
        f.write("".join(f'series = {{ {k} = "{v}"; }};\n' for k, v in series.items()))
    return path


def agent_sample(folder):
    """The sample beside the certificate that it names: an agent reads it to check its settings."""
    folder = os.path.join(folder, "agent")
    os.mkdir(folder)
    pki, path = os.path.join(folder, "pki"), os.path.join(folder, "agent.conf")
    shutil.copy(os.path.join(CONF, "plugins.conf"), folder)
    with open(os.path.join(CONF, "agent.conf"), encoding="utf-8") as f, open(path, "w", encoding="utf-8") as out:
        out.write(f.read().replace("# plugin", "plugin").replace('"xunjian"', '"nobody"'))
    expect("an authority", run(COLLECTOR, "ca", "init", pki), 0)
    expect("a certificate", run(COLLECTOR, "ca", "issue", "--ca", pki, "agent-1"), 0)
    give(pki, lambda: run(AGENT, "check-config", "-c", path), "pki/ca.pem: Permission denied")
    return path


def give(pki, check, words):
    """To the user of the settings: root, who asks, could read it anyway, and a program that has become the user cannot."""
    if os.getuid() != 0:
        return
    for path in (os.path.dirname(pki), os.path.dirname(os.path.dirname(pki))):
        os.chmod(path, 0o755)
    expect("what is root's own", check(), 3, words)
    user = pwd.getpwnam("nobody")
    for path in (pki, *(os.path.join(pki, name) for name in os.listdir(pki))):
        os.chown(path, user.pw_uid, user.pw_gid)


def collector_sample(folder):
    """The same of the collector, with all that its sample says of certificates."""
    here, pki = os.path.join(folder, "sample"), os.path.join(folder, "sample", "pki")
    shutil.copytree(CONF, here)
    os.chmod(folder, 0o755)
    subprocess.run(["chmod", "-R", "a+rX", here], check=True)
    path = os.path.join(here, "collector.conf")
    with open(path, "r+", encoding="utf-8") as f:
        text = f.read()
        f.seek(0)
        f.truncate()
        f.write(text.replace('"xunjian"', '"nobody"'))
    expect("no certificate yet", run(COLLECTOR, "check-config", "-c", path), 3, "pki/ca.pem: No such file")
    said = [line.split()[3:] for line in text.splitlines() if line.startswith("#   xunjian-collector ca ")]
    for words in said:
        expect(f"as the sample says: {words}", run(COLLECTOR, "ca", *[w.replace("xunjian-ca", pki) for w in words]), 0)
    give(pki, lambda: run(COLLECTOR, "check-config", "-c", path), "pki/ca.pem: Permission denied")
    with open(os.path.join(CONF, "agent.conf"), encoding="utf-8") as f:
        expect("it is for the name that agents look for", (int(f"https://{said[-1][-1]}:" not in f.read()), said[-1][-1]), 0)
    return path


def installed(folder):
    """What README copies to /etc/xunjian is there, and services start what was installed."""
    p = subprocess.run(["make", "-o", "all", "install", f"DESTDIR={folder}/root", "PREFIX=/opt/x"], cwd=ROOT, text=True, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
    expect("it is installed", (p.returncode, p.stdout), 0)
    at = os.path.join(folder, "root", "opt", "x")
    for name in ("collector.conf", "agent.conf", "inventory.d/10-city.conf", "calendar/china.conf"):
        expect(name, (int(not os.path.exists(os.path.join(at, "share", "xunjian", "conf", name))), "is not there"), 0)
    for program in ("collector", "agent"):
        with open(os.path.join(at, "lib", "systemd", "system", f"xunjian-{program}.service"), encoding="utf-8") as f:
            started = re.search(r"(?m)^ExecStart=(\S+)", f.read()).group(1)
        expect(f"the {program} is started", (int(not os.access(folder + "/root" + started, os.X_OK)), started), 0)


def secrets(folder, names):
    os.mkdir(os.path.join(folder, "secrets"))
    for name in names:
        with open(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
            f.write("a secret of nobody\n")


def main():
    folder = tempfile.mkdtemp(prefix="xunjian-test-conf-", dir="/tmp")
    city, sample = (os.path.join(CONF, *p) for p in (("city", "inventory.d"), ("inventory.d",)))
    try:
        expect("the sample of the collector", run(COLLECTOR, "check-config", "-c", collector_sample(folder)), 0)
        expect("the sample of the agent", run(AGENT, "check-config", "-c", agent_sample(folder)), 0)
        expect("an authority", run(COLLECTOR, "ca", "init", os.path.join(folder, "pki")), 0)
        expect("a certificate", run(COLLECTOR, "ca", "issue", "--ca", os.path.join(folder, "pki"), "--server", "collector"), 0)
        installed(folder)
        path = settings_for(folder, sample)
        notice = os.path.join(folder, "notice.conf")
        shutil.copy(os.path.join(CONF, "notice.conf"), notice)
        with open(path, "a", encoding="utf-8") as f:
            f.write('notice = "notice.conf";\n')
        expect("a command without a file of them", run(COLLECTOR, "check-config", "-c", path), 3,
               "channel duty-pager: collector.conf names no file of commands")
        shutil.copy(os.path.join(CONF, "commands.conf"), folder)
        with open(path, "a", encoding="utf-8") as f:
            f.write('commands = "commands.conf";\n')
        with open(notice, encoding="utf-8") as f:
            step = f.read().partition('"escalation/1"')[0].count("\n") + 1
        expect("a route to a step that is never due", run(COLLECTOR, "check-config", "-c", path), 3,
               f"notice.conf:{step}: audience \"escalation/1\": the setting incidents.escalate has 0 steps")
        with open(path, "a", encoding="utf-8") as f:
            f.write('incidents = { escalate = "15m"; };\n')
        expect("a channel that is none", run(COLLECTOR, "notify-test", "-c", path, "post"), 3, "there is no channel and no duty list \"post\"")
        expect("a secret that is not there", run(COLLECTOR, "notify-test", "-c", path, "ops-mail"), 3, "secrets/ops-mail")
        with open(notice, encoding="utf-8") as f:
            text = f.read()
        line = text[:text.index('"ops-mail"')].count("\n") + 1
        expect("it is told before", run(COLLECTOR, "check-config", "-c", path), 3, f"notice.conf:{line}: channel ops-mail: cannot open")
        secrets(folder, set(re.findall(r'_file = "([^"]+)"', text)))
        seen = run(COLLECTOR, "check-config", "-c", path)
        expect("the sample of notices", seen, 0)
        expect("everybody is told there", (int("no route leads" in seen[1]), seen[1]), 0)
        with open(notice, "r+", encoding="utf-8") as f:
            text = f.read().replace("unit/zsj", "unit/zzz")
            f.seek(0)
            f.write(text)
        with open(notice, "w", encoding="utf-8") as f:
            f.write(text.replace("unit/zzz", "unit/zsj").replace('audience = "operations"', 'audience = "unit/zsj"'))
        expect("a file that forgets operations", run(COLLECTOR, "check-config", "-c", path), 0, "no route leads to operations")
        with open(notice, "w", encoding="utf-8") as f:
            f.write(text.replace("unit/zzz", "operations"))
        expect("a file that forgets a unit", run(COLLECTOR, "check-config", "-c", path), 0, "which have systems:")
        with open(notice, "w", encoding="utf-8") as f:
            f.write(text)
        line = text[:text.index("unit/zzz")].count("\n") + 1
        expect("a route to nobody", run(COLLECTOR, "check-config", "-c", path), 3,
               f"notice.conf:{line}: audience \"unit/zzz\": the inventory has no such unit")
        path = settings_for(folder, city)
        expect("the example city", run(COLLECTOR, "check-config", "-c", path), 0, "33 units, 67 systems, 1508 sites")
        expect("a plan without change", run(COLLECTOR, "plan", "-c", path, city), 0, "checks: 88 -> 88 (0 added, 0 removed")
        expect("a plan from city to sample", run(COLLECTOR, "plan", "-c", path, sample), 0, "- unit jyj")
        path = settings_for(folder, city, max_bytes="100MiB")
        expect("a plan that does not fit", run(COLLECTOR, "plan", "-c", path, city), 3, "series would take")
        broken = os.path.join(folder, "inventory.d")
        shutil.copytree(city, broken)
        with open(os.path.join(broken, "10-units.conf"), "a", encoding="utf-8") as f:
            f.write("unist = ();\n")
        expect("a broken file", run(COLLECTOR, "check-config", "-c", settings_for(folder, broken)), 3,
               "10-units.conf:38: unknown setting \"unist\": did you mean \"units\"?")
    finally:
        shutil.rmtree(folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
