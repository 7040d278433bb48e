/* SPDX-License-Identifier: MIT */
/*
 * cgroup.cc - fuzz target: the CPU limit of a process's control groups, from files of any contents.
 *
 * Input. A byte that says how many bytes a read gives at most, then names and contents of files,
 * each up to a zero byte. The files that are read are the target's: it stands in for the calls.
 *
 * Oracle. A second reading, by lists of names and strings without a bound, of what the header says.
 * Both must find the same limit, again when nothing has changed, and after the first file has lost
 * its contents; every file that was opened is closed, and nothing is read outside of the buffers.
 */
#include "loop/cgroup.h"
#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace {

using Files = std::map<std::string, std::string>;
using Names = std::vector<std::string>;

constexpr size_t LINE_MAX_SIZE = ROTI_CGROUP_LINE_SIZE - 1; /* without its newline */

/* ---- The files ---- */

Files files;
size_t read_max;
std::map<int, std::pair<std::string, size_t>> open_files; /* what is left to be read, from where */
int next_fd;

} // namespace

/* In place of loop/syscall.c. */
extern "C" {
int roti_sys_open_file(const char *path);
ssize_t roti_sys_read_file(int fd, void *buffer, size_t size);
void roti_sys_close(int fd);
}

int roti_sys_open_file(const char *path)
{
    auto file = files.find(path);
    if (file == files.end())
        return -ENOENT;
    open_files[next_fd] = {file->second, 0};
    return next_fd++;
}

ssize_t roti_sys_read_file(int fd, void *buffer, size_t size)
{
    FUZZ_ASSERT(open_files.contains(fd) && size > 0);
    auto &[text, from] = open_files[fd];
    size_t count = std::min({size, read_max, text.size() - from});
    std::memset(buffer, '?', size); /* all of it is the reader's */
    std::memcpy(buffer, text.data() + from, count);
    from += count;
    return static_cast<ssize_t>(count);
}

void roti_sys_close(int fd)
{
    FUZZ_ASSERT(open_files.erase(fd) == 1);
}

namespace {

/* ---- The second reading ---- */

std::optional<std::string> text_of(const std::string &path)
{
    auto file = files.find(path);
    return file != files.end() ? std::optional(file->second) : std::nullopt;
}

std::vector<std::string> split(const std::string &text, char at)
{
    std::vector<std::string> parts(1);
    for (char byte : text)
        if (byte == at)
            parts.emplace_back();
        else
            parts.back() += byte;
    return parts;
}

/* The lines that end, fit and hold no zero byte. */
std::vector<std::string> lines_of(const std::string &path)
{
    std::vector<std::string> lines = split(text_of(path).value_or(""), '\n');
    lines.pop_back();
    std::erase_if(lines, [](const std::string &line) {
        return line.size() > LINE_MAX_SIZE || line.find('\0') != line.npos;
    });
    return lines;
}

std::optional<uint64_t> number(const std::string &text, uint64_t min, uint64_t max)
{
    size_t digits = text.find_first_not_of('0');
    if (text.empty() || text.find_first_not_of("0123456789") != text.npos)
        return std::nullopt;
    std::string rest = digits == text.npos ? "0" : text.substr(digits);
    if (rest.size() > 19)
        return std::nullopt;
    uint64_t value = std::stoull(rest);
    return value >= min && value <= max ? std::optional(value) : std::nullopt;
}

/* A file with numbers: its text without the one newline that it may end with. */
std::string numbers_of(const std::string &path)
{
    std::string text = text_of(path).value_or("");
    if (text.size() >= 64 || text.find('\0') != text.npos)
        return "";
    if (text.ends_with('\n'))
        text.pop_back();
    return text;
}

std::optional<roti_cpu_limit> limit_of(const std::string &folder, bool unified)
{
    Names texts = unified ? split(numbers_of(folder + "/cpu.max"), ' ')
                          : Names{numbers_of(folder + "/cpu.cfs_quota_us"),
                                  numbers_of(folder + "/cpu.cfs_period_us")};
    if (texts.size() != 2)
        return std::nullopt;
    std::optional<uint64_t> quota = number(texts[0], 1, uint64_t{1} << 44);
    std::optional<uint64_t> period = number(texts[1], 1, 1000000);
    return quota && period ? std::optional(roti_cpu_limit{*quota, *period}) : std::nullopt;
}

Names names_of(const std::string &path)
{
    Names names = split(path, '/');
    std::erase(names, "");
    return names;
}

bool has(const std::string &list, const std::string &name)
{
    Names names = split(list, ',');
    return std::find(names.begin(), names.end(), name) != names.end();
}

/* The group of one hierarchy, by the first line that names it. */
std::optional<std::string> group_of(bool wants_unified)
{
    for (const std::string &line : lines_of("/proc/self/cgroup")) {
        Names fields = split(line, ':');
        if (fields.size() < 3 || !number(fields[0], 0, UINT32_MAX))
            continue;
        std::string path = line.substr(fields[0].size() + fields[1].size() + 2);
        bool unified = fields[1].empty() && number(fields[0], 0, 0);
        if (!path.starts_with('/') || path.size() >= PATH_MAX || unified != wants_unified)
            continue;
        if (unified || has(fields[1], "cpu"))
            return path;
    }
    return std::nullopt;
}

std::optional<std::string> unescaped(const std::string &text)
{
    std::string plain;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\\') {
            plain += text[i];
            continue;
        }
        std::string digits = text.substr(i + 1, 3);
        if (digits.size() != 3 || digits.find_first_not_of("01234567") != digits.npos)
            return std::nullopt;
        int code = std::stoi(digits, nullptr, 8);
        if (code == 0 || code > 255)
            return std::nullopt;
        plain += static_cast<char>(code);
        i += 3;
    }
    return plain.starts_with('/') ? std::optional(plain) : std::nullopt;
}

