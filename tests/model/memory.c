/* SPDX-License-Identifier: MIT */
/*
 * memory.c - what a load may return: locations, their histories, views.
 *
 * Invariants. V1 a view never exceeds a location's newest index. V2 a released view is never
 * changed once a store carries it: it is shared freely. V3 a thread's pending view may lag behind
 * its current one; only their join counts. Clocks.     A release copies the clock and only then
 * ticks it, so that what the thread does afterwards is not covered by it. A seq_cst fence joins
 * views, never clocks: it orders what is read, but is no happens-before.
 */
#include "tests/model/view.h"

#include <string.h>

/* ---- Locations ---- */

static uint64_t read_memory(const volatile void *address, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)(uintptr_t)address, size);
    return value;
}

static void write_memory(volatile void *address, unsigned size, uint64_t value)
{
    memcpy((void *)(uintptr_t)address, &value, size);
}

static uint64_t truncated(uint64_t value, unsigned size)
{
    return size == sizeof value ? value : value & ((UINT64_C(1) << (8 * size)) - 1);
}

static struct model_store *store_at(struct model_location *location, int index)
{
    return &location->stores[index % MODEL_HISTORY];
}

static uint32_t number_of(const struct model_location *location)
{
    return (uint32_t)(location - model.locations);
}

static struct model_location *location_create(const volatile void *address, unsigned size)
{
    struct model_location *location = &model.locations[model.location_count++];
    location->address = address;
    location->size = size;
    location->last = 0;
    location->operations = 0;
    location->has_kept = false;
    memset(location->touched, 0, sizeof location->touched);
    memset(location->loaded, 0, sizeof location->loaded);
    memset(location->kept, 0, sizeof location->kept);
    location->stores[0] =
        (struct model_store){.value = read_memory(address, size), .released = NULL};
    return location;
}

/* The location that this thread is about to use. */
static struct model_location *location_find(const volatile void *address, unsigned size)
{
    model_heap_check(address);
    if (model.location_count == MODEL_LOCATIONS_MAX)
        model_fail("more than %d locations", MODEL_LOCATIONS_MAX);
    uint32_t number =
        model_table_get(&model.location_table, (uintptr_t)address, model.location_count);
    bool fresh = number == model.location_count;
    struct model_location *location =
        fresh ? location_create(address, size) : &model.locations[number];
    location->touched[model.current] = model_running()->current.view.clock[model.current];
    if (location->size != size)
        model_fail("an atomic of %u bytes is accessed as %u", location->size, size);
    if (store_at(location, location->last)->value != read_memory(address, size))
        model_fail("an atomic was changed by plain code (see model_forget)");
    return location;
}

void model_forget(const volatile void *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;
    for (unsigned i = 0; i < model.location_count; i++) {
        uintptr_t at = (uintptr_t)model.locations[i].address;
        if (at >= start && at - start < size)
            model_table_drop(&model.location_table, at);
    }
    model_race_forget(address, size);
}

void model_memory_freed(const volatile void *address, size_t size)
{
    uintptr_t start = (uintptr_t)address;
    for (unsigned i = 0; i < model.location_count; i++) {
        const struct model_location *location = &model.locations[i];
        uintptr_t at = (uintptr_t)location->address;
        bool inside = at >= start && at - start < size;
        if (!inside || model_table_get(&model.location_table, at, MODEL_TABLE_NONE) != i)
            continue;
        for (int j = 0; j < MODEL_THREADS_MAX; j++)
            if (j != model.current && location->touched[j] > model_running()->current.view.clock[j])
                model_fail("data race: a block is freed against an operation of thread %d on its "
                           "byte %zu",
                           j, (size_t)(at - start));
    }
}

void model_memory_begin(void)
{
    model_views_begin();
    model.location_count = 0;
    model_table_clear(&model.location_table);
    model_view_reset(&model.fences.view, model.fences.room);
}

void model_thread_memory_begin(struct model_thread *thread, unsigned index)
{
    model_view_reset(&thread->current.view, thread->current.room);
    model_view_reset(&thread->pending.view, thread->pending.room);
    thread->current.view.clock[index] = 1;
    thread->release_fence = NULL;
    thread->light = NULL;
    thread->interrupted = NULL;
    if (model.search.strategy == MODEL_DFS)
        memset(thread->repeats, 0, sizeof thread->repeats);
}

