/* SPDX-License-Identifier: MIT */
/*
 * symbol.c - places in the program, by libdw where it can be loaded, else by the loader.
 */
#include "loop/symbol.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void copy_text(char *copy, size_t size, const char *text)
{
    snprintf(copy, size, "%s", text);
}

/* ---- libdw ---- */

#if ROTA_LIBDW

#include <elfutils/libdwfl.h>

/* X(name): what is used of it. */
#define DWFL_FUNCTIONS(X)                                                                          \
    X(dwfl_begin)                                                                                  \
    X(dwfl_end)                                                                                    \
    X(dwfl_report_begin)                                                                           \
    X(dwfl_linux_proc_report)                                                                      \
    X(dwfl_report_end)                                                                             \
    X(dwfl_addrmodule)                                                                             \
    X(dwfl_module_addrinfo)                                                                        \
    X(dwfl_module_getsrc)                                                                          \
    X(dwfl_lineinfo)                                                                               \
    X(dwfl_module_nextcu)                                                                          \
    X(dwarf_haspc)                                                                                 \
    X(dwarf_getsrc_die)                                                                            \
    X(dwarf_linesrc)                                                                               \
    X(dwarf_lineno)                                                                                \
    X(dwfl_linux_proc_find_elf)                                                                    \
    X(dwfl_build_id_find_debuginfo)

static struct {
#define DWFL_POINTER(name) __typeof__(name) *name;
    DWFL_FUNCTIONS(DWFL_POINTER)
#undef DWFL_POINTER
} dw;

static bool dw_loaded; /* written once */
static Dwfl_Callbacks callbacks;

/* It stays loaded. */
static void load_once(void)
{
    void *library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return;
    dw_loaded = true;
#define DWFL_LOAD(name)                                                                            \
    dw.name = (__typeof__(name) *)dlsym(library, #name);                                           \
    dw_loaded = dw_loaded && dw.name != NULL;
    DWFL_FUNCTIONS(DWFL_LOAD)
#undef DWFL_LOAD
    /* Not the standard search, which may ask servers. */
    callbacks.find_elf = dw.dwfl_linux_proc_find_elf;
    callbacks.find_debuginfo = dw.dwfl_build_id_find_debuginfo;
}

void roti_symbols_open(struct roti_symbols *symbols)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    symbols->session = NULL;
    pthread_once(&once, load_once);
    if (!dw_loaded)
        return;
    Dwfl *session = dw.dwfl_begin(&callbacks);
    if (session == NULL)
        return;
    dw.dwfl_report_begin(session);
    if (dw.dwfl_linux_proc_report(session, getpid()) == 0 &&
        dw.dwfl_report_end(session, NULL, NULL) == 0)
        symbols->session = session;
    else
        dw.dwfl_end(session);
}

void roti_symbols_close(struct roti_symbols *symbols)
{
    if (symbols->session != NULL)
        dw.dwfl_end(symbols->session);
    symbols->session = NULL;
}

static void set_line(struct roti_symbol *symbol, const char *file, int number)
{
    if (file == NULL)
        return;
    copy_text(symbol->file, sizeof symbol->file, file);
    symbol->place.file = symbol->file;
    symbol->place.line = number;
}

/* By each unit of the module in turn: clang writes no table of the addresses of all. */
static void find_line_in_units(Dwfl_Module *module, uintptr_t address, struct roti_symbol *symbol)
{
    Dwarf_Die *unit = NULL;
    Dwarf_Addr bias;
    while ((unit = dw.dwfl_module_nextcu(module, unit, &bias)) != NULL) {
        if (dw.dwarf_haspc(unit, address - bias) <= 0)
            continue;
        Dwarf_Line *line = dw.dwarf_getsrc_die(unit, address - bias);
        int number = 0;
        if (line != NULL && dw.dwarf_lineno(line, &number) == 0)
            set_line(symbol, dw.dwarf_linesrc(line, NULL, NULL), number);
        return;
    }
}

static void find_line(Dwfl_Module *module, uintptr_t address, struct roti_symbol *symbol)
{
    Dwfl_Line *line = dw.dwfl_module_getsrc(module, address);
    int number = 0;
    if (line == NULL) {
        find_line_in_units(module, address, symbol);
        return;
    }
    const char *file = dw.dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);
    set_line(symbol, file, number);
}

static void find_in_session(Dwfl *session, uintptr_t address, struct roti_symbol *symbol)
{
    Dwfl_Module *module = dw.dwfl_addrmodule(session, address);
    GElf_Off offset;
    GElf_Sym elf_symbol;
    if (module == NULL)
        return;
    const char *name =
        dw.dwfl_module_addrinfo(module, address, &offset, &elf_symbol, NULL, NULL, NULL);
    if (name != NULL) {
        copy_text(symbol->function, sizeof symbol->function, name);
        symbol->function[strcspn(symbol->function, "@")] = 0; /* without its version */
        symbol->place.function = symbol->function;
    }
    find_line(module, address, symbol);
}

#else

void roti_symbols_open(struct roti_symbols *symbols)
{
    symbols->session = NULL;
}

void roti_symbols_close(struct roti_symbols *symbols)
{
    (void)symbols;
}

#endif

/* ---- The loader ---- */

/* Module and offset; and the function, if it is exported. */
static void find_by_loader(uintptr_t address, struct roti_symbol *symbol)
{
    Dl_info info;
    if (dladdr((const void *)address, &info) == 0)
        return;
    copy_text(symbol->module, sizeof symbol->module, info.dli_fname);
    symbol->place.module = symbol->module;
    symbol->place.offset = address - (uintptr_t)info.dli_fbase;
    if (info.dli_sname != NULL) {
        copy_text(symbol->function, sizeof symbol->function, info.dli_sname);
        symbol->place.function = symbol->function;
    }
}

void roti_symbols_find(struct roti_symbols *symbols, const void *address, bool returns,
                       struct roti_symbol *ret_symbol)
{
    *ret_symbol = (struct roti_symbol){.place.address = address};
    if (address == NULL)
        return;
    uintptr_t meant = (uintptr_t)address - (returns ? 1 : 0);
    find_by_loader(meant, ret_symbol);
#if ROTA_LIBDW
    if (symbols->session != NULL)
        find_in_session(symbols->session, meant, ret_symbol);
#else
    (void)symbols;
#endif
}
