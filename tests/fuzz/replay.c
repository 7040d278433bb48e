/* SPDX-License-Identifier: MIT */
/*
 * replay.c - main() of a fuzz target where there is no libFuzzer: plays inputs, and mutants of
 * them.
 *
 *     fuzz_<target> [--mutants N] [--seed S] FILE-OR-DIRECTORY...
 *
 * Each file is played, then N mutants of them. The plays are in a child, so that whatever ends it
 * leaves the parent to say which input it was, and to write a mutant down as crash-<target>. A
 * mutant is a function of the seed, its number and the files: nothing is written while all is well.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/splitmix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_MAX 4096
#define INPUTS_MAX 1024
#define SECONDS_MAX                                                                                \
    120 /* an input that takes longer hangs; sanitizers and loaded machines are slow */
#define EDITS_MAX 6

struct input {
    char *name;
    uint8_t *data;
    size_t size;
};

static struct input inputs[INPUTS_MAX];
static size_t input_count;
static uint64_t seed = 1;
static uint64_t mutants;

static __attribute__((noreturn)) void die(const char *what)
{
    perror(what);
    exit(2);
}

/* ---- Files ---- */

static void load_file(const char *name)
{
    uint8_t data[INPUT_MAX];
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, data, sizeof data);
    if (size < 0)
        die(name);
    close(fd);
    if (input_count == INPUTS_MAX) {
        fprintf(stderr, "more than %d inputs\n", INPUTS_MAX);
        exit(2);
    }
    struct input *input = &inputs[input_count++];
    input->size = (size_t)size;
    input->name = strdup(name);
    input->data = malloc(input->size + 1); /* malloc(0) may be NULL */
    if (input->name == NULL || input->data == NULL)
        die("memory");
    memcpy(input->data, data, input->size);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void load(const char *name)
{
    struct dirent **entries;
    struct stat status;
    if (stat(name, &status) != 0)
        die(name);
    if (!S_ISDIR(status.st_mode)) {
        load_file(name);
        return;
    }
    int count = scandir(name, &entries, is_visible, alphasort);
    if (count < 0)
        die(name);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", name, entries[i]->d_name);
        load_file(path);
        free(entries[i]);
    }
    free(entries);
}

/* ---- Mutants ---- */

struct mutant {
    uint8_t data[INPUT_MAX];
    size_t size;
};

/* Puts `size` bytes of another place in, as many as there is room for. */
static void insert(struct mutant *mutant, size_t at, const uint8_t *from, size_t size)
{
    if (size > INPUT_MAX - mutant->size)
        size = INPUT_MAX - mutant->size;
    memmove(mutant->data + at + size, mutant->data + at, mutant->size - at);
    memcpy(mutant->data + at, from, size);
    mutant->size += size;
}

static void edit(struct mutant *mutant, uint64_t *random)
{
    static const uint8_t notable[] = {0, 1, 0x7f, 0x80, 0xff, '\r', '\n', ' ', ':', '%', '0'};
    const struct input *other = &inputs[splitmix_below(random, (uint32_t)input_count)];
    uint8_t block[32];
    size_t at = splitmix_below(random, (uint32_t)mutant->size + 1);
    size_t length = 1 + splitmix_below(random, sizeof block);
    if (length > mutant->size - at)
        length = mutant->size - at;
    switch (splitmix_below(random, 6)) {
    case 0:
        if (at < mutant->size)
            mutant->data[at] ^= (uint8_t)(1u << splitmix_below(random, 8));
        break;
    case 1:
        if (at < mutant->size)
            mutant->data[at] = notable[splitmix_below(random, sizeof notable)];
        break;
    case 2:
        memmove(mutant->data + at, mutant->data + at + length, mutant->size - at - length);
        mutant->size -= length;
        break;
    case 3:
        memcpy(block, mutant->data + at, length);
        insert(mutant, splitmix_below(random, (uint32_t)mutant->size + 1), block, length);
        break;
    case 4: {
        size_t from = splitmix_below(random, (uint32_t)other->size + 1);
        insert(mutant, at, other->data + from, other->size - from);
        break;
    }
    default:
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)splitmix_next(random);
        insert(mutant, at, block, 1 + splitmix_below(random, sizeof block));
    }
}

static void make_mutant(struct mutant *ret_mutant, uint64_t number)
{
    uint64_t random = seed * UINT64_C(0xD1342543DE82EF95) + number;
    const struct input *parent = &inputs[splitmix_below(&random, (uint32_t)input_count)];
    ret_mutant->size = 0;
    insert(ret_mutant, 0, parent->data, parent->size);
    for (uint32_t edits = 1 + splitmix_below(&random, EDITS_MAX); edits > 0; edits--)
        edit(ret_mutant, &random);
}

/* ---- Playing ---- */

/* In a block of its own size, so that a look behind its end is seen. */
static void play(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        die("memory");
    memcpy(copy, data, size);
    alarm(SECONDS_MAX);
    (void)LLVMFuzzerTestOneInput(copy, size);
    alarm(0);
    free(copy);
}

static void play_all(uint64_t *playing)
{
    static struct mutant mutant;
    for (size_t i = 0; i < input_count; i++, (*playing)++)
        play(inputs[i].data, inputs[i].size);
    for (uint64_t i = 0; i < mutants; i++, (*playing)++) {
        make_mutant(&mutant, i);
        play(mutant.data, mutant.size);
    }
}

/* Says which input it was, and keeps it if it is no file yet. */
static void report(const char *program, uint64_t playing, int status)
{
    static struct mutant mutant;
    char name[256];
    if (WIFSIGNALED(status))
        fprintf(stderr, "ended by %s\n", strsignal(WTERMSIG(status)));
    if (playing < input_count) {
        fprintf(stderr, "FAILED: %s\n", inputs[playing].name);
        return;
    }
    if (playing >= input_count + mutants) {
        fprintf(stderr, "FAILED after the last input\n");
        return;
    }
    make_mutant(&mutant, playing - input_count);
    snprintf(name, sizeof name, "crash-%s", program);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, mutant.data, mutant.size) != (ssize_t)mutant.size)
        die(name);
    close(fd);
    fprintf(stderr, "FAILED: mutant %lu of seed %lu, which is in %s now\n",
            (unsigned long)(playing - input_count), (unsigned long)seed, name);
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {{"mutants", required_argument, NULL, 'm'},
                                            {"seed", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'm')
            mutants = strtoull(optarg, NULL, 0);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else
            exit(2);
    }
    for (int i = optind; i < argc; i++)
        load(argv[i]);
    if (input_count == 0) {
        fprintf(stderr, "usage: %s [--mutants N] [--seed S] FILE-OR-DIRECTORY...\n", argv[0]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    int status;
    parse(argc, argv);
    uint64_t *playing =
        mmap(NULL, sizeof *playing, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (playing == MAP_FAILED)
        die("shared memory");
    pid_t pid = fork();
    if (pid == 0) {
        play_all(playing);
        exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("a child");
    if (status != 0) {
        report(program_invocation_short_name, *playing, status);
        return 1;
    }
    printf("%s: %zu inputs, %lu mutants\n", program_invocation_short_name, input_count,
           (unsigned long)mutants);
    return 0;
}
