/* SPDX-License-Identifier: MIT */
/*
 * loader.c - a program that knows rota only by dlopen: it loads it, runs loops, closes it, and goes
 * on. Usage: loader <library> [times]
 *
 * What must not happen: that there is no room for thread-local storage, in threads that were there
 * before as well; that a thread or a fork which comes after dlclose() calls into what is gone.
 */
#include <rota/rota.h>

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(expression)                                                                          \
    ((expression) ? (void)0                                                                        \
                  : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expression), exit(1)))

/* The library's functions, by their own names; the pointer is of the declared type. */
#define FUNCTION(name) __typeof__(&name) name##_fn
static struct {
    FUNCTION(rota_run);
    FUNCTION(rota_yield);
    FUNCTION(rota_task_spawn);
    FUNCTION(rota_task_await);
    FUNCTION(rota_task_unref);
    FUNCTION(rota_context_var_create);
    FUNCTION(rota_context_var_set);
    FUNCTION(rota_context_copy_current);
    FUNCTION(rota_context_unref);
} rota;

static void *find(void *library, const char *name)
{
    void *function = dlsym(library, name);
    if (function == NULL)
        fprintf(stderr, "%s: %s\n", name, dlerror());
    CHECK(function != NULL);
    return function;
}

#define FIND(name) *(void **)&rota.name##_fn = find(library, #name)

static void *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(library != NULL);
    FIND(rota_run);
    FIND(rota_yield);
    FIND(rota_task_spawn);
    FIND(rota_task_await);
    FIND(rota_task_unref);
    FIND(rota_context_var_create);
    FIND(rota_context_var_set);
    FIND(rota_context_copy_current);
    FIND(rota_context_unref);
    return library;
}

/* ---- A run of loops ---- */

static int step(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        if (rota.rota_yield_fn() != 0)
            return -1;
    return 1;
}

static int run(void *arg)
{
    struct rota_task *tasks[8];
    int sum = 0;
    (void)arg;
    for (int i = 0; i < 8; i++)
        CHECK(rota.rota_task_spawn_fn(&tasks[i], step, NULL, NULL) == 0);
    for (int i = 0; i < 8; i++) {
        int status = 0;
        CHECK(rota.rota_task_await_fn(tasks[i], &status) == 0);
        rota.rota_task_unref_fn(tasks[i]);
        sum += status;
    }
    return sum;
}

/* ---- A thread that is older than the library, and outlives it ---- */

static struct rota_context_var *var;
static sem_t loaded, used, closed;

static void *old_thread(void *arg)
{
    struct rota_context *context;
    static int value;
    sem_wait(&loaded);
    /* What the library keeps for this thread goes back when the thread ends. */
    CHECK(rota.rota_context_var_set_fn(var, &value, NULL) == 0);
    CHECK(rota.rota_context_copy_current_fn(&context) == 0);
    rota.rota_context_unref_fn(context);
    sem_post(&used);
    sem_wait(&closed);
    return arg;
}

static void once(const char *path)
{
    pthread_t thread;
    sem_init(&loaded, 0, 0);
    sem_init(&used, 0, 0);
    sem_init(&closed, 0, 0);
    CHECK(pthread_create(&thread, NULL, old_thread, NULL) == 0);

    void *library = load(path);
    CHECK(rota.rota_context_var_create_fn(&var, "loader", NULL) == 0);
    CHECK(rota.rota_run_fn(run, NULL, &(struct rota_run_opts){.loops = 2}) == 8);
    sem_post(&loaded);
    sem_wait(&used);
    CHECK(dlclose(library) == 0);

    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    sem_post(&closed);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int count, char **arguments)
{
    CHECK(count >= 2);
    int times = count > 2 ? atoi(arguments[2]) : 2;
    for (int i = 0; i < times; i++)
        once(arguments[1]);
    printf("loaded and closed %d times\n", times);
    return 0;
}
