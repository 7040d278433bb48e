/* SPDX-License-Identifier: MIT */
/*
 * report.c - medians, spreads and ratios, as text and as JSON.
 *
 * The ratio is that of the medians. Its spread is that of the ratios of each round, whose two sides
 * ran one after the other.
 */
#include "tools/bench/report.h"

#include "tools/bench/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct summary {
    double median;
    double min;
    double max;
};

static struct summary summarise(const double *values, unsigned count)
{
    static double sorted[RUN_ROUNDS_MAX];
    struct summary summary = {0};
    if (count == 0)
        return summary;
    memcpy(sorted, values, count * sizeof *sorted);
    summary.median = bench_median(sorted, count);
    summary.min = sorted[0];
    summary.max = sorted[count - 1];
    return summary;
}

/* False where there is no ratio: a side was not run, or its figure is zero. */
static bool ratio_of(const struct run_side *rota, const struct run_side *other,
                     struct summary *ret_ratio)
{
    static double ratios[RUN_ROUNDS_MAX];
    unsigned count = rota->count < other->count ? rota->count : other->count;
    for (unsigned i = 0; i < count; i++) {
        if (!(other->values[i] > 0))
            return false;
        ratios[i] = rota->values[i] / other->values[i];
    }
    if (rota->name == NULL || other->name == NULL || count == 0)
        return false;
    *ret_ratio = summarise(ratios, count);
    ret_ratio->median =
        summarise(rota->values, rota->count).median / summarise(other->values, other->count).median;
    return true;
}

/* The median of one note over all rounds. */
static double note_median(const struct run_side *side, unsigned index)
{
    static double values[RUN_ROUNDS_MAX];
    for (unsigned i = 0; i < side->count; i++)
        values[i] = side->notes[i].items[index].value;
    return summarise(values, side->count).median;
}

/* The ratio of the medians of a note that both sides have. False where there is none. */
static bool note_ratio(const struct run_side *rota, const struct run_side *other, unsigned index,
                       double *ret_ratio)
{
    if (rota->count == 0 || other->count == 0)
        return false;
    const char *key = rota->notes[0].items[index].key;
    for (unsigned i = 0; i < other->notes[0].count; i++) {
        if (strcmp(key, other->notes[0].items[i].key) != 0)
            continue;
        double median = note_median(other, i);
        if (!(median > 0))
            return false;
        *ret_ratio = note_median(rota, index) / median;
        return true;
    }
    return false;
}

static unsigned note_count(const struct run_side *side)
{
    return side->count > 0 ? side->notes[0].count : 0;
}

/* ---- Text ---- */

#define COLUMNS 100
#define INDENT 22 /* where the name of a side begins */

/* Prints ", key value", on the next line where this one is full. Returns the column behind it. */
static int print_note(int column, const char *key, double value)
{
    char text[2 * BENCH_KEY_SIZE];
    int size = snprintf(text, sizeof text, "%s %.4g", key, value);
    if (column + 2 + size > COLUMNS) {
        printf(",\n%*s%s", INDENT, "", text);
        return INDENT + size;
    }
    printf(", %s", text);
    return column + 2 + size;
}

static void print_side(const struct run_side *side, const char *unit)
{
    struct summary summary = summarise(side->values, side->count);
    if (side->name == NULL)
        return;
    int column = printf("  %-10.4g %-8s %s (%.4g..%.4g)", summary.median, unit, side->name,
                        summary.min, summary.max);
    for (unsigned i = 0; i < note_count(side); i++)
        column = print_note(column, side->notes[0].items[i].key, note_median(side, i));
    printf("\n");
}

static void print_ratio(const struct bench *bench, const struct run_side *rota,
                        const struct run_side *other)
{
    struct summary ratio;
    double of_note;
    if (!ratio_of(rota, other, &ratio))
        return;
    int column =
        printf("  %-10.4g x %s (%.4g..%.4g)", ratio.median, other->name, ratio.min, ratio.max);
    for (unsigned i = 0; (bench->flags & BENCH_NOTE_RATIOS) != 0 && i < note_count(rota); i++)
        if (note_ratio(rota, other, i, &of_note))
            column = print_note(column, rota->notes[0].items[i].key, of_note);
    printf("\n");
}

