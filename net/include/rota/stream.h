/* SPDX-License-Identifier: MIT */
/*
 * stream.h - buffered streams of bytes over TCP and unix sockets.
 *
 * A stream is used from tasks, on whatever loop they are: one task at a time may read, any number
 * may write (the bytes of one write stay together), and any task may close it. What the kernel does
 * not take at once is buffered and sent in the background; a writer is held up while more than the
 * high-water mark is buffered. A stream that waits for input owns no buffer.
 *
 * A failure of the connection ends the stream: what was buffered is dropped, the descriptor is
 * closed, and every call answers with that error from then on. After rota_stream_close() and
 * rota_stream_abort() they answer ROTA_ECLOSED. Calls are limited in time by a rota_timeout scope.
 */
#ifndef ROTA_STREAM_H
#define ROTA_STREAM_H

#include <rota/addr.h>
#include <rota/base.h>
#include <rota/error.h>

#include <sys/uio.h>

ROTA_BEGIN_DECLS

#define ROTA_STREAM_READ_LIMIT ((size_t)64 << 10) /* default: bytes before a separator */
#define ROTA_STREAM_HIGH ((size_t)64 << 10)       /* default: writers wait above it */
#define ROTA_STREAM_LOW ((size_t)16 << 10)        /* default: and go on at it */
#define ROTA_STREAM_CLOSE_NS (30 * ROTA_SEC)      /* default: what a close may take */

/* For rota_stream_set_limits(): follows from the other one. */
#define ROTA_LIMIT_AUTO SIZE_MAX

/* Zero in any field means its default; a NULL opts means all defaults. Copied by the callee. */
struct rota_stream_opts {
    size_t read_limit;        /* ROTA_STREAM_READ_LIMIT; see rota_stream_set_read_limit() */
    size_t high;              /* ROTA_STREAM_HIGH, or 4 * low where low is given */
    size_t low;               /* high / 4 */
    int64_t close_timeout_ns; /* ROTA_STREAM_CLOSE_NS: then the rest is dropped */
    bool delay;               /* TCP: leave Nagle's algorithm on */
};

/* ---- Life ---- */

/*
 * Connect to `addr`. TCP connections send small writes at once (TCP_NODELAY).
 *
 * Returns: 0 with *ret_stream set.
 * Errors: -EINVAL (NULL, no address, bad options), -ENOMEM, those of the connection (-ECONNREFUSED,
 * -ETIMEDOUT, -ENOENT, ...), -EMFILE and other errors of socket(2), -ECANCELED (nothing is left
 * behind), ROTA_ENOTASK. *ret_stream is untouched on error.
 * Call from: any task. Suspends: yes.
 * Ownership: the caller holds one reference, ended by rota_stream_unref(); `addr` is only read.
 * Source: asyncio.open_connection.
 */
ROTA_API ROTA_SUSPENDS int rota_stream_connect(struct rota_stream **ret_stream,
                                               const struct rota_addr *addr,
                                               const struct rota_stream_opts *opts);

/*
 * Take over a connected, non-blocking stream socket.
 *
 * Returns: 0 with *ret_stream set.
 * Errors: -EINVAL (NULL, not a stream socket, bad options), -EBADF, -ENOTSOCK, -ENOTCONN, -ENOMEM,
 * -EEXIST (it is a stream already), ROTA_ENOLOOP. *ret_stream is untouched on error, and `fd` the
 * caller's. Call from: a loop's thread, in a task or a callback. Suspends: no. Ownership: the
 * stream owns `fd`; the caller holds one reference. Source: asyncio.open_connection with a socket.
 */
ROTA_API int rota_stream_from_fd(struct rota_stream **ret_stream, int fd,
                                 const struct rota_stream_opts *opts);

/*
 * One more counted reference.
 *
 * Returns: `stream`.
 * Errors: none; NULL is passed through.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the caller must end the new reference by rota_stream_unref().
 */
