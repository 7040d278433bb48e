/* SPDX-License-Identifier: MIT */
/*
 * fiber_test.cc - the switch: values, registers, alignment, unwinding, threads (H23, H30, H33, H34,
 * H37, H38).
 */
#include "sched/fiber.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <unwind.h>
#include <vector>

extern "C" long test_registers(void (*call)(void *), void *arg, unsigned long seed);

namespace {

/* A fiber with a body, and the fiber that it comes back to. */
struct Flow {
    roti_fiber fiber{};
    roti_stack *stack = nullptr;
    roti_fiber *home = nullptr;
    std::function<void(Flow &, void *)> body;
    void *last = nullptr; /* transferred at the end */

    explicit Flow(std::function<void(Flow &, void *)> function, roti_stack_cache *cache = nullptr,
                  size_t size = 0)
        : body(std::move(function))
    {
        if (roti_stack_get(cache, size, &stack) < 0)
            throw std::runtime_error("no stack");
        roti_fiber_init(&fiber, stack, 0, enter, this);
    }
    ~Flow()
    {
        roti_stack_put(nullptr, stack);
    }
    Flow(const Flow &) = delete;
    Flow &operator=(const Flow &) = delete;

    static roti_fiber_exit enter(void *arg, void *transfer)
    {
        Flow &self = *static_cast<Flow *>(arg);
        self.body(self, transfer);
        return {self.home, self.last};
    }

    /* From the thread's own stack into the flow, until it pauses or ends. */
    void *run(void *transfer = nullptr)
    {
        roti_fiber thread;
        EXPECT_EQ(roti_fiber_adopt_thread(&thread), 0);
        home = &thread;
        return roti_fiber_switch(&thread, &fiber, transfer);
    }

    void *pause(void *transfer = nullptr)
    {
        return roti_fiber_switch(&fiber, home, transfer);
    }
};

class Fiber : public testing::Test {
protected:
    void TearDown() override
    {
        roti_stack_pool_drain();
    }
};

void *number(std::uintptr_t n)
{
    return reinterpret_cast<void *>(n);
}

TEST_F(Fiber, TransfersValuesBothWays)
{
    std::uintptr_t seen = 0;
    Flow flow([&](Flow &self, void *transfer) {
        for (std::uintptr_t i = 0; i < 100; i++) {
            EXPECT_EQ(transfer, number(2 * i));
            seen++;
            transfer = self.pause(number(2 * i + 1));
        }
        EXPECT_EQ(transfer, number(777));
        self.last = number(888);
    });
    for (std::uintptr_t i = 0; i < 100; i++)
        EXPECT_EQ(flow.run(number(2 * i)), number(2 * i + 1));
    EXPECT_EQ(seen, 100u);
    EXPECT_EQ(flow.run(number(777)), number(888));
}

TEST_F(Fiber, ChainsWithoutGoingHome)
{
    /* Each flow ends into the next one; only the last goes home. */
    constexpr int count = 50;
    std::vector<std::unique_ptr<Flow>> flows;
    int order = 0;
    for (int i = 0; i < count; i++)
        flows.push_back(std::make_unique<Flow>([&order, i](Flow &self, void *transfer) {
            EXPECT_EQ(order++, i);
            EXPECT_EQ(transfer, number(static_cast<std::uintptr_t>(i)));
            self.last = number(static_cast<std::uintptr_t>(i) + 1);
        }));
    roti_fiber thread;
    ASSERT_EQ(roti_fiber_adopt_thread(&thread), 0);
    for (int i = 0; i < count; i++)
        flows[i]->home = i + 1 < count ? &flows[i + 1]->fiber : &thread;
    EXPECT_EQ(roti_fiber_switch(&thread, &flows[0]->fiber, nullptr), number(count));
    EXPECT_EQ(order, count);
}

TEST_F(Fiber, KeepsTheRegistersOfTheAbi)
{
    long changed_inside = -1;
    Flow flow([&](Flow &self, void *) {
        changed_inside = test_registers([](void *arg) { static_cast<Flow *>(arg)->pause(); }, &self,
                                        0x1111222233334444);
    });
    long changed_outside = test_registers([](void *arg) { static_cast<Flow *>(arg)->run(); }, &flow,
                                          0x5555666677778888);
    EXPECT_EQ(changed_outside, 0);
    flow.run();
    EXPECT_EQ(changed_inside, 0);
}

__attribute__((noinline)) double vector_sum(int n)
{
    alignas(16) volatile double a[8];
    double sum = 0;
    for (int i = 0; i < 8; i++)
        a[i] = n + i;
    for (int i = 0; i < 8; i++)
        sum += a[i] * 0.5;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(const_cast<double *>(a)) % 16, 0u);
    return sum;
}

