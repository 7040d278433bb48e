/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - where all heap memory of rota comes from.
 *
 * jemalloc's sized calls where the process has it (weak references: the library never links it, so
 * that it can be dlopened), malloc otherwise. Failure is a NULL that every caller turns into
 * -ENOMEM; one hook lets a test fail the k-th allocation, another lets it count live bytes.
 */
#ifndef ROTI_ALLOC_H
#define ROTI_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `size` bytes, aligned as malloc aligns; NULL when memory is exhausted. */
void *roti_alloc(size_t size);

/* The same, zeroed. */
void *roti_zalloc(size_t size);

/* Returns a block; `size` is the size it was asked for. NULL is ignored. */
void roti_free(void *pointer, size_t size);

/* `size` zeroed bytes at a multiple of `alignment` (a power of two, 16 to 4096), or NULL. */
void *roti_zalloc_aligned(size_t alignment, size_t size);

/* Returns such a block, with the figures that it was asked for. NULL is ignored. */
void roti_free_aligned(void *pointer, size_t alignment, size_t size);

/*
 * Installs a function asked before each allocation (true: go on, false: fail it), NULL to remove.
 * For tests; may be called by any thread at any time, so the function must be thread-safe.
 */
void roti_alloc_set_hook(bool (*may_allocate)(size_t size));

/* The same question, for resources that are not heap memory (stacks, slabs of address space). */
bool roti_alloc_permitted(size_t size);

/*
 * Installs a function told of each change of the bytes in use (a size, or a size negated), NULL to
 * remove. For tests; any thread, so the function must be thread-safe, and it must not allocate.
 */
void roti_alloc_set_balance_hook(void (*changed)(ptrdiff_t change));

#ifdef __cplusplus
}
#endif

#endif