ROTA_API struct rota_stream *rota_stream_ref(struct rota_stream *stream);

/*
 * End one reference. The last one closes the stream as rota_stream_close() does: what is buffered
 * is still sent.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread of the runtime; after the run, any thread. Suspends: no.
 * Ownership: takes the caller's reference.
 */
ROTA_API void rota_stream_unref(struct rota_stream *stream);

/*
 * Stop reading now, send what is buffered in the background, then close the descriptor; at the
 * latest after the close timeout. Tasks that read or drain are woken with ROTA_ECLOSED. Closing
 * again does nothing. When the run ends, what is still buffered is dropped:
 * rota_stream_wait_closed() tells when it is gone.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored. Those of the sending are told by rota_stream_wait_closed().
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio StreamWriter.close.
 */
ROTA_API void rota_stream_close(struct rota_stream *stream);

/*
 * Close the descriptor now and drop what is buffered, also in the middle of a close.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Transport.abort.
 */
ROTA_API void rota_stream_abort(struct rota_stream *stream);

/*
 * Wait until the stream is closed, by whomever. Several tasks may wait.
 *
 * Returns: 0 when all that was written has been sent, or the stream was aborted.
 * Errors: what ended the stream (-ECONNRESET, -EPIPE, -ETIMEDOUT for the close timeout, ...);
 * ROTA_ESTOP (the run ended with something unsent); -ECANCELED, ROTA_ENOTASK, -EINVAL (NULL).
 * Call from: any task; any thread of the runtime once it is closed. Suspends: yes.
 * Ownership: the reference stays the caller's. Source: asyncio StreamWriter.wait_closed.
 */
ROTA_API ROTA_SUSPENDS int rota_stream_wait_closed(struct rota_stream *stream);

/*
 * Whether the stream was closed or aborted, or has failed.
 *
 * Returns: true from then on.
 * Errors: none; true for NULL.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio StreamWriter.is_closing.
 */
ROTA_API bool rota_stream_is_closing(const struct rota_stream *stream);

/* ---- Reading ---- */

/*
 * Receive 1 to `size` bytes, as soon as there are any: from the stream's buffer first, else
 * straight into `buffer`. Size 0 returns 0 at once.
 *
 * Returns: the number of bytes; 0 at the end of the stream only.
 * Errors: -EINVAL (NULL), -EBUSY (another task reads), ROTA_ECLOSED, the connection's error,
 * -ECANCELED (nothing was consumed), ROTA_ENOTASK.
 * Call from: any task; any callback where nothing is to be waited for. Suspends: yes.
 * Ownership: `buffer` is the caller's. Source: asyncio StreamReader.read.
 */
ROTA_API ROTA_SUSPENDS ssize_t rota_stream_read(struct rota_stream *stream, void *buffer,
                                                size_t size);

/*
 * Receive exactly `size` bytes. The read limit does not apply.
 *
 * Returns: `size`.
 * Errors: as rota_stream_read(), and ROTA_EINCOMPLETE (the stream ended first), -ENOMEM. What has
 * come stays in the stream's buffer on every error but the connection's: rota_stream_buffered()
 * tells how much.
 * Call from: any task; any callback where nothing is to be waited for. Suspends: yes.
 * Ownership: `buffer` is the caller's. Source: asyncio StreamReader.readexactly.
 */
ROTA_API ROTA_SUSPENDS ssize_t rota_stream_readexactly(struct rota_stream *stream, void *buffer,
                                                       size_t size);

/*
 * Receive all up to and with the separator, `sep_size` bytes at `sep`. At most the read limit, and
 * what fits into `size` bytes, may come before the separator.
 *
 * Returns: the number of bytes in `buffer`, the separator's with them.
 * Errors: as rota_stream_read(), and -EINVAL (no separator, or one that does not fit), -ENOMEM,
 * ROTA_EINCOMPLETE (the stream ended first), ROTA_ELIMIT. What has come stays in the stream's
 * buffer on every error but the connection's. Call from: any task; any callback where nothing is to
 * be waited for. Suspends: yes. Ownership: `buffer` is the caller's. Source: asyncio
 * StreamReader.readuntil.
 */
