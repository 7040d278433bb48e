/* SPDX-License-Identifier: MIT */
/*
 * assert.h - assertions that stay on in release builds, and those that do not.
 *
 * A failed assertion is a bug of rota's or a misuse that no return value can answer. It prints
 * expression, file and line, and aborts; going on would lose a task.
 */
#ifndef ROTI_ASSERT_H
#define ROTI_ASSERT_H

#ifdef __cplusplus
extern "C" {
#endif
__attribute__((noreturn, cold)) void roti_assert_failed(const char *expression, const char *file,
                                                        int line);
#ifdef __cplusplus
}
#endif

/* Always on: cheap checks of the scheduler's invariants. */
#define ROTI_ASSERT(expression)                                                                    \
    (__builtin_expect(!!(expression), 1) ? (void)0                                                 \
                                         : roti_assert_failed(#expression, __FILE__, __LINE__))

/* Only where ROTI_DEBUG is 1: walks, and checks on hot paths. */
#if defined(ROTI_DEBUG) && ROTI_DEBUG
#define ROTI_DEBUG_ASSERT(expression) ROTI_ASSERT(expression)
#else
#define ROTI_DEBUG_ASSERT(expression) ((void)0)
#endif

#endif
