/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealed cookies and the keys they are sealed with (security.md section 7: S-14, S-15, S-27). */
#include "rspd/local/vault.h"

#include "local_test.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define DAY 86400u

static uint64_t now_s;
static uint8_t dice; /* "random" octets count up, so that no nonce comes twice */
static char path[128];

static uint64_t clock_s(void *ctx)
{
    (void)ctx;
    return now_s;
}

static int draw(void *ctx, void *octets, size_t len)
{
    (void)ctx;
    memset(octets, ++dice, len);
    return 0;
}

static void setup(void)
{
    now_s = 1800000000;
    dice = 0;
    (void)snprintf(path, sizeof(path), "%s/state/cookie-keys", test_dir_make());
}

TestSuite(seal, .init = setup, .fini = test_dir_remove, .timeout = 20);

static struct vault *open_vault(const char *file)
{
    struct vault_env env = {
        .path = file, .now_s = clock_s, .random = draw, .cipher = seal_cipher_load};
    struct vault *v = NULL;
    cr_assert_eq(vault_new(&env, &v), 0);
    return v;
}

static struct vault_pool pool_of(const char *handle)
{
    return (struct vault_pool){.handle = pool_handle_of(handle), .owner = 1000, .max_age_s = DAY};
}

/** A cookie with the state "state". */
static size_t seal(struct vault *v, const char *pool, uint8_t *out)
{
    struct vault_pool p = pool_of(pool);
    char why[VAULT_WHY_MAX] = "";
    bool unsaved;
    int n = vault_seal(v, &p, 42, "state", 5, out, &unsaved, why, sizeof(why));
    cr_assert_eq(n, 5 + SEAL_OVERHEAD, "%d: %s", n, why);
    return (size_t)n;
}

static int open_cookie(struct vault *v, const char *pool, const uint8_t *cookie, size_t len)
{
    struct vault_pool p = pool_of(pool);
    struct seal_info info;
    uint8_t out[256];
    size_t n = 0;
    char why[VAULT_WHY_MAX] = "";
    int r = vault_open(v, &p, cookie, len, out, &n, &info, why, sizeof(why));
    if (r == SEAL_FINE) {
        cr_assert(n == 5 && memcmp(out, "state", 5) == 0);
        cr_assert_eq(info.pe_id, 42);
    }
    return r;
}

Test(seal, the_state_comes_back_and_cannot_be_read)
{
    struct vault *v = open_vault(path);
    uint8_t cookie[128];
    uint8_t other[128];
    size_t len = seal(v, "web", cookie);
    cr_assert_null(memmem(cookie, len, "state", 5));
    cr_assert_eq(open_cookie(v, "web", cookie, len), SEAL_FINE);
    cr_assert_eq(seal(v, "web", other), len);
    cr_assert_neq(memcmp(cookie, other, len), 0, "the same state twice looks different");
    vault_free(v);
}

Test(seal, known_answer)
{
    /* Computed from RFC 8439 and the XChaCha draft by other code than libsodium. */
    static const char EXPECTED[] =
        "01010007000000006b49d200000151800000002a000102030405060708090a0b"
        "0c0d0e0f10111213141516173415d8622021a3abe91c7eb58f1fc89b9c5f9eb6"
        "4c";
    char error[160];
    const struct seal_cipher *cipher = seal_cipher_load(error, sizeof(error));
    cr_assert_not_null(cipher, "%s", error);
    uint8_t key[SEAL_KEY_LEN];
    uint8_t nonce[SEAL_NONCE_LEN];
    uint8_t cookie[128];
    char hex[257];
    memset(key, 0x55, sizeof(key));
    for (uint8_t i = 0; i < sizeof(nonce); i++) {
        nonce[i] = i;
    }
    struct seal_info info = {.key_id = 7, .issued_s = 1800000000, .life_s = DAY, .pe_id = 42};
    int n = seal_close(cipher, key, nonce, &info, pool_handle_of("web"), "state", 5, cookie);
    cr_assert_eq(n, 65);
    for (int i = 0; i < n; i++) {
        (void)snprintf(hex + 2 * (size_t)i, 3, "%02x", cookie[i]);
    }
    cr_assert_str_eq(hex, EXPECTED);
}

