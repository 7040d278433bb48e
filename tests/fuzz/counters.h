/* SPDX-License-Identifier: MIT */
/*
 * counters.h - the counters of edges, which libFuzzer reads after each input.
 */
#ifndef ROTI_TESTS_FUZZ_COUNTERS_H
#define ROTI_TESTS_FUZZ_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* All of them; *ret_size is 0 where there are none. */
uint8_t *fuzz_counters(size_t *ret_size);

#endif
