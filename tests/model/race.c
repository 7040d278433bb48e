/* SPDX-License-Identifier: MIT */
/*
 * race.c - races on plain data, by vector clocks; and the table from addresses to numbers.
 *
 * Per announced address: who wrote last, at which tick of its clock, and each thread's last read.
 * An access races with an earlier one of another thread unless that one's tick is in the accessor's
 * clock, that is, unless it happened before.
 */
#include "tests/model/engine.h"

#include <string.h>

/* ---- The table: open addressing, never more than a quarter full ---- */

void model_table_clear(struct model_table *table)
{
    table->stamp++;
    if (table->stamp == 0)
        memset(table, 0, sizeof *table);
    if (table->stamp == 0)
        table->stamp = 1;
}

static uint32_t slot_of(const struct model_table *table, uintptr_t address)
{
    uint32_t slot = (uint32_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 52);
    while (table->entries[slot].stamp == table->stamp && table->entries[slot].address != address)
        slot = (slot + 1) % MODEL_TABLE_SIZE;
    return slot;
}

uint32_t model_table_get(struct model_table *table, uintptr_t address, uint32_t fresh)
{
    uint32_t slot = slot_of(table, address);
    if (table->entries[slot].stamp != table->stamp) {
        table->entries[slot].stamp = table->stamp;
        table->entries[slot].address = address;
        table->entries[slot].number = MODEL_TABLE_NONE;
    }
    if (table->entries[slot].number == MODEL_TABLE_NONE)
        table->entries[slot].number = fresh;
    return table->entries[slot].number;
}

void model_table_drop(struct model_table *table, uintptr_t address)
{
    uint32_t slot = slot_of(table, address);
    if (table->entries[slot].stamp == table->stamp)
        table->entries[slot].number = MODEL_TABLE_NONE;
}

/* ---- Races ---- */

void model_race_begin(void)
{
    model.plain_count = 0;
    model_table_clear(&model.plain_table);
}

void model_race_forget(const volatile void *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;
    for (unsigned i = 0; i < model.plain_count; i++) {
        uintptr_t at = (uintptr_t)model.plain[i].address;
        if (at >= start && at - start < size)
            model_table_drop(&model.plain_table, at);
    }
}

static struct model_plain_record *record_find(const volatile void *address)
{
    if (model.plain_count == MODEL_PLAIN_MAX)
        model_fail("more than %d announced plain addresses", MODEL_PLAIN_MAX);
    uint32_t number = model_table_get(&model.plain_table, (uintptr_t)address, model.plain_count);
    struct model_plain_record *record = &model.plain[number];
    if (number == model.plain_count) {
        model.plain_count++;
        memset(record, 0, sizeof *record);
        record->address = address;
        record->writer = -1;
    }
    return record;
}

/* Whether the record's last write did not happen before what the running thread does. */
static bool races_with_write(const struct model_plain_record *record)
{
    const uint32_t *clock = model_running()->current.view.clock;
    return record->writer >= 0 && record->writer != model.current &&
           record->written > clock[record->writer];
}

/* A thread whose last read did not happen before what the running thread does, or -1. */
static int racing_reader(const struct model_plain_record *record)
{
    const uint32_t *clock = model_running()->current.view.clock;
    for (int i = 0; i < MODEL_THREADS_MAX; i++)
        if (i != model.current && record->read[i] > clock[i])
            return i;
    return -1;
}

void model_plain(const volatile void *address, bool write, const char *file, int line)
{
    if (model_is_native())
        return;
    model_heap_check(address);
    struct model_plain_record *record = record_find(address);
    uint32_t now = model_running()->current.view.clock[model.current];
    if (races_with_write(record))
        model_fail("data race: %s at %s:%d against the write at %s:%d", write ? "write" : "read",
                   file, line, record->file, record->line);
    if (!write) {
        record->read[model.current] = now;
        return;
    }
    int reader = racing_reader(record);
    if (reader >= 0)
        model_fail("data race: write at %s:%d against a read by thread %d", file, line, reader);
    record->writer = model.current;
    record->written = now;
    record->file = file;
    record->line = line;
}

void model_race_freed(const volatile void *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;
    for (unsigned i = 0; i < model.plain_count; i++) {
        const struct model_plain_record *record = &model.plain[i];
        uintptr_t at = (uintptr_t)record->address;
        bool inside = at >= start && at - start < size;
        if (!inside || model_table_get(&model.plain_table, at, MODEL_TABLE_NONE) != i)
            continue;
        if (races_with_write(record))
            model_fail("data race: a block is freed against the write at %s:%d", record->file,
                       record->line);
        int reader = racing_reader(record);
        if (reader >= 0)
            model_fail("data race: a block is freed against a read by thread %d of its byte %zu",
                       reader, (size_t)(at - start));
    }
}