/* ---- Loads and stores ---- */

/* The oldest store that this thread may still read here. */
static int oldest_visible(const struct model_thread *self, const struct model_location *location,
                          enum model_order order)
{
    uint32_t number = number_of(location);
    int oldest = model_view_get(&self->current.view, number);
    if (order == MODEL_ORDER_seq_cst) {
        int published = model_view_get(&model.fences.view, number);
        oldest = published > oldest ? published : oldest;
        oldest = location->operations > oldest ? location->operations : oldest;
    }
    int kept = location->last - MODEL_HISTORY + 1;
    return kept > oldest ? kept : oldest;
}

/*
 * Chooses among what is visible; the result is an index. A loop that reads the same old store
 * again and again is a path without end, so dfs lets a thread do so only a few times.
 */
static int choose_index(struct model_thread *self, const struct model_location *location,
                        enum model_order order)
{
    int oldest = oldest_visible(self, location, order);
    if (oldest == location->last || model.search.sequential || self->fresh)
        return location->last;
    bool dfs = model.search.strategy == MODEL_DFS;
    uint8_t *repeats = &self->repeats[number_of(location)];
    if (dfs && *repeats == MODEL_REPEATS_MAX)
        return location->last;
    int index = location->last - (int)model_choose_store((unsigned)(location->last - oldest + 1));
    if (dfs)
        *repeats = index == oldest ? (uint8_t)(*repeats + 1) : 0;
    return index;
}

/* What reading a store does to its reader. */
static void observe(struct model_thread *self, struct model_location *location, int index,
                    enum model_order order)
{
    const struct model_view *released = store_at(location, index)->released;
    location->loaded[model.current] = self->current.view.clock[model.current];
    model_view_raise(&self->current.view, number_of(location), index);
    if (released != NULL)
        model_view_join(model_acquires(order) ? &self->current.view : &self->pending.view,
                        released);
    if (order == MODEL_ORDER_seq_cst && location->operations < index)
        location->operations = (int16_t)index;
    model_note(number_of(location) * 65536u + (uint64_t)index);
}

/* A store that a load used for good could have returned, on a machine where loads wait. */
static void check_kept(const struct model_thread *self, const struct model_location *location)
{
    for (int i = 0; i < MODEL_THREADS_MAX; i++)
        if (i != model.current && location->kept[i] > self->current.view.clock[i])
            model_fail("a store overtakes a load of thread %d, which was kept at %s:%d", i,
                       location->kept_file, location->kept_line);
}

void model_keep(const volatile void *address, const char *file, int line)
{
    if (model_is_native())
        return;
    uint32_t number = model_table_get(&model.location_table, (uintptr_t)address, MODEL_TABLE_NONE);
    if (number == MODEL_TABLE_NONE)
        model_fail("kept at %s:%d, but never loaded", file, line);
    struct model_location *location = &model.locations[number];
    location->has_kept = true;
    location->kept[model.current] = location->loaded[model.current];
    location->kept_file = file;
    location->kept_line = line;
}

/* Appends a store; `inherited` is what it passes on of the store that it replaced. */
static void append(struct model_thread *self, struct model_location *location, uint64_t value,
                   enum model_order order, const struct model_view *inherited)
{
    if (location->last == MODEL_STORES_MAX)
        model_fail("more than %d stores to one location", MODEL_STORES_MAX);
    if (location->has_kept)
        check_kept(self, location);
    bool changes = store_at(location, location->last)->value != value;
    int index = ++location->last;
    model_view_raise(&self->current.view, number_of(location), index);
    const struct model_view *released =
        model_releases(order) ? model_view_copy(&self->current.view) : self->release_fence;
    if (inherited != NULL && !(model_acquires(order) && model_releases(order)))
        released = model_view_union(released, inherited); /* otherwise it is in the copy already */
    *store_at(location, index) = (struct model_store){.value = value, .released = released};
    self->current.view.clock[model.current]++;
    if (order == MODEL_ORDER_seq_cst)
        location->operations = (int16_t)index;
    write_memory((volatile void *)(uintptr_t)location->address, location->size, value);
    if (changes)
        model_changed();
    model_note(number_of(location) * 65536u + (uint64_t)index);
}

