#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""plot.py - the stall generator's figures as pictures and as a table.

    rota-bench steal. --json | plot.py PREFIX
    plot.py PREFIX < PREFIX.jsonl

Writes PREFIX-latency.png, PREFIX-answers.png and PREFIX.jsonl, which is what it was given, and
prints the table. Needs Debian's python3-matplotlib: tools/install-deps plot. Its exit status is 77
where that is missing; then only the table is made.
"""

import json
import pathlib
import re
import sys

LOADS = {"0": 0, "6": 6.4, "64": 64, "160": 160}  # as in a bench's name: % of one CPU
THINKS = [0, 1, 4]
PATTERNS = ["spread", "skewed"]
NAME = re.compile(r"steal\.(spread|skewed)_(\d+)\.(\d+)ms")
# What a curve is called, the prefix of its members in `extra`, its colour and its marker.
SERIES = [("rota", "rota_", "#c1272d", "o"), ("reference", "baseline_", "#0072b2", "s"),
          ("bound", "baseline_bound_", "#808080", "")]
PERCENTILES = [("p999_us", "p99.9", "-"), ("p99_us", "p99", "--"), ("p50_us", "p50", ":")]
MISSING = 77


class Point:
    """One bench: its pattern, load and think time, and its record."""

    def __init__(self, record, match):
        self.pattern, self.load, think = match.groups()
        self.think = int(think)
        self.record = record
        self.extra = record["extra"]

    def answers(self, prefix):
        if prefix == "baseline_bound_":
            return self.extra["baseline_bound"]
        return self.record[prefix.removesuffix("_")]

    def over(self, key, other_key):
        """The ratio of two members, None where there is none."""
        return self.extra[key] / self.extra[other_key] if self.extra[other_key] > 0 else None


def points_of(records):
    found = ((record, NAME.fullmatch(record["name"])) for record in records)
    return [Point(record, match) for record, match in found if match]


# ---- The table -----------------------------------------------------------------------------------

# "Could be": what one queue gains over a queue for each thread where nothing else costs anything.
COLUMNS = ["load", "think", "rota /s", "reference /s", "ratio", "of the bound", "p99.9 ms",
           "reference", "ratio", "could be", "in time /s", "reference", "ratio", "could be", "met"]


def targets_met(point):
    """The targets of this point, by name: whether each is met."""
    throughput = point.record["ratio"]
    p999 = point.over("rota_p999_us", "baseline_p999_us")
    met = {"bound": point.record["rota"] >= 0.9 * point.extra["baseline_bound"]}
    high = LOADS[point.load] >= 64
    if point.pattern == "spread":
        met["throughput"] = throughput >= 0.95
        met["p99.9"] = p999 <= (0.75 if high else 1.1)
    elif high:
        met["in time"] = point.extra["rota_in_time"] >= 1.5 * point.extra["baseline_in_time"]
        met["p99.9"] = p999 <= 0.3
    return met


def ratio_text(value):
    return "-" if value is None else f"{value:.2f}"


def row_of(point):
    extra = point.extra
    missed = [name for name, met in targets_met(point).items() if not met]
    return [
        f"{point.pattern} {LOADS[point.load]} %", f"{point.think} ms",
        f"{point.record['rota']:,.0f}", f"{point.record['baseline']:,.0f}",
        f"{point.record['ratio']:.2f}", f"{point.record['rota'] / extra['baseline_bound']:.2f}",
        f"{extra['rota_p999_us'] / 1e3:.2f}", f"{extra['baseline_p999_us'] / 1e3:.2f}",
        ratio_text(point.over("rota_p999_us", "baseline_p999_us")),
        ratio_text(point.over("baseline_bound_p999_us", "baseline_parted_p999_us")),
        f"{extra['rota_in_time']:,.0f}", f"{extra['baseline_in_time']:,.0f}",
        ratio_text(point.over("rota_in_time", "baseline_in_time")),
        ratio_text(point.over("baseline_bound_in_time", "baseline_parted_in_time")),
        "yes" if not missed else "**no**: " + ", ".join(missed),
    ]


def print_table(points):
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for point in points:
        print("| " + " | ".join(row_of(point)) + " |")


# ---- The pictures --------------------------------------------------------------------------------


def curve(points, pattern, think):
    """The points of one panel by load. Without stalls the patterns are the same."""
    chosen = [point for point in points if point.think == think and
              (point.pattern == pattern or point.load == "0")]
    return sorted(chosen, key=lambda point: LOADS[point.load])


def draw_latency(axes, points):
    for name, prefix, colour, marker in SERIES:
        for key, percentile, style in PERCENTILES:
            axes.plot([point.load for point in points],
                      [max(point.extra[prefix + key], 1) / 1e3 for point in points],
                      linestyle=style, color=colour, marker=marker, markersize=3.5, linewidth=1.3,
                      label=f"{name} {percentile}")
    axes.set_yscale("log")


def draw_answers(axes, points):
    for name, prefix, colour, marker in SERIES:
        loads = [point.load for point in points]
        axes.plot(loads, [point.answers(prefix) / 1e3 for point in points], linestyle="-",
                  color=colour, marker=marker, markersize=3.5, linewidth=1.3, label=name)
        axes.plot(loads, [point.extra[prefix + "in_time"] / 1e3 for point in points],
                  linestyle="--", color=colour, marker=marker, markersize=3.5, linewidth=1.3,
                  label=f"{name}, within 5 ms")
    axes.set_ylim(bottom=0)


def draw(pyplot, points, path, label, draw_panel):
    """A panel for each pattern and think time."""
    figure, grid = pyplot.subplots(len(PATTERNS), len(THINKS), figsize=(11, 6.6), sharey=True,
                                   squeeze=False)
    for row, pattern in zip(grid, PATTERNS):
        for axes, think in zip(row, THINKS):
            chosen = curve(points, pattern, think)
            draw_panel(axes, chosen)
            axes.set_title(f"stalls {pattern}, {think} ms of thinking", fontsize=9)
            axes.set_xticks(range(len(chosen)),
                            [f"{LOADS[point.load]:g}" for point in chosen])
            axes.grid(True, linewidth=0.4, alpha=0.6)
            axes.tick_params(labelsize=8)
        row[0].set_ylabel(label, fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("stalls, % of one CPU", fontsize=9)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncol=len(SERIES), fontsize=8, frameon=False)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
    shrink(path)


def shrink(path):
    """Fewer colours: a third of the size. Matplotlib brings PIL along."""
    from PIL import Image
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(colors=48, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def draw_all(points, prefix):
    """False where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot
    draw(pyplot, points, f"{prefix}-latency.png", "ms", draw_latency)
    draw(pyplot, points, f"{prefix}-answers.png", "thousand a second", draw_answers)
    return True


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    prefix = sys.argv[1]
    lines = sys.stdin.readlines()
    points = points_of(json.loads(line) for line in lines if line.strip())
    if not points:
        print("plot: no figures of steal. in the input", file=sys.stderr)
        return 1
    pathlib.Path(f"{prefix}.jsonl").write_text("".join(lines), encoding="utf-8")
    print_table(points)
    if not draw_all(points, prefix):
        print("plot: no pictures: python3-matplotlib is missing", file=sys.stderr)
        return MISSING
    return 0


if __name__ == "__main__":
    sys.exit(main())
