/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealed cookies as a hostile client sends them, and key rings as text. The first octet of the
 * input decides which. The cipher here is a weak one that a fuzzer can satisfy, so that it reaches
 * what lies behind authentication.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "rspd/local/keyring.h"

static const uint8_t KEY[SEAL_KEY_LEN] = {7};

static void tag_of(const uint8_t *octets, size_t len, const uint8_t *bound, size_t bound_len,
                   uint8_t tag[SEAL_TAG_LEN])
{
    uint8_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum = (uint8_t)(sum + octets[i]);
    }
    for (size_t i = 0; i < bound_len; i++) {
        sum ^= bound[i];
    }
    memset(tag, sum, SEAL_TAG_LEN);
}

static void encrypt(uint8_t *out, const uint8_t *text, size_t len, const uint8_t *bound,
                    size_t bound_len, const uint8_t *nonce, const uint8_t *key)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = text[i] ^ key[0] ^ nonce[0];
    }
    tag_of(out, len, bound, bound_len, out + len);
}

static bool decrypt(uint8_t *out, const uint8_t *sealed, size_t len, const uint8_t *bound,
                    size_t bound_len, const uint8_t *nonce, const uint8_t *key)
{
    uint8_t tag[SEAL_TAG_LEN];
    size_t text = len - SEAL_TAG_LEN;
    MUST(len >= SEAL_TAG_LEN);
    tag_of(sealed, text, bound, bound_len, tag);
    for (size_t i = 0; i < text; i++) {
        out[i] = sealed[i] ^ key[0] ^ nonce[0];
    }
    return memcmp(tag, sealed + text, sizeof(tag)) == 0;
}

static void fuzz_cookie(const uint8_t *octets, size_t len)
{
    static const struct seal_cipher CIPHER = {.encrypt = encrypt, .decrypt = decrypt};
    struct pool_handle pool = {.octets = (const uint8_t *)"web", .len = 3};
    struct seal_info info;
    uint8_t *out = (uint8_t *)malloc(len > 0 ? len : 1); /* exact, for the sanitizer */
    size_t n = 0;
    MUST(out != NULL);
    enum seal_fault seen = seal_peek(octets, len, &info);
    enum seal_fault fault = seal_open(&CIPHER, KEY, pool, octets, len, out, &n);
    MUST(seen == SEAL_FINE || fault == seen);
    MUST(seal_fault_text(fault) != NULL);
    if (fault == SEAL_FINE) {
        MUST(n + SEAL_OVERHEAD == len);
        /* Sealed again from what was read it is the same, octet for octet. */
        uint8_t *again = (uint8_t *)malloc(len);
        MUST(again != NULL);
        MUST(seal_close(&CIPHER, KEY, octets + SEAL_HEADER_LEN - SEAL_NONCE_LEN, &info, pool, out,
                        n, again) == (int)len);
        MUST(memcmp(again, octets, len) == 0);
        free(again);
        (void)seal_age(&info, info.issued_s ^ info.life_s, info.life_s);
        MUST(seal_age(&info, info.issued_s, 0) == SEAL_FINE);
    }
    free(out);
}

static void fuzz_ring(const uint8_t *octets, size_t len)
{
    static struct keyring_text one;
    static struct keyring_text back;
    static char text[KEYRING_TEXT_MAX];
    char error[160];
    struct keyring_reader rd = {.text = (const char *)octets, .len = len};
    while (keyring_read(&rd, &one, error, sizeof(error)) == 1) {
        MUST(one.ring.count <= KEYRING_KEYS_MAX && one.pool.len > 0);
        int n = keyring_format(&one.ring, one.pool, one.owner, text, sizeof(text));
        MUST(n > 0);
        struct keyring_reader again = {.text = text, .len = (size_t)n};
        MUST(keyring_read(&again, &back, error, sizeof(error)) == 1);
        MUST(again.pos == (size_t)n && back.owner == one.owner);
        MUST(back.pool.len == one.pool.len && back.ring.count == one.ring.count);
        uint64_t now = one.ring.count > 0 ? one.ring.keys[0].from_s : 0;
        keyring_import(&back.ring, &one.ring, now, 60);
        (void)keyring_purge(&back.ring, now, 60);
        const struct keyring_key *current = keyring_current(&back.ring, now);
        MUST(current == NULL || keyring_state(&back.ring, current, now, 60) == KEYRING_CURRENT);
    }
    MUST(rd.pos <= len);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
    if (len > 0 && octets[0] == 'k') {
        fuzz_ring(octets + 1, len - 1);
    } else if (len > 0) {
        fuzz_cookie(octets + 1, len - 1);
    }
    return 0;
}
