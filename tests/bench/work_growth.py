"""Growth: the same city several times over, in one collector, by virtual agents with a certificate and a connection each.

A city is 64 agents with 50 checks over two families once a minute: 6,400 series, 76,800 values a minute. Of each size: the
files are made, then five minutes of all come as fast as they are acknowledged, and are written; then the collector is
killed and started, in a round and at rest. BENCH_SIZES=1,10,21 says which; making the files takes longest, 130 to 860 a second
here, so that `make bench` goes up to four cities, and a province takes ten minutes of its own. A plot of cost over size goes to build/bench/growth.svg.
"""

import math
import os
import statistics
import time

from bench import ROOT, Line, Measure, Missing, Work
from collector import Collector, Flood

SIZES = [int(n) for n in os.environ.get("BENCH_SIZES", "1,4").split(",")]
AGENTS, CHECKS, METRICS, MINUTES = 64, 50, 12, 5
CITY_VALUES = AGENTS * CHECKS * 2 * METRICS  # a minute
PROVINCE = 1.6e6  # values a minute
COSTS = {"cost": ("CPU per value", 1e6, "us"), "bytes_per_series": ("memory of all per series", 1, "B"),
         "restart_ms": ("restart, killed at rest", 1, "ms"), "site_ms": ("page of a site", 1, "ms"),
         "overview_ms": ("overview of all", 1, "ms"), "values_ms": ("values of a graph", 1, "ms")}
BEND = 1.5


def page_ms(collector, path, times=15):
    seen = []
    for _ in range(times):
        began = time.monotonic()
        collector.get(path)
        seen.append((time.monotonic() - began) * 1e3)
    return statistics.median(seen)


def grow(size):
    def measure():
        c = Collector(AGENTS * size, CHECKS, 'flush_within = "4s"; archives = ( { keep = "1h"; } );')
        flood = None
        try:
            first = c.start()
            flood = Flood(c, 1 + MINUTES)
            began = time.monotonic()
            flood.say("send 1")
            c.wait_written(1800)
            making = time.monotonic() - began
            before, began = c.cpu(), time.monotonic()
            sent = flood.say(f"send {MINUTES}")
            page = page_ms(c, "/api/v1/sites/town-0")  # while all of it is being written
            c.wait_written(1800)
            cpu, wall, memory = c.cpu() - before, time.monotonic() - began, c.memory()
            series = AGENTS * size * CHECKS * 2
            more = {"series": series, "acked_values_per_s": sent["values"] / sent["wall_s"], "ack_p99_ms": sent["ack_p99_ms"],
                    "pss_mib": memory, "bytes_per_series": memory * 2**20 / series, "first_start_s": first,
                    "files_per_s": series / making, "site_ms": page,
                    "overview_ms": page_ms(c, "/api/v1/overview", 5),
                    "values_ms": page_ms(c, "/api/v1/values?check=check-0-0&vantage=agent-0&family=4&span=1h")}
            flood.end()
            flood = None
            c.stop(9)  # most often within a round, which then has to be put back
            more["restart_in_round_ms"] = c.start() * 1e3
            c.wait_written()
            time.sleep(2)
            c.stop(9)
            more["restart_ms"] = c.start() * 1e3
            more["ingest_ms"] = c.listening * 1e3
            return Measure(sent["values"], cpu, wall, **more)
        finally:
            if flood:
                flood.end()
            c.remove()
    return measure


def at(size):
    return f"x{size}"


def measured(r):
    sizes = [s for s in SIZES if at(s) in r.measures]
    if not sizes:
        raise Missing(next(iter(r.missing.values()), "not run"))
    return sizes


def grown(key):
    """Of the largest size, as many times that of the smallest."""
    def figure(r):
        sizes = measured(r)
        if len(sizes) < 2:
            raise Missing("one size is no growth")
        return r.of(at(sizes[-1]), key) / r.of(at(sizes[0]), key)
    return figure


