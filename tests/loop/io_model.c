/* SPDX-License-Identifier: MIT */
/*
 * io_model.c - descriptors in the explorer: a number is closed once, after the last call on it.
 *
 * The product's files, over a kernel of plain variables: what a number stands for, which each call
 * reads and the closing writes, and whether it is registered, which must be over by then. So a call
 * at the time of the closing is a race, as is a reader of an object that another gives back.
 */
#include "loop/io_impl.h"

#include "loop/syscall.h"
#include "sched/wait.h"
#include "tests/model/absent.h"
#include "tests/sched/model/task_stand_in.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define FD 3
#define FD_COUNT 5

static struct rota_loop loop;
static struct roti_io *io;
static struct roti_io *next_io;
static uint64_t token;              /* of the first descriptor */
static _Atomic(uint64_t) announced; /* the newest token that the kernel was given */
static int reason;                  /* plain: the canceller's, then the task's, once it was told */
static int files[FD_COUNT];         /* plain: 1 while the number is open */
static bool registered[FD_COUNT];   /* plain */
static _Atomic(int) arrived;        /* bytes to be read */
static int taken;                   /* the reader's */
static int result;                  /* the reader's: what its call returned */
static _Atomic(bool) returned;      /* the reader's call has */
static bool edge_met;               /* the poller's: its token was of a life that is not over */
static alignas(64) char arena[2][ROTI_SLOTS_CHUNK_SIZE];
static unsigned chunks_used;

/* ---- The kernel ---- */

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    (void)address, (void)protection, (void)flags, (void)fd, (void)offset;
    MODEL_ASSERT(size == ROTI_SLOTS_CHUNK_SIZE && chunks_used < 2);
    return memset(arena[chunks_used++], 0, size);
}

static void use_number(int fd)
{
    ROTI_PLAIN_READ(&files[fd]);
    MODEL_ASSERT(files[fd] == 1);
}

ssize_t roti_sys_recv(int fd, void *buffer, size_t size, int flags)
{
    (void)size, (void)flags;
    use_number(fd);
    if (roti_load(TA1, relaxed, &arrived) == taken)
        return -EAGAIN;
    taken++;
    *(char *)buffer = 'x';
    return 1;
}

int roti_sys_shutdown(int fd, int how)
{
    (void)how;
    use_number(fd);
    return 0;
}

int roti_sys_getsockopt(int fd, int level, int name, int *ret_value)
{
    (void)level, (void)name, (void)ret_value;
    use_number(fd);
    return -ENOTSOCK;
}

void roti_sys_close(int fd)
{
    ROTI_PLAIN_READ(&registered[fd]);
    MODEL_ASSERT(!registered[fd]);
    use_number(fd);
    ROTI_PLAIN_WRITE(&files[fd]);
    files[fd] = 0;
}

/* What these tests do not call. */
MODEL_ABSENT(ssize_t, roti_sys_send, int fd, const void *data, size_t size, int flags)
MODEL_ABSENT(ssize_t, roti_sys_sendmsg, int fd, const struct msghdr *message, int flags)
MODEL_ABSENT(int, roti_sys_accept, int fd, struct sockaddr_storage *peer, socklen_t *size)
MODEL_ABSENT(int, roti_sys_connect, int fd, const struct sockaddr *addr, socklen_t size)
MODEL_ABSENT(int, roti_sys_poll, int fd, short events)

/* From here on the descriptor's edges may be met, of which the poller knows nothing but the token.
 */
static int kernel_add(struct roti_poller *poller, struct roti_io *added, bool shared)
{
    (void)poller, (void)shared;
    roti_store(TA8, release, &announced, roti_io_token(added));
    ROTI_PLAIN_WRITE(&registered[added->fd]);
    registered[added->fd] = true;
    return 0;
}

static void kernel_remove(struct roti_poller *poller, struct roti_io *removed)
{
    (void)poller;
    ROTI_PLAIN_WRITE(&registered[removed->fd]);
    registered[removed->fd] = false;
}