uint64_t model_load(struct model_site *site, const volatile void *address, unsigned size)
{
    if (model_is_native())
        return read_memory(address, size);
    model_site_meet(site);
    model_yield();
    struct model_thread *self = model_running();
    struct model_location *location = location_find(address, size);
    int index = choose_index(self, location, site->order);
    uint64_t value = store_at(location, index)->value;
    observe(self, location, index, site->order);
    if (model.tracing)
        model_trace(site, "-> %#lx (%d newer)", (unsigned long)value, location->last - index);
    return value;
}

void model_store(struct model_site *site, volatile void *address, unsigned size, uint64_t value)
{
    value = truncated(value, size);
    if (model_is_native()) {
        write_memory(address, size, value);
        return;
    }
    model_site_meet(site);
    model_yield();
    append(model_running(), location_find(address, size), value, site->order, NULL);
    if (model.tracing)
        model_trace(site, "<- %#lx", (unsigned long)value);
}

static uint64_t updated(enum model_operation operation, uint64_t value, uint64_t operand)
{
    switch (operation) {
    case MODEL_ADD:
        return value + operand;
    case MODEL_SUB:
        return value - operand;
    case MODEL_OR:
        return value | operand;
    case MODEL_AND:
        return value & operand;
    default:
        return operand;
    }
}

uint64_t model_update(struct model_site *site, volatile void *address, unsigned size,
                      uint64_t operand)
{
    if (model_is_native()) {
        uint64_t value = read_memory(address, size);
        write_memory(address, size, truncated(updated(site->operation, value, operand), size));
        return value;
    }
    model_site_meet(site);
    model_yield();
    struct model_thread *self = model_running();
    struct model_location *location = location_find(address, size);
    const struct model_store *old = store_at(location, location->last);
    uint64_t value = old->value;
    const struct model_view *inherited = old->released;
    uint64_t result = truncated(updated(site->operation, value, operand), size);
    observe(self, location, location->last, site->order);
    append(self, location, result, site->order, inherited);
    if (model.tracing)
        model_trace(site, "%#lx -> %#lx", (unsigned long)value, (unsigned long)result);
    return value;
}

static enum model_order failure_order(enum model_order order)
{
    if (order == MODEL_ORDER_acq_rel)
        return MODEL_ORDER_acquire;
    return order == MODEL_ORDER_release ? MODEL_ORDER_relaxed : order;
}

static bool cas_native(volatile void *address, unsigned size, void *expected, uint64_t desired)
{
    uint64_t value = read_memory(address, size);
    bool equal = value == read_memory(expected, size);
    if (equal)
        write_memory(address, size, truncated(desired, size));
    else
        write_memory(expected, size, value);
    return equal;
}

bool model_cas(struct model_site *site, volatile void *address, unsigned size, void *expected,
               uint64_t desired)
{
    if (model_is_native())
        return cas_native(address, size, expected, desired);
    model_site_meet(site);
    model_yield();
    struct model_thread *self = model_running();
    struct model_location *location = location_find(address, size);
    uint64_t wanted = read_memory(expected, size);
    int index = choose_index(self, location, failure_order(site->order));
    if (store_at(location, index)->value == wanted)
        index = location->last; /* equal: only a swap could read it, and a swap reads the newest */
    uint64_t value = store_at(location, index)->value;
    if (value != wanted || (site->operation == MODEL_CAS_WEAK && model_choose_spurious())) {
        observe(self, location, index, failure_order(site->order));
        write_memory(expected, size, value);
        if (model.tracing)
            model_trace(site, "fails: is %#lx, wants %#lx (%d newer)", (unsigned long)value,
                        (unsigned long)wanted, location->last - index);
        return false;
    }
    const struct model_view *inherited = store_at(location, index)->released;
    desired = truncated(desired, size);
    observe(self, location, index, site->order);
    append(self, location, desired, site->order, inherited);
    if (model.tracing)
        model_trace(site, "%#lx -> %#lx", (unsigned long)value, (unsigned long)desired);
    return true;
}