Test(seal, every_altered_bit_is_refused)
{
    struct vault *v = open_vault(NULL);
    uint8_t cookie[128];
    size_t len = seal(v, "web", cookie);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int r = open_cookie(v, "web", cookie, len);
        int expected = bit < 16 ? SEAL_UNSEALED : bit < 32 ? SEAL_UNKNOWN_KEY : SEAL_ALTERED;
        cr_assert_eq(r, expected, "bit %zu: %s", bit, seal_fault_text((enum seal_fault)r));
        cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    vault_free(v);
}

Test(seal, truncated_and_prolonged)
{
    struct vault *v = open_vault(NULL);
    uint8_t cookie[128] = {0};
    size_t len = seal(v, "web", cookie);
    for (size_t n = 0; n < len; n++) {
        int r = open_cookie(v, "web", cookie, n);
        cr_assert_eq(r, n < SEAL_OVERHEAD ? SEAL_TRUNCATED : SEAL_ALTERED, "%zu octets: %d", n, r);
    }
    cr_assert_eq(open_cookie(v, "web", cookie, len + 1), SEAL_ALTERED);
    cr_assert_eq(open_cookie(v, "web", (const uint8_t *)"GET / HTTP/1.1", 14), SEAL_UNSEALED);
    vault_free(v);
}

Test(seal, of_another_pool)
{
    struct vault *v = open_vault(NULL);
    struct vault *elsewhere = open_vault(NULL);
    uint8_t web[128];
    uint8_t mail[128];
    size_t web_len = seal(v, "web", web);
    size_t mail_len = seal(v, "mail", mail);
    cr_assert_eq(open_cookie(v, "mail", web, web_len), SEAL_FOREIGN);
    cr_assert_eq(open_cookie(v, "web", mail, mail_len), SEAL_FOREIGN);
    cr_assert_eq(open_cookie(v, "never-seen", web, web_len), SEAL_FOREIGN);
    cr_assert_eq(open_cookie(elsewhere, "web", web, web_len), SEAL_UNKNOWN_KEY);
    vault_free(v);
    vault_free(elsewhere);
}

Test(seal, age)
{
    struct vault *v = open_vault(NULL);
    uint8_t cookie[128];
    size_t len = seal(v, "web", cookie);
    now_s += DAY;
    cr_assert_eq(open_cookie(v, "web", cookie, len), SEAL_FINE);
    now_s += 1;
    cr_assert_eq(open_cookie(v, "web", cookie, len), SEAL_TOO_OLD);
    now_s -= DAY + 1 + SEAL_SKEW_S;
    cr_assert_eq(open_cookie(v, "web", cookie, len), SEAL_FINE, "clocks differ a little");
    now_s -= 1;
    cr_assert_eq(open_cookie(v, "web", cookie, len), SEAL_TOO_NEW);
    vault_free(v);
}

Test(seal, the_pools_limit_counts_where_the_cookie_is_opened)
{
    struct vault *v = open_vault(NULL);
    uint8_t cookie[128];
    uint8_t out[128];
    size_t n;
    char why[VAULT_WHY_MAX];
    struct seal_info info;
    struct vault_pool strict = pool_of("web");
    size_t len = seal(v, "web", cookie);
    strict.max_age_s = 60;
    now_s += 61;
    cr_assert_eq(vault_open(v, &strict, cookie, len, out, &n, &info, why, sizeof(why)),
                 SEAL_TOO_OLD);
    cr_assert_eq(open_cookie(v, "web", cookie, len), SEAL_FINE);
    vault_free(v);
}

