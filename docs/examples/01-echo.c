/* SPDX-License-Identifier: MIT */
/*
 * 01-echo.c - an echo server on every core, which drains on SIGTERM.
 *
 * serve_forever returns when the server has stopped and its last client is gone. The reference that
 * rota_server_create() gives is left to the end of the run. SIGINT, as ^C sends it, closes the
 * server and its clients at once; that is no failure to report, and the status says it as a shell
 * and an interrupted asyncio do.
 */
#include <rota/rota.h>
#include <signal.h>
#include <stdio.h>

static int echo(struct rota_stream *stream, void *arg)
{
    char buf[1024];
    ssize_t n;
    (void)arg;
    while ((n = rota_stream_read(stream, buf, sizeof buf)) > 0)  /* suspends this task only */
        if ((n = rota_stream_write(stream, buf, (size_t)n)) < 0) /* and above the high mark */
            break;
    return (int)n;
}

static int serve(void *arg)
{
    struct rota_addr addr;
    struct rota_server *server;
    int r = rota_addr_parse(&addr, arg);
    if (r == 0)
        r = rota_server_create(&server, &addr, echo, NULL, NULL); /* serves on every loop */
    return r < 0 ? r : rota_server_serve_forever(server);         /* SIGTERM drains */
}

int main(void)
{
    int r = rota_run(serve, "127.0.0.1:8080", NULL);
    if (r == ROTA_EINTERRUPT)
        return 128 + SIGINT;
    if (r < 0)
        fprintf(stderr, "echo: %s (%s)\n", rota_strerror(r), rota_error_name(r));
    return r < 0;
}
