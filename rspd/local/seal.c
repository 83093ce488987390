/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The format of sealed cookies. */
#include "rspd/local/seal.h"

#include <errno.h>
#include <string.h>

#include "common/cursor.h"

#define VERSION   1
#define ALGORITHM 1 /* XChaCha20-Poly1305 */
#define BOUND_MAX (SEAL_HEADER_LEN + 2 + POOL_HANDLE_MAX)

const char *seal_fault_text(enum seal_fault fault)
{
    static const char *const TEXTS[SEAL_FAULTS] = {
        [SEAL_FINE] = "genuine",
        [SEAL_TRUNCATED] = "too short for a sealed cookie",
        [SEAL_UNSEALED] = "not a sealed cookie",
        [SEAL_UNKNOWN_KEY] = "sealed with a key that this host does not have or no longer accepts",
        [SEAL_ALTERED] = "forged or altered",
        [SEAL_FOREIGN] = "of another pool",
        [SEAL_TOO_OLD] = "too old",
        [SEAL_TOO_NEW] = "from the future: the clocks of the pool's hosts differ",
    };
    return (unsigned)fault < SEAL_FAULTS ? TEXTS[fault] : "unknown";
}

static void put_number(uint8_t *out, size_t octets, uint64_t v)
{
    for (size_t i = octets; i-- > 0; v >>= 8) {
        out[i] = (uint8_t)v;
    }
}

/** What is authenticated with the payload: the header, and the pool. Returns its length. */
static size_t bind(uint8_t bound[BOUND_MAX], const uint8_t *header, struct pool_handle pool)
{
    struct wcur c = wcur_of(bound, BOUND_MAX);
    wcur_put(&c, header, SEAL_HEADER_LEN);
    wcur_n16(&c, pool.len);
    wcur_put(&c, pool.octets, pool.len);
    return c.err ? 0 : wcur_used(&c);
}

int seal_close(const struct seal_cipher *cipher, const uint8_t *key, const uint8_t *nonce,
               const struct seal_info *info, struct pool_handle pool, const void *payload,
               size_t len, uint8_t *out)
{
    uint8_t bound[BOUND_MAX];
    if (len > SEAL_PAYLOAD_MAX) {
        return -EMSGSIZE;
    }
    out[0] = VERSION;
    out[1] = ALGORITHM;
    put_number(out + 2, 2, info->key_id);
    put_number(out + 4, 8, info->issued_s);
    put_number(out + 12, 4, info->life_s);
    put_number(out + 16, 4, info->pe_id);
    memcpy(out + 20, nonce, SEAL_NONCE_LEN);
    size_t bound_len = bind(bound, out, pool);
    if (bound_len == 0) {
        return -EINVAL;
    }
    cipher->encrypt(out + SEAL_HEADER_LEN, (const uint8_t *)payload, len, bound, bound_len,
                    out + SEAL_HEADER_LEN - SEAL_NONCE_LEN, key);
    return (int)(len + SEAL_OVERHEAD);
}

enum seal_fault seal_peek(const void *cookie, size_t len, struct seal_info *ret)
{
    struct rcur c = rcur_of(cookie, len);
    uint8_t version = rcur_u8(&c);
    uint8_t algorithm = rcur_u8(&c);
    if (!c.err && (version != VERSION || algorithm != ALGORITHM)) {
        return SEAL_UNSEALED;
    }
    if (len < SEAL_OVERHEAD) {
        return SEAL_TRUNCATED;
    }
    struct seal_info info = {.key_id = rcur_n16(&c)};
    info.issued_s = (uint64_t)rcur_n32(&c) << 32;
    info.issued_s |= rcur_n32(&c);
    info.life_s = rcur_n32(&c);
    info.pe_id = rcur_n32(&c);
    *ret = info;
    return SEAL_FINE;
}

enum seal_fault seal_open(const struct seal_cipher *cipher, const uint8_t *key,
                          struct pool_handle pool, const void *cookie, size_t len, uint8_t *out,
                          size_t *ret_len)
{
    const uint8_t *octets = (const uint8_t *)cookie;
    uint8_t bound[BOUND_MAX];
    struct seal_info info;
    enum seal_fault fault = seal_peek(cookie, len, &info);
    if (fault != SEAL_FINE) {
        return fault;
    }
    size_t bound_len = bind(bound, octets, pool);
    if (len > SEAL_COOKIE_MAX || bound_len == 0 ||
        !cipher->decrypt(out, octets + SEAL_HEADER_LEN, len - SEAL_HEADER_LEN, bound, bound_len,
                         octets + SEAL_HEADER_LEN - SEAL_NONCE_LEN, key)) {
        return SEAL_ALTERED;
    }
    *ret_len = len - SEAL_OVERHEAD;
    return SEAL_FINE;
}

enum seal_fault seal_age(const struct seal_info *info, uint64_t now_s, uint32_t max_age_s)
{
    if (info->issued_s > now_s) {
        return info->issued_s - now_s > SEAL_SKEW_S ? SEAL_TOO_NEW : SEAL_FINE;
    }
    uint64_t age = now_s - info->issued_s;
    if ((max_age_s != 0 && age > max_age_s) || (info->life_s != 0 && age > info->life_s)) {
        return SEAL_TOO_OLD;
    }
    return SEAL_FINE;
}
