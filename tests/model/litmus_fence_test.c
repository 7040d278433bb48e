/* SPDX-License-Identifier: MIT */
/*
 * litmus_fence_test.c - fences, membarrier, release sequences, compare-and-swap, races.
 */
#include "tests/model/litmus.h"

/* ---- Message passing by fences ---- */

THREAD(send_relaxed)
{
    ST(relaxed, x, 1);
    ST(relaxed, y, 1);
}

THREAD(send_fence)
{
    ST(relaxed, x, 1);
    FENCE(release);
    ST(relaxed, y, 1);
}

THREAD(send_release)
{
    ST(relaxed, x, 1);
    ST(release, y, 1);
}

THREAD(receive_relaxed)
{
    r[0] = LD(relaxed, y);
    r[1] = LD(relaxed, x);
}

THREAD(receive_fence)
{
    r[0] = LD(relaxed, y);
    FENCE(acquire);
    r[1] = LD(relaxed, x);
}

THREAD(receive_acquire)
{
    r[0] = LD(acquire, y);
    r[1] = LD(relaxed, x);
}

LITMUS(mp_fences, 2, "00 01 11", "10", send_fence, receive_fence);
LITMUS(mp_fence_to_acquire, 2, "00 01 11", "10", send_fence, receive_acquire);
LITMUS(mp_release_to_fence, 2, "00 01 11", "10", send_release, receive_fence);
LITMUS(mp_release_fence_only, 2, "00 01 10 11", "", send_fence, receive_relaxed);
LITMUS(mp_acquire_fence_only, 2, "00 01 10 11", "", send_relaxed, receive_fence);

/* ---- Store buffering by fences ---- */

THREAD(sb_1_relaxed)
{
    ST(relaxed, y, 1);
    r[1] = LD(relaxed, x);
}

THREAD(sb_0_fence)
{
    ST(relaxed, x, 1);
    FENCE(seq_cst);
    r[0] = LD(relaxed, y);
}

THREAD(sb_1_fence)
{
    ST(relaxed, y, 1);
    FENCE(seq_cst);
    r[1] = LD(relaxed, x);
}

THREAD(sb_1_fence_acq_rel)
{
    ST(relaxed, y, 1);
    FENCE(acq_rel);
    r[1] = LD(relaxed, x);
}

THREAD(sb_0_seq_cst)
{
    ST(seq_cst, x, 1);
    r[0] = LD(seq_cst, y);
}

LITMUS(sb_fences, 2, "01 10 11", "00", sb_0_fence, sb_1_fence);
LITMUS(sb_one_fence, 2, "00 01 10 11", "", sb_0_fence, sb_1_relaxed);
LITMUS(sb_weak_fence, 2, "00 01 10 11", "", sb_0_fence, sb_1_fence_acq_rel);
LITMUS(sb_fence_and_operations, 2, "01 10 11", "00", sb_0_seq_cst, sb_1_fence);

/* ---- Reads on either side of a fence: what a thread has read, its fence publishes ---- */

THREAD(write_x)
{
    ST(relaxed, x, 1);
}

THREAD(write_y)
{
    ST(relaxed, y, 1);
}

THREAD(iriw_xy_fence)
{
    r[0] = LD(relaxed, x);
    FENCE(seq_cst);
    r[1] = LD(relaxed, y);
}

THREAD(iriw_yx_fence)
{
    r[2] = LD(relaxed, y);
    FENCE(seq_cst);
    r[3] = LD(relaxed, x);
}

THREAD(rwc_last)
{
    ST(relaxed, y, 1);
    FENCE(seq_cst);
    r[2] = LD(relaxed, x);
}

LITMUS(iriw_fences, 4, "1110 1011 1111 0000", "1010", write_x, write_y, iriw_xy_fence,
       iriw_yx_fence);
LITMUS(rwc_fences, 3, "101 110 111 000 001", "100", write_x, iriw_xy_fence, rwc_last);

/* ---- membarrier: the light side has no fence, but must keep the compiler in order ---- */

THREAD(sb_0_light)
{
    ST(relaxed, x, 1);
    model_light_barrier(LT6);
    r[0] = LD(relaxed, y);
}

/* A compiler may load first. */
THREAD(sb_0_bare)
{
    ST(relaxed, x, 1);
    r[0] = LD(relaxed, y);
}

THREAD(sb_1_light)
{
    ST(relaxed, y, 1);
    model_light_barrier(LT7);
    r[1] = LD(relaxed, x);
}

THREAD(sb_0_heavy)
{
    ST(relaxed, x, 1);
    model_membarrier(LT8);
    r[0] = LD(relaxed, y);
}

THREAD(sb_1_heavy)
{
    ST(relaxed, y, 1);
    model_membarrier(LT9);
    r[1] = LD(relaxed, x);
}

/* A second light thread beside the first, seen by the same heavy one. */
THREAD(sb_2_light)
{
    ST(relaxed, z, 1);
    model_light_barrier(LT10);
    r[2] = LD(relaxed, y);
}

THREAD(sb_1_heavy_for_two)
{
    ST(relaxed, y, 1);
    model_membarrier(LT11);
    r[1] = LD(relaxed, x);
    r[3] = LD(relaxed, z);
}

LITMUS(sb_light_light, 2, "00 01 10 11", "", sb_0_light, sb_1_light);
LITMUS(sb_light_heavy, 2, "01 10 11", "00", sb_0_light, sb_1_heavy);
LITMUS(sb_bare_heavy, 2, "00 01 10 11", "", sb_0_bare, sb_1_heavy);
LITMUS(sb_heavy_heavy, 2, "01 10 11", "00", sb_0_heavy, sb_1_heavy);
LITMUS(sb_heavy_fence, 2, "01 10 11", "00", sb_0_heavy, sb_1_fence);
LITMUS(sb_heavy_for_two, 4, "0101 0110 0111 1001 1010 1011 1101 1110 1111",
       "0000 0001 0010 0011 0100 1000 1100", sb_0_light, sb_1_heavy_for_two, sb_2_light);

