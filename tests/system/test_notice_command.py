#!/usr/bin/env python3
"""Channels of kind command: `xunjian-collector notify-test` starts what the file of root allows, and nothing else."""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import check, failures  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLLECTOR = os.path.join(ROOT, "build", "xunjian-collector")
USER = 1000000 + os.getpid()


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def main():
    if os.geteuid() != 0:
        print("skipped: commands become another user, which needs root")
        return 77
    folder = tempfile.mkdtemp(prefix="xunjian-test-command-")
    os.chmod(folder, 0o755)
    try:
        run(folder)
    finally:
        shutil.rmtree(folder)
    return 1 if failures else 0


def run(folder):
    at = lambda name: os.path.join(folder, name)
    os.mkdir(at("out"))
    os.chown(at("out"), USER, USER)
    write(at("keep"), f"#!/bin/sh\nenv > {folder}/out/env\ncat > {folder}/out/words\necho \"by $(id -u)\"\n", 0o755)
    write(at("fail"), "#!/bin/sh\necho no such number\nexit 4\n", 0o755)
    commands = write(at("commands.conf"), f'user = "{USER}";\ncommands = (\n  {{ name = "keep"; path = "{folder}/keep"; }},\n'
                     f'  {{ name = "fail"; path = "{folder}/fail"; }}\n);\n')
    write(at("notice.conf"), 'channels = (\n  { id = "kept"; kind = "command"; command = "keep"; },\n'
          '  { id = "failed"; kind = "command"; command = "fail"; }\n);\n')
    conf = write(at("collector.conf"), f'name = "city"; state = "state"; inventory = "{ROOT}/conf/inventory.d"; notice = "notice.conf";\n'
                 'commands = "commands.conf";\n')

    def try_channel(name):
        p = subprocess.run([COLLECTOR, "notify-test", "-c", conf, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=60, check=False)
        return p.returncode, p.stdout

    seen = try_channel("kept")
    check("it is taken", seen[0] == 0 and f"kept: taken: exit status 0: by {USER}" in seen[1], seen)
    with open(at("out/env"), encoding="utf-8") as f:
        env = dict(line.rstrip("\n").split("=", 1) for line in f)
    check("the facts are there", env["XUNJIAN_KIND"] == "test" and env["XUNJIAN_COLLECTOR"] == "city" and env["XUNJIAN_CHANNEL"] == "kept"
          and env["XUNJIAN_TITLE"] == "【测试】巡检通知 [TEST] xunjian notice" and env["XUNJIAN_AT"].endswith("+08:00"), env)
    check("nothing of ours is", {k for k in env if not k.startswith("XUNJIAN_")} <= {"PATH", "HOME", "LC_ALL", "PWD", "_", "SHLVL", "OLDPWD"},
          env)
    with open(at("out/words"), encoding="utf-8") as f:
        words = f.read()
    check("the words are on the input", words.startswith("【测试】巡检通知") and words.endswith("nothing to do.\n"), words)
    seen = try_channel("failed")
    check("a failure is told", seen[0] == 1 and "failed: not taken: exit status 4: no such number" in seen[1], seen)
    os.chmod(at("fail"), 0o777)
    seen = try_channel("failed")
    check("what others can change is not started", seen[0] == 1 and "refused: could not be started" in seen[1] and
          "commands.conf:4:" in seen[1] and "can be changed by others" in seen[1], seen)
    os.chmod(commands, 0o666)
    seen = try_channel("kept")
    check("nor what others can allow", seen[0] == 3 and "can be changed by others" in seen[1], seen)
    os.chmod(commands, 0o644)
    write(commands, f'user = "root";\ncommands = ( {{ name = "keep"; path = "{folder}/keep"; }},\n{{ name = "fail"; path = "/x"; }} );\n')
    seen = try_channel("kept")
    check("nor anything as root", seen[0] == 3 and "commands do not run as root" in seen[1], seen)
    write(commands, f'user = "{USER}";\ncommands = ( {{ name = "keep"; path = "{folder}/keep"; }},\n{{ name = "fail"; path = "/x"; }} );\n')
    with open(conf, "a", encoding="utf-8") as f:
        f.write(f'user = "{USER}";\n')
    seen = try_channel("kept")
    check("nor as the collector", seen[0] == 3 and "commands do not run as the user of the collector" in seen[1], seen)
    write(commands, f'user = "{USER}";\ncommands = ( {{ name = "keep"; path = "{folder}/keep"; }} );\n')
    seen = try_channel("kept")
    check("a command that is not allowed", seen[0] == 3 and "notice.conf:3: channel failed: there is no command \"fail\"" in seen[1], seen)


if __name__ == "__main__":
    sys.exit(main())
