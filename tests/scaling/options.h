/* SPDX-License-Identifier: MIT */
/*
 * options.h - the load, from the command line; the same for the model and for the real program.
 */
#ifndef ROTI_TESTS_SCALING_OPTIONS_H
#define ROTI_TESTS_SCALING_OPTIONS_H

#include <stdbool.h>

/*
 * Fills `load` from arguments NAME=VALUE. What it does not know it gives to other(name, value),
 * which is false for what that does not know either; then, and where a value is no number or makes
 * no load, the program ends with a message.
 */
void options_parse(int argc, char **argv, bool (*other)(const char *name, const char *value));

/* A number, or the end of the program. */
double options_number(const char *text);

#endif
