/* SPDX-License-Identifier: MIT */
/*
 * stream.cc - fuzz target: what a stream makes of bytes that come in pieces, and what it sends.
 *
 * An input is sizes of segments, operations, and the bytes that a peer sends over a socket pair in
 * those segments; there is one loop. The operations are all calls that read, look, drop and write,
 * some of them cut off by a timeout or by a lack of memory.
 *
 * Oracle: the whole string of what is sent. How it was cut must make no difference to what a call
 * returns, but where the call says so. After each call the position in the string is the one that
 * follows from its result, where what the stream has consumed is reckoned from outside: what was
 * sent, less what lies in the kernel, less what is buffered. What is written arrives as it was.
 */
#include <rota/stream.h>
#include <rota/task.h>
#include <rota/timeout.h>

#include "tests/fuzz/runs.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr size_t SENT_MAX = 300000; /* more than a block that is lent, and than a socket holds */
constexpr size_t WRITTEN_MAX = 400000;

int allocations_left = -1; /* the one after so many fails; -1: none */

bool may_allocate(size_t)
{
    return allocations_left != 0 && (allocations_left < 0 || allocations_left-- > 0);
}

/* A size of one byte: most are small. */
size_t size_of(uint8_t byte)
{
    return byte < 200 ? byte : size_t{32} << ((byte - 200) / 4);
}

/* What is written, from one place on. */
std::string_view pattern(size_t from, size_t size)
{
    static const std::string all = [] {
        std::string text(WRITTEN_MAX, '\0');
        for (size_t i = 0; i < text.size(); i++)
            text[i] = static_cast<char>(i * 31 + (i >> 8));
        return text;
    }();
    return std::string_view(all).substr(from, size);
}

/* Memory of just that size, not filled. */
std::unique_ptr<char[]> memory(size_t size)
{
    return std::make_unique_for_overwrite<char[]>(size);
}

/* ---- The peer ---- */

struct Peer {
    int fd = -1;
    std::string sends;
    fuzz_input segments = {};
    size_t sent = 0;
    bool end_sent = false;
    bool broken = false; /* the stream was closed with input unread */
    std::string received;

    static int body(void *arg)
    {
        auto *peer = static_cast<Peer *>(arg);
        while (peer->receive()) {
            bool fed = peer->segments.size == 0;
            uint8_t byte = fuzz_byte(&peer->segments);
            size_t size = fed ? peer->sends.size() : 1 + size_of(fuzz_byte(&peer->segments));
            bool blocked = !peer->send_some(size);
            if (blocked || fed || byte % 4 >= 2)
                fuzz::let_poll();
            else if (byte % 4 == 1)
                FUZZ_ASSERT(rota_yield() == 0);
        }
        return 0;
    }