Test(seal, rotation_accepts_old_keys_for_a_time)
{
    struct vault *v = open_vault(path);
    struct vault_pool web = pool_of("web");
    char why[VAULT_WHY_MAX] = "";
    uint8_t first[128];
    uint8_t second[128];
    uint32_t owner;
    size_t len = seal(v, "web", first);
    int id = vault_rotate(v, &web, 0, why, sizeof(why));
    cr_assert_gt(id, 0, "%s", why);
    (void)seal(v, "web", second);
    cr_assert_eq(second[2] << 8 | second[3], id, "the new key seals");
    cr_assert_eq(open_cookie(v, "web", first, len), SEAL_FINE, "the old one is accepted");
    cr_assert_eq(vault_ring(v, web.handle, &owner)->count, 2);
    now_s += DAY + SEAL_SKEW_S + 1;
    cr_assert_eq(open_cookie(v, "web", first, len), SEAL_UNKNOWN_KEY);
    now_s += 1;
    cr_assert_gt(vault_rotate(v, &web, 0, why, sizeof(why)), 0);
    cr_assert_eq(vault_ring(v, web.handle, &owner)->count, 2, "what has expired is wiped");
    vault_free(v);
}

Test(seal, a_coming_key_is_accepted_before_it_seals)
{
    struct vault *here = open_vault(NULL);
    struct vault *there = open_vault(NULL);
    struct vault_pool web = pool_of("web");
    char why[VAULT_WHY_MAX] = "";
    char keys[KEYRING_TEXT_MAX];
    uint8_t cookie[128];
    size_t len = seal(here, "web", cookie);
    int id = vault_rotate(here, &web, 3600, why, sizeof(why));
    int n = vault_export(here, &web, keys, sizeof(keys), why, sizeof(why));
    cr_assert_eq(vault_import(there, &web, keys, (size_t)n, why, sizeof(why)), 2, "%s", why);
    (void)seal(here, "web", cookie);
    cr_assert_neq(cookie[2] << 8 | cookie[3], id, "not yet");
    now_s += 3600;
    (void)seal(here, "web", cookie);
    cr_assert_eq(cookie[2] << 8 | cookie[3], id);
    now_s -= 30; /* the other host's clock is late: it accepts what it does not seal with yet */
    cr_assert_eq(open_cookie(there, "web", cookie, len), SEAL_FINE);
    vault_free(here);
    vault_free(there);
}

Test(seal, hosts_share_a_ring)
{
    struct vault *here = open_vault(NULL);
    struct vault *there = open_vault(NULL);
    struct vault_pool web = pool_of("web");
    char why[VAULT_WHY_MAX] = "";
    char keys[KEYRING_TEXT_MAX];
    uint8_t own[128];
    uint8_t cookie[128];
    size_t len = seal(here, "web", cookie);
    now_s += 5;
    (void)seal(there, "web", own); /* it had a key of its own, a newer one */
    int n = vault_export(here, &web, keys, sizeof(keys), why, sizeof(why));
    cr_assert_gt(n, 0, "%s", why);
    cr_assert_eq(open_cookie(there, "web", cookie, len), SEAL_UNKNOWN_KEY);
    cr_assert_eq(vault_import(there, &web, keys, (size_t)n, why, sizeof(why)), 1, "%s", why);
    cr_assert_eq(open_cookie(there, "web", cookie, len), SEAL_FINE);
    cr_assert_eq(open_cookie(there, "web", own, len), SEAL_FINE, "its old cookies still count");
    (void)seal(there, "web", own);
    cr_assert_eq(open_cookie(here, "web", own, len), SEAL_FINE, "it seals with the shared key");
    cr_assert_eq(vault_import(there, &web, keys, (size_t)n, why, sizeof(why)), 1,
                 "again: the same");
    struct vault_pool mail = pool_of("mail");
    cr_assert_eq(vault_import(there, &mail, keys, (size_t)n, why, sizeof(why)), -EINVAL);
    cr_assert(strstr(why, "another pool") != NULL, "%s", why);
    vault_free(here);
    vault_free(there);
}

