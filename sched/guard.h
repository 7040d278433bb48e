/* SPDX-License-Identifier: MIT */
/*
 * guard.h - the inaccessible pages below a stack, which turn an overflow into a fault.
 */
#ifndef ROTI_GUARD_H
#define ROTI_GUARD_H

#include <stddef.h>
#include <sys/uio.h>

/* How guards are made; the process finds out at the first one. */
enum roti_guard {
    ROTI_GUARD_PROBE,    /* not known yet */
    ROTI_GUARD_MARKER,   /* MADV_GUARD_INSTALL: a mark in the page table, no mapping of its own */
    ROTI_GUARD_MPROTECT, /* PROT_NONE: two mappings each, up to a budget */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a guard: a page, or what the compilers' stack probes may step over where that is more.
 */
size_t roti_guard_size(void);

/* How guards are made; ROTI_GUARD_PROBE when it cannot be told just now. Any thread. */
enum roti_guard roti_guard_kind(void);

/*
 * Pays for `count` guards before they are made. Returns how many were paid for, which is none where
 * guards are marks, or -ENOMEM: the budget of mappings is used up.
 */
int roti_guard_charge(size_t count);

/* Gives back what was paid for, once the guards are unmapped, or will not be made. */
void roti_guard_release(size_t count);

/*
 * Makes ranges inaccessible; `count` is at most ROTI_PAGES_BATCH. Any thread.
 * Returns 0; -EAGAIN: guards are mappings from now on, and those here are not paid for yet;
 * -ENOMEM: the kernel is out of memory or mappings. Some guards may have been made then.
 */
int roti_guard_install(const struct iovec *guards, unsigned count);

/*
 * For tests: forces the kind (ROTI_GUARD_PROBE: back to probing), and the number of mappings that
 * may be used (0: back to half of what the system allows). Only while no stack exists.
 */
void roti_guard_override(enum roti_guard kind, size_t mapping_count_max);

#ifdef __cplusplus
}
#endif

#endif
