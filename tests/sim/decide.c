/* SPDX-License-Identifier: MIT */
/*
 * decide.c - what chance decides, and the log of it.
 *
 * A run draws from its seed which classes of questions are open in it, and how often each is not
 * answered tamely. Each answer goes into a log that the process which has forked the run shares
 * with it, so that it survives the run. A replay takes its answers from such a log, and tame ones
 * where that ends.
 */
#include "tests/sim/engine.h"
#include "tests/support/splitmix.h"

#include <string.h>

static struct {
    uint64_t random;
    uint32_t rates[SIM_CLASS_COUNT]; /* a question in so many is not answered tamely; 0: none */
    uint32_t slice_mean;
    uint32_t heals_at; /* after so many answers */
    uint64_t hash;
    struct sim_log *log;
    bool replaying;
    uint32_t position;
} decide;

static uint32_t random_below(uint32_t count)
{
    return splitmix_below(&decide.random, count);
}

/* Each class of faults is on in every other run, with a rate of its own. */
static void draw_profile(void)
{
    static const uint32_t fault_rates[] = {2, 5, 20, 100};
    static const uint32_t means[] = {3, 10, 40, 200, 1000};
    decide.heals_at = random_below(2) == 0 ? UINT32_MAX : random_below(1u << random_below(16));
    for (unsigned i = 0; i < SIM_CLASS_COUNT; i++)
        decide.rates[i] = random_below(2) == 0 ? 0 : fault_rates[random_below(4)];
    decide.slice_mean = means[random_below(5)];
    decide.rates[SIM_WORK] = 1;
    decide.rates[SIM_SLICE] = 1;
    decide.rates[SIM_THREAD] = 1 + random_below(2);
    if (decide.rates[SIM_STALL] != 0)
        decide.rates[SIM_STALL] *= 20;
    if (decide.rates[SIM_MEMORY] != 0)
        decide.rates[SIM_MEMORY] *= 20;
    if (decide.rates[SIM_RESET] != 0)
        decide.rates[SIM_RESET] *= 5;
}

void sim_decide_begin(const struct sim_options *options, uint64_t seed, struct sim_log *log)
{
    memset(&decide, 0, sizeof decide);
    decide.random = seed * UINT64_C(0xD1342543DE82EF95) + 1;
    decide.hash = UINT64_C(14695981039346656037);
    decide.log = log;
    decide.replaying = options->replaying;
    decide.heals_at = UINT32_MAX;
    if (!decide.replaying) {
        log->count = 0;
        draw_profile();
    }
}

void sim_note(uint64_t number)
{
    decide.hash = (decide.hash ^ number) * UINT64_C(1099511628211);
}

uint64_t sim_hash(void)
{
    return decide.hash;
}

/* Takes an answer down, or from the log of the run that is played again. */
static uint32_t answer(uint32_t drawn, uint32_t count)
{
    struct sim_log *log = decide.log;
    uint32_t taken = drawn;
    if (decide.replaying)
        taken = decide.position < log->count ? log->answers[decide.position] % count : 0;
    else if (log->count < SIM_LOG_MAX)
        log->answers[log->count++] = drawn;
    decide.position++;
    sim_note(taken);
    return taken;
}

bool sim_healed(void)
{
    return decide.position >= decide.heals_at;
}

static bool is_tame(enum sim_class class)
{
    if (class != SIM_WORK && sim_healed())
        return true;
    uint32_t rate = decide.rates[class];
    return rate == 0 || (rate > 1 && random_below(rate) != 0);
}

uint32_t sim_choose(enum sim_class class, uint32_t count)
{
    if (count <= 1)
        return 0;
    if (decide.replaying)
        return answer(0, count);
    if (class == SIM_WORK || class == SIM_THREAD)
        return answer(is_tame(class) ? 0 : random_below(count), count);
    return answer(is_tame(class) ? 0 : 1 + random_below(count - 1), count);
}

bool sim_chance(enum sim_class class)
{
    return sim_choose(class, 2) == 1;
}

uint32_t sim_draw(uint32_t count)
{
    return sim_choose(SIM_WORK, count);
}

/* How many points a thread may pass. */
uint32_t sim_choose_slice(void)
{
    uint32_t drawn = decide.replaying ? 0 : 1 + random_below(2 * decide.slice_mean);
    uint32_t taken = answer(drawn, SIM_SLICE_MAX);
    return taken == 0 ? SIM_SLICE_MAX : taken;
}
