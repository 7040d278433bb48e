/* SPDX-License-Identifier: MIT */
/*
 * cgroup_tree.h - folders that stand for the root folder of a machine with control groups.
 */
#ifndef ROTA_TESTS_CGROUP_TREE_H
#define ROTA_TESTS_CGROUP_TREE_H

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/support/support.h"

namespace cgroups {

using Files = std::map<std::string, std::string>;

/* A folder that stands for the root folder. */
class Tree {
public:
    explicit Tree(const Files &files)
    {
        for (const auto &[path, text] : files)
            write(path, text);
    }

    void write(const std::string &path, const std::string &text) const
    {
        std::filesystem::path full = dir_.path() + path;
        std::filesystem::create_directories(full.parent_path());
        std::ofstream(full) << text;
        EXPECT_EQ(text.size(), std::filesystem::file_size(full));
    }

    const char *root() const
    {
        return dir_.path().c_str();
    }

private:
    support::TempDir dir_;
};

/* Lines of /proc/self/mountinfo. */
inline const std::string other = "22 1 0:21 / /proc rw - proc proc rw\n"
                                 "23 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n";
inline const std::string v2 =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";

inline Files tree(const std::string &groups, const std::string &mounts, const Files &more)
{
    Files files = {{"/proc/self/cgroup", groups}, {"/proc/self/mountinfo", mounts}};
    files.insert(more.begin(), more.end());
    return files;
}

/* A process in the group /a of version 2, with this text as its limit. */
inline Files with_max(const std::string &text)
{
    return tree("0::/a\n", other + v2, {{"/sys/fs/cgroup/a/cpu.max", text}});
}

} // namespace cgroups

#endif
