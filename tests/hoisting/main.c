/* SPDX-License-Identifier: MIT */
/*
 * main.c - a program around hoisting_run(), which may be in a shared library.
 */
#include "tests/hoisting/hoisting.h"

int main(void)
{
    return hoisting_run();
}
