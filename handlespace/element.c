/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Elements: one block of memory each, addresses included, never changed once readers see it. */
#include "handlespace/internal.h"

#include <stdlib.h>
#include <string.h>

static bool same_addresses(const struct transport *a, const struct transport *b)
{
    if (a->address_count != b->address_count) {
        return false;
    }
    for (uint16_t i = 0; i < a->address_count; i++) {
        if (!ip_address_equal(&a->addresses[i], &b->addresses[i])) {
            return false;
        }
    }
    return true;
}

/* Most often a server is reached at the addresses it registered from: then they are kept once. */
static struct element *element_alloc(const struct transport *user, const struct transport *asap)
{
    size_t addresses = user->address_count;
    bool shared = same_addresses(user, asap);
    if (!shared) {
        addresses += asap->address_count;
    }
    size_t opaque = user->protocol == TRANSPORT_OPAQUE ? user->opaque_len : 0;
    struct element *element;
    /* The addresses begin in what would be padding. */
    size_t size =
        offsetof(struct element, addresses) + addresses * sizeof(element->addresses[0]) + opaque;
    element = malloc(size > sizeof(*element) ? size : sizeof(*element));
    if (element == NULL) {
        return NULL;
    }
    memset(element, 0, sizeof(*element));
    element->heap_index = HEAP_NONE;
    element->pub.user = *user;
    element->pub.asap = *asap;
    if (user->address_count > 0) {
        memcpy(element->addresses, user->addresses,
               user->address_count * sizeof(element->addresses[0]));
    }
    struct ip_address *second = element->addresses + (shared ? 0 : user->address_count);
    if (!shared && asap->address_count > 0) {
        memcpy(second, asap->addresses, asap->address_count * sizeof(*second));
    }
    element->pub.user.addresses = element->addresses;
    element->pub.asap.addresses = second;
    element->pub.user.opaque = NULL;
    element->pub.user.opaque_len = (uint16_t)opaque;
    element->pub.asap.opaque = NULL;
    element->pub.asap.opaque_len = 0;
    if (opaque > 0) {
        uint8_t *octets = (uint8_t *)(element->addresses + addresses);
        memcpy(octets, user->opaque, opaque);
        element->pub.user.opaque = octets;
    }
    return element;
}

struct element *hs_element_new(struct pool *pool, const struct pool_element *from)
{
    struct element *element = element_alloc(&from->user, &from->asap);
    if (element == NULL) {
        return NULL;
    }
    element->pool = pool;
    element->pub.handle = pool_name(pool);
    element->pub.pe_id = from->pe_id;
    element->pub.home_id = from->home_id;
    element->pub.policy = from->policy;
    return element;
}

struct element *hs_element_clone(const struct element *from)
{
    struct element *element = element_alloc(&from->pub.user, &from->pub.asap);
    if (element == NULL) {
        return NULL;
    }
    struct transport user = element->pub.user;
    struct transport asap = element->pub.asap;
    element->pool = from->pool;
    element->pub = from->pub;
    element->pub.user = user;
    element->pub.asap = asap;
    if (from->pool->ops->step != NULL) {
        element->standing = __atomic_load_n(&from->standing, __ATOMIC_RELAXED);
    }
    return element;
}

static void element_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct element, link.rcu));
}

void hs_element_retire(struct element *element)
{
    hs_defer(&element->link.rcu, element_release);
}

struct tree_anchor **hs_element_slot(void *item)
{
    return &((struct element *)item)->leaf;
}
