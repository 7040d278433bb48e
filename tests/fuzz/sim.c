/* SPDX-License-Identifier: MIT */
/*
 * sim.c - fuzz target: the whole runtime in the simulator, where the input is all that chance
 * decides.
 *
 * The first byte chooses a scenario of tests/sim, the others are the log of a run's decisions:
 * which thread goes on and for how long, what the network and the kernel do, and what the scenario
 * draws, in `calls` the program itself. A decision is one byte, or two where the first is 0xC0 and
 * above. Where the input has ended, the answers are tame ones.
 *
 * Oracle: the scenarios' own, see tests/sim/scenarios*.c, and the simulator's: nobody waits for
 * what never comes, and no descriptor is left open.
 *
 * Each run is a process of its own, forked here, as every run of the simulator is. What libFuzzer
 * counts of it is copied back, so that coverage guides as ever.
 */
#include "tests/fuzz/counters.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/engine.h"
#include "tests/sim/kernel.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define REASON_MAX 1024

/* In memory that a run shares with its parent. */
struct outcome {
    bool passed;
    char reason[REASON_MAX];
    struct sim_log log;
    uint8_t counters[];
};

static struct outcome *outcome;

static __attribute__((noreturn)) void leave(bool passed)
{
    size_t size;
    const uint8_t *counters = fuzz_counters(&size);
    outcome->passed = passed;
    if (size > 0)
        memcpy(outcome->counters, counters, size);
    _exit(passed ? 0 : 1);
}

void sim_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(outcome->reason, sizeof outcome->reason, format, args);
    va_end(args);
    leave(false);
}

static void decode(struct fuzz_input *input)
{
    struct sim_log *log = &outcome->log;
    log->count = 0;
    while (input->size > 0 && log->count < SIM_LOG_MAX) {
        uint32_t answer = fuzz_byte(input);
        if (answer >= 0xC0)
            answer = (answer & 0x3F) << 8 | fuzz_byte(input);
        log->answers[log->count++] = answer;
    }
}

static __attribute__((noreturn)) void run(const struct sim_scenario *scenario)
{
    static const struct sim_options replay = {.replaying = true};
    sim_decide_begin(&replay, 1, &outcome->log);
    sim_play(scenario, &replay);
    if (sim_files_open() != 0)
        sim_fail("%u descriptors are left open", sim_files_open());
    leave(true);
}

static const struct sim_scenario *choose(uint8_t byte)
{
    unsigned count = 0;
    while (sim_scenarios[count] != NULL)
        count++;
    return sim_scenarios[byte % count];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    size_t counters_size;
    uint8_t *counters = fuzz_counters(&counters_size);
    int status;
    if (outcome == NULL)
        outcome = mmap(NULL, sizeof *outcome + counters_size, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FUZZ_ASSERT(outcome != MAP_FAILED);
    const struct sim_scenario *scenario = choose(fuzz_byte(&input));
    outcome->passed = false;
    outcome->reason[0] = '\0';
    decode(&input);
    pid_t pid = fork();
    if (pid == 0)
        run(scenario);
    FUZZ_ASSERT(pid > 0);
    while (waitpid(pid, &status, 0) != pid)
        FUZZ_ASSERT(errno == EINTR); /* libFuzzer has a timer */
    if (!outcome->passed) {
        fprintf(stderr, "%s: %s\n", scenario->name,
                outcome->reason[0] != '\0' ? outcome->reason : "the process has ended");
        abort();
    }
    if (counters_size > 0)
        memcpy(counters, outcome->counters, counters_size);
    return 0;
}
