/* SPDX-License-Identifier: MIT */
/*
 * cgroup_test.cc - the CPU limit of control groups, from trees of files that the tests write.
 */
#include <memory>

#include "loop/cgroup.h"
#include "tests/loop/cgroup_tree.h"

namespace {

using namespace cgroups;

class Cgroup {
public:
    explicit Cgroup(const char *root) : cgroup_(std::make_unique<roti_cgroup>())
    {
        roti_cgroup_init(cgroup_.get(), root);
    }

    roti_cpu_limit limit()
    {
        return roti_cgroup_cpu_limit(cgroup_.get());
    }

private:
    std::unique_ptr<roti_cgroup> cgroup_;
};

void expect_limit(std::uint64_t quota_us, std::uint64_t period_us, const roti_cpu_limit &limit)
{
    EXPECT_EQ(quota_us, limit.quota_us);
    EXPECT_EQ(period_us, limit.period_us);
}

const std::string v1 = "31 23 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 master:3 - cgroup "
                       "cgroup rw,cpu,cpuacct\n";

/* A line of the mount that shows the group `top` at `point`. */
std::string v2_at(const std::string &top, const std::string &point)
{
    return "30 23 0:26 " + top + " " + point + " rw - cgroup2 cgroup2 rw\n";
}

std::string v1_at(const std::string &top, const std::string &point, const std::string &options)
{
    return "31 23 0:29 " + top + " " + point + " rw - cgroup cgroup " + options + "\n";
}

/* A process in the group /a of version 1, with these texts as its limit. */
Files with_cfs(const std::string &quota, const std::string &period)
{
    const std::string folder = "/sys/fs/cgroup/cpu,cpuacct/a";
    return tree("4:cpu,cpuacct:/a\n", other + v1,
                {{folder + "/cpu.cfs_quota_us", quota}, {folder + "/cpu.cfs_period_us", period}});
}

struct Case {
    const char *name;
    Files files;
    std::uint64_t quota_us; /* 0: no limit */
    std::uint64_t period_us;
};

void PrintTo(const Case &value, std::ostream *out)
{
    *out << value.name;
}

const std::string long_name(4000, 'n');

const Case cases[] = {
    {"NoFilesAtAll", {}, 0, 0},
    {"NoMountinfo", {{"/proc/self/cgroup", "0::/a\n"}}, 0, 0},
    {"NoCgroupMounted",
     tree("0::/a\n", other, {{"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"}}),
     0,
     0},
    {"EmptyFiles", tree("", "", {}), 0, 0},
    /* Version 2. */
    {"OwnGroup", with_max("150000 100000\n"), 150000, 100000},
    {"Unlimited", with_max("max 100000\n"), 0, 0},
    {"GroupsFilesAreMissing", tree("0::/a/b\n", other + v2, {}), 0, 0},
    {"LeastOfNestedIsTheParents",
     tree("0::/a/b/c\n", other + v2,
          {{"/sys/fs/cgroup/a/cpu.max", "300000 100000\n"},
           {"/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n"},
           {"/sys/fs/cgroup/a/b/c/cpu.max", "200000 100000\n"}}),
     50000,
     100000},
    {"LeastOfNestedIsTheOwn",
     tree("0::/a/b\n", other + v2,
          {{"/sys/fs/cgroup/a/cpu.max", "300000 100000\n"},
           {"/sys/fs/cgroup/a/b/cpu.max", "20000 20000\n"}}),
     20000,
     20000},
    {"PeriodsDiffer",
     tree("0::/a/b\n", other + v2,
          {{"/sys/fs/cgroup/a/cpu.max", "90000 50000\n"},
           {"/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"OnlyAnAncestorIsLimited",
     tree("0::/a/b/c/d\n", other + v2,
          {{"/sys/fs/cgroup/a/cpu.max", "400000 100000\n"},
           {"/sys/fs/cgroup/a/b/c/d/cpu.max", "max 100000\n"}}),
     400000,
     100000},
    {"TheTopOfTheMountIsLimited",
     tree("0::/\n", other + v2, {{"/sys/fs/cgroup/cpu.max", "250000 100000\n"}}),
     250000,
     100000},
    {"NotTheGroupsBesideOrAbove",
     tree("0::/a/b\n", other + v2,
          {{"/sys/fs/cgroup/ab/cpu.max", "1000 100000\n"},
           {"/sys/fs/cgroup/a/c/cpu.max", "1000 100000\n"},
           {"/sys/fs/cpu.max", "1000 100000\n"}}),
     0,
     0},
    {"ADeletedGroupHasAParent",
     tree("0::/a/b (deleted)\n", other + v2, {{"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"MountedElsewhere",
     tree("0::/a\n", other + v2_at("/", "/mnt/groups"),
          {{"/mnt/groups/a/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"MountedAtTheRoot",
     tree("0::/a\n", v2_at("/", "/"), {{"/a/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    /* What a mount shows at its top. */
    {"ABindMountOfTheOwnGroup",
     tree("0::/docker/7f\n", other + v2_at("/docker/7f", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"ABindMountOfAParent",
     tree("0::/docker/7f/x\n", other + v2_at("/docker", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/cpu.max", "400000 100000\n"},
           {"/sys/fs/cgroup/7f/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"ABindMountOfAnotherGroup",
     tree("0::/docker/7f\n", other + v2_at("/docker/80", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}),
     0,
     0},
    {"ABindMountOfAChild",
     tree("0::/docker\n", other + v2_at("/docker/7f", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}),
     0,
     0},
    {"NamesAreComparedWhole",
     tree("0::/docker/7f\n", other + v2_at("/dock", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}),
     0,
     0},
    {"AlsoWhereTheGroupsIsTheShorterOne",
     tree("0::/doc/7f\n", other + v2_at("/docker", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/7f/cpu.max", "100000 100000\n"},
           {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}),
     0,
     0},
    {"TheSecondMountShowsIt",
     tree("0::/a\n", other + v2_at("/b", "/mnt/b") + v2_at("/a", "/mnt/a"),
          {{"/mnt/b/cpu.max", "1000 100000\n"}, {"/mnt/a/cpu.max", "200000 100000\n"}}),
     200000,
     100000},
    {"TheFirstMountThatShowsItIsEnough",
     tree("0::/a\n", other + v2 + v2_at("/a", "/mnt/a"),
          {{"/sys/fs/cgroup/a/cpu.max", "200000 100000\n"}}),
     200000,
     100000},
    /* Namespaces: paths are relative to the top of the process's own. */
    {"AMountFromAboveTheNamespace",
     tree("0::/\n", other + v2_at("/../..", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/cpu.max", "300000 100000\n"}}),
     300000,
     100000},
    {"BesideTheNamespaceUnderItsParent",
     tree("0::/../b\n", other + v2_at("/..", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/b/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"BesideTheNamespaceUnderItsGrandparent",
     tree("0::/../b\n", other + v2_at("/../..", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/cpu.max", "600000 100000\n"},
           {"/sys/fs/cgroup/b/cpu.max", "100000 100000\n"}}),
     600000,
     100000},
    {"OutsideOfWhatTheMountShows",
     tree("0::/../b\n", other + v2,
          {{"/sys/fs/cgroup/cpu.max", "100000 100000\n"},
           {"/sys/fs/b/cpu.max", "100000 100000\n"},
           {"/sys/fs/cgroup/b/cpu.max", "100000 100000\n"}}),
     0,
     0},
    {"FurtherOutThanTheMount",
     tree("0::/../../b\n", other + v2_at("/..", "/sys/fs/cgroup"),
          {{"/sys/fs/cgroup/cpu.max", "100000 100000\n"},
           {"/sys/fs/b/cpu.max", "100000 100000\n"}}),
     0,
     0},
    {"AMountThatShowsItGoesBeforeOneFromAbove",
     tree("0::/\n", other + v2_at("/..", "/mnt/above") + v2_at("/", "/sys/fs/cgroup"),
          {{"/mnt/above/cpu.max", "900000 100000\n"},
           {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"TheFirstOfTwoMountsFromAbove",
     tree("0::/\n", other + v2_at("/..", "/mnt/first") + v2_at("/../..", "/mnt/second"),
          {{"/mnt/first/cpu.max", "300000 100000\n"},
           {"/mnt/second/cpu.max", "200000 100000\n"}}),
     300000,
     100000},
    {"AMountFromAboveComesTooLate",
     tree("0::/\n", other + v2_at("/", "/sys/fs/cgroup") + v2_at("/..", "/mnt/above"),
          {{"/mnt/above/cpu.max", "100000 100000\n"},
           {"/sys/fs/cgroup/cpu.max", "900000 100000\n"}}),
     900000,
     100000},
    /* Version 1. */
    {"CombinedControllers", with_cfs("150000\n", "100000\n"), 150000, 100000},
    {"AQuotaOfMinusOne", with_cfs("-1\n", "100000\n"), 0, 0},
    {"NoPeriod", with_cfs("100000\n", ""), 0, 0},
    {"AControllerAlone",
     tree("3:cpuset:/x\n2:cpuacct:/y\n1:cpu:/z\n",
          other + v1_at("/", "/sys/fs/cgroup/cpuacct", "rw,cpuacct") +
              v1_at("/", "/sys/fs/cgroup/cpu", "rw,cpu"),
          {{"/sys/fs/cgroup/cpu/z/cpu.cfs_quota_us", "70000\n"},
           {"/sys/fs/cgroup/cpu/z/cpu.cfs_period_us", "10000\n"}}),
     70000,
     10000},
    {"ACpuacctIsNoCpu",
     tree("2:cpuacct,cpuset:/a\n", other + v1_at("/", "/sys/fs/cgroup/cpu", "rw,cpuacct,cpuset"),
          {{"/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "70000\n"},
           {"/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "10000\n"}}),
     0,
     0},
    {"AnAncestorOfVersion1",
     tree("4:cpu,cpuacct:/a/b\n", other + v1,
          {{"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"}}),
     50000,
     100000},
    {"AnotherGroupInEachController",
     tree("5:memory:/m\n4:cpu,cpuacct:/c\n1:name=systemd:/s\n0::/u\n", other + v1,
          {{"/sys/fs/cgroup/cpu,cpuacct/m/cpu.cfs_quota_us", "1000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/m/cpu.cfs_period_us", "100000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "60000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n"}}),
     60000,
     100000},
    {"ABindMountOfVersion1",
     tree("4:cpu,cpuacct:/docker/7f\n",
          other + v1_at("/docker/7f", "/sys/fs/cgroup/cpu", "rw,cpu,cpuacct"),
          {{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n"},
           {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}),
     100000,
     100000},
    /* Both. */
    {"HybridWithCpuInVersion1",
     tree("4:cpu,cpuacct:/a\n0::/u\n", other + v2_at("/", "/sys/fs/cgroup/unified") + v1,
          {{"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"}}),
     150000,
     100000},
    {"HybridWithCpuInVersion2",
     tree("4:memory:/a\n0::/u\n", other + v1 + v2_at("/", "/sys/fs/cgroup/unified"),
          {{"/sys/fs/cgroup/unified/u/cpu.max", "250000 100000\n"}}),
     250000,
     100000},
    {"TheLeastOfBoth",
     tree("4:cpu,cpuacct:/a\n0::/u\n", other + v1 + v2,
          {{"/sys/fs/cgroup/u/cpu.max", "250000 100000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"}}),
     150000,
     100000},
    /* Escapes of mountinfo. Those of the groups file are none: it has the names as they are. */
    {"QuotedPaths",
     tree("0::/my group\\x/b\n", other + v2_at("/my\\040group\\134x", "/mnt/a\\011b\\040\\134c"),
          {{"/mnt/a\tb \\c/b/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"ABadQuote",
     tree("0::/a\n", other + v2_at("/", "/mnt\\04") + v2_at("/", "/mnt\\9") +
                         v2_at("/", "/mnt\\777") + v2_at("/", "/mnt\\000") + v2_at("/", "/mnt\\"),
          {{"/mnt\\04/a/cpu.max", "100000 100000\n"},
           {"/mnt/a/cpu.max", "100000 100000\n"},
           {"/mnt\\/a/cpu.max", "100000 100000\n"}}),
     0,
     0},
    /* Numbers. */
    {"PeriodZero", with_max("100000 0\n"), 0, 0},
    {"QuotaZero", with_max("0 100000\n"), 0, 0},
    {"PeriodAboveASecond", with_max("100000 1000001\n"), 0, 0},
    {"TheLargest", with_max("17592186044416 1000000\n"), 17592186044416, 1000000},
    {"OneMoreThanTheLargest", with_max("17592186044417 1000000\n"), 0, 0},
    {"HugeNumbers", with_max("99999999999999999999999999999999999999 100000\n"), 0, 0},
    {"AHugePeriod", with_max("100000 18446744073709651616\n"), 0, 0},
    {"AHugeQuotaOfVersion1", with_cfs("18446744073709551615\n", "100000\n"), 0, 0},
    {"NegativeQuota", with_max("-100000 100000\n"), 0, 0},
    {"NegativePeriod", with_cfs("100000\n", "-100000\n"), 0, 0},
    {"LeadingZeros", with_max("000150000 00100000\n"), 150000, 100000},
    {"NoNewline", with_max("150000 100000"), 150000, 100000},
    {"QuotaAlone", with_max("150000\n"), 0, 0},
    {"ThreeNumbers", with_max("150000 100000 5\n"), 0, 0},
    {"TwoSpaces", with_max("150000  100000\n"), 0, 0},
    {"LeadingSpace", with_max(" 150000 100000\n"), 0, 0},
    {"TwoLines", with_max("150000 100000\n\n"), 0, 0},
    {"Hexadecimal", with_max("0x5000 100000\n"), 0, 0},
    {"Letters", with_max("100000 100000us\n"), 0, 0},
    {"MaxPeriod", with_max("100000 max\n"), 0, 0},
    {"AnEmptyLimit", with_max(""), 0, 0},
    {"ALimitWithAZeroByte", with_max(std::string("150000 100000\0", 14)), 0, 0},
    {"ALimitThatIsTooLong", with_max(std::string(200, '0') + "150000 100000\n"), 0, 0},
    /* Lines. */
    {"GarbageOfGroups",
     tree("\n::\n:::/x\n0:/a\n0:\n0::a\nx::/b\n0::/a\n0::/c\n4294967296::/d\n-1::/e\n", other + v2,
          {{"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"},
           {"/sys/fs/cgroup/b/cpu.max", "1000 100000\n"},
           {"/sys/fs/cgroup/c/cpu.max", "1000 100000\n"}}),
     100000,
     100000},
    {"GarbageOfMounts",
     tree("0::/a\n",
          "\n-\n - \n1 2 3\n1 2 3 / /bad rw\n1 2 3 / /bad rw cgroup2 cgroup2 rw\n"
          "1 2 3 / /bad rw - cgroup2\n1 2 3 / /bad rw - cgroup2 none\n"
          "1 2 3 top /bad rw - cgroup2 none rw\n1 2 3 / bad rw - cgroup2 none rw\n"
          "1 2 3 / /bad rw - cgroup22 none rw\n1 2 3 / /bad rw - cgroup none rw,cpuset\n" +
              v2,
          {{"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"}, {"/bad/a/cpu.max", "1 100000\n"}}),
     100000,
     100000},
    {"AColonInTheName",
     tree("0::/a:b/c\n", other + v2, {{"/sys/fs/cgroup/a:b/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"ALastLineThatIsCutOff",
     tree("0::/a\n4:cpu,cpuacct:/b", other + v2 + v1,
          {{"/sys/fs/cgroup/a/cpu.max", "200000 100000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/b/cpu.cfs_quota_us", "1000\n"},
           {"/sys/fs/cgroup/cpu,cpuacct/b/cpu.cfs_period_us", "100000\n"}}),
     200000,
     100000},
    {"LongLinesArePassedOver",
     tree("7:cpu:/" + std::string(20000, 'x') + "\n0::/a\n",
          "40 23 0:50 / /overlay rw - overlay overlay lowerdir=" + std::string(30000, 'l') + "\n" +
              v2,
          {{"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"}}),
     100000,
     100000},
    {"ManyMounts",
     [] {
         std::string mounts;
         for (int i = 0; i < 2000; i++)
             mounts += "40 23 0:" + std::to_string(i) + " / /mnt/" + std::to_string(i) +
                       " rw,nosuid,nodev,noexec - tmpfs tmpfs rw,size=1024k\n";
         return tree("0::/a\n", mounts + v2, {{"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"}});
     }(),
     100000,
     100000},
    {"APathThatIsTooLong",
     tree("0::/" + long_name + "\n", other + v2_at("/", "/" + long_name), {}),
     0,
     0},
};

class CgroupLimit : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Trees, CgroupLimit, testing::ValuesIn(cases),
                         [](const auto &values) { return std::string(values.param.name); });

TEST_P(CgroupLimit, IsTheLeastOfThePath)
{
    Tree tree(GetParam().files);
    Cgroup cgroup(tree.root());
    expect_limit(GetParam().quota_us, GetParam().period_us, cgroup.limit());
    expect_limit(GetParam().quota_us, GetParam().period_us, cgroup.limit());
}

TEST(CgroupChanges, TheLimitIsReadAnew)
{
    Tree tree(with_max("100000 100000\n"));
    Cgroup cgroup(tree.root());
    expect_limit(100000, 100000, cgroup.limit());
    tree.write("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    expect_limit(300000, 100000, cgroup.limit());
    tree.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    expect_limit(200000, 100000, cgroup.limit());
    tree.write("/sys/fs/cgroup/cpu.max", "max 100000\n");
    tree.write("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    expect_limit(0, 0, cgroup.limit());
}

/* Mounts are looked for when the group has changed, and only then. */
TEST(CgroupChanges, TheProcessIsMovedToAnotherGroup)
{
    Tree tree(with_max("100000 100000\n"));
    Cgroup cgroup(tree.root());
    expect_limit(100000, 100000, cgroup.limit());
    tree.write("/proc/self/mountinfo", other);
    expect_limit(100000, 100000, cgroup.limit());
    tree.write("/proc/self/mountinfo", other + v2_at("/", "/mnt"));
    tree.write("/mnt/b/c/cpu.max", "400000 100000\n");
    tree.write("/proc/self/cgroup", "0::/b/c\n");
    expect_limit(400000, 100000, cgroup.limit());
    tree.write("/proc/self/cgroup", "\n");
    expect_limit(0, 0, cgroup.limit());
}

} // namespace
