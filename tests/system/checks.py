"""What is not as it should be is printed and kept; a test goes on, and ends with 1 when there is any."""

failures = []


def check(what, good, seen=""):
    if not good:
        failures.append(what)
        print(f"FAIL {what}: {seen}", flush=True)
