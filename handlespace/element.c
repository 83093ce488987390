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

static struct ip_address *addresses_of(const struct element *element)
{
    return (struct ip_address *)(uintptr_t)(element->words + element->word_count);
}

/* Most often a server is reached at the addresses it registered from: then they are kept once. */
static struct element *element_alloc(const struct transport *user, const struct transport *asap,
                                     const struct policy *policy)
{
    bool shared = same_addresses(user, asap);
    size_t own = shared ? 0 : asap->address_count;
    size_t opaque = user->protocol == TRANSPORT_OPAQUE ? user->opaque_len : 0;
    size_t size = offsetof(struct element, words) + policy->word_count * sizeof(uint32_t) +
                  (user->address_count + own) * sizeof(struct ip_address) + opaque;
    struct element *element = malloc(size > sizeof(*element) ? size : sizeof(*element));
    if (element == NULL) {
        return NULL;
    }
    memset(element, 0, sizeof(*element));
    element->heap_index = HEAP_NONE;
    element->user_extra = opaque > 0 ? (uint32_t)opaque : user->service_code;
    element->user_port = user->port;
    element->asap_port = asap->port;
    element->asap_use = asap->use;
    element->asap_protocol = (uint16_t)asap->protocol;
    element->user_addresses = (uint8_t)user->address_count;
    element->asap_addresses = (uint8_t)asap->address_count;
    element->asap_shared = shared;
    element->word_count = policy->word_count;
    for (uint8_t i = 0; i < policy->word_count; i++) {
        element->words[i] = policy->words[i];
    }
    struct ip_address *addresses = addresses_of(element);
    for (uint16_t i = 0; i < user->address_count; i++) {
        *addresses++ = user->addresses[i];
    }
    for (size_t i = 0; i < own; i++) {
        *addresses++ = asap->addresses[i];
    }
    if (opaque > 0) {
        memcpy(addresses, user->opaque, opaque);
    }
    return element;
}

struct element *hs_element_new(struct pool *pool, const struct pool_element *from)
{
    struct element *element = element_alloc(&from->user, &from->asap, &from->policy);
    if (element == NULL) {
        return NULL;
    }
    element->pub.handle = &pool->name;
    element->pub.pe_id = from->pe_id;
    element->pub.home_id = from->home_id;
    return element;
}

struct element *hs_element_clone(const struct element *from)
{
    struct transport user = hs_user(&from->pub);
    struct transport asap = hs_asap(&from->pub);
    struct policy policy = hs_policy(&from->pub);
    struct element *element = element_alloc(&user, &asap, &policy);
    if (element == NULL) {
        return NULL;
    }
    element->pub = from->pub;
    if (element_pool(from)->ops->step != NULL) {
        element->standing = __atomic_load_n(&from->standing, __ATOMIC_RELAXED);
    }
    return element;
}

struct transport hs_user(const struct hs_element *pub)
{
    const struct element *element = element_of(pub);
    const struct pool *pool = element_pool(element);
    struct transport user = {.protocol = pool->protocol,
                             .port = element->user_port,
                             .use = pool->use,
                             .address_count = element->user_addresses,
                             .addresses = addresses_of(element)};
    if (pool->protocol == TRANSPORT_OPAQUE) {
        user.opaque_len = (uint16_t)element->user_extra;
        user.opaque = (const uint8_t *)(user.addresses + user.address_count +
                                        (element->asap_shared ? 0 : element->asap_addresses));
    } else {
        user.service_code = element->user_extra;
    }
    return user;
}

struct transport hs_asap(const struct hs_element *pub)
{
    const struct element *element = element_of(pub);
    return (struct transport){.protocol = element->asap_protocol,
                              .port = element->asap_port,
                              .use = element->asap_use,
                              .address_count = element->asap_addresses,
                              .addresses = addresses_of(element) +
                                           (element->asap_shared ? 0 : element->user_addresses)};
}

struct policy hs_policy(const struct hs_element *pub)
{
    const struct element *element = element_of(pub);
    struct policy policy = {.type = element_pool(element)->ops->info.type,
                            .word_count = element->word_count};
    for (uint8_t i = 0; i < element->word_count; i++) {
        policy.words[i] = element->words[i];
    }
    return policy;
}

struct tm_us hs_expires(const struct hs_element *element)
{
    return element->life_ms < 0 ? TM_NEVER : tm_add_ms(element->registered, element->life_ms);
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
