/* SPDX-License-Identifier: MIT */
/*
 * http.cc - fuzz target: what the HTTP service of docs/examples/http answers to bytes in pieces.
 *
 * The service's own connection.c and routes.c serve on a unix socket; their clock is one that runs
 * fast, so that /burn takes no time. A client sends the input whole, and on a second connection in
 * pieces, then says that it has ended, and reads to the end.
 *
 * Oracle: a second reading of HTTP/1.1, which knows plain requests only and stops at what it does
 * not know. Each request that it knows has an answer of the status that its path and method ask
 * for; where it knows all of the input, there are no other answers. All answers are well formed, to
 * the last byte. How the input was cut makes no difference.
 */
#include "tests/fuzz/http_served.h"
#include "tests/fuzz/runs.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

/* ---- Requests that are plain ---- */

struct Request {
    std::string method;
    std::string path;
    bool keeps_alive = true;
    int status = 0; /* of the answer; 0: one of several */
};

/* Takes requests from the front of a text. */
class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {}

    /* The next one, if it is complete and plain. */
    std::optional<Request> next()
    {
        Request request;
        std::string_view start = text_;
        has_length_ = is_chunked_ = is_cut_ = false;
        if (text_.empty())
            return std::nullopt;
        if (!take_line(request) || !take_headers(request, start) || !take_body()) {
            stopped_ = stopped_ || !is_cut_;
            return std::nullopt;
        }
        request.status = status_of(request);
        return request;
    }

    /* Whether it met what it does not know. A body that is cut off is none, a head may be. */
    bool stopped() const
    {
        return stopped_;
    }

private:
    static constexpr size_t HEAD_MAX = 4000; /* less than the service's limit */
    static constexpr std::string_view PATH_BYTES =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-?=&";

    static int status_of(const Request &request)
    {
        if (request.method != "GET" && request.method != "HEAD" && request.method != "POST")
            return 405;
        if (request.path == "/" || request.path == "/stats")
            return 200;
        if (request.path == "/static/file.html")
            return 200;
        if (request.path.starts_with("/burn") || request.path.starts_with("/static/"))
            return 0;
        return 404;
    }

    /* Up to CR LF. */
    bool line(std::string_view *ret_line)
    {
        size_t end = text_.find("\r\n");
        if (end == text_.npos)
            return false;
        *ret_line = text_.substr(0, end);
        text_.remove_prefix(end + 2);
        return true;
    }

    bool take_line(Request &request)
    {
        std::string_view first;
        if (!line(&first))
            return false;
        for (std::string_view method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
            if (first.starts_with(method) && first.substr(method.size()).starts_with(" /"))
                request.method = method;
        if (request.method.empty())
            return false;
        first.remove_prefix(request.method.size() + 1);
        size_t end = first.find(' ');
        if (end == first.npos || end >= 1000)
            return false;
        request.path = first.substr(0, end);
        if (request.path.find_first_not_of(PATH_BYTES) != request.path.npos)
            return false;
        request.keeps_alive = first.substr(end) == " HTTP/1.1";
        return request.keeps_alive || first.substr(end) == " HTTP/1.0";
    }

    bool take_headers(Request &request, std::string_view start)
    {
        std::string_view header;
        bool says_connection = false;
        for (;;) {
            if (!line(&header) || start.size() - text_.size() > HEAD_MAX)
                return false;
            if (header.empty())
                return true;
            size_t colon = header.find(':');
            std::string name(header.substr(0, colon));
            if (colon == header.npos || colon == 0 ||
                !std::all_of(name.begin(), name.end(),
                             [](unsigned char byte) { return std::isalpha(byte) || byte == '-'; }))
                return false;
            std::string_view value = header.substr(colon + 1);
            if (value.starts_with(' '))
                value.remove_prefix(1);
            for (unsigned char byte : value)
                if (byte < 0x20 || byte > 0x7e)
                    return false;
            std::transform(name.begin(), name.end(), name.begin(),
                           [](unsigned char byte) { return std::tolower(byte); });
            if (name == "connection" && !std::exchange(says_connection, true))
                request.keeps_alive = value == "keep-alive";
            else if (name == "connection" || !take_header(name, value))
                return false;
            if (name == "connection" && value != "keep-alive" && value != "close")
                return false;
        }
    }

    /* Those that say where the body ends, each once, and any that mean nothing here. */
    bool take_header(std::string_view name, std::string_view value)
    {
        if (name == "upgrade" || name == "proxy-connection")
            return false;
        if (name != "content-length" && name != "transfer-encoding")
            return true;
        if (std::exchange(has_length_, true))
            return false;
        if (name == "transfer-encoding")
            return is_chunked_ = value == "chunked";
        length_ = 0;
        for (char digit : value) {
            if (digit < '0' || digit > '9')
                return false;
            length_ = length_ * 10 + static_cast<size_t>(digit - '0');
        }
        return !value.empty() && value.size() < 6;
    }

    bool take_body()
    {
        if (!has_length_)
            return true;
        if (!is_chunked_)
            return take(length_);
        std::string_view size;
        for (size_t length = 1; length > 0;) {
            if (!line(&size) || size.empty() || size.size() > 4 ||
                size.find_first_not_of("0123456789abcdefABCDEF") != size.npos)
                return false;
            length = std::stoul(std::string(size), nullptr, 16);
            if (!take(length) || !text_.starts_with("\r\n"))
                return false;
            text_.remove_prefix(2);
        }
        return true;
    }

    bool take(size_t length)
    {
        is_cut_ = length > text_.size();
        text_.remove_prefix(std::min(length, text_.size()));
        return !is_cut_;
    }

    std::string_view text_;
    bool has_length_ = false;
    bool is_chunked_ = false;
    size_t length_ = 0;
    bool is_cut_ = false;
    bool stopped_ = false;
};