ROTA_API ROTA_SUSPENDS ssize_t rota_stream_readuntil(struct rota_stream *stream, const void *sep,
                                                     size_t sep_size, void *buffer, size_t size);

/*
 * Receive one line, its newline with it; at the end of the stream what is there, 0 for nothing. No
 * terminating NUL is added, as lines may contain some.
 *
 * Returns: the number of bytes in `buffer`; 0 at the end of the stream only.
 * Errors: as rota_stream_readuntil(), but never ROTA_EINCOMPLETE. With ROTA_ELIMIT the line is
 * dropped; where its end has not come yet, what has come is.
 * Call from: any task; any callback where nothing is to be waited for. Suspends: yes.
 * Ownership: `buffer` is the caller's. Source: asyncio StreamReader.readline.
 */
ROTA_API ROTA_SUSPENDS ssize_t rota_stream_readline(struct rota_stream *stream, char *buffer,
                                                    size_t size);

/*
 * Wait until at least `min` bytes (0 counts as 1) are buffered, and look at them in place. Until
 * input comes the stream holds no memory.
 *
 * Returns: the number of bytes at *ret_data; fewer than `min` at the end of the stream only, and 0
 * when nothing is left.
 * Errors: as rota_stream_read(), and ROTA_ELIMIT (`min` is above the read limit), -ENOMEM.
 * *ret_data is untouched on error.
 * Call from: any task; any callback where nothing is to be waited for. Suspends: yes.
 * Ownership: *ret_data is the stream's, until the next call that reads, peeks or consumes.
 */
ROTA_API ROTA_SUSPENDS ssize_t rota_stream_peek(struct rota_stream *stream, const char **ret_data,
                                                size_t min);

/*
 * Drop the first `size` bytes of the buffer, which were seen by rota_stream_peek().
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL, or more than is buffered), -EBUSY (another task reads).
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: what rota_stream_peek() gave is invalid afterwards.
 */
ROTA_API int rota_stream_consume(struct rota_stream *stream, size_t size);

/*
 * How many bytes have been received and not been read.
 *
 * Returns: the number.
 * Errors: -EINVAL (NULL), -EBUSY (another task reads).
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's.
 */
ROTA_API ssize_t rota_stream_buffered(struct rota_stream *stream);

/*
 * Whether the end of the stream has been received and nothing is buffered.
 *
 * Returns: true once it is so; false while another task reads.
 * Errors: none; true for NULL.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio StreamReader.at_eof.
 */
ROTA_API bool rota_stream_at_eof(struct rota_stream *stream);

/*
 * Set how many bytes may come before a separator, and how many may be peeked at.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL, or 0), -EBUSY (another task reads).
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: the limit of asyncio.StreamReader.
 */
ROTA_API int rota_stream_set_read_limit(struct rota_stream *stream, size_t limit);

/* ---- Writing ---- */

/*
 * Send `size` bytes: all are accepted, what the kernel does not take at once is copied. If more
 * than the high-water mark is buffered then, wait until no more than the low one is. Where it was
 * so before, that is waited for first, with nothing accepted.
 *
 * Returns: `size`. A request of cancellation that comes once the bytes are accepted does not change
 * that, and stays pending. In a callback there is no wait.
 * Errors: -EINVAL (NULL, or more than SSIZE_MAX bytes), ROTA_ECLOSED, ROTA_ESTATE (after
 * rota_stream_write_eof()), the connection's error; -ENOMEM (nothing was sent; or part was, and the
 * stream has ended); -ECANCELED (nothing was accepted); ROTA_ENOTASK (the same, in a callback);
 * ROTA_ESTOP (the runtime has stopped).
 * Call from: any task or callback of the runtime. Suspends: yes.
 * Ownership: `data` is the caller's again at once. Source: asyncio StreamWriter.write and drain.
 */
