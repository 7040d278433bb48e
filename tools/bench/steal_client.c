/* SPDX-License-Identifier: MIT */
/*
 * steal_client.c - the client of the stall generator: one thread, a connection for each user.
 */
#include "tools/bench/steal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define CONNECT_TIMEOUT_S 10      /* the server is there, and answers its first message */
#define DRAIN_NS ROTA_SEC         /* for answers that are late */
#define BLOCKED_NS (20 * ROTA_MS) /* after so long the endless stall has begun */

struct connection {
    int fd; /* 0: none */
    size_t got;
    struct steal_message answer;
};

struct client {
    const struct steal_plan *plan;
    struct steal_seen *seen;
    int epoll;
    unsigned outstanding;
    struct connection connections[STEAL_USERS]; /* of the user with the same index */
    struct steal_users users;
};

static int64_t now_ns(void)
{
    return bench_clock_ns(CLOCK_MONOTONIC);
}

/* ---- Connections ---- */

static int connect_to(uint16_t port, int *ret_fd)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = CONNECT_TIMEOUT_S};
    int on = 1;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
        connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    *ret_fd = fd;
    return 0;
}

static int send_message(int fd, uint64_t stall_ns)
{
    struct steal_message message = {.stall_ns = stall_ns};
    ssize_t n = send(fd, &message, sizeof message, MSG_NOSIGNAL);
    /* The one message of the connection that is out: there is room for it. */
    return n == (ssize_t)sizeof message ? 0 : n < 0 ? -errno : -EPROTO;
}

/* The first message of each connection tells whose it is. */
static int introduce(struct client *client)
{
    struct steal_users *users = &client->users;
    for (unsigned i = 0; i < STEAL_USERS; i++) {
        int r = send_message(client->connections[i].fd, 0);
        if (r < 0)
            return r;
    }
    for (unsigned i = 0; i < STEAL_USERS; i++) {
        struct steal_message answer;
        ssize_t n = recv(client->connections[i].fd, &answer, sizeof answer, MSG_WAITALL);
        if (n != (ssize_t)sizeof answer)
            return n < 0 ? -errno : -EPROTO;
        client->seen->home_count += answer.home == 0;
        if (!client->plan->skewed || answer.home == 0)
            users->victims[users->victim_count++] = &users->users[i];
    }
    return 0;
}

static int connect_all(struct client *client, uint16_t port)
{
    for (unsigned i = 0; i < STEAL_USERS; i++) {
        struct connection *connection = &client->connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        int r = connect_to(port, &connection->fd);
        if (r < 0)
            return r;
        if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
            return -errno;
    }
    return introduce(client);
}

/* Blocks one of the server's threads for good, by a connection that nobody counts. */
static int block(uint16_t port)
{
    int fd;
    int r = connect_to(port, &fd);
    if (r == 0)
        r = send_message(fd, STEAL_ENDLESS);
    bench_sleep_ns(BLOCKED_NS);
    return r; /* the descriptor stays open until the process ends */
}

/* ---- Messages ---- */

static int send_of(struct client *client, const struct steal_user *user)
{
    struct connection *connection = &client->connections[user - client->users.users];
    connection->got = 0;
    client->outstanding++;
    return send_message(connection->fd, user->stalled ? STEAL_STALL_NS : 0);
}

static int send_due(struct client *client)
{
    struct steal_user *user;
    int r = 0;
    int64_t now = now_ns();
    while (r == 0 && (user = steal_users_due(&client->users, now)) != NULL)
        r = send_of(client, user);
    return r;
}

static int receive(struct client *client, unsigned index)
{
    struct connection *connection = &client->connections[index];
    struct steal_user *user = &client->users.users[index];
    char *answer = (char *)&connection->answer;
    ssize_t n = recv(connection->fd, answer + connection->got,
                     sizeof connection->answer - connection->got, MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 || !user->out ? -EPROTO : errno == EAGAIN ? 0 : -errno;
    connection->got += (size_t)n;
    if (connection->got < sizeof connection->answer)
        return 0;
    client->outstanding--;
    return steal_users_answered(&client->users, user, now_ns()) ? send_of(client, user) : 0;
}

/* ---- The run ---- */

/* Waits for answers until then, and takes them. */
static int take_answers(struct client *client, int64_t until)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t wait_ns = until - now_ns();
    struct timespec timeout = {0};
    if (wait_ns > 0)
        timeout = (struct timespec){wait_ns / ROTA_SEC, wait_ns % ROTA_SEC};
    int n = epoll_pwait2(client->epoll, events, EVENTS_MAX, &timeout, NULL);
    int r = n < 0 && errno != EINTR ? -errno : 0;
    for (int i = 0; r == 0 && i < n; i++)
        r = receive(client, events[i].data.u32);
    return r;
}

/* Sends and receives until then. */
static int run_until(struct client *client, int64_t until)
{
    int r = 0;
    while (r == 0 && now_ns() < until) {
        r = send_due(client);
        int64_t next = steal_users_next(&client->users);
        if (r == 0)
            r = take_answers(client, next < until ? next : until);
    }
    return r;
}

/* Takes the answers that are late, and gives up in the end. */
static int drain(struct client *client)
{
    int r = 0;
    int64_t until = client->users.end_ns + DRAIN_NS;
    while (r == 0 && client->outstanding > 0 && now_ns() < until)
        r = take_answers(client, until);
    steal_users_end(&client->users, now_ns());
    return r;
}

static int tell(int control, char what)
{
    return send(control, &what, 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int run(struct client *client, int control)
{
    steal_users_start(&client->users, client->plan, client->seen, now_ns());
    int r = run_until(client, client->users.begin_ns);
    if (r == 0)
        r = tell(control, STEAL_BEGIN);
    int64_t before_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (r == 0)
        r = run_until(client, client->users.end_ns);
    client->seen->client_cpu_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before_ns;
    if (r == 0)
        r = tell(control, STEAL_END);
    return r < 0 ? r : drain(client);
}

void steal_client(const struct steal_plan *plan, int control, struct steal_seen *seen)
{
    static struct client client; /* fresh: this process is for one run */
    uint16_t port;
    client.plan = plan;
    client.seen = seen;
    int r = recv(control, &port, sizeof port, MSG_WAITALL) == (ssize_t)sizeof port ? 0 : -EPIPE;
    if (r == 0 && (client.epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        r = -errno;
    if (r == 0)
        r = connect_all(&client, port);
    if (r == 0 && plan->blocked)
        r = block(port);
    if (r == 0)
        r = run(&client, control);
    seen->error = r;
    for (unsigned i = 0; i < STEAL_USERS; i++)
        if (client.connections[i].fd > 0)
            (void)close(client.connections[i].fd);
    (void)tell(control, STEAL_QUIT);
}
