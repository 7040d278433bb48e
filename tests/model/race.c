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

/* ---- The table: open addressing, never more than a quarter full --------------------------- */

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

/* ---- Races -------------------------------------------------------------------------------- */

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

void model_plain(const volatile void *address, bool write, const char *file, int line)
{
    if (model_is_native())
        return;
    model_heap_check(address);
    struct model_plain_record *record = record_find(address);
    const uint32_t *clock = model_running()->current.view.clock;
    int self = model.current;
    if (record->writer >= 0 && record->writer != self && record->written > clock[record->writer])
        model_fail("data race: %s at %s:%d against the write at %s:%d", write ? "write" : "read",
                   file, line, record->file, record->line);
    for (int i = 0; write && i < MODEL_THREADS_MAX; i++)
        if (i != self && record->read[i] > clock[i])
            model_fail("data race: write at %s:%d against a read by thread %d", file, line, i);
    if (!write) {
        record->read[self] = clock[self];
        return;
    }
    record->writer = self;
    record->written = clock[self];
    record->file = file;
    record->line = line;
}