/* H34: a library function that stores vector registers faults on a stack that is off by eight. */
TEST_F(Fiber, StartsAligned)
{
    for (int i = 0; i < 20; i++) {
        char text[64] = "";
        std::uintptr_t frame = 1;
        double sum = 0;
        Flow flow([&](Flow &, void *) {
            snprintf(text, sizeof text, "%f %Lf", 1.5, 2.25L);
            frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
            sum = vector_sum(1);
        });
        flow.run();
        EXPECT_STREQ(text, "1.500000 2.250000");
        EXPECT_EQ(frame % 16, 0u);
        EXPECT_EQ(sum, 18.0);
    }
}

/* The entry function itself, with nothing of ours in between. */
TEST_F(Fiber, EntersWithTheStackPointerOfTheAbi)
{
    roti_stack *stack;
    roti_fiber fiber;
    struct Seen {
        roti_fiber thread;
        std::uintptr_t frame;
    } seen{};
    ASSERT_EQ(roti_stack_get(nullptr, 0, &stack), 0);
    ASSERT_EQ(roti_fiber_adopt_thread(&seen.thread), 0);
    roti_fiber_init(
        &fiber, stack, 0,
        [](void *arg, void *transfer) -> roti_fiber_exit {
            auto *mine = static_cast<Seen *>(arg);
            mine->frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
            return {&mine->thread, transfer};
        },
        &seen);
    EXPECT_EQ(roti_fiber_switch(&seen.thread, &fiber, number(5)), number(5));
    EXPECT_EQ(seen.frame % 16, 0u);
    roti_stack_put(nullptr, stack);
}

/* H33: FORTIFY's longjmp must not take a jump inside one fiber for a jump between stacks. */
TEST_F(Fiber, LongjmpInsideOneFiber)
{
    int caught = 0;
    Flow flow([&](Flow &self, void *) {
        while (caught < 3) {
            jmp_buf place;
            if (setjmp(place) == 0) {
                self.pause();
                std::longjmp(place, 1);
            }
            caught++;
        }
    });
    for (int i = 0; i < 4; i++)
        flow.run();
    EXPECT_EQ(caught, 3);
}

__attribute__((noinline)) void fail_deep(int depth)
{
    if (depth == 0)
        throw std::runtime_error("deep");
    fail_deep(depth - 1);
    asm volatile("" ::: "memory");
}

TEST_F(Fiber, ExceptionsInsideOneFiber)
{
    std::string message;
    Flow flow([&](Flow &self, void *) {
        self.pause();
        try {
            fail_deep(20);
        } catch (const std::exception &error) {
            message = error.what();
        }
    });
    flow.run();
    flow.run();
    EXPECT_EQ(message, "deep");
}