Test(seal, keys_survive_a_restart_in_a_private_file)
{
    struct vault *v = open_vault(path);
    uint8_t cookie[128];
    struct stat st;
    size_t len = seal(v, "web", cookie);
    vault_free(v);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    v = open_vault(path);
    cr_assert_eq(open_cookie(v, "web", cookie, len), SEAL_FINE);
    vault_free(v);
}

Test(seal, a_damaged_file_is_left_alone)
{
    static const char *const TEXTS[] = {
        "pool zz 0\n", "key 1 2 3 4 00\n", "pool 776562 0\npool 776562 0\n",
        "pool 776562 0\nkey 1 1 1 0 0011\n",
        ("pool 776562 0\nkey 0 1 1 0 "
         "0000000000000000000000000000000000000000000000000000000000000000\n")};
    char dir[128];
    (void)snprintf(dir, sizeof(dir), "%s/state", test_dir);
    cr_assert_eq(mkdir(dir, 0700), 0);
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        FILE *f = fopen(path, "w");
        cr_assert_not_null(f);
        cr_assert_geq(fputs(TEXTS[i], f), 0);
        cr_assert_eq(fchmod(fileno(f), 0600), 0);
        cr_assert_eq(fclose(f), 0);
        struct vault *v = open_vault(path);
        struct vault_pool web = pool_of("web");
        char why[VAULT_WHY_MAX] = "";
        uint8_t out[128];
        bool unsaved;
        cr_assert_not_null(vault_broken(v), "text %zu", i);
        cr_assert_eq(vault_seal(v, &web, 1, "x", 1, out, &unsaved, why, sizeof(why)), -EUCLEAN);
        cr_assert(strstr(why, "line ") != NULL, "%s", why);
        cr_assert_eq(vault_rotate(v, &web, 0, why, sizeof(why)), -EUCLEAN);
        vault_free(v);
        struct stat st;
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq((size_t)st.st_size, strlen(TEXTS[i]));
    }
    cr_assert_eq(chmod(path, 0644), 0);
    struct vault *v = open_vault(path);
    cr_assert(strstr(vault_broken(v), "chmod 600") != NULL, "%s", vault_broken(v));
    vault_free(v);
}

Test(seal, who_takes_the_name_later_does_not_inherit_keys)
{
    struct vault *v = open_vault(NULL);
    uint8_t cookie[128];
    uint8_t out[128];
    size_t n;
    char why[VAULT_WHY_MAX] = "";
    struct seal_info info;
    bool unsaved;
    uint32_t owner = 0;
    size_t len = seal(v, "web", cookie);
    struct vault_pool next = pool_of("web");
    next.owner = 1001;
    cr_assert_eq(vault_export(v, &next, (char *)out, sizeof(out), why, sizeof(why)), -ENOENT);
    cr_assert_eq(vault_open(v, &next, cookie, len, out, &n, &info, why, sizeof(why)),
                 SEAL_UNKNOWN_KEY);
    next.trusts_owners = true; /* the pool's settings name who may join */
    cr_assert_eq(vault_open(v, &next, cookie, len, out, &n, &info, why, sizeof(why)), SEAL_FINE);
    next.trusts_owners = false;
    cr_assert_gt(vault_seal(v, &next, 1, "x", 1, out, &unsaved, why, sizeof(why)), 0);
    cr_assert_eq(vault_ring(v, next.handle, &owner)->count, 1);
    cr_assert_eq(owner, 1001);
    cr_assert_eq(open_cookie(v, "web", cookie, len), SEAL_UNKNOWN_KEY, "the old ring is gone");
    vault_free(v);
}