/* Where a group is seen: a folder, and how many names of it are below the mount point. */
struct Place {
    std::string point;
    std::string way; /* from there, as the group is written */
    bool known;
};

/* The rest of a path after so many names, and the slashes that follow. */
std::string after_names(const std::string &path, size_t count)
{
    size_t at = path.find_first_not_of('/');
    for (; count > 0 && at != path.npos; count--) {
        at = path.find('/', at);
        at = at == path.npos ? at : path.find_first_not_of('/', at);
    }
    return at == path.npos ? "" : path.substr(at);
}

std::optional<Place> place_of(const std::string &line, bool wants_unified, const std::string &group)
{
    Names fields = split(line, ' ');
    auto mark =
        std::find(fields.begin() + std::min<ptrdiff_t>(5, std::ssize(fields)), fields.end(), "-");
    if (fields.end() - mark < 4)
        return std::nullopt;
    std::string options = mark[3];
    bool unified = mark[1] == "cgroup2";
    if (unified != wants_unified || (!unified && (mark[1] != "cgroup" || !has(options, "cpu"))))
        return std::nullopt;
    std::optional<std::string> top = unescaped(fields[3]);
    std::optional<std::string> point = unescaped(fields[4]);
    if (!top || !point)
        return std::nullopt;
    Names above = names_of(*top);
    Names names = names_of(group);
    size_t common = static_cast<size_t>(
        std::mismatch(above.begin(), above.end(), names.begin(), names.end()).first -
        above.begin());
    if (common == above.size()) {
        bool leaves = std::find(names.begin() + static_cast<ptrdiff_t>(common), names.end(),
                                "..") != names.end();
        return leaves ? std::nullopt
                      : std::optional(Place{*point, after_names(group, common), true});
    }
    bool is_above = std::all_of(above.begin() + static_cast<ptrdiff_t>(common), above.end(),
                                [](const std::string &name) { return name == ".."; });
    return is_above ? std::optional(Place{*point, "", false}) : std::nullopt;
}

std::optional<Place> find_place(bool unified, const std::string &group)
{
    std::optional<Place> best;
    for (const std::string &line : lines_of("/proc/self/mountinfo")) {
        std::optional<Place> place = place_of(line, unified, group);
        if (!place || place->point.size() + 1 + place->way.size() >= PATH_MAX)
            continue;
        if (place->known)
            return place;
        if (!best)
            best = place;
    }
    return best;
}

/* Both products are below 2^64. */
bool is_less(roti_cpu_limit one, roti_cpu_limit two)
{
    return two.period_us == 0 || one.quota_us * two.period_us < two.quota_us * one.period_us;
}

roti_cpu_limit second_reading()
{
    roti_cpu_limit least = {0, 0};
    for (bool unified : {true, false}) {
        std::optional<std::string> group = group_of(unified);
        std::optional<Place> place = group ? find_place(unified, *group) : std::nullopt;
        if (!place)
            continue;
        std::vector<std::string> folders = {place->point};
        if (!place->way.empty())
            for (const std::string &name : split(place->way, '/'))
                folders.push_back(folders.back() + "/" + name);
        for (const std::string &folder : folders)
            if (std::optional<roti_cpu_limit> limit = limit_of(folder, unified);
                limit && is_less(*limit, least))
                least = *limit;
    }
    return least;
}

/* ---- The comparison ---- */

bool equal(roti_cpu_limit one, roti_cpu_limit two)
{
    return !is_less(one, two) && !is_less(two, one) && (one.period_us == 0) == (two.period_us == 0);
}

void check(roti_cgroup *cgroup)
{
    roti_cpu_limit expected = second_reading();
    roti_cpu_limit limit = roti_cgroup_cpu_limit(cgroup);
    FUZZ_ASSERT(limit.period_us <= 1000000 && limit.quota_us <= uint64_t{1} << 44);
    FUZZ_ASSERT((limit.period_us == 0) == (expected.period_us == 0));
    FUZZ_ASSERT(limit.period_us == 0 || equal(limit, expected));
    FUZZ_ASSERT(open_files.empty());
}

std::string take_string(fuzz_input *input)
{
    const void *end = input->size > 0 ? std::memchr(input->data, 0, input->size) : nullptr;
    size_t length = end != nullptr
                        ? static_cast<size_t>(static_cast<const uint8_t *>(end) - input->data)
                        : input->size;
    std::string text(reinterpret_cast<const char *>(input->data), length);
    input->data += length + (end != nullptr);
    input->size -= length + (end != nullptr);
    return text;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    files.clear();
    next_fd = 3;
    read_max = fuzz_byte(&input) + size_t{1};
    if (read_max > 200)
        read_max = SIZE_MAX;
    while (input.size > 0) {
        std::string name = take_string(&input);
        files[name] = take_string(&input);
    }
    auto cgroup = std::make_unique<roti_cgroup>();
    roti_cgroup_init(cgroup.get(), "");
    check(cgroup.get());
    check(cgroup.get());
    if (auto group = files.find("/proc/self/cgroup"); group != files.end()) {
        group->second.clear();
        check(cgroup.get());
    }
    return 0;
}