    /* False: the stream was closed, and all that it sent was received. */
    bool receive()
    {
        char buffer[4096];
        ssize_t n;
        while ((n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
            received.append(buffer, static_cast<size_t>(n));
        broken = n < 0 && errno == ECONNRESET;
        return n < 0 && errno == EAGAIN;
    }

    /* False: there is no room. The end is sent behind the last byte. */
    bool send_some(size_t size)
    {
        size_t left = sends.size() - sent;
        ssize_t n = left == 0 ? 0
                              : send(fd, sends.data() + sent, std::min(size, left),
                                     MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            sent += static_cast<size_t>(n);
        if (sent == sends.size() && !end_sent) {
            end_sent = true;
            (void)shutdown(fd, SHUT_WR);
        }
        return n >= 0;
    }
};

/* ---- The stream's user, and the oracle ---- */

class User {
public:
    User(rota_stream *stream, Peer *peer, fuzz_input *operations)
        : stream_(stream), peer_(peer), operations_(operations), all_(peer->sends)
    {
    }

    void run()
    {
        while (operations_->size > 0 && !ended_)
            step();
        if (!ended_ && all_.size() % 2 == 0)
            read_all();
    }

    /* What has arrived at the peer is what was written: all of it, unless that was cut off. */
    void check_written() const
    {
        const std::string &received = peer_->received;
        FUZZ_ASSERT(received.size() <= written_ + unsure_);
        FUZZ_ASSERT(
            std::memcmp(received.data(), pattern(0, received.size()).data(), received.size()) == 0);
        FUZZ_ASSERT(ended_ || peer_->broken || received.size() == written_);
    }

    bool ended() const
    {
        return ended_;
    }

private:
    /* What has come to the stream and was not dropped or given to the program. */
    void check_position() const
    {
        int queued = 0;
        int fd = rota_stream_fd(stream_);
        ssize_t buffered = rota_stream_buffered(stream_);
        FUZZ_ASSERT(fd >= 0 && buffered >= 0 && ioctl(fd, FIONREAD, &queued) == 0);
        FUZZ_ASSERT(position_ + static_cast<size_t>(buffered) + static_cast<size_t>(queued) ==
                    peer_->sent);
        FUZZ_ASSERT(!rota_stream_at_eof(stream_) || position_ == all_.size());
    }

    size_t left() const
    {
        return all_.size() - position_;
    }

    /* Bytes were given: they are the next ones. */
    void consume(std::string_view given)
    {
        FUZZ_ASSERT(given.size() <= left());
        FUZZ_ASSERT(std::memcmp(all_.data() + position_, given.data(), given.size()) == 0);
        position_ += given.size();
    }

    void step()
    {
        uint8_t byte = fuzz_byte(operations_);
        rota_timeout timeout = {};
        bool is_limited = byte / 16 % 4 == 1;
        bool is_short = byte / 16 % 4 == 2;
        if (is_limited)
            FUZZ_ASSERT(rota_timeout_begin(&timeout, byte >= 128 ? 0 : 5 * ROTA_US) == 0);
        allocations_left = is_short ? byte / 128 : -1;
        ssize_t n = operate(byte % 16);
        bool was_short = allocations_left == 0;
        allocations_left = -1;
        FUZZ_ASSERT(n != -ENOMEM || was_short);
        if (is_limited) {
            int r = rota_timeout_end(&timeout, n < 0 ? static_cast<int>(n) : 0);
            FUZZ_ASSERT(n != -ECANCELED || r == -ETIMEDOUT);
        } else {
            FUZZ_ASSERT(n != -ECANCELED);
        }
        if (!ended_)
            check_position();
    }

    /* Whether a call has failed by no doing of its own, and so has consumed nothing. */
    static bool is_disturbed(ssize_t n)
    {
        return n == -ECANCELED || n == -ENOMEM;
    }

    ssize_t operate(unsigned choice)
    {
        size_t size = size_of(fuzz_byte(operations_));
        switch (choice) {
        case 0:
        case 1:
            return read(size);
        case 2:
        case 3:
            return read_exactly(size);
        case 4:
        case 5:
        case 6:
            return read_until(size);
        case 7:
        case 8:
        case 9:
            return read_line(size);
        case 10:
        case 11:
            return peek(size);
        case 12:
            return drop(size);
        case 13:
            return set_limit(size);
        case 14:
            return write(size);
        default:
            return set_marks(size);
        }
    }

    ssize_t read(size_t size)
    {
        std::unique_ptr<char[]> buffer = memory(size);
        ssize_t n = rota_stream_read(stream_, buffer.get(), size);
        if (is_disturbed(n))
            return n;
        FUZZ_ASSERT(n >= 0 && static_cast<size_t>(n) <= size);
        FUZZ_ASSERT((n == 0) == (size == 0 || left() == 0));
        consume({buffer.get(), static_cast<size_t>(n)});
        return n;
    }

    ssize_t read_exactly(size_t size)
    {
        std::unique_ptr<char[]> buffer = memory(size);
        ssize_t n = rota_stream_readexactly(stream_, buffer.get(), size);
        if (is_disturbed(n))
            return n;
        if (size > left()) {
            FUZZ_ASSERT(n == ROTA_EINCOMPLETE);
            return n;
        }
        FUZZ_ASSERT(n == static_cast<ssize_t>(size));
        consume({buffer.get(), size});
        return n;
    }

    /* A separator that occurs, or a usual one, or any. */
    std::string separator()
    {
        static const char *const usual[] = {"\n", "\r\n", "\r\n\r\n", "aa"};
        uint8_t byte = fuzz_byte(operations_);
        size_t size = 1 + (byte >> 2) % 8;
        if (byte % 4 == 0 || all_.empty())
            return usual[(byte >> 2) % 4];
        return all_.substr((position_ + fuzz_number(operations_, 2)) % all_.size(), size);
    }

    /* What a search for `sep` must come to: the bytes up to its end, or an error. */
    ssize_t search(const std::string &sep, size_t size) const
    {
        size_t before_max = std::min(size - sep.size(), limit_);
        size_t found = all_.find(sep, position_);
        if (found != all_.npos)
            return found - position_ <= before_max
                       ? static_cast<ssize_t>(found - position_ + sep.size())
                       : static_cast<ssize_t>(ROTA_ELIMIT);
        return left() >= sep.size() + before_max ? ROTA_ELIMIT : ROTA_EINCOMPLETE;
    }

    ssize_t read_until(size_t size)
    {
        std::string sep = separator();
        std::unique_ptr<char[]> buffer = memory(size);
        ssize_t n = rota_stream_readuntil(stream_, sep.data(), sep.size(), buffer.get(), size);
        if (is_disturbed(n))
            return n;
        FUZZ_ASSERT(n == (sep.size() > size ? -EINVAL : search(sep, size)));
        if (n > 0)
            consume({buffer.get(), static_cast<size_t>(n)});
        return n;
    }

    ssize_t read_line(size_t size)
    {
        std::unique_ptr<char[]> buffer = memory(size);
        ssize_t n = rota_stream_readline(stream_, buffer.get(), size);
        if (is_disturbed(n))
            return n;
        ssize_t expected = size == 0 ? -EINVAL : search("\n", size);
        if (expected == ROTA_EINCOMPLETE)
            expected = static_cast<ssize_t>(left());
        FUZZ_ASSERT(n == expected);
        if (n > 0)
            consume({buffer.get(), static_cast<size_t>(n)});
        else if (n == ROTA_ELIMIT)
            drop_line(std::min(size - 1, limit_));
        return n;
    }

    /* The line is dropped to its end, or, where that has not come, all that has. */
    void drop_line(size_t before_max)
    {
        int queued = 0;
        size_t end = std::min(all_.find('\n', position_), all_.size() - 1) + 1;
        FUZZ_ASSERT(ioctl(rota_stream_fd(stream_), FIONREAD, &queued) == 0);
        size_t come = peer_->sent - static_cast<size_t>(queued);
        size_t dropped = come - static_cast<size_t>(rota_stream_buffered(stream_)) - position_;
        FUZZ_ASSERT(dropped > before_max);
        FUZZ_ASSERT(position_ + dropped == std::min(end, come));
        position_ += dropped;
    }

    ssize_t peek(size_t min)
    {
        const char *data = nullptr;
        ssize_t n = rota_stream_peek(stream_, &data, min);
        min = std::max<size_t>(min, 1);
        if (is_disturbed(n))
            return n;
        if (min > limit_) {
            FUZZ_ASSERT(n == ROTA_ELIMIT && data == nullptr);
            return n;
        }
        FUZZ_ASSERT(n >= static_cast<ssize_t>(std::min(min, left())));
        FUZZ_ASSERT(static_cast<size_t>(n) <= left());
        FUZZ_ASSERT(std::memcmp(data, all_.data() + position_, static_cast<size_t>(n)) == 0);
        FUZZ_ASSERT(rota_stream_buffered(stream_) == n);
        return n;
    }

    ssize_t drop(size_t size)
    {
        auto buffered = static_cast<size_t>(rota_stream_buffered(stream_));
        int r = rota_stream_consume(stream_, size);
        FUZZ_ASSERT(r == (size <= buffered ? 0 : -EINVAL));
        if (r == 0)
            position_ += size;
        return r;
    }

    ssize_t set_limit(size_t size)
    {
        int r = rota_stream_set_read_limit(stream_, size);
        FUZZ_ASSERT(r == (size > 0 ? 0 : -EINVAL));
        if (r == 0)
            limit_ = size;
        return r;
    }

    /* In one piece or in two. What was not accepted is not sent. */
    ssize_t write(size_t size)
    {
        if (written_ + size > WRITTEN_MAX)
            return 0;
        std::string_view text = pattern(written_, size);
        size_t first = size / 3;
        char *data = const_cast<char *>(text.data()); /* iovec is for reading, too */
        iovec pieces[2] = {{data, first}, {data + first, size - first}};
        ssize_t n = size % 2 == 0 ? rota_stream_write(stream_, text.data(), size)
                                  : rota_stream_writev(stream_, pieces, 2);
        if (n == -ENOMEM && rota_stream_is_closing(stream_)) { /* part of it was sent */
            ended_ = true;
            unsure_ = size;
        }
        if (is_disturbed(n))
            return n;
        FUZZ_ASSERT(n == static_cast<ssize_t>(size));
        written_ += size;
        return n;
    }

    ssize_t set_marks(size_t size)
    {
        FUZZ_ASSERT(rota_stream_set_limits(stream_, size, size / 2) == 0);
        return 0;
    }

    void read_all()
    {
        char buffer[5000];
        ssize_t n;
        while ((n = rota_stream_read(stream_, buffer, sizeof buffer)) > 0)
            consume({buffer, static_cast<size_t>(n)});
        FUZZ_ASSERT(n == 0 && left() == 0 && rota_stream_at_eof(stream_));
    }

    rota_stream *stream_;
    Peer *peer_;
    fuzz_input *operations_;
    const std::string &all_;
    size_t position_ = 0;
    size_t limit_ = ROTA_STREAM_READ_LIMIT;
    size_t written_ = 0;
    size_t unsure_ = 0;  /* behind what was written: may have been sent */
    bool ended_ = false; /* the stream has ended, as memory ran out in the midst of a write */
};

int converse(void *arg)
{
    auto *input = static_cast<fuzz_input *>(arg);
    Peer peer;
    rota_stream *stream = nullptr;
    rota_task *task = nullptr;
    int fds[2];
    size_t copies = 1 + fuzz_byte(input) % 64;
    fuzz_input operations = {input->data, 0};
    peer.segments.size = std::min<size_t>(fuzz_byte(input), input->size);
    peer.segments.data = input->data;
    input->data += peer.segments.size;
    input->size -= peer.segments.size;
    operations.size = std::min<size_t>(2 * size_t{fuzz_byte(input)}, input->size);
    operations.data = input->data;
    std::string_view text(reinterpret_cast<const char *>(input->data) + operations.size,
                          input->size - operations.size);
    while (copies-- > 0 && peer.sends.size() + text.size() <= SENT_MAX)
        peer.sends += text;

    FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    peer.fd = fds[1];
    FUZZ_ASSERT(rota_stream_from_fd(&stream, fds[0], nullptr) == 0);
    FUZZ_ASSERT(rota_task_spawn(&task, Peer::body, &peer, nullptr) == 0);
    User user(stream, &peer, &operations);
    user.run();
    rota_stream_close(stream);
    FUZZ_ASSERT(rota_task_await(task, nullptr) == 0);
    user.check_written();
    FUZZ_ASSERT(rota_stream_wait_closed(stream) == 0 || peer.broken || user.ended());
    rota_task_unref(task);
    rota_stream_unref(stream);
    close(fds[1]);
    return 0;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    roti_alloc_set_hook(may_allocate);
    fuzz::run(converse, &input);
    roti_alloc_set_hook(nullptr);
    return 0;
}
