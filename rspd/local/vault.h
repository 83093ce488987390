/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The vault: the key rings of this host's pools, and cookies sealed and opened with them. Keys are
 * in one file of the state directory, which only the daemon may read; the first key of a pool is
 * drawn when its first cookie is to be sealed. A ring remembers for whom it was made, so that who
 * takes the pool's name later does not inherit keys that somebody else has seen. Loop thread.
 */
#ifndef RSP_RSPD_LOCAL_VAULT_H
#define RSP_RSPD_LOCAL_VAULT_H

#include "rspd/local/keyring.h"

#define VAULT_RINGS_MAX 4096
#define VAULT_WHY_MAX   320

struct vault;

struct vault_env {
    const char *path; /* of the key file; NULL: keys live in memory only */
    /** Seconds since 1970. */
    uint64_t (*now_s)(void *ctx);
    /** Octets nobody can guess; 0 or -errno. */
    int (*random)(void *ctx, void *octets, size_t len);
    const struct seal_cipher *(*cipher)(char *error, size_t size);
    void *ctx;
};
/** Of the system: its clock, its random numbers, libsodium. */
void vault_env_system(struct vault_env *ret);

/**
 * `env` and the path are copied. A file that cannot be read or makes no sense is left alone: every
 * later call then fails with -EUCLEAN and says so. -ENOMEM.
 */
int vault_new(const struct vault_env *env, struct vault **ret);
/** NULL-safe; wipes the keys. */
void vault_free(struct vault *v);

/** Of whom and for which pool a call is. */
struct vault_pool {
    struct pool_handle handle;
    uint32_t owner;     /* uid a new ring is made for */
    uint32_t max_age_s; /* of its cookies */
    bool trusts_owners; /* settings name who may join: any of them may have made the ring */
};

/**
 * Seals `len` octets (at most SEAL_PAYLOAD_MAX) into `out`, len + SEAL_OVERHEAD. Returns the
 * length, or -errno with a sentence in `why` (VAULT_WHY_MAX). `ret_unsaved`: the pool's first key
 * was made now and could not be written; `why` says why, and it is lost with the daemon.
 */
int vault_seal(struct vault *v, const struct vault_pool *pool, uint32_t pe_id, const void *payload,
               size_t len, uint8_t *out, bool *ret_unsaved, char *why, size_t size);
/**
 * Opens a cookie into `out` (room for `len`). SEAL_FINE, or why it is refused; negative: -errno
 * with a sentence in `why`. `ret_info` is filled in as far as the cookie could be read.
 */
int vault_open(struct vault *v, const struct vault_pool *pool, const void *cookie, size_t len,
               uint8_t *out, size_t *ret_len, struct seal_info *ret_info, char *why, size_t size);
/** Whether the cookie bears a key id of the pool's ring: it means to be sealed. */
bool vault_claims(const struct vault *v, struct pool_handle handle, const void *cookie, size_t len);

/** The pool's ring, and for whom it was made; NULL: none. Borrowed. */
const struct keyring *vault_ring(const struct vault *v, struct pool_handle handle,
                                 uint32_t *ret_owner);
/** Calls `each` for the ring of every pool. */
void vault_each(const struct vault *v,
                void (*each)(void *ctx, struct pool_handle handle, const struct keyring *ring),
                void *ctx);
/** Now, as the vault has it. */
uint64_t vault_now_s(const struct vault *v);
/** NULL, or why no cookie can be sealed or opened: a damaged key file. */
const char *vault_broken(const struct vault *v);

/** A new key that seals in `after_s` seconds; its id, or -errno and why. */
int vault_rotate(struct vault *v, const struct vault_pool *pool, uint32_t after_s, char *why,
                 size_t size);
/** Takes a key out. 0, -ENOENT or another -errno and why. */
int vault_drop(struct vault *v, const struct vault_pool *pool, uint16_t id, char *why, size_t size);
/** Writes the ring as text; its length, or -errno and why. */
int vault_export(struct vault *v, const struct vault_pool *pool, char *out, size_t out_size,
                 char *why, size_t size);
/** Takes in the ring of another host. How many keys it has, or -errno and why. */
int vault_import(struct vault *v, const struct vault_pool *pool, const char *text, size_t len,
                 char *why, size_t size);

#endif
