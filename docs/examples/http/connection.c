/* SPDX-License-Identifier: MIT */
/*
 * connection.c - one connection: requests in, answers out, limits of time and size.
 *
 * The task waits in rota_stream_peek(), where an idle connection costs its task's page and no
 * buffer. What has come is fed to the parser, which stops after each request; the answers of one
 * feed are sent together. Every wait is under a limit: an idle connection, a head that comes byte
 * by byte, a body or a peer that is slower than the minimum rate all end.
 */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const char *reason_of(int status)
{
    switch (status) {
#define REASON(number, name, text)                                                                 \
    case number:                                                                                   \
        return #text;
        HTTP_STATUS_MAP(REASON)
#undef REASON
    default:
        return "Unknown";
    }
}

/* ---- Answers ---- */

/* Resets the connection: a close would go on trying to send what the kernel holds for the peer. */
static void drop_peer(struct rota_stream *stream)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int fd = rota_stream_fd(stream);
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    rota_stream_abort(stream);
}

int send_all(struct connection *connection, const void *data, size_t size)
{
    struct service *service = connection->service;
    struct rota_timeout timeout;
    int64_t limit_ns = service->head_timeout_ns + (int64_t)size * ROTA_SEC / service->min_rate;
    int r = rota_timeout_begin(&timeout, limit_ns);
    if (r < 0)
        return r;
    ssize_t n = rota_stream_write(connection->stream, data, size);
    r = rota_timeout_end(&timeout, n < 0 ? (int)n : 0);
    if (r == -ETIMEDOUT)
        drop_peer(connection->stream);
    return r;
}

int flush_answers(struct connection *connection)
{
    if (connection->batch_size == 0)
        return 0;
    int r = send_all(connection, connection->batch, connection->batch_size);
    connection->batch_size = 0;
    return r;
}

/* Queues bytes that fit into an empty batch. */
static int queue(struct connection *connection, const void *data, size_t size)
{
    if (connection->batch_size + size > BATCH_SIZE) {
        int r = flush_answers(connection);
        if (r < 0)
            return r;
    }
    memcpy(connection->batch + connection->batch_size, data, size);
    connection->batch_size += size;
    return 0;
}

int answer_head(struct connection *connection, int status, const char *type, uint64_t size)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %llu\r\n%s\r\n", status,
                     reason_of(status), type, (unsigned long long)size,
                     connection->keep_alive ? "" : "Connection: close\r\n");
    return queue(connection, head, (size_t)n);
}

int answer(struct connection *connection, int status, const char *type, const void *body,
           size_t size)
{
    int r = answer_head(connection, status, type, size);
    if (r < 0 || connection->parser.method == HTTP_HEAD)
        return r;
    return queue(connection, body, size);
}

/* Answers with an error and ends the connection. */
static int refuse(struct connection *connection, int status)
{
    char body[64];
    int n = snprintf(body, sizeof body, "%d %s\n", status, reason_of(status));
    connection->keep_alive = false;
    connection->lingers = true;
    return answer(connection, status, "text/plain", body, (size_t)n);
}

/* ---- The parser's callbacks ---- */

static void enter_phase(struct connection *connection, enum phase phase)
{
    connection->phase = phase;
    connection->phase_began_ns = rota_time_ns();
}

static int fail(struct connection *connection, int status)
{
    connection->failure = status;
    return -1; /* stops the parser */
}

static int on_message_begin(http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->url_size = 0;
    connection->body_size = 0;
    enter_phase(connection, PHASE_HEAD);
    return 0;
}

static int on_url(http_parser *parser, const char *at, size_t size)
{
    struct connection *connection = parser->data;
    if (connection->url_size + size >= URL_SIZE)
        return fail(connection, HTTP_STATUS_URI_TOO_LONG);
    memcpy(connection->url + connection->url_size, at, size);
    connection->url_size += size;
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->url[connection->url_size] = '\0';
    if (parser->http_major != 1)
        return fail(connection, HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED);
    if (parser->upgrade)
        return fail(connection, HTTP_STATUS_NOT_IMPLEMENTED);
    enter_phase(connection, PHASE_BODY);
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t size)
{
    struct connection *connection = parser->data;
    (void)at;
    connection->body_size += size;
    return connection->body_size > BODY_SIZE_MAX ? fail(connection, HTTP_STATUS_PAYLOAD_TOO_LARGE)
                                                 : 0;
}

static int on_message_complete(http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->keep_alive =
        http_should_keep_alive(parser) && rota_server_is_serving(connection->service->server);
    connection->phase = PHASE_DONE;
    http_parser_pause(parser, 1); /* one request at a time */
    return 0;
}

static const http_parser_settings callbacks = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- Requests ---- */

