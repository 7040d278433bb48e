/* SPDX-License-Identifier: MIT */
/*
 * litmus_order_test.c - coherence, and the orders of single operations.
 */
#include "tests/model/litmus.h"

/* ---- Message passing: x is the message, y the flag; 10 is a flag without its message ---- */

THREAD(send_relaxed)
{
    ST(relaxed, x, 1);
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

THREAD(receive_acquire)
{
    r[0] = LD(acquire, y);
    r[1] = LD(relaxed, x);
}

LITMUS(mp_relaxed, 2, "00 01 10 11", "", send_relaxed, receive_relaxed);
LITMUS(mp_release_only, 2, "00 01 10 11", "", send_release, receive_relaxed);
LITMUS(mp_acquire_only, 2, "00 01 10 11", "", send_relaxed, receive_acquire);
LITMUS(mp, 2, "00 01 11", "10", send_release, receive_acquire);

/* The flag passes through a third thread: releases are transitive. */
THREAD(relay_acq_rel)
{
    r[0] = LD(acquire, y);
    ST(release, z, 1);
}

THREAD(receive_relayed)
{
    r[1] = LD(acquire, z);
    r[2] = LD(relaxed, x);
}

LITMUS(isa2, 3, "000 001 010 011 100 101 111", "110", send_release, relay_acq_rel, receive_relayed);

/* A relaxed read of x, then a release: who acquires that may not read x older (WRC). */
THREAD(write_x)
{
    ST(relaxed, x, 1);
}

THREAD(relay_x)
{
    r[0] = LD(relaxed, x);
    ST(release, z, 1);
}

THREAD(relay_x_relaxed)
{
    r[0] = LD(relaxed, x);
    ST(relaxed, z, 1);
}

LITMUS(wrc, 3, "000 010 011 100 111", "110", write_x, relay_x, receive_relayed);
LITMUS(wrc_relaxed, 3, "000 010 011 100 110 111", "", write_x, relay_x_relaxed, receive_relayed);

/* ---- Store buffering: 00 is both loads before both stores ---- */

THREAD(sb_0_relaxed)
{
    ST(relaxed, x, 1);
    r[0] = LD(relaxed, y);
}

THREAD(sb_1_relaxed)
{
    ST(relaxed, y, 1);
    r[1] = LD(relaxed, x);
}

THREAD(sb_0_acq_rel)
{
    ST(release, x, 1);
    r[0] = LD(acquire, y);
}

THREAD(sb_1_acq_rel)
{
    ST(release, y, 1);
    r[1] = LD(acquire, x);
}

THREAD(sb_0_seq_cst)
{
    ST(seq_cst, x, 1);
    r[0] = LD(seq_cst, y);
}

THREAD(sb_1_seq_cst)
{
    ST(seq_cst, y, 1);
    r[1] = LD(seq_cst, x);
}

/* A seq_cst operation is no fence for the relaxed one beside it. */
THREAD(sb_0_seq_cst_store)
{
    ST(seq_cst, x, 1);
    r[0] = LD(relaxed, y);
}

THREAD(sb_1_seq_cst_store)
{
    ST(seq_cst, y, 1);
    r[1] = LD(relaxed, x);
}

/* Nor is a read-modify-write, where the two sides change different words ... */
THREAD(sb_0_exchange)
{
    (void)XCHG(seq_cst, x, 1);
    r[0] = LD(acquire, y);
}

THREAD(sb_1_exchange)
{
    (void)XCHG(seq_cst, y, 1);
    r[1] = LD(acquire, x);
}

/* ... but one word that both change orders them: one of the two comes second, and acquires. */
THREAD(sb_0_shared_word)
{
    ST(relaxed, x, 1);
    (void)ADD(acq_rel, z, 1);
    r[0] = LD(relaxed, y);
}

THREAD(sb_1_shared_word)
{
    ST(relaxed, y, 1);
    (void)ADD(acq_rel, z, 1);
    r[1] = LD(relaxed, x);
}

LITMUS(sb_relaxed, 2, "00 01 10 11", "", sb_0_relaxed, sb_1_relaxed);
LITMUS(sb_acq_rel, 2, "00 01 10 11", "", sb_0_acq_rel, sb_1_acq_rel);
LITMUS(sb_seq_cst, 2, "01 10 11", "00", sb_0_seq_cst, sb_1_seq_cst);
LITMUS(sb_half_seq_cst, 2, "00 01 10 11", "", sb_0_seq_cst, sb_1_acq_rel);
LITMUS(sb_seq_cst_stores, 2, "00 01 10 11", "", sb_0_seq_cst_store, sb_1_seq_cst_store);
LITMUS(sb_exchanges, 2, "00 01 10 11", "", sb_0_exchange, sb_1_exchange);
LITMUS(sb_shared_word, 2, "01 10 11", "00", sb_0_shared_word, sb_1_shared_word);

/* ---- Load buffering: C11 allows 11, and the explorer never shows it (a gap) ---- */

THREAD(lb_0)
{
    r[0] = LD(relaxed, x);
    ST(relaxed, y, 1);
}

THREAD(lb_1)
{
    r[1] = LD(relaxed, y);
    ST(relaxed, x, 1);
}

LITMUS(lb_gap, 2, "00 01 10", "11", lb_0, lb_1);

/* ---- Independent reads of independent writes: 1010 is two orders of the same two stores ---- */

THREAD(write_x_seq_cst)
{
    ST(seq_cst, x, 1);
}

THREAD(write_y_seq_cst)
{
    ST(seq_cst, y, 1);
}

THREAD(write_x_release)
{
    ST(release, x, 1);
}

THREAD(write_y_release)
{
    ST(release, y, 1);
}

THREAD(iriw_xy_acquire)
{
    r[0] = LD(acquire, x);
    r[1] = LD(acquire, y);
}

THREAD(iriw_yx_acquire)
{
    r[2] = LD(acquire, y);
    r[3] = LD(acquire, x);
}

THREAD(iriw_xy_seq_cst)
{
    r[0] = LD(seq_cst, x);
    r[1] = LD(seq_cst, y);
}

THREAD(iriw_yx_seq_cst)
{
    r[2] = LD(seq_cst, y);
    r[3] = LD(seq_cst, x);
}

LITMUS(iriw_acquire, 4, "1010 1110 1011 1111 0000", "", write_x_release, write_y_release,
       iriw_xy_acquire, iriw_yx_acquire);
LITMUS(iriw_seq_cst, 4, "1110 1011 1111 0000", "1010", write_x_seq_cst, write_y_seq_cst,
       iriw_xy_seq_cst, iriw_yx_seq_cst);

/* ---- Coherence: one location behaves, whatever the orders ---- */

THREAD(write_x_twice)
{
    ST(relaxed, x, 1);
    ST(relaxed, x, 2);
}

THREAD(read_x_twice)
{
    r[0] = LD(relaxed, x);
    r[1] = LD(relaxed, x);
}

THREAD(read_x_twice_more)
{
    r[2] = LD(relaxed, x);
    r[3] = LD(relaxed, x);
}

THREAD(write_x_2)
{
    ST(relaxed, x, 2);
}

THREAD(write_read_x)
{
    ST(relaxed, x, 1);
    r[0] = LD(relaxed, x);
}

THREAD(read_write_x)
{
    r[0] = LD(relaxed, x);
    ST(relaxed, x, 1);
}

LITMUS(corr, 2, "00 01 02 11 12 22", "10 20 21", write_x_twice, read_x_twice);
LITMUS(corr_writers, 4, "1212 2121 1122 1111 2222", "1221 2112", write_x, write_x_2, read_x_twice,
       read_x_twice_more);
LITMUS(coww, memory, "20", "00 10", write_x_twice);
LITMUS(cowr, 2, "10 20", "00", write_read_x, write_x_2);
LITMUS(corw, 2, "00 20", "10", read_write_x, write_x_2);

/* Two stores each: C11 allows both first stores to be last (11), a gap of the explorer. */
THREAD(w22_0)
{
    ST(relaxed, x, 1);
    ST(relaxed, y, 2);
}

THREAD(w22_1)
{
    ST(relaxed, y, 1);
    ST(relaxed, x, 2);
}

LITMUS(w22_gap, memory, "12 21 22", "11", w22_0, w22_1);