Test(seal, an_unwritable_directory_is_told)
{
    struct vault *v = open_vault("/dev/null/state/cookie-keys");
    struct vault_pool web = pool_of("web");
    char why[VAULT_WHY_MAX] = "";
    uint8_t cookie[128];
    bool unsaved = false;
    uint32_t owner;
    cr_assert_eq(vault_seal(v, &web, 42, "state", 5, cookie, &unsaved, why, sizeof(why)), 65);
    cr_assert(unsaved && strstr(why, "StateDirectory") != NULL, "%s", why);
    cr_assert_eq(open_cookie(v, "web", cookie, 65), SEAL_FINE);
    cr_assert_lt(vault_rotate(v, &web, 0, why, sizeof(why)), 0);
    cr_assert_eq(vault_ring(v, web.handle, &owner)->count, 1, "nothing half done");
    vault_free(v);
}

static const struct seal_cipher *no_cipher(char *error, size_t size)
{
    (void)snprintf(error, size, "no library here");
    return NULL;
}

Test(seal, without_the_library)
{
    struct vault_env env = {.now_s = clock_s, .random = draw, .cipher = no_cipher};
    struct vault *v = NULL;
    struct vault_pool web = pool_of("web");
    char why[VAULT_WHY_MAX] = "";
    uint8_t out[128] = {0};
    size_t n;
    bool unsaved;
    struct seal_info info;
    cr_assert_eq(vault_new(&env, &v), 0);
    cr_assert_eq(vault_seal(v, &web, 1, "x", 1, out, &unsaved, why, sizeof(why)), -ENOPKG);
    cr_assert_str_eq(why, "no library here");
    cr_assert_eq(vault_open(v, &web, out, 64, out, &n, &info, why, sizeof(why)), -ENOPKG);
    vault_free(v);
}

Test(seal, sizes)
{
    struct vault *v = open_vault(NULL);
    struct vault_pool web = pool_of("web");
    char why[VAULT_WHY_MAX] = "";
    bool unsaved;
    struct seal_info info;
    size_t n = 0;
    uint8_t *state = (uint8_t *)calloc(1, SEAL_PAYLOAD_MAX + 1);
    uint8_t *cookie = (uint8_t *)malloc(SEAL_COOKIE_MAX);
    uint8_t *back = (uint8_t *)malloc(SEAL_COOKIE_MAX);
    cr_assert(state != NULL && cookie != NULL && back != NULL);
    for (size_t len = 0; len <= SEAL_PAYLOAD_MAX; len += 6000) {
        memset(state, (int)len, len);
        int r = vault_seal(v, &web, 1, state, len, cookie, &unsaved, why, sizeof(why));
        cr_assert_eq(r, (int)len + SEAL_OVERHEAD);
        cr_assert_eq(vault_open(v, &web, cookie, (size_t)r, back, &n, &info, why, sizeof(why)),
                     SEAL_FINE);
        cr_assert(n == len && memcmp(back, state, len) == 0);
    }
    cr_assert_eq(
        vault_seal(v, &web, 1, state, SEAL_PAYLOAD_MAX + 1, cookie, &unsaved, why, sizeof(why)),
        -EMSGSIZE);
    free(state);
    free(cookie);
    free(back);
    vault_free(v);
}

Test(seal, a_full_ring_loses_its_oldest_key)
{
    struct keyring ring = {.count = 0};
    uint8_t octets[SEAL_KEY_LEN] = {1};
    for (uint16_t i = 1; i <= KEYRING_KEYS_MAX + 3; i++) {
        octets[0] = (uint8_t)i;
        cr_assert_eq(keyring_add(&ring, octets, i, now_s + i, now_s + i, 0), i);
    }
    cr_assert_eq(ring.count, KEYRING_KEYS_MAX);
    cr_assert_eq(keyring_current(&ring, now_s + 100)->id, KEYRING_KEYS_MAX + 3);
    cr_assert_eq(keyring_drop(&ring, 3), -ENOENT);
    cr_assert_eq(keyring_drop(&ring, 4), 0);
    uint16_t id = keyring_add(&ring, octets, 5, now_s, now_s, 0);
    cr_assert_neq(id, 5, "ids are given once");
}
