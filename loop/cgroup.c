/* SPDX-License-Identifier: MIT */
/*
 * cgroup.c - the CPU limit of the control groups that this process is in. See the header.
 */
#include "loop/cgroup.h"

#include "loop/lines.h"
#include "loop/syscall.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What the kernel allows itself: 2^44 microseconds a period, and a period of a second. So a product
 * of the two fits into 64 bits. */
#define QUOTA_MAX_US (UINT64_C(1) << 44)
#define PERIOD_MAX_US UINT64_C(1000000)

#define NUMBERS_SIZE 64 /* of a file that holds a limit */

/* ---- Files ---- */

static bool open_lines(struct roti_lines *lines, struct roti_cgroup *cgroup, const char *path)
{
    int length = snprintf(cgroup->line, sizeof cgroup->line, "%s%s", cgroup->root, path);
    return length < (int)sizeof cgroup->line &&
           roti_lines_open(lines, cgroup->line, cgroup->line, sizeof cgroup->line);
}

/* Reads a whole file of less than `size` bytes as a string. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = roti_sys_open_file(path);
    size_t length = 0;
    ssize_t count = -1;
    if (fd < 0)
        return false;
    while (length < size && (count = roti_sys_read_file(fd, text + length, size - length)) > 0)
        length += (size_t)count;
    roti_sys_close(fd);
    if (count != 0 || length == size)
        return false;
    text[length] = '\0';
    return strlen(text) == length;
}

/* ---- Limits ---- */

/* A decimal number of at least `min` and at most `max`. Returns what follows it, or NULL. */
static const char *parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *next = text;
    for (; *next >= '0' && *next <= '9'; next++) {
        number = number * 10 + (uint64_t)(*next - '0');
        if (number > max)
            return NULL;
    }
    if (next == text || number < min)
        return NULL;
    *ret_number = number;
    return next;
}

static bool ends(const char *text)
{
    return text != NULL && (*text == '\0' || strcmp(text, "\n") == 0);
}

/* The contents of `cpu.max`: "<quota> <period>". Without a limit the quota is "max". */
static bool parse_max(const char *text, struct roti_cpu_limit *ret_limit)
{
    struct roti_cpu_limit limit = {0, 0};
    const char *next = parse_number(text, 1, QUOTA_MAX_US, &limit.quota_us);
    if (next == NULL || *next != ' ' ||
        !ends(parse_number(next + 1, 1, PERIOD_MAX_US, &limit.period_us)))
        return false;
    *ret_limit = limit;
    return true;
}

/* The file `name` of the folder in cgroup->line. */
static bool read_file(struct roti_cgroup *cgroup, const char *name, char *text)
{
    size_t length = strlen(cgroup->line);
    size_t size = strlen(name) + 1;
    if (length + size > sizeof cgroup->line)
        return false;
    memcpy(cgroup->line + length, name, size);
    bool is_read = read_text(cgroup->line, text, NUMBERS_SIZE);
    cgroup->line[length] = '\0';
    return is_read;
}

/* The limit of the one group whose folder is in cgroup->line. */
static bool read_limit(struct roti_cgroup *cgroup, enum roti_cgroup_version version,
                       struct roti_cpu_limit *ret_limit)
{
    char text[NUMBERS_SIZE];
    struct roti_cpu_limit limit = {0, 0};
    if (version == ROTI_CGROUP_V2)
        return read_file(cgroup, "/cpu.max", text) && parse_max(text, ret_limit);
    /* Without a limit the quota is -1. */
    if (!read_file(cgroup, "/cpu.cfs_quota_us", text) ||
        !ends(parse_number(text, 1, QUOTA_MAX_US, &limit.quota_us)) ||
        !read_file(cgroup, "/cpu.cfs_period_us", text) ||
        !ends(parse_number(text, 1, PERIOD_MAX_US, &limit.period_us)))
        return false;
    *ret_limit = limit;
    return true;
}

static bool is_less(const struct roti_cpu_limit *one, const struct roti_cpu_limit *two)
{
    return two->period_us == 0 || one->quota_us * two->period_us < two->quota_us * one->period_us;
}

