/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See forkmark.h. */
#include "preload/forkmark.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

struct marks {
    atomic_bool set[PRE_FORK_MARKS];
};

static struct marks *_Atomic page;
static atomic_int pids[PRE_FORK_MARKS];

/** A page that children find empty; NULL: there is none to be had. */
static struct marks *map_page(void)
{
    void *m = mmap(NULL, sizeof(struct marks), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    if (m == MAP_FAILED) {
        return NULL;
    }
    /* Who takes an advice that does not exist cannot be believed. */
    if (madvise(m, sizeof(struct marks), -1) == 0 ||
        madvise(m, sizeof(struct marks), MADV_WIPEONFORK) != 0) {
        (void)munmap(m, sizeof(struct marks));
        return NULL;
    }
    struct marks *none = NULL;
    if (!atomic_compare_exchange_strong(&page, &none, (struct marks *)m)) {
        (void)munmap(m, sizeof(struct marks));
        return none;
    }
    return (struct marks *)m;
}

void pre_fork_mark(unsigned i)
{
    struct marks *m = atomic_load_explicit(&page, memory_order_acquire);
    if (m == NULL) {
        m = map_page();
    }
    if (m != NULL) {
        atomic_store_explicit(&m->set[i], true, memory_order_relaxed);
    } else {
        atomic_store_explicit(&pids[i], getpid(), memory_order_relaxed);
    }
}

bool pre_fork_marked(unsigned i)
{
    const struct marks *m = atomic_load_explicit(&page, memory_order_acquire);
    return m != NULL ? atomic_load_explicit(&m->set[i], memory_order_relaxed)
                     : atomic_load_explicit(&pids[i], memory_order_relaxed) == getpid();
}