static const struct roti_poller_ops kernel = {
    .name = "model",
    .add = kernel_add,
    .remove = kernel_remove,
    .perform = roti_io_perform_ready,
};

struct rota_loop *rota_loop_ref(struct rota_loop *self)
{
    return self;
}

void rota_loop_unref(struct rota_loop *self)
{
    (void)self;
}

/* ---- Threads; each has a reference unless it says otherwise ---- */

static void calls(unsigned thread)
{
    (void)thread;
    int r = roti_io_shutdown(io, SHUT_WR);
    MODEL_ASSERT(r == 0 || r == ROTA_ECLOSED);
    roti_io_unref(io);
}

static void closes(unsigned thread)
{
    (void)thread;
    roti_io_close(io);
    roti_io_unref(io);
}

static void asks(unsigned thread)
{
    (void)thread;
    MODEL_ASSERT(roti_io_loop(io) == &loop);
    roti_io_unref(io);
}

static int read_byte(void)
{
    char byte;
    roti_worker_current()->loop = &loop;
    return (int)roti_io_recv(io, &byte, 1, 0);
}

static void reads(unsigned thread)
{
    (void)thread;
    result = read_byte();
    roti_io_unref(io);
}

static void reads_two(unsigned thread)
{
    (void)thread;
    result = read_byte() + read_byte();
    roti_io_unref(io);
}

/* Without a reference of its own. */
static void reads_borrowed(unsigned thread)
{
    (void)thread;
    result = read_byte();
    if (result == -ECANCELED) {
        ROTI_PLAIN_READ(&reason);
        MODEL_ASSERT(reason == 1);
    }
    roti_store(TA5, relaxed, &returned, true);
}

static bool has_begun_to_wait(void *arg)
{
    (void)arg;
    return roti_word_state(stand_in_word(0)) != ROTI_ACTIVE || roti_load(TA6, relaxed, &returned);
}

static void drops_once_awaited(unsigned thread)
{
    (void)thread;
    model_wait_until(has_begun_to_wait, NULL);
    roti_io_unref(io);
}

/* The poller has no reference, but a token. */
static void deliver(uint64_t of, int bytes)
{
    struct roti_list woken;
    roti_list_init(&woken);
    roti_store(TA2, relaxed, &arrived, bytes);
    edge_met = roti_io_edge(of, ROTI_READY_READ, &woken);
    roti_wait_wake_all(&woken);
}

static void delivers(unsigned thread)
{
    (void)thread;
    deliver(token, 1);
}

static void delivers_two(unsigned thread)
{
    (void)thread;
    deliver(token, 1);
    deliver(token, 2);
}

static bool is_announced(void *arg)
{
    (void)arg;
    return roti_load(TA9, relaxed, &announced) != ROTI_IO_TOKEN_NONE;
}

static void delivers_once_announced(unsigned thread)
{
    uint64_t seen;
    (void)thread;
    model_wait_until(is_announced, NULL);
    while ((seen = roti_load(TA10, acquire, &announced)) == ROTI_IO_TOKEN_NONE)
        roti_pause();
    deliver(seen, 1);
}

static void opens(unsigned thread)
{
    (void)thread;
    MODEL_ASSERT(roti_io_open(&io, FD, &loop) == 0);
}

static void opens_and_closes(unsigned thread)
{
    struct roti_io *own;
    MODEL_ASSERT(roti_io_open(&own, FD + (int)thread, &loop) == 0);
    roti_io_unref(own);
}

static void closes_and_opens(unsigned thread)
{
    (void)thread;
    roti_io_unref(io);
    MODEL_ASSERT(roti_io_open(&next_io, FD + 1, &loop) == 0);
}

static void cancels_once_awaited(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&reason);
    reason = 1;
    model_wait_until(has_begun_to_wait, NULL);
    (void)roti_task_cancel_request(&stand_ins[0].task, NULL);
}

/* ---- The tests ---- */

