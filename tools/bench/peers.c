/* SPDX-License-Identifier: MIT */
/*
 * peers.c - finding the peers beside rota-bench, asking what they have, running them.
 */
#include "tools/bench/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *packages;
} known_peers[] = {
    {"go", "golang-go"},
    {"tokio", "cargo librust-tokio-dev"},
    {"libuv", "libuv1-dev"},
};

#define PEER_COUNT (sizeof known_peers / sizeof *known_peers)

_Static_assert(PEER_COUNT <= RUN_PEERS_MAX, "every peer has its side");

/* The program of a peer: beside this one. */
static int peer_path(const char *peer, char *ret_path, size_t size)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return -errno;
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    if (snprintf(ret_path, size, "%s/peers/peer-%s", self, peer) >= (int)size)
        return -ENAMETOOLONG;
    return access(ret_path, X_OK) < 0 ? -errno : 0;
}

/* Starts a program with `input`, or with this one's if that is negative; what it prints comes
 * from *ret_output. */
static int start(char *const argv[], int input, pid_t *ret_child, FILE **ret_output)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        if (input >= 0)
            (void)dup2(input, STDIN_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        execv(argv[0], argv);
        _exit(127);
    }
    (void)close(ends[1]);
    FILE *output = child > 0 ? fdopen(ends[0], "r") : NULL;
    if (output == NULL) {
        (void)close(ends[0]);
        return -ENOMEM;
    }
    *ret_child = child;
    *ret_output = output;
    return 0;
}

/* Waits for the end. 0 if the program succeeded. */
static int finish(pid_t child, FILE *output)
{
    int status;
    (void)fclose(output);
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : -EIO;
}

unsigned peers_report_missing(void)
{
    unsigned missing = 0;
    char path[PATH_MAX];
    for (size_t i = 0; i < PEER_COUNT; i++)
        if (peer_path(known_peers[i].name, path, sizeof path) < 0) {
            fprintf(stderr,
                    "rota-bench: the peer %s is not built: install %s, configure again, build "
                    "rota-bench-peers\n",
                    known_peers[i].name, known_peers[i].packages);
            missing++;
        }
    return missing;
}

/* Whether a name that a peer has stands for the bench. */
static bool is_named(const char *bench, const char *name)
{
    size_t length = strlen(name);
    bool is_prefix = length > 0 && name[length - 1] == '.';
    return is_prefix ? strncmp(bench, name, length) == 0 : strcmp(bench, name) == 0;
}

static bool has_bench(const char *peer, const char *bench)
{
    char path[PATH_MAX];
    char line[128];
    bool found = false;
    pid_t child;
    FILE *output;
    if (peer_path(peer, path, sizeof path) < 0)
        return false;
    if (start((char *[]){path, "--list", NULL}, -1, &child, &output) < 0)
        return false;
    while (fgets(line, sizeof line, output) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found = found || is_named(bench, line);
    }
    return finish(child, output) == 0 && found;
}

unsigned peers_with(const char *bench, struct run_side sides[RUN_PEERS_MAX])
{
    unsigned count = 0;
    for (size_t i = 0; i < PEER_COUNT; i++)
        if (has_bench(known_peers[i].name, bench)) {
            sides[count].name = known_peers[i].name;
            sides[count++].count = 0;
        }
    return count;
}

/* Reads up to a line with a value. */
static bool read_value(FILE *output, double *ret_value)
{
    char line[512];
    while (fgets(line, sizeof line, output) != NULL) {
        const char *member = strstr(line, "\"value\":");
        if (member != NULL && sscanf(member + 8, "%lf", ret_value) == 1)
            return true;
    }
    return false;
}

int peer_run(const char *peer, const char *bench, uint64_t n, unsigned loops, double *ret_value)
{
    char path[PATH_MAX];
    char count[32];
    char loop_count[16];
    pid_t child;
    FILE *output;
    int r = peer_path(peer, path, sizeof path);
    if (r < 0)
        return r;
    (void)snprintf(count, sizeof count, "%llu", (unsigned long long)n);
    (void)snprintf(loop_count, sizeof loop_count, "%u", loops);
    r = start((char *[]){path, (char *)bench, count, loop_count, NULL}, -1, &child, &output);
    if (r < 0)
        return r;
    bool found = read_value(output, ret_value);
    r = finish(child, output);
    return r < 0 ? r : found ? 0 : -EBADMSG;
}

/* ---- Peers that serve ---- */

int peer_serve(const char *peer, const char *name, unsigned loops, struct peer_server *ret_server)
{
    char path[PATH_MAX];
    char loop_count[16];
    int ends[2];
    double port;
    struct peer_server server;
    int r = peer_path(peer, path, sizeof path);
    if (r < 0)
        return r;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    (void)snprintf(loop_count, sizeof loop_count, "%u", loops);
    r = start((char *[]){path, (char *)name, "1", loop_count, NULL}, ends[0], &server.child,
              &server.output);
    (void)close(ends[0]);
    if (r < 0) {
        (void)close(ends[1]);
        return r;
    }
    server.input = ends[1];
    if (!read_value(server.output, &port)) {
        peer_stop(&server);
        (void)peer_wait(&server);
        return -EBADMSG;
    }
    server.port = (uint16_t)port;
    *ret_server = server;
    return 0;
}

void peer_stop(struct peer_server *server)
{
    (void)close(server->input);
}

int peer_wait(struct peer_server *server)
{
    return finish(server->child, server->output);
}
