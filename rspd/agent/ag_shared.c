/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/agent/ag_shared.h"

#include <stdlib.h>
#include <string.h>

#include "rspd/agent/ag_internal.h"

static size_t bucket_of(const struct ag *ag, enum ag_mark_kind kind, struct pool_handle handle,
                        uint32_t pe_id)
{
    uint64_t hash = kind == AG_MARK_OWN ? pe_id ^ pe_id >> 16 : ag_hash(ag, handle, pe_id);
    return (size_t)(hash % AG_BUCKETS);
}

struct ag_mark *ag_mark_new(enum ag_mark_kind kind, struct pool_handle handle, uint32_t pe_id,
                            const struct ag_pe *pe)
{
    size_t pe_size = pe != NULL ? sizeof(*pe) : 0;
    uint8_t *memory = calloc(1, sizeof(struct ag_mark) + pe_size + handle.len);
    if (memory == NULL) {
        return NULL;
    }
    struct ag_mark *mark = (struct ag_mark *)(void *)memory;
    uint8_t *octets = memory + sizeof(*mark) + pe_size;
    if (handle.len > 0) {
        memcpy(octets, handle.octets, handle.len);
    }
    mark->kind = kind;
    mark->pe_id = pe_id;
    mark->handle = (struct pool_handle){.octets = octets, .len = handle.len};
    if (pe != NULL) {
        struct ag_pe *copy = (struct ag_pe *)(void *)(memory + sizeof(*mark));
        *copy = *pe;
        copy->handle = mark->handle;
        mark->pe = copy;
    }
    return mark;
}

static void mark_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct ag_mark, rcu));
}

void ag_mark_add(struct ag *ag, struct ag_mark *mark)
{
    size_t bucket_index = bucket_of(ag, mark->kind, mark->handle, mark->pe_id);
    struct ag_mark **bucket = &ag->marks[mark->kind][bucket_index];
    mark->next = *bucket;
    hs_publish(*bucket, mark);
    (void)__atomic_fetch_add(&ag->mark_count[mark->kind], 1, __ATOMIC_RELAXED);
}

/* The place that points to the mark. */
static struct ag_mark **link_of(struct ag *ag, const struct ag_mark *mark)
{
    size_t bucket = bucket_of(ag, mark->kind, mark->handle, mark->pe_id);
    struct ag_mark **at = &ag->marks[mark->kind][bucket];
    while (*at != mark) {
        at = &(*at)->next;
    }
    return at;
}

void ag_mark_replace(struct ag *ag, struct ag_mark *old, struct ag_mark *fresh)
{
    struct ag_mark **at = link_of(ag, old);
    fresh->next = old->next;
    hs_publish(*at, fresh);
    hs_defer(&old->rcu, mark_release);
}

void ag_mark_remove(struct ag *ag, struct ag_mark *mark)
{
    struct ag_mark **at = link_of(ag, mark);
    hs_publish(*at, mark->next);
    (void)__atomic_fetch_sub(&ag->mark_count[mark->kind], 1, __ATOMIC_RELAXED);
    hs_defer(&mark->rcu, mark_release);
}

struct ag_mark *ag_mark_find(const struct ag *ag, enum ag_mark_kind kind, struct pool_handle handle,
                             uint32_t pe_id)
{
    if (__atomic_load_n(&ag->mark_count[kind], __ATOMIC_RELAXED) == 0) {
        return NULL;
    }
    struct ag_mark *mark = hs_read_ptr(ag->marks[kind][bucket_of(ag, kind, handle, pe_id)]);
    while (mark != NULL && (mark->pe_id != pe_id || !pool_handle_equal(mark->handle, handle))) {
        mark = hs_read_ptr(mark->next);
    }
    return mark;
}

static void view_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct ag_view, rcu));
}

/* Without memory there is no shared view until the next change: the loop thread answers alone. */
void ag_share(struct ag *ag)
{
    struct ag_view *old = ag->shared;
    struct ag_view *fresh = malloc(sizeof(*fresh));
    ag->view.local_hs = ag->local_hs;
    ag->view.cache = ag->cache;
    ag->view.handle_max = ag->set.handle_max;
    ag->view.home_on_host = ag_home_on_host(ag);
    if (fresh != NULL) {
        *fresh = ag->view;
    }
    hs_publish(ag->shared, fresh);
    if (old != NULL) {
        hs_defer(&old->rcu, view_release);
    }
}

void ag_shared_free(struct ag *ag)
{
    free(ag->shared);
    ag->shared = NULL;
}
