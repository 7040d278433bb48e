/* SPDX-License-Identifier: MIT */
/*
 * addr_test.cc - addresses: strict text, exact lengths, nothing cut off (S40, H70).
 */
#include <rota/addr.h>

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/support.h"

namespace {

using namespace std::string_literals;

constexpr size_t kNameOffset = offsetof(struct sockaddr_un, sun_path);

rota_addr parse(const std::string &text)
{
    rota_addr addr = {};
    EXPECT_EQ(rota_addr_parse(&addr, text.c_str()), 0) << text;
    return addr;
}

std::string format(const rota_addr &addr)
{
    char text[ROTA_ADDR_TEXT_SIZE];
    int length = rota_addr_format(&addr, text, sizeof text);
    EXPECT_GE(length, 0);
    EXPECT_LT(length, ROTA_ADDR_TEXT_SIZE);
    EXPECT_EQ(strlen(text), static_cast<size_t>(length));
    return text;
}

/* What the kernel would be given. */
std::string bytes(const rota_addr &addr)
{
    socklen_t size = 0;
    const sockaddr *sockaddr = rota_addr_sockaddr(&addr, &size);
    return sockaddr == nullptr ? "" : std::string(reinterpret_cast<const char *>(sockaddr), size);
}

std::string local_name(const rota_addr &addr)
{
    EXPECT_EQ(addr.sockaddr.any.sa_family, AF_UNIX);
    return bytes(addr).substr(kNameOffset);
}

/* ---- Internet addresses ---- */

TEST(Addr, IPv4)
{
    rota_addr addr = parse("127.0.0.1:8080");
    sockaddr_in expected = {};
    expected.sin_family = AF_INET;
    expected.sin_port = htons(8080);
    expected.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bytes(addr), std::string(reinterpret_cast<char *>(&expected), sizeof expected));
    EXPECT_EQ(rota_addr_port(&addr), 8080);
    EXPECT_FALSE(addr.dual_stack);
}

TEST(Addr, IPv6WithAndWithoutScope)
{
    sockaddr_in6 expected = {};
    expected.sin6_family = AF_INET6;
    expected.sin6_port = htons(443);
    ASSERT_EQ(inet_pton(AF_INET6, "fe80::1", &expected.sin6_addr), 1);
    EXPECT_EQ(bytes(parse("[fe80::1]:443")),
              std::string(reinterpret_cast<char *>(&expected), sizeof expected));
    expected.sin6_scope_id = 7;
    EXPECT_EQ(bytes(parse("[fe80::1%7]:443")),
              std::string(reinterpret_cast<char *>(&expected), sizeof expected));
    EXPECT_EQ(parse("[fe80::1%4294967295]:1").sockaddr.ipv6.sin6_scope_id, UINT32_MAX);
    EXPECT_FALSE(parse("[::]:80").dual_stack);
}

TEST(Addr, ScopesByName)
{
    rota_addr addr = {};
    char name[IF_NAMESIZE];
    if (if_indextoname(1, name) == nullptr)
        GTEST_SKIP() << "no network interface";
    EXPECT_EQ(rota_addr_parse(&addr, ("[fe80::1%"s + name + "]:1").c_str()), 0);
    EXPECT_EQ(addr.sockaddr.ipv6.sin6_scope_id, 1u);
    EXPECT_EQ(format(addr), "[fe80::1%1]:1");
}

TEST(Addr, UnknownScopesAreNoDevice)
{
    rota_addr addr;
    EXPECT_EQ(rota_addr_parse(&addr, "[fe80::1%nosuchdev]:1"), -ENODEV);
    EXPECT_EQ(rota_addr_parse(&addr, "[fe80::1%exactly16letters]:1"), -ENODEV);
    std::string text = "[fe80::1%]:1";
    text.insert(text.find(']'), 1000, 'x');
    EXPECT_EQ(rota_addr_parse(&addr, text.c_str()), -ENODEV);
}

TEST(Addr, ScopesByNumberNeedNoDescriptor)
{
    rota_addr addr;
    support::FewDescriptors none(0);
    EXPECT_EQ(rota_addr_parse(&addr, "[fe80::1%lo]:1"), -ENODEV);
    EXPECT_EQ(rota_addr_parse(&addr, "[fe80::1%1]:1"), 0);
}

