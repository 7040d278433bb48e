/* SPDX-License-Identifier: MIT */
/*
 * name_test.cc - the table of names: one number for one text, and what becomes of names when it is
 * full.
 */
#include "sched/name.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

/* A table as at the start, before and after: no test of this program has a task. */
class Name : public testing::Test {
protected:
    Name()
    {
        roti_names_forget();
    }
    ~Name() override
    {
        roti_names_forget();
    }

    static char *get(const std::string &name)
    {
        char *text = nullptr;
        EXPECT_EQ(0, roti_name_get(name.c_str(), &text));
        return text;
    }

    /* Fills the table; returns the names that are in it now. */
    static std::vector<std::string> fill()
    {
        std::vector<std::string> names;
        while (roti_name_count() < ROTI_NAME_COUNT) {
            names.push_back("name " + std::to_string(names.size()));
            (void)get(names.back());
        }
        return names;
    }
};

TEST_F(Name, OneTextHasOneNumber)
{
    char *one = get("one");
    char *two = get("two");
    EXPECT_STREQ("one", one);
    EXPECT_STREQ("two", two);
    EXPECT_EQ(one, get("one"));
    EXPECT_EQ(ROTI_NAME_FIRST, roti_name_number(one));
    EXPECT_EQ(ROTI_NAME_FIRST + 1, roti_name_number(two));
    EXPECT_EQ(ROTI_NAME_FIRST + 2, roti_name_count());
    EXPECT_STREQ("two", roti_name_text(ROTI_NAME_FIRST + 1));
    EXPECT_EQ(ROTI_NAME_UNNAMED, roti_name_number(nullptr));
}

TEST_F(Name, LongOnesAreCutAndThenTheSame)
{
    std::string all(ROTA_TASK_NAME_SIZE - 1, 'x');
    char *exact = get(all);
    EXPECT_EQ(all, exact);
    EXPECT_EQ(exact, get(all + "y"));
    EXPECT_EQ(exact, get(std::string(1000, 'x')));
    EXPECT_NE(exact, get(all.substr(1)));
    EXPECT_STREQ("", get(""));
}

TEST_F(Name, ReservedOnesKeepTheirNumbers)
{
    EXPECT_EQ(ROTI_NAME_FIRST, roti_name_count());
    for (unsigned i = 0; i < ROTI_NAME_FIRST; i++)
        EXPECT_EQ(i, roti_name_number(get(roti_name_text(i))));
    EXPECT_EQ(ROTI_NAME_FIRST, roti_name_count());
    roti_name_put(get(roti_name_text(ROTI_NAME_OTHER))); /* is no copy, and stays */
    EXPECT_STREQ("(other)", roti_name_text(ROTI_NAME_OTHER));
}

TEST_F(Name, AFullTableGivesCopies)
{
    std::vector<std::string> names = fill();
    EXPECT_EQ(std::size_t(ROTI_NAME_COUNT - ROTI_NAME_FIRST), names.size());
    std::ptrdiff_t before = support::live_bytes();
    char *one = get("one too many");
    char *two = get("one too many");
    EXPECT_NE(one, two);
    EXPECT_STREQ("one too many", one);
    EXPECT_EQ(ROTI_NAME_OTHER, roti_name_number(one));
    char *cut = get(std::string(1000, 'z'));
    EXPECT_EQ(std::string(ROTA_TASK_NAME_SIZE - 1, 'z'), cut);
    roti_name_put(cut);
    EXPECT_LT(before, support::live_bytes());
    roti_name_put(one);
    roti_name_put(two);
    EXPECT_EQ(before, support::live_bytes());
    for (unsigned i = 0; i < names.size(); i++) /* what is in it is found as ever */
        EXPECT_EQ(ROTI_NAME_FIRST + i, roti_name_number(get(names[i])));
    EXPECT_EQ(unsigned(ROTI_NAME_COUNT), roti_name_count());
}

TEST_F(Name, OnlyCopiesNeedMemory)
{
    support::AllocationFailure none(0, support::Failing::all);
    (void)fill();
    EXPECT_FALSE(none.happened());
    char *text = nullptr;
    EXPECT_EQ(-ENOMEM, roti_name_get("one too many", &text));
    EXPECT_EQ(nullptr, text);
    EXPECT_TRUE(none.happened());
}

TEST_F(Name, ThreadsAgree)
{
    constexpr int THREADS = 4;
    constexpr int NAMES = 4; /* as many as there is room for in every build */
    std::vector<std::vector<char *>> texts(THREADS);
    std::vector<std::thread> threads;
    for (int i = 0; i < THREADS; i++)
        threads.emplace_back([&texts, i] {
            for (int round = 0; round < support::scale(1000); round++)
                for (int name = 0; name < NAMES; name++)
                    texts[i].push_back(get("thread " + std::to_string((name + i) % NAMES)));
        });
    for (std::thread &thread : threads)
        thread.join();
    std::set<char *> all;
    for (const std::vector<char *> &each : texts)
        all.insert(each.begin(), each.end());
    EXPECT_EQ(std::size_t(NAMES), all.size());
    EXPECT_EQ(unsigned(ROTI_NAME_FIRST + NAMES), roti_name_count());
}

} /* namespace */
