/* SPDX-License-Identifier: MIT */
/*
 * symbol.h - names the place in the program that an address is in.
 *
 * Problem. Function, file and line of an address need the symbol tables and the debugging
 *          information of whatever module it lies in, which only a library reads well; and a
 *          program that never has to report anything should not carry that library.
 * Design.  libdw is loaded when the first place is to be named. Without it, or where it was not
 *          there at build time, the loader knows the module, the offset, and exported functions.
 *          It is asked for local files only: no debugging information is fetched from servers.
 */
#ifndef ROTI_SYMBOL_H
#define ROTI_SYMBOL_H

#include <rota/stall.h>

/* A place, with the texts it refers to. */
struct roti_symbol {
    struct rota_place place;
    char function[160];
    char file[256];
    char module[256];
};

/* What names places: the modules of the program as they were. */
struct roti_symbols {
    void *session; /* libdw's, or NULL */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Takes milliseconds, and memory while it is open. Any thread, one at a time. */
void roti_symbols_open(struct roti_symbols *symbols);
void roti_symbols_close(struct roti_symbols *symbols);

/* Names an address. `returns`: it is a return address, and what is meant is the call before it.
 * NULL: no place. */
void roti_symbols_find(struct roti_symbols *symbols, const void *address, bool returns,
                       struct roti_symbol *ret_symbol);

#ifdef __cplusplus
}
#endif

#endif
