/* SPDX-License-Identifier: MIT */
/*
 * poller.c - what holds for every poller, in front of its table.
 */
#include "loop/poller.h"

int roti_poller_init(struct roti_poller *poller)
{
    poller->ops = &roti_poller_epoll;
    poller->lent = (struct roti_lent_pool){0};
    return poller->ops->init(poller);
}

void roti_poller_done(struct roti_poller *poller)
{
    poller->ops->done(poller);
    roti_lent_drain(&poller->lent);
}

void roti_poller_abandon(struct roti_poller *poller)
{
    poller->ops->done(poller);
}

void roti_poller_wait(struct roti_poller *poller, int64_t timeout_ns)
{
    if (timeout_ns > ROTI_POLLER_TIMEOUT_MAX_NS)
        timeout_ns = ROTI_POLLER_TIMEOUT_MAX_NS;
    poller->ops->wait(poller, timeout_ns);
}

unsigned roti_poller_take(struct roti_poller *poller)
{
    return poller->event_count > 0 ? poller->ops->take(poller) : 0;
}

unsigned roti_poller_rescue(struct roti_poller *poller)
{
    return poller->ops->rescue(poller);
}

int roti_poller_watch_ticker(struct roti_poller *poller, int fd)
{
    return poller->ops->watch_ticker(poller, fd);
}

void roti_poller_wake(struct roti_poller *poller)
{
    poller->ops->wake(poller);
}
