/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rings by pool, their file, cookies sealed and opened with them. */
#include "rspd/local/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX      ((off_t)VAULT_RINGS_MAX * KEYRING_TEXT_MAX)
#define FOREIGN_TRIES 64 /* rings of other pools that a refused cookie is tried with */

struct vault_ring {
    struct pool_handle handle; /* first: the key; borrows `octets` */
    struct vault_ring *next;
    uint32_t owner;
    struct keyring ring;
    uint8_t octets[];
};

struct vault {
    struct vault_env env;
    char *path;
    void *tree;
    struct vault_ring *first;
    size_t count;
    char broken[VAULT_WHY_MAX]; /* "" : it is not */
};

/* --- rings --------------------------------------------------------------------------------------
 */

static struct vault_ring *find(const struct vault *v, struct pool_handle handle)
{
    struct vault_ring **found = (struct vault_ring **)tfind(&handle, &v->tree, pool_handle_compare);
    return found != NULL ? *found : NULL;
}

static struct vault_ring *make(struct vault *v, struct pool_handle handle, uint32_t owner)
{
    struct vault_ring *r =
        v->count < VAULT_RINGS_MAX ? (struct vault_ring *)calloc(1, sizeof(*r) + handle.len) : NULL;
    if (r == NULL) {
        return NULL;
    }
    memcpy(r->octets, handle.octets, handle.len);
    r->handle = (struct pool_handle){.octets = r->octets, .len = handle.len};
    r->owner = owner;
    if (tsearch(r, &v->tree, pool_handle_compare) == NULL) {
        free(r);
        return NULL;
    }
    r->next = v->first;
    v->first = r;
    v->count++;
    return r;
}

/** Out of tree and list, wiped. */
static void discard(struct vault *v, struct vault_ring *r)
{
    struct vault_ring **at = &v->first;
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    (void)tdelete(&r->handle, &v->tree, pool_handle_compare);
    v->count--;
    explicit_bzero(&r->ring, sizeof(r->ring));
    free(r);
}

/* --- the file -----------------------------------------------------------------------------------
 */

static int load_text(struct vault *v, const char *text, size_t len, char *error, size_t size)
{
    struct keyring_reader rd = {.text = text, .len = len};
    struct keyring_text *one = (struct keyring_text *)malloc(sizeof(*one));
    int r = one != NULL ? 1 : -ENOMEM;
    while (r == 1) {
        r = keyring_read(&rd, one, error, size);
        if (r != 1) {
            break;
        }
        if (find(v, one->pool) != NULL) {
            (void)snprintf(error, size, "line %u: a pool is there twice", rd.line);
            r = -EINVAL;
            break;
        }
        struct vault_ring *ring = make(v, one->pool, one->owner);
        if (ring == NULL) {
            r = -ENOMEM;
            break;
        }
        ring->ring = one->ring;
    }
    if (one != NULL) {
        explicit_bzero(one, sizeof(*one));
        free(one);
    }
    return r;
}

static ssize_t read_whole(int fd, char *out, size_t size)
{
    size_t used = 0;
    ssize_t n = 1;
    while (used < size && n > 0) {
        n = pread(fd, out + used, size - used, (off_t)used);
        used += n > 0 ? (size_t)n : 0;
    }
    return n < 0 ? -errno : (ssize_t)used;
}

/** Reads an open key file; -errno and why. */
static int load_fd(struct vault *v, int fd, char *error, size_t size)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        int r = -errno;
        (void)snprintf(error, size, "%s", strerror(-r));
        return r;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        (void)snprintf(error, size, "not a file of cookie keys");
        return -EINVAL;
    }
    if ((st.st_mode & 077) != 0) {
        (void)snprintf(error, size,
                       "others than its owner may read it: chmod 600 it, and rotate "
                       "the keys");
        return -EPERM;
    }
    char *text = (char *)malloc((size_t)st.st_size + 1);
    if (text == NULL) {
        return -ENOMEM;
    }
    ssize_t n = read_whole(fd, text, (size_t)st.st_size);
    int r;
    if (n < 0) {
        r = (int)n;
        (void)snprintf(error, size, "%s", strerror(-r));
    } else {
        r = load_text(v, text, (size_t)n, error, size);
    }
    explicit_bzero(text, (size_t)st.st_size);
    free(text);
    return r;
}

