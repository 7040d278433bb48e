/* SPDX-License-Identifier: MIT */
/*
 * routes.c - what is answered.
 *
 *   GET /                  a line of text
 *   GET /static/PATH       a file below the root
 *   GET /burn?ms=N         after N ms of CPU in the request's own task
 *   GET /burn?ms=N&loop=K  at once; loop K is busy for N ms and runs nothing else meanwhile
 *   GET /stats             what each loop has done, as JSON
 *   GET /metrics           all figures, for Prometheus
 */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BURN_MS_MAX 60000
#define FILE_BLOCK_SIZE 65536

static int answer_text(struct connection *connection, int status, const char *text)
{
    return answer(connection, status, "text/plain", text, strlen(text));
}

/* ---- Files ---- */

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html"},        {".css", "text/css"},  {".js", "text/javascript"},
        {".json", "application/json"}, {".png", "image/png"}, {".txt", "text/plain"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof *types; i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

/* Opens a file that lies below the root, whatever the path says. */
static int open_below(int root_fd, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
}

/* Sends an open file. Its blocks go through a buffer on the stack, which is no page of an idle
 * connection. */
static __attribute__((noinline)) int send_file(struct connection *connection, int fd, uint64_t size)
{
    char block[FILE_BLOCK_SIZE];
    uint64_t sent = 0;
    int r = flush_answers(connection);
    while (r == 0 && sent < size) {
        ssize_t n = pread(fd, block, sizeof block, (off_t)sent);
        if (n <= 0)
            return -EIO; /* it became shorter: the length is promised, so the connection ends */
        if ((uint64_t)n > size - sent)
            n = (ssize_t)(size - sent);
        r = send_all(connection, block, (size_t)n);
        sent += (uint64_t)n;
    }
    return r;
}

static int route_static(struct connection *connection, const char *path)
{
    struct stat status;
    int fd =
        connection->service->root_fd >= 0 ? open_below(connection->service->root_fd, path) : -1;
    if (fd < 0)
        return answer_text(connection, HTTP_STATUS_NOT_FOUND, "not found\n");
    int r;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        r = answer_text(connection, HTTP_STATUS_NOT_FOUND, "not a file\n");
    } else {
        r = answer_head(connection, HTTP_STATUS_OK, type_of(path), (uint64_t)status.st_size);
        if (r == 0 && connection->parser.method != HTTP_HEAD)
            r = send_file(connection, fd, (uint64_t)status.st_size);
    }
    close(fd);
    return r;
}

/* ---- Burning CPU ---- */

static void burn(int64_t time_ns)
{
    int64_t end_ns = rota_time_ns() + time_ns;
    while (rota_time_ns() < end_ns)
        ;
}

/* A callback: nothing else runs on its loop meanwhile. */
static int burn_on_loop(void *arg)
{
    burn((int64_t)(intptr_t)arg * ROTA_MS);
    return 0;
}

/* A number in the query, or `fallback`. */
static long query_number(const char *query, const char *name, long fallback)
{
    size_t length = strlen(name);
    for (const char *at = query; at != NULL; at = strchr(at, '&')) {
        at += *at == '&';
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return strtol(at + length + 1, NULL, 10);
    }
    return fallback;
}

static int route_burn(struct connection *connection, const char *query)
{
    long ms = query_number(query, "ms", 10);
    long index = query_number(query, "loop", -1);
    struct rota_loop *loop =
        index >= 0 ? rota_runtime_loop(rota_running_runtime(), (unsigned)index) : NULL;
    if (ms < 0 || ms > BURN_MS_MAX || (index >= 0 && loop == NULL))
        return answer_text(connection, HTTP_STATUS_BAD_REQUEST, "bad ms or loop\n");
    if (loop == NULL) {
        burn(ms * ROTA_MS);
        return answer_text(connection, HTTP_STATUS_OK, "burnt\n");
    }
    int r = rota_call_soon_threadsafe(loop, NULL, burn_on_loop, (void *)(intptr_t)ms, NULL);
    return r < 0 ? r : answer_text(connection, HTTP_STATUS_ACCEPTED, "burning\n");
}

