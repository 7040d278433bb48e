/* SPDX-License-Identifier: MIT */
/*
 * error_test.cc - every error has a name and a sentence.
 */
#include <rota/error.h>

#include <gtest/gtest.h>

#include <cctype>
#include <cerrno>
#include <climits>
#include <cstring>
#include <set>
#include <string>

namespace {

struct Row {
    const char *name;
    int value;
    const char *text;
};

constexpr Row rows[] = {
#define ERROR_ROW(name, value, text) {"ROTA_" #name, value, text},
    ROTA_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

TEST(Error, OwnErrorsHaveTheNameAndTextOfTheirRow)
{
    for (const Row &row : rows) {
        EXPECT_STREQ(row.name, rota_error_name(row.value));
        EXPECT_STREQ(row.text, rota_strerror(row.value));
    }
}

TEST(Error, OwnErrorsAreDistinctAndFarFromErrno)
{
    std::set<int> values;
    std::set<std::string> texts;
    for (const Row &row : rows) {
        EXPECT_TRUE(values.insert(row.value).second) << row.name;
        EXPECT_TRUE(texts.insert(row.text).second) << row.name;
        EXPECT_LT(row.value, -4096) << row.name;
    }
}

TEST(Error, TextsAreSentencesWithoutCapitalAndFullStop)
{
    for (const Row &row : rows) {
        std::string text = row.text;
        ASSERT_FALSE(text.empty()) << row.name;
        EXPECT_TRUE(std::islower(static_cast<unsigned char>(text.front()))) << text;
        EXPECT_NE('.', text.back()) << text;
    }
}

TEST(Error, EveryErrnoHasTheNameAndTextOfGlibc)
{
    int known = 0;
    for (int number = 1; number < 4096; number++) {
        const char *name = strerrorname_np(number);
        const char *text = strerrordesc_np(number);
        EXPECT_STREQ(name ? name : "UNKNOWN", rota_error_name(-number)) << number;
        EXPECT_STREQ(text ? text : "unknown error", rota_strerror(-number)) << number;
        known += name != nullptr;
    }
    EXPECT_GT(known, 100);
    EXPECT_STREQ("ECANCELED", rota_error_name(-ECANCELED));
    EXPECT_STREQ("Cannot allocate memory", rota_strerror(-ENOMEM));
}

TEST(Error, SuccessIsAnythingFromZero)
{
    for (int value : {0, 1, 4096, 10001, INT_MAX}) {
        EXPECT_STREQ("success", rota_strerror(value));
        EXPECT_STREQ("OK", rota_error_name(value));
    }
}

TEST(Error, NumbersWithoutMeaningAreUnknown)
{
    for (int value : {-4095, -4096, -4097, -10000, -20000, INT_MIN + 1, INT_MIN}) {
        EXPECT_STREQ("unknown error", rota_strerror(value)) << value;
        EXPECT_STREQ("UNKNOWN", rota_error_name(value)) << value;
    }
}

TEST(Error, ErrnoIsNotTouched)
{
    errno = 77;
    (void)rota_strerror(-ENOENT);
    (void)rota_error_name(-123456);
    EXPECT_EQ(77, errno);
}

} // namespace
