/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealed state cookies (security.md section 7): what a pool element gives its client to keep, and
 * another element of the pool opens after a failover. Encrypted and authenticated with a key that
 * only the daemons of the pool's hosts hold, bound to the pool handle, with issue time and life.
 *
 *     0 u8 version = 1 | 1 u8 algorithm = 1, XChaCha20-Poly1305 | 2 u16 key id
 *     4 u64 issue time, seconds since 1970 | 12 u32 life in seconds | 16 u32 issuing element
 *     20 nonce, 24 octets | 44 ciphertext, then a tag of 16 octets          network byte order
 *
 * Authenticated besides: the 44 octets in front, and u16 length and octets of the pool handle.
 * That a client sends back an older genuine cookie cannot be seen here: nothing is remembered.
 *
 * Pure: time and nonce are passed in, the cipher is a table of functions (seal_sodium.c).
 */
#ifndef RSP_RSPD_LOCAL_SEAL_H
#define RSP_RSPD_LOCAL_SEAL_H

#include "common/types.h"

#define SEAL_KEY_LEN     32
#define SEAL_NONCE_LEN   24
#define SEAL_HEADER_LEN  44
#define SEAL_TAG_LEN     16
#define SEAL_OVERHEAD    (SEAL_HEADER_LEN + SEAL_TAG_LEN)
#define SEAL_PAYLOAD_MAX 60000 /* an ASAP message has a 16-bit length */
#define SEAL_COOKIE_MAX  (SEAL_PAYLOAD_MAX + SEAL_OVERHEAD)
#define SEAL_SKEW_S      60 /* clocks of a pool's hosts may differ that much */

/** Why a cookie is refused; on the local protocol as LP_T_FAULT. */
enum seal_fault {
    SEAL_FINE,
    SEAL_TRUNCATED,   /* shorter than an empty sealed cookie */
    SEAL_UNSEALED,    /* not a sealed cookie, and the pool takes no others */
    SEAL_UNKNOWN_KEY, /* no key of that id, or one that is no longer accepted */
    SEAL_ALTERED,     /* forged, altered or cut off: it does not authenticate */
    SEAL_FOREIGN,     /* genuine, but of another pool */
    SEAL_TOO_OLD,
    SEAL_TOO_NEW, /* issued in the future */
    SEAL_FAULTS
};
/** "altered or forged" …, for people. */
const char *seal_fault_text(enum seal_fault fault);

/** The functions of an authenticated cipher; all constant-time where secrets are compared. */
struct seal_cipher {
    /** Writes `len` + SEAL_TAG_LEN octets. */
    void (*encrypt)(uint8_t *out, const uint8_t *text, size_t len, const uint8_t *bound,
                    size_t bound_len, const uint8_t *nonce, const uint8_t *key);
    /** Of `len` octets, the tag included; false: it does not authenticate, `out` is undefined. */
    bool (*decrypt)(uint8_t *out, const uint8_t *sealed, size_t len, const uint8_t *bound,
                    size_t bound_len, const uint8_t *nonce, const uint8_t *key);
    /** Overwrites a secret. */
    void (*wipe)(void *secret, size_t len);
};

/** What is known of a cookie besides its contents. */
struct seal_info {
    uint16_t key_id;
    uint64_t issued_s; /* since 1970 */
    uint32_t life_s;   /* 0: as long as who opens it allows */
    uint32_t pe_id;
};

/**
 * Seals `len` octets for a pool. `out` has room for len + SEAL_OVERHEAD. Returns the length, or
 * -EMSGSIZE when the payload is longer than SEAL_PAYLOAD_MAX. A nonce must never be used twice
 * with a key: draw it at random.
 */
int seal_close(const struct seal_cipher *cipher, const uint8_t *key, const uint8_t *nonce,
               const struct seal_info *info, struct pool_handle pool, const void *payload,
               size_t len, uint8_t *out);

/** Reads the header alone: SEAL_FINE, SEAL_TRUNCATED or SEAL_UNSEALED. Nothing is proven by it. */
enum seal_fault seal_peek(const void *cookie, size_t len, struct seal_info *ret);

/**
 * Opens a cookie with one key: SEAL_FINE, and the payload (*ret_len octets) is in `out`, which has
 * room for `len` octets; else a fault, and `out` is undefined. The age is not looked at.
 */
enum seal_fault seal_open(const struct seal_cipher *cipher, const uint8_t *key,
                          struct pool_handle pool, const void *cookie, size_t len, uint8_t *out,
                          size_t *ret_len);

/** Whether a cookie may be used at `now_s`, by its own life and by the pool's (0: no limit). */
enum seal_fault seal_age(const struct seal_info *info, uint64_t now_s, uint32_t max_age_s);

/**
 * The cipher of libsodium, loaded at the first call; NULL with a sentence in `error` when the host
 * has no libsodium, or rspd was built without. Loop thread.
 */
const struct seal_cipher *seal_cipher_load(char *error, size_t size);

#endif