TEST(Addr, AnyAddressIsBothFamilies)
{
    for (const char *text : {"*:8080", ":8080"}) {
        rota_addr addr = parse(text);
        EXPECT_TRUE(addr.dual_stack);
        EXPECT_EQ(addr.sockaddr.any.sa_family, AF_INET6);
        EXPECT_TRUE(IN6_IS_ADDR_UNSPECIFIED(&addr.sockaddr.ipv6.sin6_addr));
        EXPECT_EQ(rota_addr_port(&addr), 8080);
        EXPECT_EQ(format(addr), "*:8080");
    }
    rota_addr any = parse("*:1");
    for (const char *text : {"[::]:1", "0.0.0.0:1", "*:2"}) {
        rota_addr other = parse(text);
        EXPECT_FALSE(rota_addr_equal(&any, &other)) << text;
    }
}

TEST(Addr, PortsFromNoneToTheLast)
{
    for (int port : {0, 1, 9, 10, 80, 32768, 65534, 65535})
        for (const char *host : {"1.2.3.4", "[::1]", "*", ""}) {
            rota_addr addr = parse(host + ":"s + std::to_string(port));
            EXPECT_EQ(rota_addr_port(&addr), port);
        }
}

/* ---- Unix addresses ---- */

TEST(Addr, S40UnixPathsAndAbstractNames)
{
    EXPECT_EQ(local_name(parse("unix:/run/app.sock")), "/run/app.sock\0"s);
    EXPECT_EQ(local_name(parse("unix:app.sock")), "app.sock\0"s);
    EXPECT_EQ(local_name(parse("unix:./@app")), "./@app\0"s);
    EXPECT_EQ(local_name(parse("unix:@app")), "\0app"s);
    EXPECT_EQ(local_name(parse("unix:@@")), "\0@"s);
    EXPECT_EQ(local_name(parse("unix:@")), "\0"s);
    EXPECT_EQ(local_name(parse("unix:@a%00b")), "\0a\0b"s);
    EXPECT_EQ(local_name(parse("unix:%40app")), "@app\0"s);
    EXPECT_EQ(local_name(parse("unix:/a%25b%0a%fF")), "/a%b\n\xff\0"s);
    EXPECT_EQ(local_name(parse("unix:/\xc3\xa4 :[]*")), "/\xc3\xa4 :[]*\0"s);
    rota_addr addr = parse("unix:/a");
    EXPECT_EQ(rota_addr_port(&addr), -EINVAL);
}

TEST(Addr, H70UnixLengthsAreCheckedNotCut)
{
    rota_addr addr = {};
    const std::string longest(107, 'p');
    EXPECT_EQ(rota_addr_unix(&addr, longest.data(), 107), 0);
    EXPECT_EQ(local_name(addr), longest + '\0');
    EXPECT_EQ(addr.size, sizeof(sockaddr_un));
    EXPECT_EQ(local_name(parse("unix:" + longest)), longest + '\0');
    rota_addr before = addr;
    for (size_t size : {size_t{108}, size_t{109}, size_t{110}, size_t{100000}}) {
        std::string path(size, 'p');
        EXPECT_EQ(rota_addr_unix(&addr, path.data(), size), -ENAMETOOLONG);
        EXPECT_EQ(rota_addr_parse(&addr, ("unix:" + path).c_str()), -ENAMETOOLONG);
    }
    std::string abstract = '\0' + longest;
    EXPECT_TRUE(rota_addr_equal(&addr, &before));
    EXPECT_EQ(rota_addr_unix(&addr, abstract.data(), 108), 0);
    EXPECT_EQ(local_name(addr), abstract);
    EXPECT_EQ(local_name(parse("unix:@" + longest)), abstract);
    abstract += 'p';
    EXPECT_EQ(rota_addr_unix(&addr, abstract.data(), 109), -ENAMETOOLONG);
    EXPECT_EQ(rota_addr_parse(&addr, ("unix:@" + longest + 'p').c_str()), -ENAMETOOLONG);
}

TEST(Addr, H70AbstractNamesHaveTheirExactLength)
{
    rota_addr shorter = {}, longer = {};
    ASSERT_EQ(rota_addr_unix(&shorter, "\0x", 2), 0);
    ASSERT_EQ(rota_addr_unix(&longer, "\0x\0", 3), 0);
    EXPECT_EQ(shorter.size, kNameOffset + 2);
    EXPECT_EQ(longer.size, kNameOffset + 3);
    EXPECT_FALSE(rota_addr_equal(&shorter, &longer));
    EXPECT_EQ(format(longer), "unix:@x%00");
}

