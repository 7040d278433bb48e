/* SPDX-License-Identifier: MIT */
/*
 * membarrier_test.cc - loops where the kernel refuses membarrier(2), as filters of system calls do.
 */
#include <cerrno>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <rota/future.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/loop/run_loops.h"

namespace {

/* From now on membarrier(2) fails in this process. */
bool refuse_membarrier()
{
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
           syscall(SYS_membarrier, 0, 0, 0) == -1 && errno == EPERM;
}

/* Tasks that wait for each other in a ring, so that loops park and are woken all the time. */
int pass_round()
{
    constexpr int tasks_count = 8;
    constexpr int rounds = 200;
    std::atomic<int> passed{0};
    loops::Tasks tasks;
    for (int i = 0; i < tasks_count; i++)
        tasks.spawn([&] {
            for (int round = 0; round < rounds; round++) {
                if (round % 20 == 0 && rota_sleep(ROTA_MS) != 0)
                    return -1;
                if (rota_yield() != 0)
                    return -1;
                passed++;
            }
            return 0;
        });
    tasks.join();
    return passed;
}

TEST(Membarrier, LoopsDoWithoutIt)
{
    if (support::emulated())
        GTEST_SKIP() << "the emulator has no filters of system calls";
    support::in_child([] {
        if (!refuse_membarrier())
            return 2;
        return loops::run(4, pass_round) == 8 * 200 ? 0 : 1;
    });
}

} // namespace