void report_text(const struct run_result *result)
{
    const struct bench *bench = result->bench;
    const struct run_side *any = result->rota.name != NULL ? &result->rota : &result->baseline;
    printf("%s: %s; target %s\n", bench->name, bench->text, bench->target);
    print_side(&result->rota, bench->unit);
    print_side(&result->baseline, bench->unit);
    for (unsigned i = 0; i < result->peer_count; i++)
        print_side(&result->peers[i], bench->unit);
    print_ratio(bench, &result->rota, &result->baseline);
    for (unsigned i = 0; i < result->peer_count; i++)
        print_ratio(bench, &result->rota, &result->peers[i]);
    printf("  loops %u, n %" PRIu64 ", runs %u; others used %.0f %% of %u CPUs; %s\n\n",
           result->loops, result->n, any->count, result->others_busy * 100, machine_cpu_count(),
           machine_has_jemalloc() ? "jemalloc" : "malloc");
    (void)fflush(stdout);
}

/* ---- JSON ---- */

/* Names and units are ours: they hold nothing that JSON would have to escape. */
static void json_number(const char *key, bool known, double value)
{
    if (known)
        printf(",\"%s\":%.6g", key, value);
    else
        printf(",\"%s\":null", key);
}

static void json_notes(const struct run_side *side, const char *prefix)
{
    char key[2 * BENCH_KEY_SIZE];
    for (unsigned i = 0; i < note_count(side); i++) {
        (void)snprintf(key, sizeof key, "%s%s", prefix, side->notes[0].items[i].key);
        json_number(key, true, note_median(side, i));
    }
}

static void json_note_ratios(const struct run_side *rota, const struct run_side *other)
{
    char key[2 * BENCH_KEY_SIZE];
    double ratio;
    for (unsigned i = 0; i < note_count(rota); i++)
        if (note_ratio(rota, other, i, &ratio)) {
            (void)snprintf(key, sizeof key, "ratio_%s", rota->notes[0].items[i].key);
            json_number(key, true, ratio);
        }
}

static void json_line(const struct run_result *result, const struct run_side *other)
{
    const struct run_side *rota = &result->rota;
    struct summary ratio = {0};
    struct summary ours = summarise(rota->values, rota->count);
    struct summary theirs = summarise(other->values, other->count);
    bool has_ratio = ratio_of(rota, other, &ratio);
    unsigned runs = rota->name != NULL ? rota->count : other->count;
    printf("{\"name\":\"%s\",\"unit\":\"%s\"", result->bench->name, result->bench->unit);
    json_number("rota", rota->name != NULL, ours.median);
    json_number("baseline", other->name != NULL, theirs.median);
    printf(",\"baseline_name\":\"%s\"", other->name != NULL ? other->name : "");
    json_number("ratio", has_ratio, ratio.median);
    printf(",\"loops\":%u,\"n\":%" PRIu64 ",\"extra\":{\"runs\":%u", result->loops, result->n,
           runs);
    json_number("rota_min", rota->name != NULL, ours.min);
    json_number("rota_max", rota->name != NULL, ours.max);
    json_number("baseline_min", other->name != NULL, theirs.min);
    json_number("baseline_max", other->name != NULL, theirs.max);
    json_number("ratio_min", has_ratio, ratio.min);
    json_number("ratio_max", has_ratio, ratio.max);
    json_number("others_busy", true, result->others_busy);
    json_number("cpus", true, machine_cpu_count());
    json_number("jemalloc", true, machine_has_jemalloc());
    json_notes(rota, "rota_");
    json_notes(other, "baseline_");
    if ((result->bench->flags & BENCH_NOTE_RATIOS) != 0)
        json_note_ratios(rota, other);
    printf("}}\n");
    (void)fflush(stdout);
}

void report_json(const struct run_result *result)
{
    json_line(result, &result->baseline);
    for (unsigned i = 0; i < result->peer_count; i++)
        json_line(result, &result->peers[i]);
}
