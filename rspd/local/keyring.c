/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which key of a ring seals, which are accepted. */
#include "rspd/local/keyring.h"

#include <errno.h>
#include <string.h>

/** Whether `a` seals rather than `b`, both having come. */
static bool later(const struct keyring_key *a, const struct keyring_key *b)
{
    if (a->from_s != b->from_s) {
        return a->from_s > b->from_s;
    }
    if (a->created_s != b->created_s) {
        return a->created_s > b->created_s;
    }
    return a > b; /* of one ring, made within a second: the later one, on every host */
}

const struct keyring_key *keyring_current(const struct keyring *ring, uint64_t now_s)
{
    const struct keyring_key *best = NULL;
    for (size_t i = 0; i < ring->count; i++) {
        const struct keyring_key *key = &ring->keys[i];
        if (key->retired_s == 0 && key->from_s <= now_s && (best == NULL || later(key, best))) {
            best = key;
        }
    }
    return best;
}

/** When a key ceased to seal: when the next one came, or when it was retired. */
static uint64_t ended_s(const struct keyring *ring, const struct keyring_key *key, uint64_t now_s)
{
    uint64_t ended = key->retired_s != 0 ? key->retired_s : now_s;
    for (size_t i = 0; i < ring->count; i++) {
        const struct keyring_key *next = &ring->keys[i];
        if (next != key && next->retired_s == 0 && next->from_s <= now_s && later(next, key) &&
            next->from_s < ended) {
            ended = next->from_s;
        }
    }
    return ended;
}

enum keyring_state keyring_state(const struct keyring *ring, const struct keyring_key *key,
                                 uint64_t now_s, uint32_t max_age_s)
{
    if (key->retired_s == 0 && key->from_s > now_s) {
        return KEYRING_COMING;
    }
    if (key == keyring_current(ring, now_s)) {
        return KEYRING_CURRENT;
    }
    uint64_t ended = ended_s(ring, key, now_s);
    uint64_t keep = (uint64_t)max_age_s + SEAL_SKEW_S;
    return max_age_s == 0 || now_s <= ended || now_s - ended <= keep ? KEYRING_OLD
                                                                     : KEYRING_EXPIRED;
}

const char *keyring_state_name(enum keyring_state state)
{
    static const char *const NAMES[] = {[KEYRING_CURRENT] = "current",
                                        [KEYRING_COMING] = "coming",
                                        [KEYRING_OLD] = "old",
                                        [KEYRING_EXPIRED] = "expired"};
    return (unsigned)state < sizeof(NAMES) / sizeof(NAMES[0]) ? NAMES[state] : "unknown";
}

static void take_out(struct keyring *ring, size_t i)
{
    ring->count--;
    memmove(&ring->keys[i], &ring->keys[i + 1], (ring->count - i) * sizeof(ring->keys[0]));
    explicit_bzero(&ring->keys[ring->count], sizeof(ring->keys[0]));
}

bool keyring_purge(struct keyring *ring, uint64_t now_s, uint32_t max_age_s)
{
    bool expired[KEYRING_KEYS_MAX];
    bool any = false;
    for (size_t i = 0; i < ring->count; i++) {
        expired[i] = keyring_state(ring, &ring->keys[i], now_s, max_age_s) == KEYRING_EXPIRED;
    }
    for (size_t i = ring->count; i-- > 0;) {
        if (expired[i]) {
            take_out(ring, i);
            any = true;
        }
    }
    return any;
}

/** Makes room for one more key. */
static void make_room(struct keyring *ring, uint64_t now_s, uint32_t max_age_s)
{
    (void)keyring_purge(ring, now_s, max_age_s);
    while (ring->count >= KEYRING_KEYS_MAX) {
        const struct keyring_key *current = keyring_current(ring, now_s);
        size_t oldest = ring->count;
        for (size_t i = 0; i < ring->count; i++) {
            if (&ring->keys[i] != current &&
                (oldest == ring->count || later(&ring->keys[oldest], &ring->keys[i]))) {
                oldest = i;
            }
        }
        take_out(ring, oldest);
    }
}

static struct keyring_key *find_id(struct keyring *ring, uint16_t id)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].id == id) {
            return &ring->keys[i];
        }
    }
    return NULL;
}

uint16_t keyring_add(struct keyring *ring, const uint8_t octets[SEAL_KEY_LEN], uint16_t id,
                     uint64_t now_s, uint64_t from_s, uint32_t max_age_s)
{
    make_room(ring, now_s, max_age_s);
    while (id == 0 || find_id(ring, id) != NULL) {
        id++;
    }
    struct keyring_key *key = &ring->keys[ring->count++];
    *key = (struct keyring_key){.id = id, .created_s = now_s, .from_s = from_s};
    memcpy(key->octets, octets, SEAL_KEY_LEN);
    return id;
}

int keyring_drop(struct keyring *ring, uint16_t id)
{
    bool any = false;
    for (size_t i = ring->count; i-- > 0;) {
        if (ring->keys[i].id == id) {
            take_out(ring, i);
            any = true;
        }
    }
    return any ? 0 : -ENOENT;
}

void keyring_import(struct keyring *ring, const struct keyring *other, uint64_t now_s,
                    uint32_t max_age_s)
{
    for (size_t i = ring->count; i-- > 0;) {
        struct keyring_key *own = &ring->keys[i];
        bool same = false;
        for (size_t k = 0; k < other->count && !same; k++) {
            same = memcmp(own->octets, other->keys[k].octets, SEAL_KEY_LEN) == 0;
        }
        bool unused = own->from_s > now_s; /* has sealed nothing */
        if (same || unused) {
            take_out(ring, i); /* what is the same comes back as the other host has it */
        } else if (own->retired_s == 0) {
            own->retired_s = now_s;
        }
    }
    for (size_t k = 0; k < other->count; k++) {
        make_room(ring, now_s, max_age_s);
        ring->keys[ring->count++] = other->keys[k];
    }
}
