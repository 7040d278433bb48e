/* SPDX-License-Identifier: MIT */
/*
 * errno.h - errno for code that runs in tasks.
 *
 * A task may go on on another thread after a suspending call, and errno is the thread's. The C
 * library declares the function behind errno as constant, so that a compiler may ask once where
 * errno lies and go on reading the first thread's. With this header, `errno` asks each time. It may
 * be included before or after <errno.h>, in C and in C++.
 *
 * What this does not do: errno does not travel with the task. Read it right after the call that
 * set it, and before the next call that suspends. rota's own functions never report through errno.
 */
#ifndef ROTA_ERRNO_H
#define ROTA_ERRNO_H

#include <rota/base.h>

#include <errno.h>

ROTA_BEGIN_DECLS

/*
 * Where errno of the calling thread lies, found anew at each call.
 *
 * Returns: the address, never NULL. Good until the next suspending call.
 * Call from: anywhere, signal handlers included. Suspends: no.
 * Errors: none. Ownership: the object is the calling thread's.
 */
ROTA_API int *rota_errno_location(void);

ROTA_END_DECLS

#undef errno
#define errno (*rota_errno_location())

#endif
