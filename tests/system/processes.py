"""The processes of a program under test, as /proc shows them. Those that have ended are left out."""


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(p) for p in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def below(pid):
    return [p for child in children_of(pid) for p in [child, *below(child)]]


def status_of(pid):
    """By the words of /proc/PID/status; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return {}


def child(pid, name):
    """The first that it has started which is called so; None: there is none."""
    return next((p for p in children_of(pid) if status_of(p).get("Name") == name), None)