static void reset_kernel(unsigned tasks)
{
    stand_in_reset(tasks);
    roti_io_forget();
    chunks_used = 0;
    memset(&loop, 0, sizeof loop);
    loop.poller.ops = &kernel;
    for (int i = 0; i < FD_COUNT; i++)
        files[i] = 1;
    memset(registered, 0, sizeof registered);
    roti_store(TA3, relaxed, &arrived, 0);
    taken = 0;
    result = 0;
    edge_met = false;
    roti_store(TA7, relaxed, &returned, false);
    reason = 0;
    next_io = NULL;
    roti_store(TA11, relaxed, &announced, ROTI_IO_TOKEN_NONE);
}

static void reset(unsigned tasks, unsigned owners)
{
    reset_kernel(tasks);
    MODEL_ASSERT(roti_io_open(&io, FD, &loop) == 0);
    token = roti_io_token(io);
    for (unsigned i = 1; i < owners; i++)
        (void)roti_io_ref(io);
}

static void reset_none(void)
{
    reset_kernel(0);
}

static void reset_one(void)
{
    reset(0, 1);
}

static void reset_three(void)
{
    reset(0, 3);
}

static void reset_task(void)
{
    reset(1, 2);
}

static void reset_borrowed(void)
{
    reset(1, 1);
}

static void check_closed(void)
{
    MODEL_ASSERT(files[FD] == 0);
    MODEL_ASSERT(roti_io_live() == 0);
}

static void check_read(void)
{
    check_closed();
    MODEL_ASSERT(result == 1 ? taken == 1 : result == ROTA_ECLOSED && taken == 0);
    MODEL_OUTCOME(result == 1, edge_met);
}

static void check_two_read(void)
{
    MODEL_ASSERT(result == 2 && taken == 2);
}

static void check_edge_met(void)
{
    MODEL_ASSERT(edge_met && roti_io_live() == 1);
}

static void check_all_closed(void)
{
    MODEL_ASSERT(files[FD] == 0 && files[FD + 1] == 0 && roti_io_live() == 0);
}

static void check_dropped(void)
{
    check_closed();
    MODEL_ASSERT(result == ROTA_ECLOSED || result == -ECANCELED);
}

static void check_next(void)
{
    uint64_t word = roti_load(TA4, relaxed, &next_io->readiness);
    MODEL_ASSERT(files[FD] == 0 && files[FD + 1] == 1 && registered[FD + 1]);
    MODEL_ASSERT(next_io == io && roti_io_token(next_io) != token);
    MODEL_ASSERT((word & ROTI_READY_TICK_MASK) == 0); /* no edge was taken for the next life's */
    MODEL_OUTCOME(edge_met);
}

MODEL_TEST(io_closed_under_calls) = {
    .threads = {calls, calls, closes}, .setup = reset_three, .check = check_closed};
MODEL_TEST(io_last_owner_asks) = {
    .threads = {asks, asks, asks}, .setup = reset_three, .check = check_closed};
MODEL_TEST(io_read) = {
    .threads = {reads, delivers, closes}, .setup = reset_task, .check = check_read};
MODEL_TEST(io_read_two) = {
    .threads = {reads_two, delivers_two}, .setup = reset_task, .check = check_two_read};
MODEL_TEST(io_dropped_under_wait) = {
    .threads = {reads_borrowed, drops_once_awaited, cancels_once_awaited},
    .setup = reset_borrowed,
    .check = check_dropped};
MODEL_TEST(io_next_life) = {
    .threads = {delivers, closes_and_opens}, .setup = reset_one, .check = check_next};
MODEL_TEST(io_first_life) = {
    .threads = {opens, delivers_once_announced}, .setup = reset_none, .check = check_edge_met};
MODEL_TEST(io_slots) = {.threads = {opens_and_closes, opens_and_closes},
                        .setup = reset_none,
                        .check = check_all_closed};

MODEL_SURVIVES("RD4:0",
               "the kernel orders a registration before its events; model_readiness does without");
MODEL_SURVIVES("SL3:0", "here whoever has an index came after its chunk; see model_slots");
MODEL_SURVIVES("SL4:0", "as SL3");
MODEL_SURVIVES("W4:0", "each task is resumed by its own thread here: see model_word");
