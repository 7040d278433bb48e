/* SPDX-License-Identifier: MIT */
/*
 * addr.h - socket addresses: IPv4, IPv6 and unix, and their text form.
 *
 *     text                       address
 *     127.0.0.1:8080             IPv4
 *     [::1]:8080                 IPv6; a listener on it takes no IPv4
 *     [fe80::1%eth0]:8080        IPv6 with a scope: an interface, by its name or its number
 *     *:8080 and :8080           any address of this machine, IPv6 and IPv4 (dual stack)
 *     unix:/run/app.sock         a path, absolute or relative
 *     unix:@name                 the abstract name "name", which is in no file system
 *
 * A port is a decimal number from 0 to 65535 without leading zeros; 0 asks the kernel to choose
 * one. After "unix:" a byte may be written %XX, two hexadecimal digits; a percent sign itself must
 * be: %25. Nothing else is accepted, not even white space: no host names (a resolver is for
 * those, since looking one up may take seconds), no service names, no IPv6 without brackets.
 */
#ifndef ROTA_ADDR_H
#define ROTA_ADDR_H

#include <rota/base.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

ROTA_BEGIN_DECLS

/* Enough for the text of any address, its terminating NUL included. */
#define ROTA_ADDR_TEXT_SIZE 336

/*
 * One address, a plain value: copy it by assignment. Zeroed memory is no address, and every call
 * says so. Fill it by the calls below; what they do not fill is zero.
 */
struct rota_addr {
    union {
        struct sockaddr any; /* its sa_family says which of the others holds */
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un local;
    } sockaddr;
    socklen_t size;  /* of the member in use, exactly as the kernel wants it */
    bool dual_stack; /* of "*:port": ipv6 is the unspecified address, and IPv4 is meant as well */
};

/*
 * Reads an address from its text form. No name is looked up but that of a network interface.
 *
 * Returns: 0 with *ret_addr set.
 * Errors: -EINVAL for an argument that is NULL and for text of any other form (host names too);
 * -ENAMETOOLONG for a unix name that does not fit; -ENODEV for an interface that is unknown, or
 * cannot be asked for as no descriptor is left. *ret_addr is then untouched.
 * Call from: anywhere. Suspends: no.
 * Ownership: *ret_addr is the caller's and refers to nothing; `text` is only read.
 */
ROTA_API int rota_addr_parse(struct rota_addr *ret_addr, const char *text);

/*
 * Makes a unix address of the `size` bytes at `path`: a path, which needs no terminating NUL and
 * has at most 107 bytes; or, if the first byte is NUL, an abstract name of at most 107 bytes after
 * it, where every byte counts, NULs too.
 *
 * Returns: 0 with *ret_addr set.
 * Errors: -EINVAL for an argument that is NULL, for size 0, and for a NUL within a path;
 * -ENAMETOOLONG for more bytes than fit (nothing is ever cut off). *ret_addr is then untouched.
 * Call from: anywhere. Suspends: no.
 * Ownership: *ret_addr is the caller's and refers to nothing; `path` is only read.
 */
ROTA_API int rota_addr_unix(struct rota_addr *ret_addr, const char *path, size_t size);

/*
 * Takes over an address that came from the kernel or from another library. `size` is the number
 * of bytes that the kernel reported; where it reported more than the buffer at `sockaddr` holds,
 * the size of the buffer. The flow label of an IPv6 address is dropped.
 *
 * Returns: 0 with *ret_addr set. A unix socket that was never bound has an address too, without a
 * name: its text is "unix:", which cannot be parsed, as there is nothing to connect to.
 * Errors: -EINVAL for an argument that is NULL and for a size too small for the family;
 * -ENAMETOOLONG for a unix name that does not fit; -EAFNOSUPPORT for any other family. *ret_addr
 * is then untouched.
 * Call from: anywhere. Suspends: no.
 * Ownership: *ret_addr is the caller's and refers to nothing; `sockaddr` is only read.
 */
ROTA_API int rota_addr_from_sockaddr(struct rota_addr *ret_addr, const struct sockaddr *sockaddr,
                                     socklen_t size);

/*
 * Writes the text form of `addr`, which rota_addr_parse() makes the same address of again, to the
 * `size` bytes at `buffer`; if size > 0, cut off where it must be and always with a NUL.
 * ROTA_ADDR_TEXT_SIZE bytes are enough. IPv6 is written in its shortest form and scopes by number;
 * control characters of unix names are escaped, so that the text may go to a log.
 *
 * Returns: the number of bytes of the whole text without its NUL; it was cut off if that is not
 * less than `size`.
 * Errors: -EINVAL if `addr` is NULL or holds no address, or if `buffer` is NULL and size > 0.
 * Call from: anywhere. Suspends: no.
 * Ownership: `addr` is only read, `buffer` only written; both stay the caller's.
 */
ROTA_API int rota_addr_format(const struct rota_addr *addr, char *buffer, size_t size);

/*
 * The port of an IPv4 or IPv6 address.
 *
 * Returns: 0 to 65535.
 * Errors: -EINVAL if `addr` is NULL, holds no address, or is a unix address.
 * Call from: anywhere. Suspends: no.
 * Ownership: `addr` is only read.
 */
ROTA_API int rota_addr_port(const struct rota_addr *addr);

/*
 * Whether two addresses are the same: family, all bytes of the address or name, port, scope, and
 * "any address" as opposed to "any IPv6 address". 127.0.0.1 and ::ffff:127.0.0.1 differ.
 *
 * Returns: true or false; false if one is NULL or holds no address.
 * Errors: none.
 * Call from: anywhere. Suspends: no.
 * Ownership: both are only read.
 */
ROTA_API bool rota_addr_equal(const struct rota_addr *left, const struct rota_addr *right);

/*
 * The address as system calls want it.
 *
 * Returns: a pointer into *addr, with *ret_size set.
 * Errors: NULL, with *ret_size untouched, if an argument is NULL or `addr` holds no address.
 * Call from: anywhere. Suspends: no.
 * Ownership: what is returned is part of *addr and lives as long.
 */
ROTA_API const struct sockaddr *rota_addr_sockaddr(const struct rota_addr *addr,
                                                   socklen_t *ret_size);

ROTA_END_DECLS

#endif