TEST(Addr, S40NulWithinAPathIsRefused)
{
    rota_addr addr;
    EXPECT_EQ(rota_addr_unix(&addr, "/a\0b", 4), -EINVAL);
    EXPECT_EQ(rota_addr_unix(&addr, "/a", 3), -EINVAL); /* the size counts no terminating NUL */
    EXPECT_EQ(rota_addr_unix(&addr, "/a", 0), -EINVAL);
    EXPECT_EQ(rota_addr_unix(&addr, "/ab", 2), 0);
    EXPECT_EQ(local_name(addr), "/a\0"s);
}

/* The lengths are right if the kernel says the same. */
TEST(Addr, H70TheKernelAgrees)
{
    std::string name = "rota-addr-test-" + std::to_string(getpid());
    rota_addr addr = parse("unix:@" + name + "%00tail");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_GE(fd, 0);
    sockaddr_un reported = {};
    socklen_t size = sizeof reported;
    rota_addr unnamed = {}, bound = {};
    EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr *>(&reported), &size), 0);
    EXPECT_EQ(rota_addr_from_sockaddr(&unnamed, reinterpret_cast<sockaddr *>(&reported), size), 0);
    EXPECT_EQ(format(unnamed), "unix:");
    EXPECT_EQ(unnamed.size, kNameOffset);

    socklen_t addr_size = 0;
    const sockaddr *sockaddr = rota_addr_sockaddr(&addr, &addr_size);
    EXPECT_EQ(bind(fd, sockaddr, addr_size), 0) << strerror(errno);
    size = sizeof reported;
    EXPECT_EQ(getsockname(fd, reinterpret_cast<struct sockaddr *>(&reported), &size), 0);
    close(fd);
    EXPECT_EQ(rota_addr_from_sockaddr(&bound, reinterpret_cast<struct sockaddr *>(&reported), size),
              0);
    EXPECT_TRUE(rota_addr_equal(&addr, &bound));
}

/* ---- What is refused ---- */

/* clang-format off */
constexpr const char *bad_texts[] = {
    /* no address at all, host and service names */
    "", " ", "*", ":", "::", "localhost", "localhost:80", "example.org:443", "1.2.3.4",
    "1.2.3.4:http", "[::1]", "::1", "::1:80", "[]:80", "[", "]", "[]", "[:80", "]:80", "[::1",
    /* IPv4 */
    "1.2.3:80", "1.2.3.4.5:80", "256.1.1.1:80", "01.2.3.4:80", "1.2.3.4a:80", "0x7f.0.0.1:80",
    "2130706433:80", "1..2.3:80", "-1.2.3.4:80", " 1.2.3.4:80", "1.2.3.4 :80", "[1.2.3.4]:80",
    "1.2.3.4.1.2.3.4.1.2.3.4:80", "**:80", "*.*.*.*:80", "1.2.3.4::80",
    /* ports */
    "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:99999", "1.2.3.4:100000", "1.2.3.4:4294967376",
    "1.2.3.4:18446744073709551696", "1.2.3.4:-1", "1.2.3.4:+80", "1.2.3.4: 80", "1.2.3.4:80 ",
    "1.2.3.4:080", "1.2.3.4:00", "1.2.3.4:8o", "1.2.3.4:0x50", "1.2.3.4:80:80", "1.2.3.4:80\n",
    "[::1]:", "[::1]80", "[::1]::80", "[::1]x:80", "[::1]:65536", "[::1]:080", "*:", "*:x",
    "*:65536", ":65536", "::80", "*80",
    /* IPv6 */
    "[:::1]:80", "[1::2::3]:80", "[12345::]:80", "[g::]:80", "[1:2:3:4:5:6:7]:80",
    "[1:2:3:4:5:6:7:8:9]:80", "[[::1]]:80", "[::1]]:80", "[ ::1]:80", "[::1 ]:80", "[*]:80",
    "[::ffff:1.2.3.400]:80", "[0000:0000:0000:0000:0000:ffff:255.255.255.2555]:80",
    /* scopes */
    "[fe80::1%]:80", "[%1]:80", "[fe80::1%0]:80", "[fe80::1%01]:80", "[fe80::1%4294967296]:80",
    "[fe80::1%1x]:80", "[fe80::1%1 ]:80", "[fe80::1%1%1]:80", "[fe80::1]%1:80",
    /* unix */
    "unix", "unix:", "UNIX:/a", " unix:/a", "unix:%", "unix:/a%", "unix:/a%2", "unix:/a%2g",
    "unix:/a%g2", "unix:/a%%", "unix:/a%00", "unix:/a%00b", "unix:%00", "unix:%00abstract",
    "unix:@%", "unix:@a%0", "tcp:1.2.3.4:80", "http://1.2.3.4:80", "/run/app.sock", "@name",
};
/* clang-format on */