/* Looks at each group from the process's own up to the top of the mount. */
static void read_limits(struct roti_cgroup *cgroup, enum roti_cgroup_version version,
                        struct roti_cpu_limit *least)
{
    const struct roti_cgroup_tree *tree = &cgroup->trees[version];
    size_t length = strlen(tree->folder);
    if (length == 0)
        return;
    memcpy(cgroup->line, tree->folder, length + 1);
    for (;;) {
        struct roti_cpu_limit limit;
        if (read_limit(cgroup, version, &limit) && is_less(&limit, least))
            *least = limit;
        if (length == tree->top_length)
            return;
        do
            length--;
        while (length > tree->top_length && cgroup->line[length] != '/');
        cgroup->line[length] = '\0';
    }
}

/* ---- Groups ---- */

/* Whether `name` is one of a list with commas. */
static bool is_listed(const char *list, const char *name)
{
    for (;;) {
        size_t length = strcspn(list, ",");
        if (length == strlen(name) && memcmp(list, name, length) == 0)
            return true;
        if (list[length] == '\0')
            return false;
        list += length + 1;
    }
}

/* A line of /proc/self/cgroup: "<hierarchy>:<controllers>:<path>". False: it is of no interest. */
static bool parse_group(char *line, enum roti_cgroup_version *ret_version, const char **ret_group)
{
    uint64_t hierarchy = 0;
    const char *next = parse_number(line, 0, UINT32_MAX, &hierarchy);
    if (next == NULL || *next != ':')
        return false;
    const char *controllers = next + 1;
    char *colon = strchr(controllers, ':');
    if (colon == NULL || colon[1] != '/' || strlen(colon + 1) >= PATH_MAX)
        return false;
    *colon = '\0';
    bool unified = hierarchy == 0 && *controllers == '\0';
    if (!unified && !is_listed(controllers, "cpu"))
        return false;
    *ret_version = unified ? ROTI_CGROUP_V2 : ROTI_CGROUP_V1;
    *ret_group = colon + 1;
    return true;
}

/* Reads which groups the process is in. True: others than the last time. */
static bool read_groups(struct roti_cgroup *cgroup)
{
    struct roti_lines lines;
    bool seen[ROTI_CGROUP_VERSIONS] = {false};
    bool changed = false;
    if (open_lines(&lines, cgroup, "/proc/self/cgroup")) {
        char *line;
        while ((line = roti_lines_next(&lines)) != NULL) {
            enum roti_cgroup_version version;
            const char *group;
            if (!parse_group(line, &version, &group) || seen[version])
                continue;
            seen[version] = true;
            if (strcmp(cgroup->trees[version].group, group) != 0) {
                memcpy(cgroup->trees[version].group, group, strlen(group) + 1);
                changed = true;
            }
        }
        roti_lines_close(&lines);
    }
    for (int i = 0; i < ROTI_CGROUP_VERSIONS; i++)
        if (!seen[i] && cgroup->trees[i].group[0] != '\0') {
            cgroup->trees[i].group[0] = '\0';
            changed = true;
        }
    return changed;
}

/* ---- Mounts ---- */

/* Undoes the kernel's escapes, a backslash and three octal digits each, in place. */
static bool unescape(char *text)
{
    char *to = text;
    while (*text != '\0') {
        unsigned code = 0;
        if (*text != '\\') {
            *to++ = *text++;
            continue;
        }
        text++;
        for (int i = 0; i < 3; i++, text++) {
            if (*text < '0' || *text > '7')
                return false;
            code = code * 8 + (unsigned)(*text - '0');
        }
        if (code == 0 || code > UCHAR_MAX)
            return false;
        *to++ = (char)code;
    }
    *to = '\0';
    return true;
}

struct mount {
    enum roti_cgroup_version version;
    const char *top;   /* the group that it shows at its top */
    const char *point; /* where it is */
};

/* The next field of a line, which loses it; fields are separated by one space each. */
static char *take_field(char **line)
{
    char *field = *line;
    if (field == NULL)
        return NULL;
    char *space = strchr(field, ' ');
    if (space != NULL)
        *space++ = '\0';
    *line = space;
    return field;
}

/* A line of /proc/self/mountinfo: number, parent's number, device, top, point, options, any number
 * of optional fields, "-", type, source, options of the file system. False: of no interest. */