/* Which status a parser that gave up deserves. */
static int failure_of(const struct connection *connection)
{
    if (connection->failure != 0)
        return connection->failure;
    return HTTP_PARSER_ERRNO(&connection->parser) == HPE_HEADER_OVERFLOW
               ? HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE
               : HTTP_STATUS_BAD_REQUEST;
}

/* Feeds what has come to the parser and answers each complete request. Returns how much was used,
 * or a negative error; keep_alive says whether to go on. */
static ssize_t feed(struct connection *connection, const char *data, size_t size)
{
    size_t used = 0;
    while (used < size && connection->keep_alive) {
        used += http_parser_execute(&connection->parser, &callbacks, data + used, size - used);
        int r = 0;
        if (connection->phase == PHASE_DONE) {
            http_parser_pause(&connection->parser, 0);
            connection->phase = PHASE_IDLE;
            atomic_fetch_add(&current_share(connection->service)->requests, 1);
            r = route(connection);
        } else if (HTTP_PARSER_ERRNO(&connection->parser) != HPE_OK) {
            return refuse(connection, failure_of(connection));
        }
        if (r < 0)
            return r;
    }
    return (ssize_t)used;
}

/* The instant by which more must have come. */
static int64_t input_deadline(const struct connection *connection)
{
    const struct service *service = connection->service;
    switch (connection->phase) {
    case PHASE_HEAD:
        return connection->phase_began_ns + service->head_timeout_ns;
    case PHASE_BODY:
        return connection->phase_began_ns + service->head_timeout_ns +
               (int64_t)connection->body_size * ROTA_SEC / service->min_rate;
    default:
        return rota_time_ns() + service->idle_timeout_ns;
    }
}

/* Waits for input, as rota_stream_peek(), but not for ever. */
static ssize_t wait_input(struct connection *connection, const char **ret_data)
{
    struct rota_timeout timeout;
    int r = rota_timeout_begin_at(&timeout, input_deadline(connection));
    if (r < 0)
        return r;
    ssize_t n = rota_stream_peek(connection->stream, ret_data, 1);
    r = rota_timeout_end(&timeout, n < 0 ? (int)n : 0);
    return n < 0 ? r : n;
}

/* Serves what one wait has brought. Its batch is on the stack only while there is work. */
static __attribute__((noinline)) int serve_input(struct connection *connection, const char *data,
                                                 size_t size)
{
    char batch[BATCH_SIZE];
    connection->batch = batch;
    connection->batch_size = 0;
    ssize_t used = feed(connection, data, size);
    if (used >= 0 && connection->keep_alive)
        (void)rota_stream_consume(connection->stream, (size_t)used);
    int r = flush_answers(connection);
    connection->batch = NULL;
    return used < 0 ? (int)used : r;
}

/* Tells a peer that was too slow with a request it had begun. */
static __attribute__((noinline)) void refuse_slow(struct connection *connection)
{
    char batch[BATCH_SIZE];
    connection->batch = batch;
    connection->batch_size = 0;
    if (refuse(connection, HTTP_STATUS_REQUEST_TIMEOUT) == 0)
        (void)flush_answers(connection);
    connection->batch = NULL;
}

/*
 * Says that nothing more comes, and takes in what is on its way for a while: a descriptor that is
 * closed with input unread resets the connection, and the peer may lose the answer.
 */
static __attribute__((noinline)) void linger(struct connection *connection)
{
    struct rota_timeout timeout;
    char rest[4096];
    size_t taken = 0;
    ssize_t n = 1;
    if (rota_stream_write_eof(connection->stream) < 0 ||
        rota_timeout_begin(&timeout, LINGER_NS) < 0)
        return;
    while (n > 0 && taken < BODY_SIZE_MAX) {
        n = rota_stream_read(connection->stream, rest, sizeof rest);
        taken += n > 0 ? (size_t)n : 0;
    }
    (void)rota_timeout_end(&timeout, (int)(n < 0 ? n : 0));
}

int serve_connection(struct rota_stream *stream, void *arg)
{
    struct connection connection = {.service = arg, .stream = stream, .keep_alive = true};
    const char *data;
    http_parser_init(&connection.parser, HTTP_REQUEST);
    connection.parser.data = &connection;
    atomic_fetch_add(&current_share(connection.service)->connections, 1);
    int r = 0;
    while (r == 0 && connection.keep_alive) {
        ssize_t n = wait_input(&connection, &data);
        if (n <= 0) {
            r = (int)n;
            break;
        }
        r = serve_input(&connection, data, (size_t)n);
    }
    if (r == -ETIMEDOUT && connection.phase != PHASE_IDLE)
        refuse_slow(&connection);
    if (connection.lingers)
        linger(&connection);
    /* Peers that go away, or are too slow, are no failure of the service. */
    return r == -ECANCELED ? r : 0;
}
