/* SPDX-License-Identifier: MIT */
/*
 * figures.c - snapshots of what loops have recorded: of one loop, of all, by name.
 */
#include <rota/figures.h>

#include "loop/loop_impl.h"

#include <errno.h>
#include <string.h>

int rota_runtime_set_figures(struct rota_runtime *runtime, bool on)
{
    if (runtime == NULL)
        return -EINVAL;
    roti_figures_switch(&runtime->pool, on);
    return 0;
}

bool rota_runtime_has_figures(struct rota_runtime *runtime)
{
    return runtime != NULL && roti_figures_on(&runtime->pool);
}

/* ---- Histograms ---- */

static bool is_figure(enum rota_figure figure)
{
    return figure == ROTA_FIGURE_WAIT || figure == ROTA_FIGURE_RUN;
}

static void add_loop(const struct rota_loop *loop, enum rota_figure figure,
                     struct rota_histogram *sum)
{
    const struct roti_figures *figures = &loop->worker.figures;
    roti_histogram_read(figure == ROTA_FIGURE_WAIT ? &figures->wait : &figures->run, sum);
}

int rota_loop_histogram(const struct rota_loop *loop, enum rota_figure figure,
                        struct rota_histogram *ret_histogram)
{
    if (loop == NULL || ret_histogram == NULL || !is_figure(figure))
        return -EINVAL;
    memset(ret_histogram, 0, sizeof *ret_histogram);
    add_loop(loop, figure, ret_histogram);
    return 0;
}

int rota_runtime_histogram(struct rota_runtime *runtime, enum rota_figure figure,
                           struct rota_histogram *ret_histogram)
{
    if (runtime == NULL || ret_histogram == NULL || !is_figure(figure))
        return -EINVAL;
    memset(ret_histogram, 0, sizeof *ret_histogram);
    for (unsigned i = 0; i < roti_pool_worker_count(&runtime->pool); i++)
        add_loop(rota_runtime_loop(runtime, i), figure, ret_histogram);
    return 0;
}

/* ---- Names ---- */

bool roti_name_figures_read(struct rota_runtime *runtime, unsigned number,
                            struct rota_name_figures *ret_figures)
{
    memset(ret_figures, 0, sizeof *ret_figures);
    for (unsigned i = 0; i < roti_pool_worker_count(&runtime->pool); i++) {
        const struct roti_name_figures *row =
            &roti_pool_worker(&runtime->pool, i)->figures.names[number];
        /* [FG2] relaxed: each figure is exact by itself. */
#define ADD_FIGURE(field, text) ret_figures->field += roti_load(FG2, relaxed, &row->field);
        ROTI_NAME_FIGURES(ADD_FIGURE)
#undef ADD_FIGURE
    }
    memcpy(ret_figures->name, roti_name_text(number), sizeof ret_figures->name);
    return ret_figures->steps > 0;
}

ssize_t rota_runtime_name_figures(struct rota_runtime *runtime, struct rota_name_figures *entries,
                                  size_t size)
{
    if (runtime == NULL || (entries == NULL && size > 0))
        return -EINVAL;
    unsigned count = roti_name_count();
    size_t found = 0;
    for (unsigned number = 0; number < count; number++) {
        struct rota_name_figures figures;
        if (!roti_name_figures_read(runtime, number, &figures))
            continue;
        if (found < size)
            entries[found] = figures;
        found++;
    }
    return (ssize_t)found;
}