TEST(Addr, BadTextIsInvalidAndTouchesNothing)
{
    rota_addr untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    for (const char *text : bad_texts) {
        rota_addr addr = untouched;
        EXPECT_EQ(rota_addr_parse(&addr, text), -EINVAL) << '"' << text << '"';
        EXPECT_EQ(memcmp(&addr, &untouched, sizeof addr), 0) << '"' << text << '"';
    }
}

TEST(Addr, NullArgumentsAreInvalid)
{
    rota_addr addr = parse("1.2.3.4:5");
    socklen_t size = 77;
    EXPECT_EQ(rota_addr_parse(nullptr, "1.2.3.4:5"), -EINVAL);
    EXPECT_EQ(rota_addr_parse(&addr, nullptr), -EINVAL);
    EXPECT_EQ(rota_addr_unix(nullptr, "/a", 2), -EINVAL);
    EXPECT_EQ(rota_addr_unix(&addr, nullptr, 2), -EINVAL);
    EXPECT_EQ(rota_addr_from_sockaddr(nullptr, &addr.sockaddr.any, addr.size), -EINVAL);
    EXPECT_EQ(rota_addr_from_sockaddr(&addr, nullptr, addr.size), -EINVAL);
    EXPECT_EQ(rota_addr_format(nullptr, nullptr, 0), -EINVAL);
    EXPECT_EQ(rota_addr_format(&addr, nullptr, 1), -EINVAL);
    EXPECT_EQ(rota_addr_port(nullptr), -EINVAL);
    EXPECT_FALSE(rota_addr_equal(nullptr, &addr));
    EXPECT_FALSE(rota_addr_equal(&addr, nullptr));
    EXPECT_FALSE(rota_addr_equal(nullptr, nullptr));
    EXPECT_EQ(rota_addr_sockaddr(nullptr, &size), nullptr);
    EXPECT_EQ(rota_addr_sockaddr(&addr, nullptr), nullptr);
    EXPECT_EQ(size, 77u);
    EXPECT_EQ(format(addr), "1.2.3.4:5");
}

TEST(Addr, ZeroedMemoryIsNoAddress)
{
    rota_addr zero = {};
    socklen_t size = 77;
    char text[8] = "before";
    EXPECT_EQ(rota_addr_format(&zero, text, sizeof text), -EINVAL);
    EXPECT_STREQ(text, "before");
    EXPECT_EQ(rota_addr_port(&zero), -EINVAL);
    EXPECT_FALSE(rota_addr_equal(&zero, &zero));
    EXPECT_EQ(rota_addr_sockaddr(&zero, &size), nullptr);
    EXPECT_EQ(size, 77u);
}

/* ---- From the kernel's form ---- */

TEST(Addr, FromSockaddrChecksFamilyAndSize)
{
    rota_addr addr = {}, copy = {};
    sockaddr_storage storage = {};
    auto *sockaddr = reinterpret_cast<struct sockaddr *>(&storage);
    for (const char *text : {"1.2.3.4:5", "[fe80::1%9]:5"}) {
        addr = parse(text);
        memcpy(&storage, &addr.sockaddr, addr.size);
        for (socklen_t size = 0; size < addr.size; size++)
            EXPECT_EQ(rota_addr_from_sockaddr(&copy, sockaddr, size), -EINVAL) << text << size;
        EXPECT_EQ(rota_addr_from_sockaddr(&copy, sockaddr, addr.size), 0);
        EXPECT_TRUE(rota_addr_equal(&addr, &copy));
        copy = {};
        EXPECT_EQ(rota_addr_from_sockaddr(&copy, sockaddr, sizeof storage), 0);
        EXPECT_TRUE(rota_addr_equal(&addr, &copy));
    }
    for (int family : {AF_UNSPEC, AF_NETLINK, AF_PACKET}) {
        storage.ss_family = static_cast<sa_family_t>(family);
        EXPECT_EQ(rota_addr_from_sockaddr(&copy, sockaddr, sizeof storage), -EAFNOSUPPORT);
    }
    EXPECT_TRUE(rota_addr_equal(&addr, &copy));
}

