/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A million selections beside a busy writer: not one system call (so no futex), no mutex, no
 * allocation (policies:P-42). The kernel reports each system call of the reading thread (syscall
 * user dispatch); mutexes and allocations are counted on their way to libc.
 */
#include "hs_fixture.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define SELECTIONS 1000000
#define ELEMENTS   2000

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

static _Thread_local bool counting;
static atomic_uint mutexes;
static atomic_uint allocations;
static volatile sig_atomic_t calls;
static volatile char selector = SYSCALL_DISPATCH_FILTER_ALLOW;
static atomic_bool done;
static struct hs *shared;

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    int (*lock)(pthread_mutex_t *) = __atomic_load_n(&real, __ATOMIC_RELAXED);
    if (lock == NULL) {
        *(void **)&lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
        __atomic_store_n(&real, lock, __ATOMIC_RELAXED);
    }
    mutexes += counting ? 1 : 0;
    return lock(mutex);
}

void *__wrap_malloc(size_t size)
{
    allocations += counting ? 1 : 0;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    allocations += counting ? 1 : 0;
    return __real_calloc(n, size);
}

void __wrap_free(void *p)
{
    allocations += counting ? 1 : 0;
    __real_free(p);
}

/* The return from this handler is a system call, too. */
static void on_call(int signal)
{
    (void)signal;
    calls = calls + 1;
    selector = SYSCALL_DISPATCH_FILTER_ALLOW;
}

static const char *pool_name_of(size_t i)
{
    return policy_info_at(i)->name;
}

static void *write_on(void *arg)
{
    uint64_t *changes = arg;
    struct rnd rnd;
    size_t kinds = 0;
    hs_thread_register();
    rnd_seed(&rnd, 4);
    while (policy_info_at(kinds) != NULL) {
        kinds++;
    }
    while (!atomic_load(&done)) {
        size_t i = (size_t)rnd_below(&rnd, kinds);
        struct pool_element pe =
            make_pe(1 + (uint32_t)rnd_below(&rnd, ELEMENTS), policy_info_at(i)->type,
                    1 + (uint32_t)rnd_below(&rnd, 1000));
        cr_assert_leq(hs_register(shared, pool_handle_of(pool_name_of(i)), &pe, -1, 0, at_ms(0)),
                      HS_UPDATED);
        (*changes)++;
    }
    hs_thread_unregister();
    return NULL;
}

static void select_on(size_t kinds)
{
    for (size_t i = 0; i < SELECTIONS; i++) {
        const struct hs_element *found[3];
        hs_read_begin();
        (void)hs_select(shared, pool_handle_of(pool_name_of(i % kinds)), 1 + i % 3, NULL, NULL,
                        found);
        hs_read_end();
    }
}

static void count_in_thread(size_t kinds)
{
    struct sigaction action = {.sa_handler = on_call};
    cr_assert_eq(sigaction(SIGSYS, &action, NULL), 0);
    cr_assert_eq(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector), 0,
                 "the kernel does not report system calls");
    /* That it counts at all. */
    selector = SYSCALL_DISPATCH_FILTER_BLOCK;
    (void)raise(SIGCONT);
    cr_assert_eq(calls, 1);
    calls = 0;
    counting = true;
    selector = SYSCALL_DISPATCH_FILTER_BLOCK;
    select_on(kinds);
    selector = SYSCALL_DISPATCH_FILTER_ALLOW;
    counting = false;
    (void)prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0);
}

/* policies:P-42 */
Test(counting, a_million_selections, .timeout = 120)
{
    pthread_t writer;
    uint64_t changes = 0;
    size_t kinds = 0;
    shared = open_hs(&NO_LIMITS);
    for (; policy_info_at(kinds) != NULL; kinds++) {
        for (uint32_t id = 1; id <= ELEMENTS; id++) {
            struct pool_element pe = make_pe(id, policy_info_at(kinds)->type, id);
            cr_assert_eq(
                hs_register(shared, pool_handle_of(pool_name_of(kinds)), &pe, -1, 0, at_ms(0)),
                HS_ADDED);
        }
    }
    cr_assert_eq(pthread_create(&writer, NULL, write_on, &changes), 0);
    /* The first selection of a thread may set up thread-local memory. */
    (void)pick1(shared, pool_name_of(0));
    count_in_thread(kinds);
    atomic_store(&done, true);
    cr_assert_eq(pthread_join(writer, NULL), 0);
    cr_assert_gt(changes, 1000);
    cr_assert_eq(calls, 0, "%d system calls", (int)calls);
    cr_assert_eq(mutexes, 0, "%u mutexes", mutexes);
    cr_assert_eq(allocations, 0, "%u allocations", allocations);
    close_hs(shared);
}
