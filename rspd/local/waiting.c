/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Servers that began while no daemon was there. Nobody runs in them who could register later (a
 * server that waits for clients calls nothing of the shim), so the shim leaves its REGISTER message
 * in a FIFO of its own in RUNTIME_DIR/waiting and keeps that open beside the listener, as it would
 * a life fd. Who made the FIFO is who registers; the message lasts as long as somebody holds it;
 * and the FIFO then becomes the PE's life FIFO.
 *
 * The folder takes files from everybody and is read by the daemon alone (mode 1733).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rspd/local/netns.h"
#include "rspd/local/requests_internal.h"

#define WAITING_MAX    4096 /* looked at in one start */
#define RULES_MAX_EACH 32

/** Opens the folder, made if need be; -errno. */
static int open_folder(const char *runtime_dir)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/waiting", runtime_dir);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return -errno;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return -errno;
    }
    if (st.st_uid == geteuid()) { /* else it was set up for us, or is a user's own */
        (void)fchmod(fd, 01733);
    }
    return fd;
}

/** Reads the message and who left it; 0, -ESTALE (nobody holds it), other -errno. */
static int read_message(int dir, const char *name, uint8_t octets[PIPE_BUF], size_t *ret_len,
                        struct stat *ret_stat)
{
    int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int r = -EINVAL;
    if (fstat(fd, ret_stat) == 0 && S_ISFIFO(ret_stat->st_mode)) {
        ssize_t n = read(fd, octets, PIPE_BUF);
        r = n > 0 ? 0 : n == 0 ? -ESTALE : -errno;
        *ret_len = n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    return r;
}

/** A message that names no pool is of a program that may have a rule: fills in what that says. */
static bool apply_rule(const struct requests *rq, struct record *r)
{
    const struct rule *found[RULES_MAX_EACH];
    size_t n = rules_find(rq->env.rules, r->program, found, RULES_MAX_EACH);
    for (size_t i = 0; i < n; i++) {
        const struct rule *rule = found[i];
        bool fits = rule->protocol != TRANSPORT_NONE
                        ? rule->protocol == r->protocol
                        : r->protocol == TRANSPORT_TCP || r->protocol == TRANSPORT_SCTP;
        if (fits && (rule->port == 0 || rule->port == r->port)) {
            r->handle_len = rule->handle_len;
            memcpy(r->handle, rule->handle, rule->handle_len);
            r->policy = rule->policy;
            r->capacity = rule->capacity;
            r->probe_ms = rule->probe_ms;
            r->slow_start_ms = rule->slow_start_ms;
            memcpy(r->probe, rule->probe, sizeof(r->probe));
            return true;
        }
    }
    return false;
}

/** Makes a record of the message; 0, -ENOENT (no rule), or -errno and why. */
static int read_waiting(struct requests *rq, const uint8_t *octets, size_t len,
                        const struct stat *st, struct record *ret, char *why, size_t size)
{
    struct lp_message msg;
    struct lp_each it;
    struct pool_handle handle = {0};
    if (lp_parse(octets, len, &msg) != 0 || msg.type != LP_REGISTER ||
        (lp_find(&msg, LP_T_HANDLE, &it) && !lp_handle(&it, &handle)) ||
        handle.len > rq->env.settings->handle_max) {
        (void)snprintf(why, size, "it is no registration that is possible here");
        return -EBADMSG;
    }
    *ret = (struct record){.uid = st->st_uid, .gid = st->st_gid, .handle_len = handle.len};
    if (handle.len > 0) {
        memcpy(ret->handle, handle.octets, handle.len);
    }
    int r = rq_read_record(&msg, ret, why, size);
    if (r != 0) {
        return r;
    }
    ret->adopted = false;
    if (ret->netns == 0) {
        ret->netns = netns_of(ret->pid);
    }
    if (ret->netns == 0) {
        ret->netns = netns_self();
    }
    if (lp_find(&msg, LP_T_EXE, &it)) {
        (void)lp_str(&it, ret->program, sizeof(ret->program));
    }
    if (handle.len == 0 && !apply_rule(rq, ret)) {
        return -ENOENT;
    }
    struct authority_subject who = {.uid = st->st_uid, .gid = st->st_gid};
    return authority_allows(rq->env.authority, AUTHORITY_REGISTER, record_handle(ret), &who, 0, why,
                            size)
               ? 0
               : -EPERM;
}

/** One entry of the folder; true when it became a PE. What does not is removed. */
static bool take(struct requests *rq, int dir, const char *name)
{
    uint8_t octets[PIPE_BUF];
    struct record record;
    struct stat st = {0};
    size_t len = 0;
    char why[RQ_TEXT_MAX] = "";
    int r = read_message(dir, name, octets, &len, &st);
    if (r == 0) {
        r = read_waiting(rq, octets, len, &st, &record, why, sizeof(why));
    }
    if (r == 0 && pes_find_place(rq->pes, &record) != NULL) {
        r = -EEXIST; /* it has registered since */
    }
    if (r == 0) {
        rq->env.out->cause = 0;
        r = pes_add_waiting(rq->pes, &record, dir, name, why, sizeof(why));
    }
    if (r == 0) {
        return true;
    }
    if (why[0] != '\0') {
        log_warn("a server of user %u that waited for rspd is not taken in: %s", st.st_uid, why);
    }
    (void)unlinkat(dir, name, 0);
    return false;
}

size_t requests_take_waiting(struct requests *rq)
{
    size_t taken = 0;
    int fd = open_folder(rq->env.settings->runtime_dir);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        log_warn("servers that waited for rspd cannot be found: %s",
                 strerror(fd < 0 ? -fd : errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return 0;
    }
    const struct dirent *entry;
    for (unsigned i = 0; i < WAITING_MAX && (entry = readdir(dir)) != NULL; i++) {
        if (entry->d_name[0] != '.' && take(rq, dirfd(dir), entry->d_name)) {
            taken++;
        }
    }
    (void)closedir(dir);
    return taken;
}