TEST(Addr, FromSockaddrDropsWhatIsNoAddress)
{
    rota_addr plain = parse("1.2.3.4:5"), copy = {};
    rota_addr dirty = plain;
    memset(dirty.sockaddr.ipv4.sin_zero, 1, sizeof dirty.sockaddr.ipv4.sin_zero);
    EXPECT_EQ(rota_addr_from_sockaddr(&copy, &dirty.sockaddr.any, dirty.size), 0);
    EXPECT_TRUE(rota_addr_equal(&plain, &copy));
    plain = dirty = parse("[::1]:5");
    dirty.sockaddr.ipv6.sin6_flowinfo = 1;
    EXPECT_EQ(rota_addr_from_sockaddr(&copy, &dirty.sockaddr.any, dirty.size), 0);
    EXPECT_TRUE(rota_addr_equal(&plain, &copy));
}

TEST(Addr, H70FromSockaddrKeepsUnixLengths)
{
    rota_addr addr = {};
    sockaddr_storage storage = {};
    storage.ss_family = AF_UNIX;
    auto *sockaddr = reinterpret_cast<struct sockaddr *>(&storage);
    char *name = reinterpret_cast<char *>(&storage) + kNameOffset;

    /* A path is as long as it is, whatever follows its NUL. */
    memcpy(name, "/a\0junk", 8);
    for (socklen_t size : {socklen_t{4}, socklen_t{5}, socklen_t{10}, socklen_t{110}}) {
        EXPECT_EQ(rota_addr_from_sockaddr(&addr, sockaddr, size), 0);
        EXPECT_EQ(local_name(addr), "/a\0"s);
    }
    /* The kernel takes 108 bytes without a NUL, and reports one more. */
    memset(name, 'p', 108);
    for (socklen_t size : {socklen_t{110}, socklen_t{111}}) {
        EXPECT_EQ(rota_addr_from_sockaddr(&addr, sockaddr, size), 0);
        EXPECT_EQ(local_name(addr), std::string(108, 'p'));
        EXPECT_EQ(format(addr), "unix:" + std::string(108, 'p'));
    }
    name[108] = 'p';
    EXPECT_EQ(rota_addr_from_sockaddr(&addr, sockaddr, 111), -ENAMETOOLONG);
    name[0] = '\0';
    std::string abstract(108, 'p');
    abstract[0] = '\0';
    EXPECT_EQ(rota_addr_from_sockaddr(&addr, sockaddr, 110), 0);
    EXPECT_EQ(local_name(addr), abstract);
    EXPECT_EQ(rota_addr_from_sockaddr(&addr, sockaddr, 111), -ENAMETOOLONG);
}

/* ---- Writing text ---- */