static bool parse_mount(char *line, struct mount *ret_mount)
{
    char *field = NULL;
    for (int i = 0; i < 3; i++)
        field = take_field(&line);
    char *top = take_field(&line);
    char *point = take_field(&line);
    do
        field = take_field(&line);
    while (field != NULL && strcmp(field, "-") != 0);
    const char *type = take_field(&line);
    const char *source = take_field(&line);
    const char *options = take_field(&line);
    if (type == NULL || source == NULL || options == NULL)
        return false;
    bool unified = strcmp(type, "cgroup2") == 0;
    if (!unified && (strcmp(type, "cgroup") != 0 || !is_listed(options, "cpu")))
        return false;
    if (!unescape(top) || !unescape(point) || top[0] != '/' || point[0] != '/')
        return false;
    *ret_mount = (struct mount){unified ? ROTI_CGROUP_V2 : ROTI_CGROUP_V1, top, point};
    return true;
}

/* The length of the first name of a path, before which slashes are skipped; 0: there is none. */
static size_t name_length(const char **path)
{
    *path += strspn(*path, "/");
    return strcspn(*path, "/");
}

static bool is_up(const char *name, size_t length)
{
    return length == 2 && name[0] == '.' && name[1] == '.';
}

/* Whether each name that is left of a path means the group above. */
static bool leads_up(const char *path)
{
    size_t length;
    for (; (length = name_length(&path)) > 0; path += length)
        if (!is_up(path, length))
            return false;
    return true;
}

static bool has_up(const char *path)
{
    size_t length;
    for (; (length = name_length(&path)) > 0; path += length)
        if (is_up(path, length))
            return true;
    return false;
}

/*
 * The way from the group `top` down to `group`. Both are seen from the top of the namespace, and
 * begin with ".." where they lie above it. NULL: `top` is not above `group`. *ret_known is false
 * where it is, but the names on the way are not known.
 */
static const char *way_down(const char *top, const char *group, bool *ret_known)
{
    for (;;) {
        size_t top_length = name_length(&top);
        size_t length = name_length(&group);
        if (top_length == 0) {
            *ret_known = true;
            return has_up(group) ? NULL : group;
        }
        if (length != top_length || memcmp(top, group, length) != 0) {
            *ret_known = false;
            return leads_up(top) ? "" : NULL;
        }
        top += length;
        group += length;
    }
}

/* Notes where the group is shown. True: there, and not only a group above it. */
static bool try_mount(struct roti_cgroup *cgroup, const struct mount *mount)
{
    struct roti_cgroup_tree *tree = &cgroup->trees[mount->version];
    bool known;
    const char *way = way_down(mount->top, tree->group, &known);
    if (way == NULL || (!known && tree->folder[0] != '\0'))
        return false;
    size_t top_length = strlen(cgroup->root) + strlen(mount->point);
    if (top_length + 1 + strlen(way) >= sizeof tree->folder)
        return false;
    (void)snprintf(tree->folder, sizeof tree->folder, "%s%s%s%s", cgroup->root, mount->point,
                   *way != '\0' ? "/" : "", way);
    tree->top_length = top_length;
    return known;
}

/* Looks for the folders that show the process's groups. */
static void find_folders(struct roti_cgroup *cgroup)
{
    struct roti_lines lines;
    bool found[ROTI_CGROUP_VERSIONS];
    for (int i = 0; i < ROTI_CGROUP_VERSIONS; i++) {
        cgroup->trees[i].folder[0] = '\0';
        found[i] = cgroup->trees[i].group[0] == '\0';
    }
    if (!open_lines(&lines, cgroup, "/proc/self/mountinfo"))
        return;
    char *line;
    while ((line = roti_lines_next(&lines)) != NULL) {
        struct mount mount;
        if (parse_mount(line, &mount) && !found[mount.version])
            found[mount.version] = try_mount(cgroup, &mount);
    }
    roti_lines_close(&lines);
}

/* ---- The whole ---- */

void roti_cgroup_init(struct roti_cgroup *cgroup, const char *root)
{
    cgroup->root = root;
}

struct roti_cpu_limit roti_cgroup_cpu_limit(struct roti_cgroup *cgroup)
{
    struct roti_cpu_limit least = {0, 0};
    if (read_groups(cgroup))
        find_folders(cgroup);
    for (int i = 0; i < ROTI_CGROUP_VERSIONS; i++)
        read_limits(cgroup, (enum roti_cgroup_version)i, &least);
    return least;
}
