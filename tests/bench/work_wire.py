"""Bytes: batches on the wire, values and pictures for the page."""

import json
import tempfile

from bench import OURS, Line, Measure, Work, run_measured, tool


def wire():
    p, m = run_measured([tool("wire_bench")], 12000)
    f = json.loads(p.stdout)
    return Measure(f["values"], f["decode_ns"] * f["values"] / 1e9, m.more["wall"], bytes_per_value=f["bytes"] / f["values"],
                   decode_ns=f["decode_ns"], pack_ns=f["pack_ns"], encode_ns=f["encode_ns"])


def page():
    with tempfile.TemporaryDirectory(prefix="xunjian-bench-") as folder:
        p, m = run_measured([tool("page_bench"), folder, "rounds=11"], 1)
    f = json.loads(p.stdout)
    return Measure(0, 0, m.more["wall"], **f)


def works():
    return [
        Work("wire", "a batch of 1,000 results of 12 values, zstd-1", "value decoded", [(OURS, wire)], [
            Line("bytes per value", lambda r: r.of(OURS, "bytes_per_value"), 4, "B", at_most=True),
            Line("decompress and decode, per value", lambda r: r.of(OURS, "decode_ns"), 60, "ns", at_most=True),
            Line("pack and compress, per value", lambda r: r.of(OURS, "pack_ns"), unit="ns")], rounds=5),
        Work("page", "a day of 8 columns as JSON and as a picture", "", [(OURS, page)], [
            Line("JSON", lambda r: r.of(OURS, "json_ms"), 1, "ms", at_most=True),
            Line("SVG by rrd_graph_v alone : by the render worker's way", lambda r: r.of(OURS, "librrd_ms") / r.of(OURS, "svg_ms"), 1)]),
    ]
