/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - all figures of a runtime as text, in Prometheus' exposition format 0.0.4.
 *
 * Families. One after the other, each with all its lines, as the format asks for; loops come as
 *           labels, so that skew between them is visible and sums are the reader's. Histograms have
 *           a bucket for each power of two from 128 ns to 17 s, a subset of their own bounds, so
 *           that cumulative counts are exact.
 * Output.   In pieces of at most TEXT_SIZE bytes, whole lines each: no buffer of a size that nobody
 *           knows, and small frames. Nothing is held while `emit` runs, and nothing of this thread
 *           is remembered over it: it may suspend.
 */
#include <rota/figures.h>

#include "loop/loop_impl.h"
#include "sched/base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 1024
#define LINE_SIZE 384 /* a name of bytes that are all replaced, and the rest of its line */
#define LABEL_SIZE 192

#define FIRST_BOUND_BITS 7 /* 128 ns */
#define LAST_BOUND_BITS 34 /* 17 s */

/* What is written, and where to. */
struct writer {
    struct rota_runtime *runtime;
    rota_emit_fn emit;
    void *arg;
    int error;
    size_t used;
    struct rota_histogram *histogram; /* scratch */
    char text[TEXT_SIZE];
};

/* ---- Text ---- */

static void flush(struct writer *writer)
{
    if (writer->error == 0 && writer->used > 0) {
        int r = writer->emit(writer->arg, writer->text, writer->used);
        writer->error = r < 0 ? r : 0;
    }
    writer->used = 0;
}

/* One line. */
static __attribute__((format(printf, 2, 3))) void print(struct writer *writer, const char *format,
                                                        ...)
{
    va_list list;
    if (writer->used > TEXT_SIZE - LINE_SIZE)
        flush(writer);
    va_start(list, format);
    int size = vsnprintf(writer->text + writer->used, LINE_SIZE, format, list);
    va_end(list);
    writer->used += (size_t)size;
}

/* What stands before the lines of a family. */
static void print_head(struct writer *writer, const char *name, const char *type, const char *help)
{
    print(writer, "# HELP %s %s.\n", name, help);
    print(writer, "# TYPE %s %s\n", name, type);
}

/* Nanoseconds as seconds, exactly. */
struct seconds {
    char text[32];
};

static struct seconds seconds(uint64_t ns)
{
    struct seconds result;
    snprintf(result.text, sizeof result.text, "%" PRIu64 ".%09" PRIu64, ns / ROTA_SEC,
             ns % ROTA_SEC);
    return result;
}

/* How many bytes of a text are its first character, if that is valid UTF-8 and not the character
 * that stands for what is not; else 0. */
static size_t character_size(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t code = size == 1 ? first : first & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0; /* the end of the text, too */
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[size] || code > 0x10ffff || surrogate || code == 0xfffd ? 0 : size;
}

/* A name as the value of a label. No two names have the same: what is replaced keeps its value, and
 * nothing that is not looks like it. */
static void escape(const char *name, char *ret_label)
{
    size_t used = 0;
    while (*name != '\0') {
        size_t size = character_size(name);
        if (size == 0)
            used += (size_t)snprintf(ret_label + used, LABEL_SIZE - used, "\xef\xbf\xbd%02x",
                                     (unsigned char)*name);
        else if (*name == '\n')
            used += (size_t)snprintf(ret_label + used, LABEL_SIZE - used, "\\n");
        else if (*name == '\\' || *name == '"')
            used += (size_t)snprintf(ret_label + used, LABEL_SIZE - used, "\\%c", *name);
        else
            used += (size_t)snprintf(ret_label + used, LABEL_SIZE - used, "%.*s", (int)size, name);
        name += size > 0 ? size : 1;
    }
    ret_label[used] = '\0';
}

/* ---- Loops ---- */

static void print_gauges(struct writer *writer)
{
    struct rota_runtime *runtime = writer->runtime;
    unsigned count = roti_pool_worker_count(&runtime->pool); /* retired ones, too */
    print_head(writer, "rota_loops", "gauge", "loops that take work");
    print(writer, "rota_loops %d\n", rota_runtime_loop_count(runtime));
    print_head(writer, "rota_tasks", "gauge", "tasks that are not done");
    print(writer, "rota_tasks %zu\n", roti_pool_live(&runtime->pool));
    print_head(writer, "rota_loop_asleep", "gauge", "1 while the loop sleeps in its poller");
    for (unsigned i = 0; i < count; i++) {
        /* [MT1] relaxed: a figure of this moment. */
        uint32_t state = roti_load(MT1, relaxed, &roti_pool_worker(&runtime->pool, i)->inbox.state);
        print(writer, "rota_loop_asleep{loop=\"%u\"} %d\n", i, state == ROTI_INBOX_PARKED);
    }
    print_head(writer, "rota_ready_tasks", "gauge", "unpinned tasks that are queued at the loop");
    for (unsigned i = 0; i < count; i++)
        print(writer, "rota_ready_tasks{loop=\"%u\"} %" PRIu64 "\n", i,
              roti_ring_count(&roti_pool_worker(&runtime->pool, i)->ring));
}

/* ---- Counters ---- */

/* A family of counters: what its values are, and what it is called. Times have names that end in
 * "_ns" in here, and are written in seconds. */
