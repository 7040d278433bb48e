/* SPDX-License-Identifier: MIT */
/*
 * addr.c - socket addresses: reading, writing and comparing them.
 *
 * An address is filled in a local variable and copied out whole, so that a failure leaves the
 * caller's untouched. Every byte that is not part of the address is zero.
 *
 * A unix address is as long as its name, and the length is part of it: for an abstract name every
 * byte counts, a path ends with a NUL. The kernel also takes a path of 108 bytes, without a NUL;
 * other programs trip over it, so none is made here, but a peer may be bound to one, and what the
 * kernel reports can be held and compared.
 *
 * Text. Unix names are bytes, text is a C string that must survive a log file. So the text form
 * escapes what would be ambiguous: the percent sign, control characters, and a path's leading '@'.
 * Bytes above 0x7f are left alone, as they are UTF-8 nearly always.
 */
#include <rota/addr.h>

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define PORT_MAX 65535
#define LOCAL_NAME_OFFSET offsetof(struct sockaddr_un, sun_path)
#define LOCAL_NAME_MAX (sizeof(struct sockaddr_un) - LOCAL_NAME_OFFSET)

static const char unix_prefix[] = "unix:";

/* Every byte of the longest name escaped. */
static_assert(sizeof unix_prefix + 3 * LOCAL_NAME_MAX <= ROTA_ADDR_TEXT_SIZE,
              "ROTA_ADDR_TEXT_SIZE holds any unix address");

/* ---- Making addresses ---- */

static struct rota_addr make_ipv4(struct in_addr host, in_port_t port)
{
    struct rota_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.sockaddr.ipv4.sin_family = AF_INET;
    addr.sockaddr.ipv4.sin_addr = host;
    addr.sockaddr.ipv4.sin_port = port;
    addr.size = sizeof addr.sockaddr.ipv4;
    return addr;
}

static struct rota_addr make_ipv6(const struct in6_addr *host, in_port_t port, uint32_t scope)
{
    struct rota_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.sockaddr.ipv6.sin6_family = AF_INET6;
    addr.sockaddr.ipv6.sin6_addr = *host;
    addr.sockaddr.ipv6.sin6_port = port;
    addr.sockaddr.ipv6.sin6_scope_id = scope;
    addr.size = sizeof addr.sockaddr.ipv6;
    return addr;
}

/* `size` <= LOCAL_NAME_MAX bytes; 0 for the address of a socket that was never bound. */
static struct rota_addr make_local(const char *name, size_t size)
{
    struct rota_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.sockaddr.local.sun_family = AF_UNIX;
    if (size > 0)
        memcpy(addr.sockaddr.local.sun_path, name, size);
    if (size > 0 && name[0] != '\0' && size < LOCAL_NAME_MAX)
        size++; /* a path's NUL */
    addr.size = (socklen_t)(LOCAL_NAME_OFFSET + size);
    return addr;
}

int rota_addr_unix(struct rota_addr *ret_addr, const char *path, size_t size)
{
    if (ret_addr == NULL || path == NULL || size == 0)
        return -EINVAL;
    bool is_abstract = path[0] == '\0';
    if (!is_abstract && memchr(path, '\0', size) != NULL)
        return -EINVAL;
    if (size > (is_abstract ? LOCAL_NAME_MAX : LOCAL_NAME_MAX - 1))
        return -ENAMETOOLONG;
    *ret_addr = make_local(path, size);
    return 0;
}

static int local_from_sockaddr(struct rota_addr *ret_addr, const struct sockaddr *sockaddr,
                               size_t size)
{
    const char *name = (const char *)sockaddr + LOCAL_NAME_OFFSET;
    size_t name_size = size - LOCAL_NAME_OFFSET;
    if (name_size > 0 && name[0] != '\0')
        name_size = strnlen(name, name_size);
    if (name_size > LOCAL_NAME_MAX)
        return -ENAMETOOLONG;
    *ret_addr = make_local(name, name_size);
    return 0;
}

int rota_addr_from_sockaddr(struct rota_addr *ret_addr, const struct sockaddr *sockaddr,
                            socklen_t size)
{
    sa_family_t family;
    if (ret_addr == NULL || sockaddr == NULL || size < sizeof family)
        return -EINVAL;
    memcpy(&family, (const char *)sockaddr + offsetof(struct sockaddr, sa_family), sizeof family);
    switch (family) {
    case AF_INET: {
        struct sockaddr_in ipv4;
        if (size < sizeof ipv4)
            return -EINVAL;
        memcpy(&ipv4, sockaddr, sizeof ipv4);
        *ret_addr = make_ipv4(ipv4.sin_addr, ipv4.sin_port);
        return 0;
    }
    case AF_INET6: {
        struct sockaddr_in6 ipv6;
        if (size < sizeof ipv6)
            return -EINVAL;
        memcpy(&ipv6, sockaddr, sizeof ipv6);
        *ret_addr = make_ipv6(&ipv6.sin6_addr, ipv6.sin6_port, ipv6.sin6_scope_id);
        return 0;
    }
    case AF_UNIX:
        return local_from_sockaddr(ret_addr, sockaddr, size);
    default:
        return -EAFNOSUPPORT;
    }
}