/** Reads the file; what is wrong with it goes to v->broken. -ENOMEM. */
static int load(struct vault *v)
{
    char error[160] = "out of memory";
    if (v->path == NULL) {
        return 0;
    }
    int fd = open(v->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return 0;
    }
    int r = -errno;
    if (fd < 0) {
        (void)snprintf(error, sizeof(error), "%s", strerror(errno));
    } else {
        r = load_fd(v, fd, error, sizeof(error));
        (void)close(fd);
    }
    if (r < 0 && r != -ENOMEM) {
        (void)snprintf(v->broken, sizeof(v->broken), "cookie keys: %.100s: %s", v->path, error);
        r = 0;
    }
    return r;
}

/** The directory of the key file, made if it is missing. */
static void make_directory(const char *path)
{
    char dir[512];
    const char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path && (size_t)(slash - path) < sizeof(dir)) {
        (void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
        (void)mkdir(dir, 0700); /* if it cannot be made, opening the file says why */
    }
}

static int write_rings(const struct vault *v, int fd, bool durable)
{
    char *text = (char *)malloc(KEYRING_TEXT_MAX);
    int r = text != NULL ? 0 : -ENOMEM;
    for (const struct vault_ring *ring = v->first; ring != NULL && r == 0; ring = ring->next) {
        int n = keyring_format(&ring->ring, ring->handle, ring->owner, text, KEYRING_TEXT_MAX);
        ssize_t written = n > 0 ? write(fd, text, (size_t)n) : 0;
        r = n < 0 ? n : written == n ? 0 : written < 0 ? -errno : -ENOSPC;
    }
    if (r == 0 && durable && fsync(fd) != 0) {
        r = -errno;
    }
    if (text != NULL) {
        explicit_bzero(text, KEYRING_TEXT_MAX);
        free(text);
    }
    return r;
}

/**
 * Writes all rings beside the old file, then in its place; `durable`: waits for the disk, which is
 * for keys that somebody has asked for. 0, or -errno and why.
 */
static int save(struct vault *v, bool durable, char *why, size_t size)
{
    char beside[1024];
    if (v->path == NULL) {
        return 0;
    }
    int n = snprintf(beside, sizeof(beside), "%s.new", v->path);
    if (n < 0 || (size_t)n >= sizeof(beside)) {
        (void)snprintf(why, size, "the state directory's name is too long");
        return -ENAMETOOLONG;
    }
    make_directory(v->path);
    (void)unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : write_rings(v, fd, durable);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (r == 0 && rename(beside, v->path) != 0) {
        r = -errno;
    }
    if (r != 0) {
        (void)unlink(beside);
        (void)snprintf(why, size, "cannot write %.160s: %s; see StateDirectory in rspd.conf",
                       v->path, strerror(-r));
    }
    return r;
}

/* --- beginning and end --------------------------------------------------------------------------
 */

static uint64_t system_now_s(void *ctx)
{
    struct timespec ts;
    (void)ctx;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec > 0 ? (uint64_t)ts.tv_sec : 0;
}

static int system_random(void *ctx, void *octets, size_t len)
{
    (void)ctx;
    ssize_t n = getrandom(octets, len, 0); /* at most 256: always whole */
    return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

void vault_env_system(struct vault_env *ret)
{
    *ret = (struct vault_env){
        .now_s = system_now_s, .random = system_random, .cipher = seal_cipher_load};
}

int vault_new(const struct vault_env *env, struct vault **ret)
{
    struct vault *v = (struct vault *)calloc(1, sizeof(*v));
    if (v == NULL) {
        return -ENOMEM;
    }
    v->env = *env;
    v->path = env->path != NULL ? strdup(env->path) : NULL;
    int r = env->path != NULL && v->path == NULL ? -ENOMEM : load(v);
    if (r != 0) {
        vault_free(v);
        return r;
    }
    *ret = v;
    return 0;
}

void vault_free(struct vault *v)
{
    if (v == NULL) {
        return;
    }
    while (v->first != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): discard() unlinks before it frees */
        discard(v, v->first);
    }
    free(v->path);
    free(v);
}

