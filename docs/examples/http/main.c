/* SPDX-License-Identifier: MIT */
/*
 * main.c - an HTTP/1.1 service on every core: options, the server, the graceful stop.
 *
 * Usage: http-service [--address ADDRESS] [--root DIR] [--loops N] [--connections N]
 *                     [--head-seconds S] [--idle-seconds S] [--min-rate BYTES]
 *                     [--drain-seconds S]
 *
 * Prints one line, "listening on ADDRESS", when it serves. SIGTERM stops it gracefully: requests
 * that have come are answered within the drain time, then connections end.
 */
#include "service.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Unless --connections says otherwise. More wait in the backlog. */
#define CONNECTION_COUNT_MAX 10000

struct options {
    const char *address;
    const char *root;
    unsigned loops;
    size_t connection_count_max;
    int64_t drain_timeout_ns;
};

static struct service service = {
    .root_fd = -1,
    .head_timeout_ns = 10 * ROTA_SEC,
    .idle_timeout_ns = 60 * ROTA_SEC,
    .min_rate = 100,
};

static int serve(void *arg)
{
    const struct options *options = arg;
    struct rota_addr addr;
    char name[128];
    int r = rota_addr_parse(&addr, options->address);
    if (r < 0)
        return r;
    struct rota_server_opts opts = {
        .connection_count_max = options->connection_count_max,
        .deferred = true, /* connections may come only once service.server is set */
        .drain_timeout_ns = options->drain_timeout_ns,
    };
    r = rota_server_create(&service.server, &addr, serve_connection, &service, &opts);
    if (r < 0)
        return r;
    r = rota_server_start(service.server);
    if (r == 0)
        r = rota_server_addr(service.server, &addr);
    if (r == 0) {
        rota_addr_format(&addr, name, sizeof name);
        printf("listening on %s\n", name);
        fflush(stdout);
        r = rota_server_serve_forever(service.server);
        if (r == ROTA_ECLOSED)
            r = 0; /* a signal has stopped it before */
    }
    rota_server_unref(service.server);
    return r;
}

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--address ADDRESS] [--root DIR] [--loops N] [--connections N]\n"
            "       [--head-seconds S] [--idle-seconds S] [--min-rate BYTES] [--drain-seconds S]\n",
            program);
    return 2;
}

/* Reads the options into `options` and the service. False: they make no sense. */
static bool read_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"address", required_argument, NULL, 'a'},
        {"root", required_argument, NULL, 'r'},
        {"loops", required_argument, NULL, 'l'},
        {"connections", required_argument, NULL, 'c'},
        {"head-seconds", required_argument, NULL, 'h'},
        {"idle-seconds", required_argument, NULL, 'i'},
        {"min-rate", required_argument, NULL, 'm'},
        {"drain-seconds", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'a')
            options->address = optarg;
        else if (option == 'r')
            options->root = optarg;
        else if (option == 'l')
            options->loops = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'c')
            options->connection_count_max = strtoul(optarg, NULL, 10);
        else if (option == 'h')
            service.head_timeout_ns = (int64_t)(strtod(optarg, NULL) * 1e9);
        else if (option == 'i')
            service.idle_timeout_ns = (int64_t)(strtod(optarg, NULL) * 1e9);
        else if (option == 'm')
            service.min_rate = strtol(optarg, NULL, 10);
        else if (option == 'd')
            options->drain_timeout_ns = (int64_t)(strtod(optarg, NULL) * 1e9);
        else
            return false;
    }
    return optind == argc && service.head_timeout_ns > 0 && service.idle_timeout_ns > 0 &&
           service.min_rate > 0 && options->drain_timeout_ns > 0;
}

int main(int argc, char **argv)
{
    struct options options = {
        .address = "127.0.0.1:8080",
        .connection_count_max = CONNECTION_COUNT_MAX,
        .drain_timeout_ns = 2 * ROTA_SEC,
    };
    if (!read_options(argc, argv, &options))
        return usage(argv[0]);
    if (options.root != NULL &&
        (service.root_fd = open(options.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        perror(options.root);
        return 1;
    }
    http_parser_set_max_header_size(HEADER_SIZE_MAX);
    struct rota_run_opts run = {.loops = options.loops, .figures = true}; /* for /metrics */
    int r = rota_run(serve, &options, &run);
    if (service.root_fd >= 0)
        close(service.root_fd);
    if (r < 0)
        fprintf(stderr, "http-service: %s\n", rota_strerror(r));
    return r < 0;
}
