"""The one-shot use of a probe: what `xunjian-agent probe TYPE --json` says."""

import json
import subprocess

from pair import AGENT


def probe(kind, *options, wrap=()):
    p = subprocess.run([*wrap, AGENT, "probe", kind, "--json", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       check=False)
    try:
        return json.loads(p.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"{kind} {options}: {p.returncode} {p.stdout}") from None


def value(result, name):
    return result["values"].get(name, {}).get("value")
