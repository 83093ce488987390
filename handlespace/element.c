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

static_assert(HS_ADDRESSES_MAX < 1 << 7, "the number of addresses has room");
static_assert(TRANSPORT_OPAQUE < 1 << 5, "the protocol has room");
static_assert(POLICY_WORDS_MAX < 1 << 3, "the number of words has room");
static_assert(sizeof(struct ip_address) == 17, "an address needs no alignment");

/* Whether a number comes first in the tail. */
static bool has_extra(enum transport_protocol user)
{
    return user == TRANSPORT_DCCP || user == TRANSPORT_OPAQUE;
}

/* Where what follows the number begins. */
static const uint8_t *words_of(const struct element *element)
{
    return element->tail + (has_extra(element_pool(element)->protocol) ? sizeof(uint32_t) : 0);
}

static const uint8_t *use_of(const struct element *element)
{
    return words_of(element) + element->word_count * sizeof(uint32_t);
}

static const struct ip_address *addresses_of(const struct element *element)
{
    return (const struct ip_address *)(use_of(element) +
                                       (element->asap_use ? sizeof(uint16_t) : 0));
}

static uint8_t *put(uint8_t *at, const void *octets, size_t len)
{
    memcpy(at, octets, len);
    return at + len;
}

static void put_tail(uint8_t *at, const struct transport *user, const struct transport *asap,
                     const struct policy *policy, size_t own)
{
    if (has_extra(user->protocol)) {
        uint32_t extra = user->protocol == TRANSPORT_OPAQUE ? user->opaque_len : user->service_code;
        at = put(at, &extra, sizeof(extra));
    }
    at = put(at, policy->words, policy->word_count * sizeof(policy->words[0]));
    if (asap->use != 0) {
        at = put(at, &asap->use, sizeof(asap->use));
    }
    if (user->address_count > 0) {
        at = put(at, user->addresses, user->address_count * sizeof(struct ip_address));
    }
    if (own > 0) {
        at = put(at, asap->addresses, own * sizeof(struct ip_address));
    }
    if (user->protocol == TRANSPORT_OPAQUE) {
        (void)put(at, user->opaque, user->opaque_len);
    }
}

/* Most often a server is reached at the addresses it registered from: then they are kept once. */
static struct element *element_alloc(const struct transport *user, const struct transport *asap,
                                     const struct policy *policy)
{
    bool shared = same_addresses(user, asap);
    size_t own = shared ? 0 : asap->address_count;
    size_t size = offsetof(struct element, tail) +
                  (has_extra(user->protocol) ? sizeof(uint32_t) : 0) +
                  policy->word_count * sizeof(uint32_t) + (asap->use != 0 ? sizeof(asap->use) : 0) +
                  (user->address_count + own) * sizeof(struct ip_address) +
                  (user->protocol == TRANSPORT_OPAQUE ? user->opaque_len : 0);
    struct element *element = malloc(size > sizeof(*element) ? size : sizeof(*element));
    if (element == NULL) {
        return NULL;
    }
    memset(element, 0, sizeof(*element));
    element->heap_index = HEAP_NONE;
    element->pub.own = user->port;
    element->asap_port = asap->port;
    element->asap_use = asap->use != 0;
    element->asap_protocol = (uint8_t)(asap->protocol & 0x1f);
    element->user_addresses = (uint8_t)(user->address_count & 0x7f);
    element->asap_addresses = (uint8_t)(asap->address_count & 0x7f);
    element->asap_shared = shared;
    element->word_count = policy->word_count & 0x7;
    put_tail(element->tail, user, asap, policy, own);
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
                             .port = element->pub.own,
                             .use = pool->use,
                             .address_count = element->user_addresses,
                             .addresses = addresses_of(element)};
    uint32_t extra = 0;
    if (has_extra(pool->protocol)) {
        memcpy(&extra, element->tail, sizeof(extra));
    }
    if (pool->protocol == TRANSPORT_OPAQUE) {
        user.opaque_len = (uint16_t)extra;
        user.opaque = (const uint8_t *)(user.addresses + user.address_count +
                                        (element->asap_shared ? 0 : element->asap_addresses));
    } else {
        user.service_code = extra;
    }
    return user;
}

struct transport hs_asap(const struct hs_element *pub)
{
    const struct element *element = element_of(pub);
    struct transport asap = {.protocol = element->asap_protocol,
                             .port = element->asap_port,
                             .address_count = element->asap_addresses,
                             .addresses = addresses_of(element) +
                                          (element->asap_shared ? 0 : element->user_addresses)};
    if (element->asap_use) {
        memcpy(&asap.use, use_of(element), sizeof(asap.use));
    }
    return asap;
}

struct policy hs_policy(const struct hs_element *pub)
{
    const struct element *element = element_of(pub);
    struct policy policy = {.type = element_pool(element)->ops->info.type,
                            .word_count = element->word_count};
    memcpy(policy.words, words_of(element), element->word_count * sizeof(policy.words[0]));
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