/* ---- Answers ---- */

struct Answer {
    int status = 0;
    bool closes = false;
    bool has_body = false;
    bool has_figures = false; /* they differ from time to time */
};

/* The rest of a line that begins so. */
std::string_view expect_line(std::string_view *text, std::string_view begin)
{
    size_t end = text->find("\r\n");
    FUZZ_ASSERT(end != text->npos && text->starts_with(begin));
    std::string_view rest = text->substr(begin.size(), end - begin.size());
    text->remove_prefix(end + 2);
    return rest;
}

size_t number(std::string_view digits)
{
    FUZZ_ASSERT(!digits.empty() && digits.size() < 9);
    FUZZ_ASSERT(digits.find_first_not_of("0123456789") == digits.npos);
    return std::stoul(std::string(digits));
}

/* An answer to a HEAD has no body: where the next answer begins at once, or nothing is left. */
Answer take_answer(std::string_view *text)
{
    Answer answer;
    std::string_view status = expect_line(text, "HTTP/1.1 ");
    FUZZ_ASSERT(status.size() > 4 && status[3] == ' ');
    answer.status = static_cast<int>(number(status.substr(0, 3)));
    answer.has_figures = expect_line(text, "Content-Type: ") == "application/json";
    size_t length = number(expect_line(text, "Content-Length: "));
    if (text->starts_with("Connection"))
        answer.closes = expect_line(text, "Connection: ") == "close";
    FUZZ_ASSERT(expect_line(text, "").empty());
    if (text->empty() || text->starts_with("HTTP/1.1 "))
        return answer;
    FUZZ_ASSERT(length > 0 && length <= text->size());
    text->remove_prefix(length);
    answer.has_body = true;
    return answer;
}

std::vector<Answer> read_answers(std::string_view text)
{
    std::vector<Answer> answers;
    while (!text.empty()) {
        FUZZ_ASSERT(answers.empty() || !answers.back().closes);
        answers.push_back(take_answer(&text));
    }
    return answers;
}

void check_answers(std::string_view input, const std::vector<Answer> &answers)
{
    Reader reader(input);
    size_t known = 0;
    while (std::optional<Request> request = reader.next()) {
        FUZZ_ASSERT(known < answers.size());
        const Answer &answer = answers[known++];
        FUZZ_ASSERT(request->status == 0 ? answer.status < 500 : answer.status == request->status);
        FUZZ_ASSERT(answer.closes == !request->keeps_alive);
        FUZZ_ASSERT(answer.has_body == (request->method != "HEAD"));
        if (!request->keeps_alive) {
            FUZZ_ASSERT(answers.size() == known);
            return;
        }
    }
    FUZZ_ASSERT(reader.stopped() || answers.size() == known);
}

/* ---- The client ---- */

struct Client {
    int fd = -1;
    std::string answers;

    explicit Client(const rota_addr &addr)
    {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        FUZZ_ASSERT(connect(fd, &addr.sockaddr.any, addr.size) == 0);
    }
    ~Client()
    {
        close(fd);
    }
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;

    /* False: the service has closed the connection. */
    bool receive()
    {
        char buffer[4096];
        ssize_t n;
        while ((n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
            answers.append(buffer, static_cast<size_t>(n));
        return n < 0 && errno == EAGAIN;
    }

    void send_all(std::string_view text)
    {
        while (!text.empty()) {
            ssize_t n = send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && (errno != EAGAIN || !receive()))
                return;
            text.remove_prefix(n > 0 ? static_cast<size_t>(n) : 0);
        }
    }

    std::string finish()
    {
        (void)shutdown(fd, SHUT_WR);
        while (receive())
            fuzz::let_poll();
        return answers;
    }
};

struct Input {
    fuzz_input pieces;
    std::string_view text;
};

/* In pieces, each of which the service may see alone. */
std::string ask_in_pieces(const rota_addr &addr, Input *input)
{
    Client client(addr);
    std::string_view rest = input->text;
    while (input->pieces.size > 0 && !rest.empty()) {
        uint8_t byte = fuzz_byte(&input->pieces);
        size_t size = std::min<size_t>(1 + byte / 4, rest.size());
        client.send_all(rest.substr(0, size));
        rest.remove_prefix(size);
        if (byte % 4 != 0)
            fuzz::let_poll();
    }
    client.send_all(rest);
    return client.finish();
}

std::string ask(const rota_addr &addr, std::string_view text)
{
    Client client(addr);
    client.send_all(text);
    return client.finish();
}

int converse(void *arg)
{
    auto *input = static_cast<Input *>(arg);
    rota_addr addr = {};
    static const std::string name =
        '\0' + std::string("rota-fuzz-") + std::to_string(std::random_device{}());
    FUZZ_ASSERT(rota_addr_unix(&addr, name.data(), name.size()) == 0);
    FUZZ_ASSERT(http_served_start(&addr, FUZZ_ROOT) == 0);

    std::string whole = ask(addr, input->text);
    std::vector<Answer> answers = read_answers(whole);
    check_answers(input->text, answers);
    std::string pieces = ask_in_pieces(addr, input);
    bool varies = std::any_of(answers.begin(), answers.end(),
                              [](const Answer &answer) { return answer.has_figures; });
    if (varies)
        FUZZ_ASSERT(read_answers(pieces).size() == answers.size());
    else
        FUZZ_ASSERT(pieces == whole);

    FUZZ_ASSERT(http_served_stop() == 0);
    return 0;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    size_t pieces = std::min<size_t>(fuzz_byte(&input), input.size);
    Input both = {{input.data, pieces},
                  {reinterpret_cast<const char *>(input.data) + pieces, input.size - pieces}};
    fuzz::run(converse, &both);
    return 0;
}
