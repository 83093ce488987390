/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keys that a pool's cookies are sealed with, the same on every host of the pool. Each key has
 * a time from which it seals; the latest one that has come is the current one. An older key is
 * accepted until the last cookie it sealed is too old, a coming one at once: so a new key can be
 * brought to all hosts before any of them uses it. Pure: time and randomness are passed in.
 */
#ifndef RSP_RSPD_LOCAL_KEYRING_H
#define RSP_RSPD_LOCAL_KEYRING_H

#include "rspd/local/seal.h"

#define KEYRING_KEYS_MAX 16
#define KEYRING_TEXT_MAX (KEYRING_KEYS_MAX * 160 + 2 * POOL_HANDLE_MAX + 128)

struct keyring_key {
    uint16_t id; /* not 0; of keys made on two hosts perhaps the same: both are tried */
    uint64_t created_s, from_s; /* since 1970; from_s: seals from then on */
    uint64_t retired_s;         /* 0: not; else it no longer seals */
    uint8_t octets[SEAL_KEY_LEN];
};

struct keyring {
    size_t count;
    struct keyring_key keys[KEYRING_KEYS_MAX];
};

enum keyring_state { KEYRING_CURRENT, KEYRING_COMING, KEYRING_OLD, KEYRING_EXPIRED };

/** The key that seals at `now_s`; NULL: none. */
const struct keyring_key *keyring_current(const struct keyring *ring, uint64_t now_s);
/** What a key is good for. `max_age_s` of the pool's cookies; 0: old keys are accepted for ever. */
enum keyring_state keyring_state(const struct keyring *ring, const struct keyring_key *key,
                                 uint64_t now_s, uint32_t max_age_s);
/** "current", "coming", "old", "expired" */
const char *keyring_state_name(enum keyring_state state);

/**
 * Adds a key that seals from `from_s` on. Expired keys go first; a full ring then loses its oldest
 * key that is not current. Returns the new key's id, drawn so that no other key has it.
 */
uint16_t keyring_add(struct keyring *ring, const uint8_t octets[SEAL_KEY_LEN], uint16_t id,
                     uint64_t now_s, uint64_t from_s, uint32_t max_age_s);
/** Takes a key out; its cookies are refused from now on. -ENOENT. */
int keyring_drop(struct keyring *ring, uint16_t id);
/**
 * Takes over the ring of another host: its keys decide which one seals, and what was here only is
 * retired: accepted as an old key, no more.
 */
void keyring_import(struct keyring *ring, const struct keyring *other, uint64_t now_s,
                    uint32_t max_age_s);
/** Takes out what is no longer accepted. Whether anything was. */
bool keyring_purge(struct keyring *ring, uint64_t now_s, uint32_t max_age_s);

/*
 * As text (keyring_text.c), one ring after the other, in files and for other hosts:
 *     pool HEX-OF-HANDLE OWNER-UID
 *     key ID CREATED FROM RETIRED HEX-OF-KEY
 */
/** Writes one ring; the length, or -EMSGSIZE. */
int keyring_format(const struct keyring *ring, struct pool_handle pool, uint32_t owner, char *out,
                   size_t size);
/** One ring as it was read; `pool` borrows `octets`. */
struct keyring_text {
    struct pool_handle pool;
    uint32_t owner;
    struct keyring ring;
    uint8_t octets[POOL_HANDLE_MAX];
};
/** A text under way. */
struct keyring_reader {
    const char *text;
    size_t len, pos;
    unsigned line; /* lines read */
};
/**
 * Reads the next ring. 1: one was read; 0: nothing more is there; -EINVAL with the line and what is
 * wrong with it in `error`.
 */
int keyring_read(struct keyring_reader *rd, struct keyring_text *ret, char *error, size_t size);

#endif