struct family {
    bool is_time;
    char name[64];
};

static struct family print_family(struct writer *writer, const char *prefix, const char *field,
                                  const char *help)
{
    struct family family;
    size_t length = strlen(field);
    family.is_time = length > 3 && strcmp(field + length - 3, "_ns") == 0;
    snprintf(family.name, sizeof family.name, "%s_%.*s%s_total", prefix,
             (int)(family.is_time ? length - 3 : length), field, family.is_time ? "_seconds" : "");
    print_head(writer, family.name, "counter", help);
    return family;
}

static void print_value(struct writer *writer, const struct family *family, const char *key,
                        const char *label, uint64_t value)
{
    if (family->is_time)
        print(writer, "%s{%s=\"%s\"} %s\n", family->name, key, label, seconds(value).text);
    else
        print(writer, "%s{%s=\"%s\"} %" PRIu64 "\n", family->name, key, label, value);
}

/* One counter of each loop. `offset` is its place in struct rota_counters. */
static void print_counter(struct writer *writer, const char *field, const char *help, size_t offset)
{
    struct family family = print_family(writer, "rota", field, help);
    for (unsigned i = 0; i < roti_pool_worker_count(&writer->runtime->pool); i++) {
        struct rota_counters counters;
        char label[16];
        uint64_t value;
        (void)rota_loop_counters(rota_runtime_loop(writer->runtime, i), &counters);
        memcpy(&value, (char *)&counters + offset, sizeof value);
        snprintf(label, sizeof label, "%u", i);
        print_value(writer, &family, "loop", label, value);
    }
}

static void print_counters(struct writer *writer)
{
#define PRINT_COUNTER(field, text)                                                                 \
    print_counter(writer, #field, text, offsetof(struct rota_counters, field));
    ROTI_COUNTERS(PRINT_COUNTER)
#undef PRINT_COUNTER
}

/* The same of each name that has had a step. `offset` is its place in struct rota_name_figures. */
static void print_name_figure(struct writer *writer, const char *field, const char *help,
                              size_t offset)
{
    struct family family = print_family(writer, "rota_task", field, help);
    unsigned count = roti_name_count();
    for (unsigned number = 0; number < count; number++) {
        struct rota_name_figures figures;
        char label[LABEL_SIZE];
        uint64_t value;
        if (!roti_name_figures_read(writer->runtime, number, &figures))
            continue;
        memcpy(&value, (char *)&figures + offset, sizeof value);
        escape(figures.name, label);
        print_value(writer, &family, "name", label, value);
    }
}

static void print_names(struct writer *writer)
{
#define PRINT_FIGURE(field, text)                                                                  \
    print_name_figure(writer, #field, text, offsetof(struct rota_name_figures, field));
    ROTI_NAME_FIGURES(PRINT_FIGURE)
#undef PRINT_FIGURE
}

/* ---- Histograms ---- */

static void print_histogram(struct writer *writer, const char *name, unsigned loop)
{
    const struct rota_histogram *histogram = writer->histogram;
    for (int bits = FIRST_BOUND_BITS; bits <= LAST_BOUND_BITS; bits++)
        print(writer, "%s_bucket{loop=\"%u\",le=\"%s\"} %" PRIu64 "\n", name, loop,
              seconds(UINT64_C(1) << bits).text,
              rota_histogram_count_to(histogram, INT64_C(1) << bits));
    print(writer, "%s_bucket{loop=\"%u\",le=\"+Inf\"} %" PRIu64 "\n", name, loop, histogram->count);
    print(writer, "%s_sum{loop=\"%u\"} %s\n", name, loop, seconds(histogram->sum_ns).text);
    print(writer, "%s_count{loop=\"%u\"} %" PRIu64 "\n", name, loop, histogram->count);
}

static void print_histograms(struct writer *writer)
{
    static const struct {
        enum rota_figure figure;
        const char *name;
        const char *help;
    } families[] = {
        {ROTA_FIGURE_WAIT, "rota_ready_wait_seconds", "time ready before a step"},
        {ROTA_FIGURE_RUN, "rota_step_seconds", "run time of a step, of a task or a callback"},
    };
    for (size_t family = 0; family < sizeof families / sizeof *families; family++) {
        print_head(writer, families[family].name, "histogram", families[family].help);
        for (unsigned i = 0; i < roti_pool_worker_count(&writer->runtime->pool); i++) {
            (void)rota_loop_histogram(rota_runtime_loop(writer->runtime, i),
                                      families[family].figure, writer->histogram);
            print_histogram(writer, families[family].name, i);
        }
    }
}

/* ---- All of it ---- */

int rota_metrics_write(struct rota_runtime *runtime, rota_emit_fn emit, void *arg)
{
    struct writer writer = {.runtime = runtime, .emit = emit, .arg = arg};
    if (runtime == NULL || emit == NULL)
        return -EINVAL;
    writer.histogram = roti_alloc(sizeof *writer.histogram);
    if (writer.histogram == NULL)
        return -ENOMEM;
    print_gauges(&writer);
    print_counters(&writer);
    if (roti_figures_known(&runtime->pool)) {
        print_histograms(&writer);
        print_names(&writer);
    }
    flush(&writer);
    roti_free(writer.histogram, sizeof *writer.histogram);
    return writer.error;
}