/* ---- Release sequences: C++20's, continued by read-modify-writes alone ---- */

THREAD(add_relaxed)
{
    (void)ADD(relaxed, y, 1);
}

THREAD(store_2_relaxed)
{
    ST(relaxed, y, 2);
}

THREAD(send_release_then_2)
{
    ST(relaxed, x, 1);
    ST(release, y, 1);
    ST(relaxed, y, 2);
}

LITMUS(release_sequence, 2, "00 01 10 11 21", "20", send_release, add_relaxed, receive_acquire);
LITMUS(release_sequence_broken, 2, "00 01 11 20 21", "10", send_release, store_2_relaxed,
       receive_acquire);
LITMUS(release_sequence_own, 2, "00 01 11 20 21", "10", send_release_then_2, receive_acquire);

/* ---- Compare-and-swap ---- */

/* One that fails is a load, and may return an old value. */
THREAD(cas_fails)
{
    int expected = 5;
    r[0] = LD(relaxed, y);
    (void)roti_cas(LT12, relaxed, &x, &expected, 6);
    r[1] = expected;
}

THREAD(cas_once)
{
    int expected = 0;
    r[0] = roti_cas(LT13, relaxed, &x, &expected, 1);
}

THREAD(cas_once_too)
{
    int expected = 0;
    r[1] = roti_cas(LT14, relaxed, &x, &expected, 1);
}

THREAD(cas_weak_once)
{
    int expected = 0;
    r[0] = roti_cas_weak(LT15, relaxed, &x, &expected, 1);
    r[1] = expected;
}

LITMUS(cas_reads_old, 2, "00 01 10 11", "05 15", send_relaxed, cas_fails);
LITMUS(cas_one_winner, 2, "01 10", "00 11", cas_once, cas_once_too);
LITMUS(cas_weak_spurious, 2, "00 10", "01 11", cas_weak_once);

/* ---- Plain data: races are failures ---- */

static int plain; /* handed over by y */

THREAD(write_plain_release)
{
    ROTI_PLAIN_WRITE(&plain);
    plain = 1;
    ST(release, y, 1);
    ST(relaxed, x, 1); /* after the release: what is written now is not handed over */
}

THREAD(read_plain_acquire)
{
    if (LD(acquire, y) == 0)
        return;
    ROTI_PLAIN_READ(&plain);
}

THREAD(read_plain_relaxed)
{
    if (LD(relaxed, y) == 0)
        return;
    ROTI_PLAIN_READ(&plain);
}

THREAD(write_plain_too_late)
{
    ST(release, y, 1);
    ROTI_PLAIN_WRITE(&plain);
    plain = 1;
}

/* A seq_cst fence orders what is read; without a value read it is no happens-before. */
THREAD(write_plain_fence)
{
    ROTI_PLAIN_WRITE(&plain);
    plain = 1;
    FENCE(seq_cst);
}

THREAD(read_plain_fence)
{
    FENCE(seq_cst);
    ROTI_PLAIN_READ(&plain);
}

THREAD(read_plain_release)
{
    ROTI_PLAIN_READ(&plain);
    ST(release, y, 1);
}

THREAD(write_plain_acquire)
{
    if (LD(acquire, y) == 0)
        return;
    ROTI_PLAIN_WRITE(&plain);
}

THREAD(write_plain_relaxed)
{
    if (LD(relaxed, y) == 0)
        return;
    ROTI_PLAIN_WRITE(&plain);
}

MODEL_TEST(race_none) = {.threads = {write_plain_release, read_plain_acquire}, .setup = reset};
MODEL_TEST(race_none_after_read) = {.threads = {read_plain_release, write_plain_acquire},
                                    .setup = reset};
MODEL_TEST(race_relaxed) = {
    .threads = {write_plain_release, read_plain_relaxed}, .setup = reset, .fails_within = 100};
MODEL_TEST(race_after_read) = {
    .threads = {read_plain_release, write_plain_relaxed}, .setup = reset, .fails_within = 100};
MODEL_TEST(race_after_release) = {
    .threads = {write_plain_too_late, read_plain_acquire}, .setup = reset, .fails_within = 100};
MODEL_TEST(race_fences) = {
    .threads = {write_plain_fence, read_plain_fence}, .setup = reset, .fails_within = 100};

/* ---- Load buffering, where it matters: a slot is read, given up, and written again ---- */

THREAD(give_up_release)
{
    r[0] = LD(relaxed, x);
    ST(release, y, 1);
    ROTI_LOAD_KEPT(&x);
}

THREAD(give_up_relaxed)
{
    r[0] = LD(relaxed, x);
    ST(relaxed, y, 1);
    ROTI_LOAD_KEPT(&x);
}

THREAD(reuse_acquire)
{
    if (LD(acquire, y) == 1)
        ST(relaxed, x, 1);
}

THREAD(reuse_relaxed)
{
    if (LD(relaxed, y) == 1)
        ST(relaxed, x, 1);
}

MODEL_TEST(kept) = {.threads = {give_up_release, reuse_acquire}, .setup = reset};
MODEL_TEST(kept_without_release) = {.threads = {give_up_relaxed, reuse_acquire},
                                    .setup = reset,
                                    .fails_within = 100,
                                    .fails_with = "a store overtakes a load of thread 0"};
MODEL_TEST(kept_without_acquire) = {.threads = {give_up_release, reuse_relaxed},
                                    .setup = reset,
                                    .fails_within = 100,
                                    .fails_with = "a store overtakes a load of thread 0"};