/* --- keys ---------------------------------------------------------------------------------------
 */

uint64_t vault_now_s(const struct vault *v)
{
    return v->env.now_s(v->env.ctx);
}

const char *vault_broken(const struct vault *v)
{
    return v->broken[0] != '\0' ? v->broken : NULL;
}

const struct keyring *vault_ring(const struct vault *v, struct pool_handle handle,
                                 uint32_t *ret_owner)
{
    const struct vault_ring *r = find(v, handle);
    if (r != NULL) {
        *ret_owner = r->owner;
    }
    return r != NULL ? &r->ring : NULL;
}

void vault_each(const struct vault *v,
                void (*each)(void *ctx, struct pool_handle handle, const struct keyring *ring),
                void *ctx)
{
    for (const struct vault_ring *r = v->first; r != NULL; r = r->next) {
        each(ctx, r->handle, &r->ring);
    }
}

static int usable(const struct vault *v, char *why, size_t size)
{
    if (v->broken[0] != '\0') {
        (void)snprintf(why, size, "%s", v->broken);
        return -EUCLEAN;
    }
    return 0;
}

/** Whether a ring may serve the pool as it is now: not if another user may have seen its keys. */
static bool fits(const struct vault_ring *r, const struct vault_pool *pool)
{
    return r->owner == 0 || r->owner == pool->owner || pool->trusts_owners;
}

/** The ring to work with, made if it is missing or was somebody else's. */
static struct vault_ring *take(struct vault *v, const struct vault_pool *pool, char *why,
                               size_t size)
{
    struct vault_ring *r = find(v, pool->handle);
    if (r != NULL && !fits(r, pool)) {
        discard(v, r);
        r = NULL;
    }
    if (r == NULL) {
        r = make(v, pool->handle, pool->owner);
    }
    if (r == NULL) {
        (void)snprintf(why, size, "no room for the keys of more pools (at most %d)",
                       VAULT_RINGS_MAX);
    }
    return r;
}

/** A new key of the ring; its id, or -errno and why. */
static int add_key(struct vault *v, struct keyring *ring, uint64_t from_s, uint32_t max_age_s,
                   char *why, size_t size)
{
    struct {
        uint8_t octets[SEAL_KEY_LEN];
        uint16_t id;
    } drawn;
    int r = v->env.random(v->env.ctx, &drawn, sizeof(drawn));
    if (r != 0) {
        (void)snprintf(why, size, "the kernel gives no random numbers: %s", strerror(-r));
        return r;
    }
    r = keyring_add(ring, drawn.octets, drawn.id, vault_now_s(v), from_s, max_age_s);
    explicit_bzero(&drawn, sizeof(drawn));
    return r;
}

/** Saves a change of `ring`, or takes it back. */
static int commit(struct vault *v, struct keyring *ring, struct keyring *before, char *why,
                  size_t size)
{
    int r = save(v, true, why, size);
    if (r != 0) {
        *ring = *before;
    }
    explicit_bzero(before, sizeof(*before));
    return r;
}

int vault_rotate(struct vault *v, const struct vault_pool *pool, uint32_t after_s, char *why,
                 size_t size)
{
    int r = usable(v, why, size);
    struct vault_ring *ring = r == 0 ? take(v, pool, why, size) : NULL;
    if (ring == NULL) {
        return r != 0 ? r : -ENOSPC;
    }
    struct keyring before = ring->ring;
    uint64_t now = vault_now_s(v);
    uint64_t from = keyring_current(&ring->ring, now) == NULL ? now : now + after_s;
    int id = add_key(v, &ring->ring, from, pool->max_age_s, why, size);
    r = id < 0 ? id : commit(v, &ring->ring, &before, why, size);
    return r < 0 ? r : id;
}

