/* SPDX-License-Identifier: MIT */
/*
 * addr.cc - fuzz target: addresses from text, from bytes of a name and from the kernel's form.
 *
 * Oracle: a second reading of the grammar in <rota/addr.h>, written from that page alone. Text is
 * accepted where the grammar says so, as the address that it says, and refused for a reason that
 * holds. Every address has a text, which is cut off where it must be, holds nothing that a log file
 * would not survive, and is the same address when it is read again.
 */
#include <rota/addr.h>

#include "tests/fuzz/fuzz.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t NAME_MAX_SIZE = sizeof(sockaddr_un{}.sun_path);

/* What the grammar says of a text. */
struct Reading {
    std::set<int> refusals; /* reasons to refuse it; any of them will do */
    bool undecided = false; /* it names a network interface */
    int family = AF_UNSPEC;
    bool dual_stack = false;
    unsigned port = 0;
    uint32_t scope = 0;
    std::string bytes; /* of the host in network order, or of the unix name */
};

Reading refused(int error)
{
    Reading reading;
    reading.refusals.insert(error);
    return reading;
}

/* ---- The grammar ---- */

std::optional<uint64_t> decimal(std::string_view text, uint64_t max)
{
    uint64_t number = 0;
    if (text.empty() || text.size() > 10 || (text.size() > 1 && text[0] == '0'))
        return std::nullopt;
    for (char digit : text) {
        if (digit < '0' || digit > '9')
            return std::nullopt;
        number = number * 10 + static_cast<uint64_t>(digit - '0');
    }
    return number <= max ? std::optional(number) : std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char at)
{
    std::vector<std::string_view> parts;
    size_t end;
    while ((end = text.find(at)) != text.npos) {
        parts.push_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    parts.push_back(text);
    return parts;
}

std::optional<std::string> ipv4(std::string_view text)
{
    std::string bytes;
    for (std::string_view part : split(text, '.')) {
        std::optional<uint64_t> number = decimal(part, 255);
        if (!number)
            return std::nullopt;
        bytes += static_cast<char>(*number);
    }
    return bytes.size() == 4 ? std::optional(bytes) : std::nullopt;
}

int hex(char digit)
{
    static constexpr std::string_view digits = "0123456789abcdef";
    size_t value =
        digits.find(static_cast<char>(digit >= 'A' && digit <= 'F' ? digit | 32 : digit));
    return value == digits.npos ? -1 : static_cast<int>(value);
}

/* Groups between colons, the last of which may be an IPv4 address. */
std::optional<std::string> groups(std::string_view text, bool is_last)
{
    std::string bytes;
    if (text.empty())
        return bytes;
    std::vector<std::string_view> parts = split(text, ':');
    for (size_t i = 0; i < parts.size(); i++) {
        if (is_last && i + 1 == parts.size() && parts[i].find('.') != parts[i].npos) {
            std::optional<std::string> tail = ipv4(parts[i]);
            if (!tail)
                return std::nullopt;
            return bytes + *tail;
        }
        unsigned value = 0;
        for (char digit : parts[i]) {
            if (hex(digit) < 0)
                return std::nullopt;
            value = value * 16 + static_cast<unsigned>(hex(digit));
        }
        if (parts[i].empty() || parts[i].size() > 4)
            return std::nullopt;
        bytes += static_cast<char>(value >> 8);
        bytes += static_cast<char>(value);
    }
    return bytes;
}

/* RFC 4291, 2.2: eight groups, or fewer with one "::" for at least one that is zero. */
std::optional<std::string> ipv6(std::string_view text)
{
    size_t gap = text.find("::");
    if (gap == text.npos) {
        std::optional<std::string> all = groups(text, true);
        return all && all->size() == 16 ? all : std::nullopt;
    }
    std::optional<std::string> before = groups(text.substr(0, gap), false);
    std::optional<std::string> after = groups(text.substr(gap + 2), true);
    if (!before || !after || before->size() + after->size() > 14)
        return std::nullopt;
    return *before + std::string(16 - before->size() - after->size(), '\0') + *after;
}

/* After "unix:". Every reason to refuse it is collected. */
Reading read_unix(std::string_view text)
{
    Reading reading;
    reading.family = AF_UNIX;
    bool is_abstract = !text.empty() && text[0] == '@';
    if (is_abstract)
        reading.bytes = '\0', text.remove_prefix(1);
    for (size_t i = 0; i < text.size(); i++) {
        char byte = text[i];
        if (byte == '%') {
            if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) {
                reading.refusals.insert(-EINVAL);
                break; /* what it is meant to be cannot be said from here on */
            }
            byte = static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        }
        if (byte == '\0' && !is_abstract)
            reading.refusals.insert(-EINVAL);
        reading.bytes += byte;
    }
    if (reading.bytes.empty() && reading.refusals.empty())
        reading.refusals.insert(-EINVAL);
    if (reading.bytes.size() > NAME_MAX_SIZE - !is_abstract)
        reading.refusals.insert(-ENAMETOOLONG);
    return reading;
}

