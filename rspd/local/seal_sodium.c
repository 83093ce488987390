/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cipher of sealed cookies from libsodium, a module that may be missing: it is looked for when
 * the first cookie is to be sealed or opened, so that rspd needs it neither to start nor to run.
 */
#include "rspd/local/seal.h"

#include <stdio.h>

#ifdef HAVE_SODIUM
#include <dlfcn.h>
#include <sodium.h>

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == SEAL_KEY_LEN, "key length");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == SEAL_NONCE_LEN, "nonce length");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == SEAL_TAG_LEN, "tag length");

static struct {
    __typeof__(&sodium_init) init;
    __typeof__(&crypto_aead_xchacha20poly1305_ietf_encrypt) encrypt;
    __typeof__(&crypto_aead_xchacha20poly1305_ietf_decrypt) decrypt;
    __typeof__(&sodium_memzero) wipe;
} sodium;

static void encrypt(uint8_t *out, const uint8_t *text, size_t len, const uint8_t *bound,
                    size_t bound_len, const uint8_t *nonce, const uint8_t *key)
{
    (void)sodium.encrypt(out, NULL, text, len, bound, bound_len, NULL, nonce, key);
}

static bool decrypt(uint8_t *out, const uint8_t *sealed, size_t len, const uint8_t *bound,
                    size_t bound_len, const uint8_t *nonce, const uint8_t *key)
{
    return sodium.decrypt(out, NULL, NULL, sealed, len, bound, bound_len, nonce, key) == 0;
}

static void wipe(void *secret, size_t len)
{
    sodium.wipe(secret, len);
}

/** POSIX has it that a function's address survives the way through a data pointer. */
static bool find(void *library, const char *name, void *ret_function)
{
    void *address = dlsym(library, name);
    *(void **)ret_function = address;
    return address != NULL;
}

const struct seal_cipher *seal_cipher_load(char *error, size_t size)
{
    static const struct seal_cipher CIPHER = {.encrypt = encrypt, .decrypt = decrypt, .wipe = wipe};
    static bool loaded;
    if (loaded) {
        return &CIPHER;
    }
    void *library = dlopen(SODIUM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        (void)snprintf(error, size,
                       "sealed cookies need libsodium, which cannot be loaded: %s - install "
                       "Debian's libsodium23",
                       dlerror());
        return NULL;
    }
    if (!find(library, "sodium_init", (void *)&sodium.init) ||
        !find(library, "crypto_aead_xchacha20poly1305_ietf_encrypt", (void *)&sodium.encrypt) ||
        !find(library, "crypto_aead_xchacha20poly1305_ietf_decrypt", (void *)&sodium.decrypt) ||
        !find(library, "sodium_memzero", (void *)&sodium.wipe) || sodium.init() < 0) {
        (void)snprintf(error, size,
                       "%s lacks what sealed cookies need: it is not libsodium 1.0.12 "
                       "or later",
                       SODIUM_LIBRARY);
        (void)dlclose(library);
        return NULL;
    }
    loaded = true;
    return &CIPHER;
}

#else

const struct seal_cipher *seal_cipher_load(char *error, size_t size)
{
    (void)snprintf(error, size,
                   "this rspd was built without sealed cookies (meson option cookie-crypto)");
    return NULL;
}

#endif