TEST(Addr, FormatIsCanonicalAndRoundTrips)
{
    static const struct {
        const char *text;
        const char *canonical;
    } rows[] = {
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {":80", "*:80"},
        {"*:80", "*:80"},
        {"[::]:80", "[::]:80"},
        {"[0:0:0:0:0:0:0:1]:80", "[::1]:80"},
        {"[2001:DB8::00ff]:80", "[2001:db8::ff]:80"},
        {"[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80"},
        {"[fe80::1%12]:80", "[fe80::1%12]:80"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"},
        {"unix:/run/a b", "unix:/run/a b"},
        {"unix:@a@b", "unix:@a@b"},
        {"unix:%40a", "unix:%40a"},
        {"unix:%2Frun%2fa", "unix:/run/a"},
        {"unix:a\n\x7f\xc3\xa4%25", "unix:a%0A%7F\xc3\xa4%25"},
        {"unix:@%00%00", "unix:@%00%00"},
    };
    for (const auto &row : rows) {
        rota_addr addr = parse(row.text);
        EXPECT_EQ(format(addr), row.canonical);
        rota_addr again = parse(row.canonical);
        EXPECT_TRUE(rota_addr_equal(&addr, &again)) << row.text;
    }
}

TEST(Addr, FormatReturnsTheLengthNeeded)
{
    rota_addr addr = parse("127.0.0.1:8080");
    const std::string whole = "127.0.0.1:8080";
    const int length = static_cast<int>(whole.size());
    EXPECT_EQ(rota_addr_format(&addr, nullptr, 0), length);
    for (size_t size = 1; size <= whole.size() + 2; size++) {
        std::vector<char> text(size + 1, '#');
        EXPECT_EQ(rota_addr_format(&addr, text.data(), size), length);
        EXPECT_EQ(text.data(), whole.substr(0, size - 1));
        EXPECT_EQ(text[size], '#');
    }
}

TEST(Addr, TheLongestTextFits)
{
    rota_addr addr = {};
    std::string name(108, '\0');
    ASSERT_EQ(rota_addr_unix(&addr, name.data(), name.size()), 0);
    EXPECT_EQ(format(addr).size(), 5u + 1 + 3 * 107);
    name = std::string(107, '%');
    ASSERT_EQ(rota_addr_unix(&addr, name.data(), name.size()), 0);
    EXPECT_EQ(format(addr).size(), 5u + 3 * 107);
    sockaddr_un peer = {};
    peer.sun_family = AF_UNIX;
    memset(peer.sun_path, '\n', sizeof peer.sun_path);
    ASSERT_EQ(rota_addr_from_sockaddr(&addr, reinterpret_cast<sockaddr *>(&peer), sizeof peer), 0);
    EXPECT_EQ(format(addr).size(), 5u + 3 * 108);
}

/* ---- Random input ---- */

/* Whatever was accepted has a text, and the text has the same address. */
void expect_round_trip(const rota_addr &addr)
{
    rota_addr again = {};
    std::string text = format(addr);
    EXPECT_EQ(rota_addr_parse(&again, text.c_str()), 0) << text;
    EXPECT_TRUE(rota_addr_equal(&addr, &again)) << text;
    EXPECT_EQ(bytes(addr), bytes(again)) << text;
    for (char byte : text)
        EXPECT_TRUE(static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f) << text;
}

TEST(Addr, RandomTextNeverCrashes)
{
    static constexpr std::string_view alphabet = "0123456789abcdef:.[]%*@/unix \n";
    static const char *const seeds[] = {"127.0.0.1:8080", "[fe80::1%3]:80", "*:80",
                                        "unix:@a%00b",    "unix:/run/a",    ""};
    std::mt19937 random(70);
    int accepted_count = 0;
    for (int i = 0; i < 100 * 1000; i++) {
        std::string text = seeds[random() % std::size(seeds)];
        for (unsigned edits = random() % 6; edits > 0; edits--) {
            char byte = random() % 4 == 0 ? static_cast<char>(random() % 255 + 1)
                                          : alphabet[random() % alphabet.size()];
            size_t at = random() % (text.size() + 1);
            if (random() % 3 == 0)
                text.erase(at, 1);
            else
                text.insert(at, random() % 32 == 0 ? random() % 120 : 1, byte);
        }
        rota_addr addr = {};
        int r = rota_addr_parse(&addr, text.c_str());
        if (r == 0) {
            accepted_count++;
            expect_round_trip(addr);
        } else {
            EXPECT_TRUE(r == -EINVAL || r == -ENAMETOOLONG || r == -ENODEV) << r << text;
        }
    }
    EXPECT_GT(accepted_count, 1000);
}

TEST(Addr, RandomAddressesRoundTrip)
{
    std::mt19937 random(40);
    for (int i = 0; i < 30 * 1000; i++) {
        sockaddr_storage storage = {};
        auto *sockaddr = reinterpret_cast<struct sockaddr *>(&storage);
        auto *raw = reinterpret_cast<unsigned char *>(&storage);
        for (size_t at = 0; at < sizeof storage; at++)
            raw[at] = random() % 8 == 0 ? 0 : static_cast<unsigned char>(random());
        const int families[] = {AF_INET, AF_INET6, AF_UNIX};
        storage.ss_family = static_cast<sa_family_t>(families[random() % 3]);
        rota_addr addr = {};
        socklen_t size = random() % (sizeof storage + 1);
        if (rota_addr_from_sockaddr(&addr, sockaddr, size) == 0 && addr.size > kNameOffset)
            expect_round_trip(addr);
    }
}

} // namespace
