/* SPDX-License-Identifier: MIT */
/*
 * http_served.c - the HTTP service as a server of a fuzz target, and a clock for it.
 */
#include "tests/fuzz/http_served.h"

#include "docs/examples/http/service.h"

#include <fcntl.h>

static struct service service = {
    .root_fd = -1,
    .head_timeout_ns = 3600 * ROTA_SEC,
    .idle_timeout_ns = 3600 * ROTA_SEC,
    .min_rate = 1,
};

/* The service's clock: each look at it takes ten milliseconds, so that it burns no time. */
int64_t fuzz_time_ns(void);

int64_t fuzz_time_ns(void)
{
    static int64_t looks;
    return rota_time_ns() + ++looks * 10 * ROTA_MS;
}

int http_served_start(const struct rota_addr *addr, const char *root)
{
    struct rota_server_opts opts = {.deferred = true};
    if (service.root_fd < 0) {
        service.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        http_parser_set_max_header_size(HEADER_SIZE_MAX);
    }
    int r = rota_server_create(&service.server, addr, serve_connection, &service, &opts);
    return r < 0 ? r : rota_server_start(service.server);
}

int http_served_stop(void)
{
    rota_server_close(service.server);
    int r = rota_server_wait_closed(service.server);
    rota_server_unref(service.server);
    return r;
}
