/* SPDX-License-Identifier: MIT */
/*
 * failing_calls.h - makes system calls fail, and counts them.
 */
#ifndef ROTA_TESTS_FAILING_CALLS_H
#define ROTA_TESTS_FAILING_CALLS_H

#include <atomic>
#include <functional>

#include "loop/syscall.h"

namespace failing {

/* What every hooked call asks first: 0, or the negative error that it answers with. */
inline std::function<int(enum roti_syscall site)> answer;

inline std::atomic<int> calls[ROTI_SYSCALL_COUNT];

/* While it exists calls are counted, from 0 on, and answered by a function. One at a time. */
class Hook {
public:
    explicit Hook(std::function<int(enum roti_syscall site)> function)
    {
        for (auto &count : calls)
            count = 0;
        answer = std::move(function);
        roti_syscall_set_hook([](enum roti_syscall site) {
            calls[site]++;
            return answer(site);
        });
    }
    ~Hook()
    {
        roti_syscall_set_hook(nullptr);
    }
    Hook(const Hook &) = delete;
    Hook &operator=(const Hook &) = delete;

    /* Calls of a site so far. */
    int count(enum roti_syscall site) const
    {
        return calls[site];
    }
};

/* Counts calls. */
class Count : public Hook {
public:
    Count() : Hook([](enum roti_syscall) { return 0; }) {}
};

/* Fails the calls of one site, the first `count` of them. */
class Failure : public Hook {
public:
    Failure(enum roti_syscall failing_site, int error, int count = 1)
        : Hook([=](enum roti_syscall site) {
              return site == failing_site && calls[site] <= count ? error : 0;
          })
    {
    }
};

} // namespace failing

#endif