def bend(r):
    """The first size at which a unit costs half as much again as in one city; 0: none."""
    draw(r)
    sizes = measured(r)
    for s in sizes[1:]:
        if any(r.of(at(s), key) > BEND * r.of(at(sizes[0]), key) for key in ("cost", "bytes_per_series", "site_ms")):
            return s
    return 0


def draw(r):
    sizes = measured(r)
    colours = ["#0d47a1", "#e07b00", "#00838f", "#ad1457", "#5e35b1", "#558b2f"]
    top = max(max(r.of(at(s), k) / r.of(at(sizes[0]), k) for s in sizes) for k in COSTS)
    low = min(min(r.of(at(s), k) / r.of(at(sizes[0]), k) for s in sizes) for k in COSTS)
    span = math.log(max(top, 2) / min(low, 0.5))

    def point(size, ratio):
        x = 70 + 560 * math.log(size / sizes[0]) / max(math.log(sizes[-1] / sizes[0]), 1e-9)
        return f"{x:.1f},{360 - 320 * math.log(ratio / min(low, 0.5)) / span:.1f}"
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 420" font-family="sans-serif" font-size="12">',
           '<rect width="900" height="420" fill="#fff"/><text x="70" y="20">cost over size, times that of the smallest (both '
           'axes logarithmic)</text>']
    for ratio in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if min(low, 0.5) <= ratio <= max(top, 2):
            y = point(sizes[0], ratio).split(",")[1]
            out.append(f'<line x1="70" x2="630" y1="{y}" y2="{y}" stroke="#ccc"/><text x="30" y="{y}">{ratio:g} x</text>')
    for s in sizes:
        x = point(s, 1).split(",")[0]
        out.append(f'<text x="{x}" y="385" text-anchor="middle">x{s}: {s * AGENTS * CHECKS * 2:,} series</text>')
    for i, (key, (words, factor, unit)) in enumerate(COSTS.items()):
        line = " ".join(point(s, r.of(at(s), key) / r.of(at(sizes[0]), key)) for s in sizes)
        last = r.of(at(sizes[-1]), key) * factor
        out.append(f'<polyline points="{line}" fill="none" stroke="{colours[i]}" stroke-width="2"/>'
                   f'<text x="650" y="{60 + 20 * i}" fill="{colours[i]}">{words}: '
                   f'{r.of(at(sizes[0]), key) * factor:.3g} .. {last:.3g} {unit}</text>')
    os.makedirs(os.path.join(ROOT, "build", "bench"), exist_ok=True)
    with open(os.path.join(ROOT, "build", "bench", "growth.svg"), "w", encoding="ascii") as f:
        f.write("\n".join(out) + "\n</svg>\n")


def largest(key, factor=1):
    return lambda r: r.of(at(measured(r)[-1]), key) * factor


def works():
    return [Work("growth", f"a city of 6,400 series, {', '.join(map(at, SIZES))}; lines are of the largest that was measured", "value",
                 [(at(s), grow(s)) for s in SIZES], [
                     Line("the largest size that was measured", lambda r: measured(r)[-1], unit="cities"),
                     Line("cores for a province, 1.6 million values a minute, by CPU per value",
                          lambda r: largest("cost")(r) * PROVINCE / 60, 2, "cores", at_most=True),
                     Line("acknowledged values per second : what a province sends",
                          lambda r: largest("acked_values_per_s")(r) / (PROVINCE / 60), 1),
                     Line("CPU per value, times that of the smallest", grown("cost"), BEND, at_most=True),
                     Line("memory of the whole collector per series", largest("bytes_per_series"), unit="B"),
                     Line("restart until agents are served", largest("ingest_ms"), unit="ms"),
                     Line("restart until all is ready, killed at rest", largest("restart_ms"), unit="ms"),
                     Line("restart until all is ready, killed in a round", largest("restart_in_round_ms"), unit="ms"),
                     Line("page of a site while written to", largest("site_ms"), unit="ms"),
                     Line("overview of all", largest("overview_ms"), unit="ms"),
                     Line(f"first size at which a unit costs {BEND} x that of one city (0: none)", bend, unit="cities")], rounds=1)]