ROTA_API ROTA_SUSPENDS ssize_t rota_stream_write(struct rota_stream *stream, const void *data,
                                                 size_t size);

/*
 * The same for `count` pieces, in order and together.
 *
 * Returns: the sum of their sizes.
 * Errors: as rota_stream_write(), and -EINVAL (more than ROTA_STREAM_PIECES_MAX pieces).
 * Call from: any task or callback of the runtime. Suspends: yes.
 * Ownership: as rota_stream_write(). Source: asyncio StreamWriter.writelines and drain.
 */
ROTA_API ROTA_SUSPENDS ssize_t rota_stream_writev(struct rota_stream *stream,
                                                  const struct iovec *pieces, int count);
#define ROTA_STREAM_PIECES_MAX 1024

/*
 * Wait while writers are held up. Several tasks may wait; all go on.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL), ROTA_ECLOSED, the connection's error, -ECANCELED, ROTA_ENOTASK.
 * Call from: any task; any callback where nothing is to be waited for. Suspends: yes.
 * Ownership: the reference stays the caller's. Source: asyncio StreamWriter.drain.
 */
ROTA_API ROTA_SUSPENDS int rota_stream_drain(struct rota_stream *stream);

/*
 * Tell the peer, behind all that was written, that nothing more will come. Reading goes on. Asking
 * again, or after a close, does nothing.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL), the connection's error.
 * Call from: any task or callback of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio StreamWriter.write_eof.
 */
ROTA_API int rota_stream_write_eof(struct rota_stream *stream);

/*
 * Set the marks between which writers are held up: above `high` bytes buffered they wait, at `low`
 * they go on. Takes effect at once. ROTA_LIMIT_AUTO for one: high is 4 * low, low is high / 4; for
 * both: the defaults. High 0 holds writers up until all is sent.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL, or high < low).
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio set_write_buffer_limits.
 */
ROTA_API int rota_stream_set_limits(struct rota_stream *stream, size_t high, size_t low);

/* ---- Questions ---- */

/*
 * How many bytes were written and not yet taken by the kernel.
 *
 * Returns: the number; 0 for NULL.
 * Errors: none.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio get_write_buffer_size.
 */
ROTA_API size_t rota_stream_unsent(struct rota_stream *stream);

/*
 * The address of this end.
 *
 * Returns: 0 with *ret_addr set.
 * Errors: -EINVAL (NULL), ROTA_ECLOSED (the descriptor is closed). *ret_addr is then untouched.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: *ret_addr is the caller's. Source: asyncio get_extra_info('sockname').
 */
ROTA_API int rota_stream_local_addr(struct rota_stream *stream, struct rota_addr *ret_addr);

/*
 * The address of the peer. For IPv4 and IPv6 it is known after the end of the connection too.
 *
 * Returns: 0 with *ret_addr set.
 * Errors: -EINVAL (NULL), -ENOTCONN (it was never known), ROTA_ECLOSED (a unix socket, closed).
 * *ret_addr is then untouched.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: *ret_addr is the caller's. Source: asyncio get_extra_info('peername').
 */
ROTA_API int rota_stream_peer_addr(struct rota_stream *stream, struct rota_addr *ret_addr);

/*
 * The descriptor, for getsockopt(2) and the like: not to be read, written, closed, or used once the
 * stream may be closed by anybody.
 *
 * Returns: the descriptor.
 * Errors: -EINVAL (NULL), ROTA_ECLOSED (it is closed).
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: borrowed from the stream. Source: asyncio get_extra_info('socket').
 */
ROTA_API int rota_stream_fd(const struct rota_stream *stream);

ROTA_END_DECLS

#endif
