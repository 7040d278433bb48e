/* SPDX-License-Identifier: MIT */
/*
 * errno.c - where errno lies, without the promise that it is always there. Compiled without LTO.
 */
#include <rota/errno.h>

__attribute__((noinline)) int *rota_errno_location(void)
{
    int *location = __errno_location();
    /* The compiler must not learn that the result is the same each time. */
    __asm__ volatile("" : "+r"(location)::"memory");
    return location;
}