int vault_drop(struct vault *v, const struct vault_pool *pool, uint16_t id, char *why, size_t size)
{
    int r = usable(v, why, size);
    if (r != 0) {
        return r;
    }
    struct vault_ring *ring = find(v, pool->handle);
    struct keyring before;
    if (ring != NULL) {
        before = ring->ring;
        r = keyring_drop(&ring->ring, id);
    }
    if (ring == NULL || r != 0) {
        (void)snprintf(why, size, "the pool has no cookie key %u", id);
        return -ENOENT;
    }
    return commit(v, &ring->ring, &before, why, size);
}

int vault_export(struct vault *v, const struct vault_pool *pool, char *out, size_t out_size,
                 char *why, size_t size)
{
    int r = usable(v, why, size);
    const struct vault_ring *ring = r == 0 ? find(v, pool->handle) : NULL;
    if (ring == NULL || ring->ring.count == 0 || !fits(ring, pool)) {
        if (r == 0) {
            (void)snprintf(why, size, "the pool has no cookie keys");
        }
        return r != 0 ? r : -ENOENT;
    }
    r = keyring_format(&ring->ring, ring->handle, ring->owner, out, out_size);
    if (r < 0) {
        (void)snprintf(why, size, "the keys do not fit into a message");
    }
    return r;
}

/** Reads exactly one ring, of that pool. */
static int read_one(const struct vault_pool *pool, const char *text, size_t len,
                    struct keyring_text *one, char *why, size_t size)
{
    struct keyring_reader rd = {.text = text, .len = len};
    int r = keyring_read(&rd, one, why, size);
    if (r < 0) {
        return r;
    }
    if (r == 0 || one->ring.count == 0) {
        (void)snprintf(why, size, "no cookie keys in it");
    } else if (!pool_handle_equal(one->pool, pool->handle)) {
        (void)snprintf(why, size, "these are the cookie keys of another pool");
    } else if (rd.pos < rd.len) {
        (void)snprintf(why, size, "line %u: keys of more than one pool", rd.line + 1);
    } else {
        return 0;
    }
    return -EINVAL;
}

int vault_import(struct vault *v, const struct vault_pool *pool, const char *text, size_t len,
                 char *why, size_t size)
{
    int r = usable(v, why, size);
    struct keyring_text *one = (struct keyring_text *)malloc(sizeof(*one));
    if (one == NULL) {
        return -ENOMEM;
    }
    r = r == 0 ? read_one(pool, text, len, one, why, size) : r;
    struct vault_ring *ring = r == 0 ? take(v, pool, why, size) : NULL;
    if (ring != NULL) {
        struct keyring before = ring->ring;
        keyring_import(&ring->ring, &one->ring, vault_now_s(v), pool->max_age_s);
        r = commit(v, &ring->ring, &before, why, size);
        r = r < 0 ? r : (int)one->ring.count;
    } else if (r == 0) {
        r = -ENOSPC;
    }
    explicit_bzero(one, sizeof(*one));
    free(one);
    return r;
}

/* --- cookies ------------------------------------------------------------------------------------
 */

int vault_seal(struct vault *v, const struct vault_pool *pool, uint32_t pe_id, const void *payload,
               size_t len, uint8_t *out, bool *ret_unsaved, char *why, size_t size)
{
    uint8_t nonce[SEAL_NONCE_LEN];
    *ret_unsaved = false;
    int r = usable(v, why, size);
    const struct seal_cipher *cipher = r == 0 ? v->env.cipher(why, size) : NULL;
    if (cipher == NULL) {
        return r != 0 ? r : -ENOPKG;
    }
    struct vault_ring *ring = take(v, pool, why, size);
    if (ring == NULL) {
        return -ENOSPC;
    }
    uint64_t now = vault_now_s(v);
    const struct keyring_key *key = keyring_current(&ring->ring, now);
    if (key == NULL) {
        r = add_key(v, &ring->ring, now, pool->max_age_s, why, size);
        if (r < 0) {
            return r;
        }
        *ret_unsaved = save(v, false, why, size) != 0;
        key = keyring_current(&ring->ring, now);
    }
    r = v->env.random(v->env.ctx, nonce, sizeof(nonce));
    if (r != 0 || key == NULL) {
        (void)snprintf(why, size, "the kernel gives no random numbers: %s", strerror(-r));
        return r != 0 ? r : -EIO;
    }
    struct seal_info info = {
        .key_id = key->id, .issued_s = now, .life_s = pool->max_age_s, .pe_id = pe_id};
    r = seal_close(cipher, key->octets, nonce, &info, pool->handle, payload, len, out);
    if (r < 0) {
        (void)snprintf(why, size, "a state cookie has at most %d octets", SEAL_PAYLOAD_MAX);
    }
    return r;
}

