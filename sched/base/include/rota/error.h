/* SPDX-License-Identifier: MIT */
/*
 * error.h - the errors of rota: negative errno values, and rota's own beside them.
 *
 * Every public call reports by its return value: 0 or a count for success, a negative number for
 * an error. Numbers above -4096 are negated errno values; those of the table below are rota's.
 * Nothing is ever reported through errno or another thread-local (a suspending call may return on
 * another thread).
 */
#ifndef ROTA_ERROR_H
#define ROTA_ERROR_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

/* X(name, value, text): one row for each error of rota's own. */
#define ROTA_ERRORS(X)                                                                             \
    X(ESTATE, -10001, "the object is in the wrong state for this call")                            \
    X(ENOLOOP, -10002, "no loop runs on this thread")                                              \
    X(ENOTASK, -10003, "a suspending call was made outside a task")                                \
    X(ECLOSED, -10004, "the object is closed")                                                     \
    X(EINCOMPLETE, -10005, "the stream ended before the requested data was complete")              \
    X(ELIMIT, -10006, "a configured limit was exceeded")                                           \
    X(ESTOP, -10007, "the runtime is shutting down")                                               \
    X(ETLS, -10008, "the TLS layer reported an error")                                             \
    X(EWRONGLOOP, -10009, "the call was made on a thread that does not run this loop")             \
    X(EOTHERRUNTIME, -10010, "the object belongs to another runtime")                              \
    X(ELOOKUP, -10011, "the context variable has neither a value nor a default")                   \
    X(EUSED, -10012, "the token was used already")                                                 \
    X(EVAR, -10013, "the token belongs to another context variable")                               \
    X(ECTX, -10014, "the token belongs to another context")                                        \
    X(EFORKED, -10015, "the process was forked while a runtime was running")                       \
    X(EINTERRUPT, -10016, "interrupted by a signal")                                               \
    X(EXIT, -10017, "a callback or task asked the run to end")

enum rota_error {
#define ROTA_ERROR_ENUM(name, value, text) ROTA_##name = (value),
    ROTA_ERRORS(ROTA_ERROR_ENUM)
#undef ROTA_ERROR_ENUM
};

/*
 * A sentence that describes `error`, or "success" for values >= 0.
 *
 * Returns: a static string, never NULL; "unknown error" where the number means nothing.
 * Call from: anywhere, signal handlers included. Suspends: no.
 * Errors: none. Ownership: the string is the library's and lives for ever.
 */
ROTA_API const char *rota_strerror(int error);

/*
 * The symbol of `error`, such as "ECANCELED" or "ROTA_ECLOSED"; "OK" for values >= 0.
 *
 * Returns: a static string, never NULL; "UNKNOWN" where the number means nothing.
 * Call from: anywhere, signal handlers included. Suspends: no.
 * Errors: none. Ownership: the string is the library's and lives for ever.
 */
ROTA_API const char *rota_error_name(int error);

ROTA_END_DECLS

#endif
