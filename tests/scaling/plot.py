#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""plot.py - the figures of the campaign `scaling` as pictures and as tables.

    plot.py PREFIX < build/scaling/scaling.jsonl

Writes PREFIX-open.png, PREFIX-uneven.png, PREFIX-costs.png, PREFIX-burst.png, PREFIX-stalls.png
and PREFIX.jsonl, which is what it was given without what nobody plots, and prints the tables of
docs/scaling.md. Needs Debian's python3-matplotlib: tools/install-deps plot. Its exit status is 77
where that is missing; then only the tables are made.
"""

import json
import pathlib
import sys

MISSING = 77
STYLES = {  # what a curve is called, its colour and its marker
    "rota": ("rota", "#c1272d", "o"),
    "rota_fences": ("rota, fences", "#e69f00", "^"),
    "pinned": ("bound connections", "#0072b2", "s"),
    "ideal": ("ideal", "#808080", ""),
}
KEPT = ("system", "load", "loops", "service_us", "use", "think_us", "stall_rate", "requests",
        "per_second", "work_share", "awake_share", "efficiency", "steals_tried", "steals_won",
        "failed_searches", "tasks_stolen", "wakes", "migrations", "parks", "transfers",
        "membarriers", "interrupts", "idle_lock_share", "irq_share", "cold_share", "overhead_ns",
        "mean_us", "p50_us", "p99_us", "p999_us", "max_us")


def chosen(records, **wanted):
    """The records of one curve, by loops."""
    found = [record for record in records
             if all(record[name] == value for name, value in wanted.items())]
    return sorted(found, key=lambda record: record["loops"])


def throughput_share(records, record):
    """What was answered, as a share of what the ideal machine answered."""
    same = ("load", "loops", "service_us", "use", "think_us", "stall_rate")
    best = chosen(records, system="ideal", **{name: record[name] for name in same})
    return record["per_second"] / best[0]["per_second"] if best else None


# ---- Tables --------------------------------------------------------------------------------------


def print_table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def number(value):
    """Three figures, or the whole number."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table_of_load(records, name, **wanted):
    """One row for each number of loops."""
    print(f"{name}:\n")
    header = ["loops", "throughput / ideal", "p99.9 us: rota", "fences", "bound", "ideal",
              "steals tried", "won", "failed", "wakes", "parks", "migrations", "overhead ns",
              "bound", "idle state %"]
    rows = []
    for rota in chosen(records, system="rota", **wanted):
        others = {system: chosen(records, system=system, loops=rota["loops"], **wanted)
                  for system in STYLES}
        tails = [number(others[system][0]["p999_us"]) if others[system] else "-"
                 for system in STYLES]
        rows.append([str(rota["loops"]), f"{throughput_share(records, rota):.2f}", *tails,
                     *(number(rota[key]) for key in ("steals_tried", "steals_won",
                                                     "failed_searches", "wakes", "parks",
                                                     "migrations", "overhead_ns")),
                     number(others["pinned"][0]["overhead_ns"]),
                     number(100 * rota["idle_lock_share"])])
    print_table(header, rows)


def table_of_bursts(records):
    print("bursts of 1,000 tasks of 10 us:\n")
    rows = []
    for record in chosen(records, system="rota", load="burst", service_us=10):
        rows.append([str(record["loops"]), f"{record['efficiency']:.3f}",
                     number(record["p50_us"]), number(record["p999_us"]),
                     *(number(record[key]) for key in ("steals_tried", "steals_won", "wakes",
                                                       "parks", "migrations"))])
    print_table(["loops", "efficiency", "p50 us", "p99.9 us", "steals tried", "won", "wakes",
                 "parks", "migrations"], rows)


def table_of_stalls(records):
    print("stalls, p99.9 in us:\n")
    rows = []
    for rota in sorted((record for record in records
                        if record["system"] == "rota" and record["load"] == "stalls"),
                       key=lambda record: (record["loops"], record["think_us"],
                                           record["stall_rate"])):
        same = {name: rota[name] for name in ("load", "loops", "think_us", "stall_rate")}
        tails = {system: chosen(records, system=system, **same) for system in STYLES}
        pinned = tails["pinned"][0]["p999_us"]
        rows.append([str(rota["loops"]), f"{rota['think_us'] / 1e3:g} ms",
                     f"{100 * rota['stall_rate']:g} %",
                     *(number(tails[system][0]["p999_us"]) if tails[system] else "-"
                       for system in STYLES), f"{rota['p999_us'] / pinned:.2f}"])
    print_table(["loops", "think", "stalls", "rota", "fences", "bound", "ideal", "rota / bound"],
                rows)


# ---- Pictures ------------------------------------------------------------------------------------


def draw_curves(axes, records, value, title, log=True, **wanted):
    """A curve for each system over the number of loops."""
    for system, (name, colour, marker) in STYLES.items():
        points = [(record["loops"], value(record))
                  for record in chosen(records, system=system, **wanted)]
        points = [(loops, share) for loops, share in points if share is not None]
        if points:
            axes.plot(*zip(*points), color=colour, marker=marker, markersize=3.5, linewidth=1.3,
                      label=name)
    finish(axes, records, title, log)


def finish(axes, records, title, log):
    loops = sorted({record["loops"] for record in records})
    axes.set_xscale("log", base=2)
    axes.set_xticks(loops, [str(count) for count in loops])
    if log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_title(title, fontsize=9)
    axes.grid(True, linewidth=0.4, alpha=0.6)
    axes.tick_params(labelsize=8)


