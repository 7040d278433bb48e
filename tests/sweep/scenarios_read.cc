/* SPDX-License-Identifier: MIT */
/*
 * scenarios_read.cc - scenarios of streams that receive: what is cancelled has consumed nothing.
 */
#include "tests/sweep/table.h"
#include "tests/sweep/wire.h"

namespace sweep {

namespace {

using Reader = std::function<ssize_t(rota_stream *stream, char *buffer, std::size_t size)>;

/* What is read, piece by piece. */
struct Reading {
    std::vector<std::string> pieces; /* sent one by one, as the subject waits */
    bool ends = false;               /* then the end of the stream */
    Reader call;
    ssize_t expected; /* of the call; where it is a number, so many bytes have been returned */
    bool consumes = true;
};

std::function<void(int)> sending(Wire &wire, const Reading &reading, std::size_t &sent)
{
    std::vector<std::function<void()>> list;
    for (std::size_t i = 0; i < reading.pieces.size(); i++)
        list.push_back([&, i] {
            wire.send(reading.pieces[i]);
            sent = i + 1;
            if (reading.ends && sent == reading.pieces.size())
                wire.end();
        });
    return steps(std::move(list));
}

/* What has not been read can be read now. 0 or an error. */
int read_rest(Wire &wire, std::string_view rest)
{
    std::string buffer(rest.size(), '\0');
    if (rest.empty())
        return 0;
    ssize_t n = rota_stream_readexactly(wire, buffer.data(), buffer.size());
    if (n < 0)
        return static_cast<int>(n);
    EXPECT_EQ(rest, buffer) << "a cancelled call has consumed something";
    return 0;
}

int read_by(Trial &trial, const Reading &reading)
{
    Wire wire;
    std::string all;
    std::string got;
    std::size_t sent = 0;
    int r = wire.open();
    if (r < 0)
        return r;
    r = trial.run(
        [&] {
            char buffer[64];
            ssize_t n = trial.note(reading.call(wire, buffer, sizeof buffer));
            if (n > 0)
                got.assign(buffer, static_cast<std::size_t>(n));
            return n == reading.expected ? 0 : static_cast<int>(n);
        },
        sending(wire, reading, sent));
    for (std::size_t i = 0; i < reading.pieces.size(); i++) {
        all += reading.pieces[i];
        if (i >= sent && !rota_stream_is_closing(wire))
            wire.send(reading.pieces[i]);
    }
    EXPECT_EQ(got, all.substr(0, got.size()));
    if (r < 0 && r != -ENOMEM)
        return r;
    int rest = read_rest(wire, all.substr(reading.consumes ? got.size() : 0));
    return r < 0 ? r : rest;
}

} // namespace

int read_some(Trial &trial)
{
    return read_by(trial,
                   {.pieces = {"hello"},
                    .call = [](rota_stream *stream, char *buffer,
                               std::size_t size) { return rota_stream_read(stream, buffer, size); },
                    .expected = 5});
}

int read_at_end(Trial &trial)
{
    return read_by(trial,
                   {.pieces = {""},
                    .ends = true,
                    .call = [](rota_stream *stream, char *buffer,
                               std::size_t size) { return rota_stream_read(stream, buffer, size); },
                    .expected = 0});
}

int read_exactly(Trial &trial)
{
    return read_by(trial,
                   {.pieces = {"abc", "def", "ghij"},
                    .call = [](rota_stream *stream, char *buffer,
                               std::size_t) { return rota_stream_readexactly(stream, buffer, 8); },
                    .expected = 8});
}

int read_incomplete(Trial &trial)
{
    return read_by(trial,
                   {.pieces = {"abc", "de"},
                    .ends = true,
                    .call = [](rota_stream *stream, char *buffer,
                               std::size_t) { return rota_stream_readexactly(stream, buffer, 8); },
                    .expected = ROTA_EINCOMPLETE});
}

int read_until(Trial &trial)
{
    return read_by(trial, {.pieces = {"ab", "c\r", "\ndef"},
                           .call =
                               [](rota_stream *stream, char *buffer, std::size_t size) {
                                   return rota_stream_readuntil(stream, "\r\n", 2, buffer, size);
                               },
                           .expected = 5});
}

int read_line(Trial &trial)
{
    return read_by(
        trial, {.pieces = {"one ", "line\nand more"},
                .call = [](rota_stream *stream, char *buffer,
                           std::size_t size) { return rota_stream_readline(stream, buffer, size); },
                .expected = 9});
}

int peek_at_start(Trial &trial)
{
    return read_by(trial, {.pieces = {"GET ", "/ HTTP"},
                           .call =
                               [](rota_stream *stream, char *buffer, std::size_t) {
                                   const char *data = nullptr;
                                   ssize_t n = rota_stream_peek(stream, &data, 6);
                                   if (n > 0)
                                       std::memcpy(buffer, data, static_cast<std::size_t>(n));
                                   return n;
                               },
                           .expected = 10,
                           .consumes = false});
}

} // namespace sweep
