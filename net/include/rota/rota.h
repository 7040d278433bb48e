/* SPDX-License-Identifier: MIT */
/*
 * rota.h - all of rota's public headers.
 */
#ifndef ROTA_ROTA_H
#define ROTA_ROTA_H

#include <rota/addr.h>
#include <rota/base.h>
#include <rota/context.h>
#include <rota/errno.h>
#include <rota/error.h>
#include <rota/figures.h>
#include <rota/future.h>
#include <rota/histogram.h>
#include <rota/loop.h>
#include <rota/runtime.h>
#include <rota/server.h>
#include <rota/stream.h>
#include <rota/task.h>
#include <rota/timeout.h>

#endif