Reading read_ipv6(std::string_view text)
{
    Reading reading;
    size_t end = text.find(']');
    if (end == text.npos || end + 1 == text.size() || text[end + 1] != ':')
        return refused(-EINVAL);
    std::string_view host = text.substr(1, end - 1);
    size_t percent = host.find('%');
    std::optional<uint64_t> port = decimal(text.substr(end + 2), 65535);
    std::optional<std::string> bytes = ipv6(host.substr(0, percent));
    if (!port || !bytes)
        return refused(-EINVAL);
    if (percent != host.npos) {
        std::string_view scope = host.substr(percent + 1);
        std::optional<uint64_t> number = decimal(scope, UINT32_MAX);
        if (scope.empty() || (scope[0] >= '0' && scope[0] <= '9' && number.value_or(0) == 0))
            return refused(-EINVAL);
        reading.undecided = !number;
        reading.scope = static_cast<uint32_t>(number.value_or(0));
    }
    reading.family = AF_INET6;
    reading.port = static_cast<unsigned>(*port);
    reading.bytes = *bytes;
    return reading;
}

Reading read(std::string_view text)
{
    Reading reading;
    if (text.starts_with("unix:"))
        return read_unix(text.substr(5));
    if (text.starts_with("["))
        return read_ipv6(text);
    size_t colon = text.find(':');
    std::optional<uint64_t> port =
        colon == text.npos ? std::nullopt : decimal(text.substr(colon + 1), 65535);
    if (!port)
        return refused(-EINVAL);
    reading.port = static_cast<unsigned>(*port);
    reading.dual_stack = colon == 0 || text.substr(0, colon) == "*";
    reading.family = reading.dual_stack ? AF_INET6 : AF_INET;
    std::optional<std::string> bytes = ipv4(text.substr(0, colon));
    reading.bytes = reading.dual_stack ? std::string(16, '\0') : bytes.value_or("");
    return reading.bytes.empty() ? refused(-EINVAL) : reading;
}

/* ---- What holds for addresses ---- */

std::string text_of(const rota_addr &addr)
{
    std::array<char, ROTA_ADDR_TEXT_SIZE> text;
    int length = rota_addr_format(&addr, text.data(), text.size());
    FUZZ_ASSERT(length > 0 && static_cast<size_t>(length) < text.size());
    FUZZ_ASSERT(std::strlen(text.data()) == static_cast<size_t>(length));
    return text.data();
}

/* Cut off at `size`, into memory of that size. */
void check_cut(const rota_addr &addr, const std::string &text, size_t size)
{
    std::vector<char> cut(size, '?');
    FUZZ_ASSERT(rota_addr_format(&addr, cut.data(), size) == static_cast<int>(text.size()));
    if (size > 0)
        FUZZ_ASSERT(cut.data() == text.substr(0, size - 1));
}

void check_address(const rota_addr &addr, size_t cut)
{
    rota_addr again = {};
    rota_addr copied = {};
    socklen_t size = 0;
    std::string text = text_of(addr);
    check_cut(addr, text, cut);
    for (unsigned char byte : text)
        FUZZ_ASSERT(byte >= 0x20 && byte != 0x7f);
    const sockaddr *sockaddr = rota_addr_sockaddr(&addr, &size);
    FUZZ_ASSERT(sockaddr != nullptr && size == addr.size && size <= sizeof addr.sockaddr);
    FUZZ_ASSERT(rota_addr_equal(&addr, &addr));
    FUZZ_ASSERT((rota_addr_port(&addr) >= 0) == (sockaddr->sa_family != AF_UNIX));

    FUZZ_ASSERT(rota_addr_from_sockaddr(&copied, sockaddr, size) == 0);
    copied.dual_stack = addr.dual_stack;
    FUZZ_ASSERT(rota_addr_equal(&addr, &copied));

    int r = rota_addr_parse(&again, text.c_str());
    if (text == "unix:")
        FUZZ_ASSERT(r == -EINVAL);
    else if (sockaddr->sa_family == AF_UNIX && addr.sockaddr.local.sun_path[0] != '\0' &&
             size == sizeof(sockaddr_un) && addr.sockaddr.local.sun_path[NAME_MAX_SIZE - 1] != '\0')
        FUZZ_ASSERT(r == -ENAMETOOLONG); /* a path of 108 bytes, which only the kernel makes */
    else
        FUZZ_ASSERT(r == 0 && rota_addr_equal(&addr, &again));
}