/* ---- Figures ---- */

/* Answers with a text that may be longer than a batch. */
static int answer_long(struct connection *connection, const char *type, const char *text,
                       size_t size)
{
    int r = flush_answers(connection);
    if (r == 0)
        r = answer_head(connection, HTTP_STATUS_OK, type, size);
    if (r == 0)
        r = flush_answers(connection);
    if (r == 0 && connection->parser.method != HTTP_HEAD)
        r = send_all(connection, text, size);
    return r;
}

static int route_stats(struct connection *connection)
{
    struct rota_runtime *runtime = rota_running_runtime();
    int count = rota_runtime_loop_count(runtime);
    size_t size = 0, capacity = 64 + (size_t)count * 512;
    char *text = malloc(capacity);
    if (text == NULL)
        return -ENOMEM;
    size += (size_t)snprintf(text, capacity, "{\"time_ns\":%lld,\"loops\":[",
                             (long long)rota_time_ns());
    for (int i = 0; i < count; i++) {
        struct share *share = &connection->service->shares[i];
        struct rota_counters counters;
        (void)rota_loop_counters(rota_runtime_loop(runtime, (unsigned)i), &counters);
        size += (size_t)snprintf(
            text + size, capacity - size,
            "%s{\"loop\":%d,\"connections\":%llu,\"requests\":%llu,\"switches\":%llu,"
            "\"steals\":%llu,\"stolen\":%llu,\"rescued\":%llu,\"wakes\":%llu,"
            "\"turns\":%llu,\"idle_ns\":%llu}",
            i > 0 ? "," : "", i, atomic_load(&share->connections), atomic_load(&share->requests),
            (unsigned long long)counters.switches, (unsigned long long)counters.steals_won,
            (unsigned long long)counters.tasks_stolen, (unsigned long long)counters.rescued,
            (unsigned long long)counters.wakes_received, (unsigned long long)counters.turns,
            (unsigned long long)counters.idle_ns);
    }
    size += (size_t)snprintf(text + size, capacity - size, "]}\n");
    int r = answer_long(connection, "application/json", text, size);
    free(text);
    return r;
}

/* A text that grows. */
struct text {
    char *data;
    size_t size;
    size_t capacity;
};

static int append(void *arg, const char *data, size_t size)
{
    struct text *text = arg;
    if (text->size + size > text->capacity) {
        size_t capacity = 2 * (text->capacity + size);
        char *larger = realloc(text->data, capacity);
        if (larger == NULL)
            return -ENOMEM;
        text->data = larger;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
    return 0;
}

static int route_metrics(struct connection *connection)
{
    struct text text = {0};
    int r = rota_metrics_write(rota_running_runtime(), append, &text);
    if (r == 0)
        r = answer_long(connection, "text/plain; version=0.0.4", text.data, text.size);
    free(text.data);
    return r;
}

int route(struct connection *connection)
{
    char *url = connection->url;
    unsigned method = connection->parser.method;
    if (method != HTTP_GET && method != HTTP_HEAD && method != HTTP_POST)
        return answer_text(connection, HTTP_STATUS_METHOD_NOT_ALLOWED, "GET, HEAD or POST\n");
    if (strcmp(url, "/") == 0)
        return answer_text(connection, HTTP_STATUS_OK, "hello from rota\n");
    if (strcmp(url, "/stats") == 0)
        return route_stats(connection);
    if (strcmp(url, "/metrics") == 0)
        return route_metrics(connection);
    if (strncmp(url, "/burn?", 6) == 0 || strcmp(url, "/burn") == 0)
        return route_burn(connection, url[5] == '?' ? url + 6 : "");
    if (strncmp(url, "/static/", 8) == 0)
        return route_static(connection, url + 8);
    return answer_text(connection, HTTP_STATUS_NOT_FOUND, "not found\n");
}
