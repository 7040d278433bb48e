/* SPDX-License-Identifier: MIT */
/*
 * cancel.h - cancellation requests: made, forwarded down a chain of awaits, taken back.
 *
 * A request is counted in the task's word and, while nobody has seen it, marked undelivered. A task
 * that awaits another passes the request on: the child's lock is taken, and the request goes on
 * only if the awaiter is still linked there. The awaiter's wait keeps tickets: the child's count of
 * deliveries at the first and the last request. When the child ends, they tell what became of
 * them: delivered down there, which counts as a delivery here, or never delivered, which makes them
 * undelivered here.
 */
#ifndef ROTI_CANCEL_H
#define ROTI_CANCEL_H

#include "sched/task_impl.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One request. True when it was made, with its ticket in *ret_ticket (NULL: not wanted); false if
 * the task is done. Never suspends, never calls user code, takes locks of tasks and what an enqueue
 * takes: may be called under a loop's timers' lock. Any thread that holds a reference.
 */
bool roti_task_cancel_request(struct rota_task *task, unsigned *ret_ticket);

/* Takes back one request made with that ticket, and its undelivered mark if it was not delivered.
 * Returns the requests left. */
unsigned roti_task_uncancel_ticket(struct rota_task *task, unsigned ticket);

/* What a joiner must do about requests that it forwarded, told by the result of its wait. */
#define ROTI_JOIN_DELIVERED INT64_C(1) /* the first was delivered in the child */
#define ROTI_JOIN_RETURNED INT64_C(2)  /* the last was not */

/* The result of a joiner's wait when the child ends with the word `final`. Child's lock held. */
int64_t roti_join_result(const struct roti_wait *wait, uint64_t final_word);

/* Settles it in the joiner's own word, after its wait. */
void roti_join_settle(struct rota_task *self, int64_t result);

#ifdef __cplusplus
}
#endif

#endif