std::string host_of(const rota_addr &addr)
{
    const char *host = addr.sockaddr.any.sa_family == AF_INET
                           ? reinterpret_cast<const char *>(&addr.sockaddr.ipv4.sin_addr)
                           : reinterpret_cast<const char *>(&addr.sockaddr.ipv6.sin6_addr);
    return std::string(host, addr.sockaddr.any.sa_family == AF_INET ? 4 : 16);
}

void check_against(const rota_addr &addr, const Reading &reading)
{
    FUZZ_ASSERT(addr.sockaddr.any.sa_family == reading.family);
    FUZZ_ASSERT(addr.dual_stack == reading.dual_stack);
    if (reading.family == AF_UNIX) {
        size_t size = addr.size - offsetof(sockaddr_un, sun_path) - (reading.bytes[0] != '\0');
        FUZZ_ASSERT(std::string(addr.sockaddr.local.sun_path, size) == reading.bytes);
        return;
    }
    FUZZ_ASSERT(rota_addr_port(&addr) == static_cast<int>(reading.port));
    FUZZ_ASSERT(host_of(addr) == reading.bytes);
    if (reading.family == AF_INET6 && !reading.undecided)
        FUZZ_ASSERT(addr.sockaddr.ipv6.sin6_scope_id == reading.scope);
}

/* ---- Three ways to an address ---- */

void from_text(const std::string &text, size_t cut)
{
    rota_addr addr;
    std::memset(&addr, 0x5A, sizeof addr);
    rota_addr untouched = addr;
    Reading reading = read(text);
    int r = rota_addr_parse(&addr, text.c_str());
    if (reading.undecided)
        FUZZ_ASSERT(r == 0 || r == -ENODEV);
    else if (reading.refusals.empty())
        FUZZ_ASSERT(r == 0);
    else
        FUZZ_ASSERT(reading.refusals.contains(r));
    if (r < 0) {
        FUZZ_ASSERT(std::memcmp(&addr, &untouched, sizeof addr) == 0);
        return;
    }
    check_against(addr, reading);
    check_address(addr, cut);
}

void from_name(const std::string &name, size_t cut)
{
    rota_addr addr = {};
    bool is_abstract = !name.empty() && name[0] == '\0';
    int expected = 0;
    if (name.empty() || (!is_abstract && name.find('\0') != name.npos))
        expected = -EINVAL;
    else if (name.size() > NAME_MAX_SIZE - !is_abstract)
        expected = -ENAMETOOLONG;
    std::vector<char> exact(name.begin(), name.end());
    FUZZ_ASSERT(rota_addr_unix(&addr, name.empty() ? "" : exact.data(), name.size()) == expected);
    if (expected < 0)
        return;
    Reading reading;
    reading.family = AF_UNIX;
    reading.bytes = name;
    check_against(addr, reading);
    check_address(addr, cut);
}

void from_kernel(std::string bytes, unsigned choice, size_t cut)
{
    static constexpr sa_family_t families[] = {AF_INET, AF_INET6, AF_UNIX, AF_UNIX};
    rota_addr addr = {};
    sa_family_t family = families[choice % 4];
    bytes.insert(0, reinterpret_cast<const char *>(&family), sizeof family);
    std::vector<char> exact(bytes.begin(), bytes.end());
    int r = rota_addr_from_sockaddr(&addr, reinterpret_cast<const sockaddr *>(exact.data()),
                                    static_cast<socklen_t>(exact.size()));
    if (family == AF_UNIX)
        FUZZ_ASSERT(r == 0 || (r == -ENAMETOOLONG && bytes.size() > sizeof(sockaddr_un)));
    else
        FUZZ_ASSERT((r == 0) == (bytes.size() >=
                                 (family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6))));
    if (r == 0)
        check_address(addr, cut);
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    uint8_t way = fuzz_byte(&input);
    size_t cut = fuzz_byte(&input);
    std::string rest(reinterpret_cast<const char *>(input.data), input.size);
    if (way % 4 == 3)
        from_kernel(rest, way >> 2, cut);
    else if (way % 4 == 2)
        from_name(rest, cut);
    else
        from_text(std::string(rest.c_str()), cut); /* up to the first NUL */
    return 0;
}
