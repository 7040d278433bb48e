/* SPDX-License-Identifier: MIT */
/*
 * io_impl.h - a descriptor's slot, and what pollers need of it.
 *
 * Problem.    A thread in a system call has only the descriptor's number. If another closes it,
 *             the number may be given to a new file before the call reads it, and the call hits
 *             that one.
 * Design.     Two counts. `refs` counts who may name the object; the last frees the slot.
 *             `users` counts who may use the number at this moment, the opener among them until
 *             it closes; the last user closes the number. Entering after the closing fails. So
 *             closing never waits for a call in progress, and a call never meets another's file.
 *             Free slots keep their readiness word, whose generation tells a poller that a batch
 *             entry is of an earlier life.
 * Invariants. I1 The number is closed once, after the registration has ended, and when no thread
 *                is between roti_io_enter() and roti_io_leave().
 *             I2 A slot is freed when refs is 0; then users is ROTI_IO_CLOSING: nobody uses it.
 *             I3 Whoever is linked as a wait holds a reference.
 */
#ifndef ROTI_IO_IMPL_H
#define ROTI_IO_IMPL_H

#include "loop/io.h"
#include "loop/loop_impl.h"
#include "loop/poller.h"
#include "loop/readiness.h"
#include "sched/base/list.h"

#include <assert.h>

/* In `users`: the opener has closed; nobody may enter any more. */
#define ROTI_IO_CLOSING UINT32_C(0x80000000)

struct roti_io {
    union {
        struct roti_link link;  /* while the slot is free */
        struct rota_loop *loop; /* of the registration: a counted reference; constant while open */
    };
    _Atomic(uint64_t) readiness; /* any thread: loop/readiness.h */
    struct roti_list readers;    /* waits, at most one; under the lock bit of `readiness` */
    struct roti_list writers;    /* likewise */
    _Atomic(uint32_t) refs;      /* any thread */
    _Atomic(uint32_t) users;     /* any thread; ROTI_IO_CLOSING */
    int fd;                      /* constant while open */
    uint32_t index;              /* among all slots, plus one; constant once it is not 0 */
};

static_assert(sizeof(struct roti_io) == ROTI_CACHE_LINE, "a descriptor is one cache line");

/* Which of the two waits. */
enum roti_io_direction {
    ROTI_IO_READ,
    ROTI_IO_WRITE,
};

#ifdef __cplusplus
extern "C" {
#endif

/* What a poller is given to find the slot again: {index, generation}. */
uint64_t roti_io_token(const struct roti_io *io);

/* A number for tokens that are no descriptor's. */
#define ROTI_IO_TOKEN_NONE UINT64_MAX

/*
 * An edge of the descriptor with that token: sets `flags` of ROTI_READY_*, and moves the waits that
 * were claimed to `woken`, to be woken after the batch. False if the token is of an earlier life.
 */
bool roti_io_edge(uint64_t token, uint64_t flags, struct roti_list *woken);

/* Performs an operation by trying the call while it is ready, and waiting for an edge otherwise. */
ssize_t roti_io_perform_ready(struct roti_io *io, const struct roti_operation *operation);

/* Enters a use of the number: 0, or ROTA_ECLOSED. roti_io_leave() follows; no suspension between.
 */
int roti_io_enter(struct roti_io *io);
void roti_io_leave(struct roti_io *io);

/* In the child of a fork, on its only thread: forgets every slot. The numbers stay open there. */
void roti_io_forget(void);

/* Descriptors that were opened and not freed. For tests. */
size_t roti_io_live(void);

#ifdef __cplusplus
}
#endif

#endif