def panels(pyplot, rows, columns):
    return pyplot.subplots(rows, columns, figsize=(11, 3.2 * rows + 0.5), squeeze=False)


def save(pyplot, figure, grid, path, label="loops"):
    """With one legend, and fewer colours: a third of the size. Matplotlib brings PIL along."""
    from PIL import Image
    for axes in grid[-1]:
        axes.set_xlabel(label, fontsize=9)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncol=8, fontsize=8, frameon=False)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(colors=48, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def draw_open(pyplot, records, path):
    figure, grid = panels(pyplot, 2, 3)
    for column, service_us in enumerate((1, 10, 100)):
        wanted = {"load": "open", "service_us": service_us, "use": 0.7}
        name = f"open, {service_us} us, 70 % used: "
        draw_curves(grid[0][column], records, lambda record: throughput_share(records, record),
                    name + "throughput / ideal", log=False, **wanted)
        draw_curves(grid[1][column], records, lambda record: record["p999_us"],
                    name + "p99.9 us", **wanted)
    save(pyplot, figure, grid, path)


def draw_uneven(pyplot, records, path):
    figure, grid = panels(pyplot, 2, 3)
    for column, load in enumerate(("zipf", "skewed", "onoff")):
        wanted = {"load": load, "use": 0.5}
        name = f"{load}, 10 us, 50 % used: "
        draw_curves(grid[0][column], records, lambda record: throughput_share(records, record),
                    name + "throughput / ideal", log=False, **wanted)
        draw_curves(grid[1][column], records, lambda record: record["p999_us"],
                    name + "p99.9 us", **wanted)
    save(pyplot, figure, grid, path)


def draw_costs(pyplot, records, path):
    """What a request costs at rota, beside its service."""
    keys = (("overhead_ns", "ns a request beside the work"), ("steals_tried", "looks at victims"),
            ("steals_won", "steals"), ("parks", "sleeps"), ("transfers", "transfers of lines"),
            ("idle_lock_share", "idle state, share of time awake"))
    figure, grid = panels(pyplot, 2, 3)
    for axes, (key, title) in zip([axes for row in grid for axes in row], keys):
        for use, colour in ((0.3, "#0072b2"), (0.7, "#c1272d"), (0.9, "#222222")):
            for system, style in (("rota", "-"), ("rota_fences", "--")):
                points = chosen(records, system=system, load="open", service_us=10, use=use)
                axes.plot([record["loops"] for record in points],
                          [record[key] for record in points], style, color=colour, marker="o",
                          markersize=3, linewidth=1.2,
                          label=f"{100 * use:g} %{', fences' if system != 'rota' else ''}")
        finish(axes, records, title, log=key == "overhead_ns")
    save(pyplot, figure, grid, path)


def draw_burst(pyplot, records, path):
    figure, grid = panels(pyplot, 1, 3)
    for axes, service_us in zip(grid[0], (1, 10, 100)):
        draw_curves(axes, records, lambda record: record["efficiency"],
                    f"burst of 1,000 x {service_us} us: efficiency", log=False, load="burst",
                    service_us=service_us)
    save(pyplot, figure, grid, path)


def draw_stalls(pyplot, records, path):
    loops_of = sorted({record["loops"] for record in records if record["load"] == "stalls"})
    figure, grid = panels(pyplot, len(loops_of), 3)
    for row, loops in zip(grid, loops_of):
        for axes, think_us in zip(row, (0, 1000, 4000)):
            for system, (name, colour, marker) in STYLES.items():
                points = sorted(chosen(records, system=system, load="stalls", loops=loops,
                                       think_us=think_us), key=lambda record: record["stall_rate"])
                for key, style in (("p999_us", "-"), ("p99_us", "--")):
                    axes.plot([f"{100 * record['stall_rate']:g}" for record in points],
                              [record[key] for record in points], style, color=colour,
                              marker=marker, markersize=3.5, linewidth=1.3,
                              label=f"{name} {'p99.9' if key == 'p999_us' else 'p99'}")
            axes.set_yscale("log")
            axes.set_title(f"{loops} loops, {think_us / 1e3:g} ms of thinking: us", fontsize=9)
            axes.grid(True, linewidth=0.4, alpha=0.6)
            axes.tick_params(labelsize=8)
    save(pyplot, figure, grid, path, "stalls, % of one CPU")


def draw_all(records, prefix):
    """False where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot
    for name, draw in (("open", draw_open), ("uneven", draw_uneven), ("costs", draw_costs),
                       ("burst", draw_burst), ("stalls", draw_stalls)):
        draw(pyplot, records, f"{prefix}-{name}.png")
    return True


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    prefix = sys.argv[1]
    records = [{key: record[key] for key in KEPT if key in record}
               for record in map(json.loads, filter(str.strip, sys.stdin))]
    if not records:
        print("plot: no figures in the input", file=sys.stderr)
        return 1
    pathlib.Path(f"{prefix}.jsonl").write_text(
        "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records),
        encoding="utf-8")
    for service_us in (1, 10, 100):
        table_of_load(records, f"open, {service_us} us, 70 % used", load="open",
                      service_us=service_us, use=0.7)
    for load in ("zipf", "skewed", "onoff"):
        table_of_load(records, f"{load}, 10 us, 50 % used", load=load, use=0.5)
    table_of_bursts(records)
    table_of_stalls(records)
    if not draw_all(records, prefix):
        print("plot: no pictures: python3-matplotlib is missing", file=sys.stderr)
        return MISSING
    return 0


if __name__ == "__main__":
    sys.exit(main())