/** Tries those keys of a ring that have the cookie's key id and are accepted. */
static enum seal_fault try_ring(const struct seal_cipher *cipher, const struct vault_ring *ring,
                                const struct seal_info *info, uint64_t now_s, uint32_t max_age_s,
                                const void *cookie, size_t len, uint8_t *out, size_t *ret_len)
{
    enum seal_fault fault = SEAL_UNKNOWN_KEY;
    for (size_t i = 0; i < ring->ring.count; i++) {
        const struct keyring_key *key = &ring->ring.keys[i];
        if (key->id != info->key_id ||
            keyring_state(&ring->ring, key, now_s, max_age_s) == KEYRING_EXPIRED) {
            continue;
        }
        fault = seal_open(cipher, key->octets, ring->handle, cookie, len, out, ret_len);
        if (fault == SEAL_FINE) {
            return fault;
        }
    }
    return fault;
}

/** Whether a refused cookie is a genuine one of another pool of this host. */
static bool is_foreign(const struct vault *v, const struct seal_cipher *cipher,
                       const struct vault_ring *own, const struct seal_info *info, uint64_t now_s,
                       const void *cookie, size_t len, uint8_t *out)
{
    size_t ignored;
    int tries = 0;
    for (const struct vault_ring *r = v->first; r != NULL && tries < FOREIGN_TRIES; r = r->next) {
        enum seal_fault fault =
            r == own ? SEAL_UNKNOWN_KEY
                     : try_ring(cipher, r, info, now_s, 0, cookie, len, out, &ignored);
        if (fault == SEAL_FINE) {
            return true;
        }
        tries += fault != SEAL_UNKNOWN_KEY ? 1 : 0;
    }
    return false;
}

int vault_open(struct vault *v, const struct vault_pool *pool, const void *cookie, size_t len,
               uint8_t *out, size_t *ret_len, struct seal_info *ret_info, char *why, size_t size)
{
    memset(ret_info, 0, sizeof(*ret_info));
    int r = usable(v, why, size);
    const struct seal_cipher *cipher = r == 0 ? v->env.cipher(why, size) : NULL;
    if (cipher == NULL) {
        return r != 0 ? r : -ENOPKG;
    }
    enum seal_fault fault = seal_peek(cookie, len, ret_info);
    if (fault != SEAL_FINE) {
        return fault;
    }
    uint64_t now = vault_now_s(v);
    const struct vault_ring *own = find(v, pool->handle);
    const struct vault_ring *ring = own != NULL && fits(own, pool) ? own : NULL;
    fault = ring != NULL
                ? try_ring(cipher, ring, ret_info, now, pool->max_age_s, cookie, len, out, ret_len)
                : SEAL_UNKNOWN_KEY;
    if (fault == SEAL_FINE) {
        return seal_age(ret_info, now, pool->max_age_s);
    }
    if (is_foreign(v, cipher, own, ret_info, now, cookie, len, out)) {
        fault = SEAL_FOREIGN;
    }
    return fault;
}

bool vault_claims(const struct vault *v, struct pool_handle handle, const void *cookie, size_t len)
{
    struct seal_info info;
    const struct vault_ring *ring = find(v, handle);
    if (ring == NULL || seal_peek(cookie, len, &info) != SEAL_FINE) {
        return false;
    }
    for (size_t i = 0; i < ring->ring.count; i++) {
        if (ring->ring.keys[i].id == info.key_id) {
            return true;
        }
    }
    return false;
}
