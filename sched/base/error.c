/* SPDX-License-Identifier: MIT */
/*
 * error.c - names and sentences of errors.
 *
 * strerror() may translate, allocate and lock; glibc's two const tables do none of it.
 */
#include <rota/error.h>

#include <string.h>

const char *rota_strerror(int error)
{
    if (error >= 0)
        return "success";
    switch (error) {
#define ERROR_TEXT(name, value, text)                                                              \
    case (value):                                                                                  \
        return text;
        ROTA_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
    default:
        break;
    }
    const char *text = error > -4096 ? strerrordesc_np(-error) : NULL;
    return text ? text : "unknown error";
}

const char *rota_error_name(int error)
{
    if (error >= 0)
        return "OK";
    switch (error) {
#define ERROR_NAME(name, value, text)                                                              \
    case (value):                                                                                  \
        return "ROTA_" #name;
        ROTA_ERRORS(ERROR_NAME)
#undef ERROR_NAME
    default:
        break;
    }
    const char *name = error > -4096 ? strerrorname_np(-error) : NULL;
    return name ? name : "UNKNOWN";
}