_Unwind_Reason_Code count_frame(_Unwind_Context *, void *arg)
{
    return ++*static_cast<int *>(arg) < 200 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

/* H38: the first frame has no caller, and unwinders are told so. */
TEST_F(Fiber, UnwindingEndsAtTheFirstFrame)
{
    int frames = 0;
    _Unwind_Reason_Code code = _URC_NO_REASON;
    Flow flow([&](Flow &, void *) { code = _Unwind_Backtrace(count_frame, &frames); });
    flow.run();
    EXPECT_EQ(code, _URC_END_OF_STACK);
    EXPECT_GT(frames, 2);
    EXPECT_LT(frames, 20);
}

TEST_F(Fiber, GoesOnOnAnotherThread)
{
    std::vector<pid_t> ids; /* not this_thread::get_id(), which compilers may ask once */
    int value = 0;
    Flow flow([&](Flow &self, void *) {
        for (int i = 0; i < 4; i++) {
            ids.push_back(gettid());
            value++;
            self.pause();
        }
    });
    flow.run();
    for (int i = 0; i < 3; i++)
        std::thread([&] { flow.run(); }).join();
    flow.run();
    EXPECT_EQ(value, 4);
    EXPECT_NE(ids[0], ids[1]);
    EXPECT_NE(ids[0], ids[3]);
}

TEST_F(Fiber, TenThousandAtOnce)
{
    /* ThreadSanitizer has room for fewer; emulators search all mappings for each new one. */
    const int count = ROTI_TSAN || support::slowness() > 4 ? 1000 : 10000;
    std::vector<std::unique_ptr<Flow>> flows;
    long sum = 0;
    for (int i = 0; i < count; i++)
        flows.push_back(std::make_unique<Flow>([&sum, i](Flow &self, void *) {
            volatile int kept = i;
            self.pause();
            sum += kept;
        }));
    for (auto &flow : flows)
        flow->run();
    for (auto &flow : flows)
        flow->run();
    EXPECT_EQ(sum, static_cast<long>(count) * (count - 1) / 2);
}

/* H37: what the sanitizers keep of a stack's dead fiber must not be in the next one's way. */
TEST_F(Fiber, StacksServeManyFibers)
{
    roti_stack_cache cache;
    roti_stack_cache_init(&cache);
    struct Both {
        roti_fiber thread, fiber;
        long entered;
    } both{};
    ASSERT_EQ(roti_fiber_adopt_thread(&both.thread), 0);
    /* ThreadSanitizer does not check the end of its record of calls: one call too many for each
     * fiber was seen to crash within a million, and not within 150,000. */
    const long count = ROTI_TSAN ? 1000000 : support::scale(200000);
    for (long i = 0; i < count; i++) {
        roti_stack *stack;
        ASSERT_EQ(roti_stack_get(&cache, 0, &stack), 0);
        roti_fiber_init(
            &both.fiber, stack, 0,
            [](void *arg, void *) -> roti_fiber_exit {
                auto *mine = static_cast<Both *>(arg);
                char locals[200];
                memset(locals, 1, sizeof locals);
                asm volatile("" ::"r"(locals) : "memory");
                mine->entered += locals[7];
                return {&mine->thread, nullptr};
            },
            &both);
        roti_fiber_switch(&both.thread, &both.fiber, nullptr);
        roti_stack_put(&cache, stack);
    }
    EXPECT_EQ(both.entered, count);
    roti_stack_cache_drain(&cache);
}

TEST_F(Fiber, LeavesTheReservedBytesAlone)
{
    roti_stack *stack;
    roti_fiber thread, fiber;
    ASSERT_EQ(roti_stack_get(nullptr, 0, &stack), 0);
    ASSERT_EQ(roti_fiber_adopt_thread(&thread), 0);
    constexpr size_t reserved = 333;
    char *mine = roti_stack_top(stack) - reserved;
    memset(mine, 0x5a, reserved);
    roti_fiber_init(
        &fiber, stack, reserved,
        [](void *arg, void *) -> roti_fiber_exit {
            char text[100];
            snprintf(text, sizeof text, "%p %f", arg, 3.0);
            return {static_cast<roti_fiber *>(arg), nullptr};
        },
        &thread);
    roti_fiber_switch(&thread, &fiber, nullptr);
    for (size_t i = 0; i < reserved; i++)
        ASSERT_EQ(mine[i], 0x5a) << i;
    roti_stack_put(nullptr, stack);
}

TEST_F(Fiber, AParkedFiberTouchesOnePage)
{
    if (ROTI_ASAN || ROTI_TSAN)
        GTEST_SKIP() << "frames are larger, and shadow memory is elsewhere";
    struct Both {
        roti_fiber thread, fiber;
    } both{};
    roti_stack *stack;
    roti_stack_pool_drain();
    ASSERT_EQ(roti_stack_get(nullptr, 0, &stack), 0);
    ASSERT_EQ(roti_fiber_adopt_thread(&both.thread), 0);
    roti_fiber_init(
        &both.fiber, stack, 256,
        [](void *arg, void *) -> roti_fiber_exit {
            auto *mine = static_cast<Both *>(arg);
            roti_fiber_switch(&mine->fiber, &mine->thread, nullptr);
            return {&mine->thread, nullptr};
        },
        &both);
    roti_fiber_switch(&both.thread, &both.fiber, nullptr);
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> resident(stack->size / page);
    ASSERT_EQ(mincore(stack->low, stack->size, resident.data()), 0);
    int count = 0;
    for (unsigned char flags : resident)
        count += flags & 1;
    EXPECT_EQ(count, 1);
    EXPECT_EQ(resident.back() & 1, 1);
    roti_fiber_switch(&both.thread, &both.fiber, nullptr);
    roti_stack_put(nullptr, stack);
}

TEST_F(Fiber, KnowsTheBoundsOfAThreadsStack)
{
    auto check = [] {
        roti_fiber thread;
        ASSERT_EQ(roti_fiber_adopt_thread(&thread), 0);
        auto at = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
        auto low = reinterpret_cast<std::uintptr_t>(thread.stack_low);
        EXPECT_GE(at, low);
        EXPECT_LT(at, low + thread.stack_size);
    };
    check();
    std::thread(check).join();
}

} // namespace
