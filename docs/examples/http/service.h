/* SPDX-License-Identifier: MIT */
/*
 * service.h - an HTTP/1.1 service to start from: what its files share.
 *
 *   main.c        options, the server, the graceful stop
 *   connection.c  one connection: requests in, answers out, limits of time and size
 *   routes.c      what is answered
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <rota/rota.h>

#include <http_parser.h>
#include <stdatomic.h>

#define LOOPS_MAX 256
#define URL_SIZE 1024         /* a longer one is answered 414 */
#define HEADER_SIZE_MAX 8192  /* more than that in one request's head is answered 431 */
#define BODY_SIZE_MAX 1048576 /* a longer one is answered 413 */
#define LINGER_NS ROTA_SEC    /* for what a refused peer is still sending */
#define BATCH_SIZE 16384      /* answers to pipelined requests are sent together */

/* What one loop has served. Each on a cache line of its own. */
struct share {
    _Alignas(64) atomic_ullong connections;
    atomic_ullong requests;
};

struct service {
    int root_fd; /* of static files; -1: there are none */
    int64_t head_timeout_ns;
    int64_t idle_timeout_ns;
    int64_t min_rate; /* bytes per second, of bodies and of answers taken */
    struct rota_server *server;
    struct share shares[LOOPS_MAX];
};

/* Where the parser is in a connection's present request. */
enum phase {
    PHASE_IDLE, /* no byte of it has come */
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_DONE, /* it is complete and wants an answer */
};

struct connection {
    struct service *service;
    struct rota_stream *stream;
    http_parser parser;
    enum phase phase;
    int64_t phase_began_ns;
    uint64_t body_size; /* received of it */
    int failure;        /* an HTTP status that ends the connection; 0: none */
    bool keep_alive;
    bool lingers; /* it was refused, and may be sending still */
    size_t url_size;
    char url[URL_SIZE];
    char *batch; /* answers not sent yet; memory of the caller while it feeds the parser */
    size_t batch_size;
};

/* The body of a connection's task: rota_client_fn, with the service as its argument. */
int serve_connection(struct rota_stream *stream, void *service);

/* Queues an answer, and sends what is queued when it is full. 0 or a negative error. */
int answer(struct connection *connection, int status, const char *type, const void *body,
           size_t size);

/* Sends what is queued. 0 or a negative error. */
int flush_answers(struct connection *connection);

/* Sends the head of an answer whose body of `size` bytes the caller sends by send_all(). */
int answer_head(struct connection *connection, int status, const char *type, uint64_t size);

/* Sends bytes to a peer that must take them at the minimum rate. 0 or a negative error. */
int send_all(struct connection *connection, const void *data, size_t size);

/* Answers the request that the parser has completed. 0 or a negative error. */
int route(struct connection *connection);

/* The present loop's share. */
static inline struct share *current_share(struct service *service)
{
    return &service->shares[rota_loop_index(rota_running_loop())];
}

#endif