/* ---- Reading text ---- */

/* A decimal number without sign, white space or leading zeros; false if it is none or > max. */
static bool parse_number(uint32_t *ret_number, const char *text, size_t size, uint32_t max)
{
    uint64_t number = 0;
    if (size == 0 || (size > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
        if (number > max)
            return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* ":port", to the end of the text; the port in network order. */
static int parse_port(in_port_t *ret_port, const char *text)
{
    uint32_t port;
    if (text[0] != ':' || !parse_number(&port, text + 1, strlen(text + 1), PORT_MAX))
        return -EINVAL;
    *ret_port = htons((uint16_t)port);
    return 0;
}

static int parse_scope(uint32_t *ret_scope, const char *text, size_t size)
{
    char name[IF_NAMESIZE];
    if (size == 0)
        return -EINVAL;
    if (text[0] >= '0' && text[0] <= '9')
        return parse_number(ret_scope, text, size, UINT32_MAX) && *ret_scope > 0 ? 0 : -EINVAL;
    if (size >= sizeof name)
        return -ENODEV; /* no interface has so long a name */
    memcpy(name, text, size);
    name[size] = '\0';
    unsigned index = if_nametoindex(name);
    if (index == 0)
        return -ENODEV; /* the C library does not say dependably why */
    *ret_scope = index;
    return 0;
}

static int parse_ipv6(struct rota_addr *ret_addr, const char *text)
{
    char host_text[INET6_ADDRSTRLEN];
    struct in6_addr host;
    in_port_t port;
    uint32_t scope = 0;
    const char *begin = text + 1;
    const char *end = strchr(begin, ']');
    if (end == NULL)
        return -EINVAL;
    const char *percent = memchr(begin, '%', (size_t)(end - begin));
    size_t host_size = (size_t)((percent != NULL ? percent : end) - begin);
    if (host_size >= sizeof host_text)
        return -EINVAL;
    memcpy(host_text, begin, host_size);
    host_text[host_size] = '\0';
    if (inet_pton(AF_INET6, host_text, &host) != 1)
        return -EINVAL;
    int r = parse_port(&port, end + 1);
    if (r == 0 && percent != NULL)
        r = parse_scope(&scope, percent + 1, (size_t)(end - percent - 1));
    if (r == 0)
        *ret_addr = make_ipv6(&host, port, scope);
    return r;
}

/* IPv4, and the two forms of "any address". */
static int parse_ipv4_or_any(struct rota_addr *ret_addr, const char *text)
{
    char host_text[INET_ADDRSTRLEN];
    struct in_addr host;
    in_port_t port;
    const char *colon = strchr(text, ':');
    if (colon == NULL || parse_port(&port, colon) < 0)
        return -EINVAL;
    size_t host_size = (size_t)(colon - text);
    if (host_size == 0 || (host_size == 1 && text[0] == '*')) {
        *ret_addr = make_ipv6(&in6addr_any, port, 0);
        ret_addr->dual_stack = true;
        return 0;
    }
    if (host_size >= sizeof host_text)
        return -EINVAL;
    memcpy(host_text, text, host_size);
    host_text[host_size] = '\0';
    if (inet_pton(AF_INET, host_text, &host) != 1)
        return -EINVAL;
    *ret_addr = make_ipv4(host, port);
    return 0;
}

/* The value of a hexadecimal digit; negative if it is none. */
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* What follows "unix:". */
static int parse_unix(struct rota_addr *ret_addr, const char *text)
{
    char name[LOCAL_NAME_MAX];
    size_t size = 0;
    bool is_abstract = text[0] == '@';
    if (is_abstract) {
        name[size++] = '\0';
        text++;
    }
    for (; *text != '\0'; text++) {
        char byte = *text;
        if (byte == '%') {
            int high = hex_value(text[1]);
            int low = high < 0 ? -1 : hex_value(text[2]);
            if (low < 0)
                return -EINVAL;
            byte = (char)(high * 16 + low);
            text += 2;
        }
        if (byte == '\0' && !is_abstract)
            return -EINVAL; /* an escaped NUL would make it abstract, or end it */
        if (size == sizeof name)
            return -ENAMETOOLONG;
        name[size++] = byte;
    }
    return rota_addr_unix(ret_addr, name, size);
}

int rota_addr_parse(struct rota_addr *ret_addr, const char *text)
{
    if (ret_addr == NULL || text == NULL)
        return -EINVAL;
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0)
        return parse_unix(ret_addr, text + sizeof unix_prefix - 1);
    if (text[0] == '[')
        return parse_ipv6(ret_addr, text);
    return parse_ipv4_or_any(ret_addr, text);
}

/* ---- Writing text ---- */

static bool needs_escape(const char *name, size_t index)
{
    unsigned char byte = (unsigned char)name[index];
    return byte < 0x20 || byte == 0x7f || byte == '%' || (byte == '@' && index == 0);
}

static int format_unix(const struct rota_addr *addr, char text[ROTA_ADDR_TEXT_SIZE])
{
    static const char digits[] = "0123456789ABCDEF";
    const char *name = addr->sockaddr.local.sun_path;
    size_t name_size = addr->size - LOCAL_NAME_OFFSET;
    size_t begin = name_size > 0 && name[0] == '\0'; /* the NUL of an abstract name is its '@' */
    if (begin == 0)
        name_size = strnlen(name, name_size);
    char *out = stpcpy(text, unix_prefix);
    if (begin == 1)
        *out++ = '@';
    for (size_t i = begin; i < name_size; i++) {
        if (needs_escape(name, i)) {
            *out++ = '%';
            *out++ = digits[(unsigned char)name[i] >> 4];
            *out++ = digits[(unsigned char)name[i] & 0xf];
        } else {
            *out++ = name[i];
        }
    }
    *out = '\0';
    return (int)(out - text);
}

static int format_ipv6(const struct rota_addr *addr, char text[ROTA_ADDR_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN];
    const struct sockaddr_in6 *ipv6 = &addr->sockaddr.ipv6;
    unsigned port = ntohs(ipv6->sin6_port);
    if (addr->dual_stack)
        return snprintf(text, ROTA_ADDR_TEXT_SIZE, "*:%u", port);
    inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof host);
    if (ipv6->sin6_scope_id == 0)
        return snprintf(text, ROTA_ADDR_TEXT_SIZE, "[%s]:%u", host, port);
    return snprintf(text, ROTA_ADDR_TEXT_SIZE, "[%s%%%u]:%u", host, (unsigned)ipv6->sin6_scope_id,
                    port);
}

int rota_addr_format(const struct rota_addr *addr, char *buffer, size_t size)
{
    char text[ROTA_ADDR_TEXT_SIZE];
    char host[INET_ADDRSTRLEN];
    int length;
    if (addr == NULL || (buffer == NULL && size > 0))
        return -EINVAL;
    switch (addr->sockaddr.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &addr->sockaddr.ipv4.sin_addr, host, sizeof host);
        length = snprintf(text, sizeof text, "%s:%u", host,
                          (unsigned)ntohs(addr->sockaddr.ipv4.sin_port));
        break;
    case AF_INET6:
        length = format_ipv6(addr, text);
        break;
    case AF_UNIX:
        length = format_unix(addr, text);
        break;
    default:
        return -EINVAL;
    }
    if (size > 0) {
        size_t copied = (size_t)length < size ? (size_t)length : size - 1;
        memcpy(buffer, text, copied);
        buffer[copied] = '\0';
    }
    return length;
}

/* ---- Questions ---- */

static bool holds_address(const struct rota_addr *addr)
{
    return addr != NULL && addr->sockaddr.any.sa_family != AF_UNSPEC;
}

int rota_addr_port(const struct rota_addr *addr)
{
    if (addr == NULL)
        return -EINVAL;
    switch (addr->sockaddr.any.sa_family) {
    case AF_INET:
        return ntohs(addr->sockaddr.ipv4.sin_port);
    case AF_INET6:
        return ntohs(addr->sockaddr.ipv6.sin6_port);
    default:
        return -EINVAL;
    }
}

bool rota_addr_equal(const struct rota_addr *left, const struct rota_addr *right)
{
    /* All bytes of the member in use count, and what is padding there is zero. */
    return holds_address(left) && holds_address(right) && left->size == right->size &&
           left->dual_stack == right->dual_stack &&
           memcmp(&left->sockaddr, &right->sockaddr, left->size) == 0;
}

const struct sockaddr *rota_addr_sockaddr(const struct rota_addr *addr, socklen_t *ret_size)
{
    if (!holds_address(addr) || ret_size == NULL)
        return NULL;
    *ret_size = addr->size;
    return &addr->sockaddr.any;
}
