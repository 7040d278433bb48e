/* SPDX-License-Identifier: MIT */
/*
 * http_served.h - the HTTP service of docs/examples/http as a server of a fuzz target. Its own
 * header is C alone.
 */
#ifndef ROTI_TESTS_FUZZ_HTTP_SERVED_H
#define ROTI_TESTS_FUZZ_HTTP_SERVED_H

#include <rota/addr.h>

ROTA_BEGIN_DECLS

/* Serves on `addr`, with the files below `root`. 0 or a negative error. In a task. */
int http_served_start(const struct rota_addr *addr, const char *root);

/* Ends it, when its last client has gone. 0 or a negative error. In a task. */
int http_served_stop(void);

ROTA_END_DECLS

#endif
