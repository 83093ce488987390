/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pool elements; see listen.h. */
#include "preload/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bindmap.h"
#include "preload/config.h"
#include "preload/guard.h"
#include "preload/pools.h"
#include "preload/real.h"
#include "preload/rpc.h"
#include "preload/sctp.h"
#include "preload/target.h"

/* How often a server that nobody asked to register looks for a daemon with a rule for it. */
#define UNASKED_RETRY_MS 1000
/* Inherited listeners are looked for among these numbers. */
#define INHERITED_MAX 256
/* Of an SCTP socket. */
#define ADDRESSES_MAX 8

atomic_int pre_listen_pending;
static _Atomic int64_t last_retry_ms;

/** A listening or bound socket and what is to be said about it. */
struct candidate {
    int fd;
    struct pre_socket socket;
    struct ip_address addresses[ADDRESSES_MAX];
    unsigned address_count; /* 0: wildcard */
    uint16_t port;
    struct pool_handle handle; /* borrowed */
    struct pre_rule rule;      /* everything else */
    bool inherited;
};

static struct pool_handle env_pool(void)
{
    return pool_handle_of(pre_config()->pool);
}

/** What the environment says besides the pool. */
static void take_env(struct candidate *c)
{
    const struct pre_config *config = pre_config();
    c->rule.policy = config->policy;
    c->rule.capacity = config->capacity;
    c->rule.probe_ms = config->probe_ms;
    c->rule.slow_start_ms = config->slow_start_ms;
    memcpy(c->rule.probe, config->probe, sizeof(c->rule.probe));
}

static bool env_rule(struct candidate *c)
{
    const struct pre_config *config = pre_config();
    enum transport_protocol p = c->socket.protocol;
    take_env(c);
    if (config->bind[0] != '\0') {
        return bindmap_lookup(config->bind, p, c->port, env_pool(), &c->handle);
    }
    c->handle = env_pool();
    if (c->handle.len == 0) {
        return false;
    }
    return config->protocol != TRANSPORT_NONE ? p == config->protocol
                                              : p == TRANSPORT_TCP || p == TRANSPORT_SCTP;
}

static bool daemon_rule(struct candidate *c)
{
    enum transport_protocol p = c->socket.protocol;
    for (unsigned i = 0; pre_daemon_rule(i, &c->rule); i++) {
        bool fits = c->rule.protocol != TRANSPORT_NONE ? c->rule.protocol == p
                                                       : p == TRANSPORT_TCP || p == TRANSPORT_SCTP;
        if (fits && (c->rule.port == 0 || c->rule.port == c->port)) {
            c->handle = (struct pool_handle){.octets = c->rule.handle, .len = c->rule.handle_len};
            return true;
        }
    }
    return false;
}

/** Fills in what the kernel knows; false when the socket is of no kind that can register. */
static bool examine(struct candidate *c)
{
    union pre_sockaddr local = {.sa = {0}};
    socklen_t len = sizeof(local);
    if (pre_socket_ask(c->fd, AF_UNSPEC, &c->socket) != 0 ||
        getsockname(c->fd, &local.sa, &len) != 0) {
        return false;
    }
    static const uint8_t zero[16] = {0};
    struct ip_address a = {0};
    if (local.sa.sa_family == AF_INET) {
        a.family = IP_V4;
        memcpy(a.octets, &local.in.sin_addr, 4);
        c->port = ntohs(local.in.sin_port);
    } else if (local.sa.sa_family == AF_INET6) {
        a.family = IP_V6;
        memcpy(a.octets, &local.in6.sin6_addr, 16);
        c->port = ntohs(local.in6.sin6_port);
    }
    if (memcmp(a.octets, zero, sizeof(zero)) != 0) {
        if (c->socket.protocol == TRANSPORT_SCTP) {
            c->address_count = pre_sctp_local(c->fd, c->addresses, ADDRESSES_MAX);
        }
        if (c->address_count == 0) {
            c->addresses[c->address_count++] = ip_address_unmap(a);
        }
    }
    return c->port != 0;
}

static void put_registration(struct lp_writer *w, const struct candidate *c)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    struct stat ns;
    if (c->handle.len > 0) { /* else the daemon may have a rule */
        lp_put_handle(w, c->handle);
    }
    lp_put_u32(w, LP_T_PROTOCOL, c->socket.protocol);
    lp_put_u32(w, LP_T_PORT, c->port);
    for (unsigned i = 0; i < c->address_count; i++) {
        lp_put_address(w, LP_T_ADDRESS, &c->addresses[i]);
    }
    if (c->address_count == 0) {
        lp_put_u32(w, LP_T_FAMILIES, c->socket.families);
    }
    if (c->rule.policy.type != POLICY_NONE) {
        lp_put_policy(w, &c->rule.policy);
    }
    if (c->rule.capacity != 0) {
        lp_put_u32(w, LP_T_CAPACITY, c->rule.capacity);
    }
    if (pre_real()->getsockopt(c->fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0) {
        lp_put_u64(w, LP_T_SOCK_COOKIE, cookie);
    }
    lp_put_u32(w, LP_T_PID, (uint32_t)getpid());
    if (c->rule.probe[0] != '\0') {
        lp_put_str(w, LP_T_PROBE, c->rule.probe);
        if (c->rule.probe_ms != 0) {
            lp_put_u32(w, LP_T_PROBE_MS, c->rule.probe_ms);
        }
    }
    if (c->rule.slow_start_ms != 0) {
        lp_put_u32(w, LP_T_SLOW_START_MS, c->rule.slow_start_ms);
    }
    if (stat("/proc/self/ns/net", &ns) == 0) {
        lp_put_u64(w, LP_T_NETNS, ns.st_ino);
    }
}

/** Closes a life fd that this listener had in an earlier process image (exec kept it). */
static void close_former_life(int life)
{
    struct stat ours;
    struct stat other;
    if (fstat(life, &ours) != 0) {
        return;
    }
    for (int fd = life - INHERITED_MAX > 3 ? life - INHERITED_MAX : 3; fd < life + INHERITED_MAX;
         fd++) {
        if (fd != life && fstat(fd, &other) == 0 && other.st_dev == ours.st_dev &&
            other.st_ino == ours.st_ino) {
            (void)pre_real()->close(fd);
        }
    }
}

/** The life fd is put beside the listener; both records are set. */
static void keep_life(const struct candidate *c, uint32_t pe_id, int life)
{
    int flags = pre_real()->fcntl(c->fd, F_GETFD, 0);
    if (life >= 0) {
        life = pre_fd_move_high(life, flags < 0 || (flags & FD_CLOEXEC) != 0);
    }
    if (life >= 0) {
        if (c->inherited) {
            close_former_life(life);
        }
        pre_fd_set(life, &(struct pre_fd){.kind = PRE_FD_LIFE, .a = (uint32_t)c->fd});
    }
    pre_fd_set(c->fd, &(struct pre_fd){.kind = PRE_FD_LISTEN,
                                       .a = pe_id,
                                       .b = life >= 0 ? (uint32_t)life : PRE_NO_LIFE});
}

/** Makes the FIFO and opens it; the descriptor, or -1. It lies beside the daemon's socket. */
static int open_word(char *path, size_t size)
{
    const char *sock = pre_config()->socket_path;
    const char *slash = strrchr(sock, '/');
    uint32_t random[2];
    if (slash == NULL || getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
        return -1;
    }
    int n = snprintf(path, size, "%.*s/waiting", (int)(slash - sock), sock);
    if (n < 0 || (size_t)n + 20 > size) {
        return -1;
    }
    (void)mkdir(path, 0700); /* only works for root and a user's own daemon; else it is there */
    struct stat st;
    bool foreign = stat(path, &st) == 0 && st.st_uid != geteuid();
    (void)snprintf(path + n, size - (size_t)n, "/%08x%08x", random[0], random[1]);
    if (mkfifo(path, 0600) != 0) {
        return -1;
    }
    if (foreign) {
        (void)chmod(path, 0666); /* an unprivileged daemon must be able to take it over */
    }
    return open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
}

/**
 * With the daemon away: leaves the registration where the next daemon looks (rspd/local/waiting.c),
 * in a FIFO that serves as life fd from then on. Returns it, moved high, or PRE_NO_LIFE.
 */
static int leave_word(const struct candidate *c)
{
    static uint8_t octets[PIPE_BUF]; /* under the state lock */
    char path[LP_PATH_MAX + 24];
    char exe[256];
    int life = open_word(path, sizeof(path));
    if (life < 0) {
        return -1;
    }
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    struct lp_writer w;
    pre_state_lock();
    lp_begin(&w, octets, sizeof(octets), LP_REGISTER, 0);
    put_registration(&w, c);
    if (n > 0) {
        lp_put_octets(&w, LP_T_EXE, exe, (size_t)n);
    }
    int len = lp_finish(&w);
    bool written = len > 0 && write(life, octets, (size_t)len) == len;
    pre_state_unlock();
    int flags = pre_real()->fcntl(c->fd, F_GETFD, 0);
    if (written) {
        life = pre_fd_move_high(life, flags < 0 || (flags & FD_CLOEXEC) != 0);
    } else {
        (void)pre_real()->close(life);
        life = -1;
    }
    if (life < 0) {
        (void)unlink(path);
        return -1;
    }
    pre_fd_set(life, &(struct pre_fd){.kind = PRE_FD_LIFE, .a = (uint32_t)c->fd});
    pre_log("port %u waits for rspd: %s", c->port, path);
    return life;
}

/** Lets go of a life fd that another one has replaced, and of its name if it still has one. */
static void close_word(int life)
{
    char link[32];
    char path[LP_PATH_MAX + 24];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", life);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n > 0) {
        path[n] = '\0';
        const char *folder = strstr(path, "/waiting/");
        if (folder != NULL && strchr(folder + 9, '/') == NULL) {
            (void)unlink(path);
        }
    }
    pre_fd_clear(life, NULL);
    (void)pre_real()->close(life);
}

/** Registers; 0, -ENOTCONN/-ETIMEDOUT (try later), or the daemon's refusal. */
static int register_candidate(const struct candidate *c)
{
    struct pre_rpc rpc;
    struct lp_message reply;
    struct lp_each it;
    char text[160] = "";
    char handle[POOL_HANDLE_TEXT_MAX];
    int life = -1;
    int err = pre_rpc_begin(&rpc, LP_REGISTER, PRE_REGISTER_MS);
    if (err != 0) {
        return err;
    }
    put_registration(&rpc.writer, c);
    err = pre_rpc_call(&rpc, &reply, &life);
    uint32_t pe_id = 0;
    if (err == 0) {
        err = lp_result(&reply);
        if (lp_find(&reply, LP_T_TEXT, &it)) {
            (void)lp_str(&it, text, sizeof(text));
        }
        if (reply.type == LP_REGISTERED && lp_find(&reply, LP_T_PE_ID, &it)) {
            pe_id = lp_u32(&it, 0);
            err = 0; /* stored; with -EAGAIN a registrar is still to be found */
        } else if (err == 0) {
            err = -EPROTO;
        }
    }
    pre_rpc_end(&rpc);
    (void)pool_handle_format(c->handle, handle, sizeof(handle));
    if (err == 0) {
        keep_life(c, pe_id, life);
        pre_log("port %u joined pool %s as element %08x", c->port, handle, pe_id);
        return 0;
    }
    if (life >= 0) {
        (void)pre_real()->close(life);
    }
    pre_log("port %u did not join pool %s: %s%s%s", c->port, handle, strerrordesc_np(-err),
            text[0] != '\0' ? ": " : "", text);
    return err == -EAGAIN ? -ENOTCONN : err;
}

/** The life fd of a listener's record, if it still is one; -1 otherwise. */
static int life_of(const struct pre_fd *record)
{
    struct pre_fd life;
    if ((record->kind != PRE_FD_LISTEN && record->kind != PRE_FD_PENDING) ||
        record->b == PRE_NO_LIFE || !pre_fd_get((int)record->b, &life) ||
        life.kind != PRE_FD_LIFE) {
        return -1;
    }
    return (int)record->b;
}

/** Whether a failed registration may succeed later by itself. */
static bool later(int err)
{
    return err == -ENOTCONN || err == -ETIMEDOUT;
}

/**
 * Remembers a listener that has to register later: at a later call of its program, or, because a
 * server that waits for clients makes none, by the daemon from the word that is left for it.
 */
static void set_waiting(const struct candidate *c, const struct pre_fd *was)
{
    struct pre_fd record = {.kind = PRE_FD_PENDING, .pool = PRE_POOL_NONE, .b = PRE_NO_LIFE};
    if (was->kind == PRE_FD_INTENT || was->kind == PRE_FD_PENDING) {
        record.pool = was->pool;
    }
    if (was->kind == PRE_FD_PENDING) {
        record.b = was->b;
    } else {
        atomic_fetch_add(&pre_listen_pending, 1);
        record.b = (uint32_t)leave_word(c);
    }
    pre_fd_set(c->fd, &record);
}

static void stop_waiting(const struct pre_fd *was)
{
    if (was->kind == PRE_FD_PENDING) {
        atomic_fetch_sub(&pre_listen_pending, 1);
    }
}

/**
 * A socket began to serve: registers it if a rule says so. Inside pre_enter().
 * @return 0 (registered, or not ours), or -errno of the registration
 */
static int serve(int fd, const struct pre_fd *record, bool inherited)
{
    struct candidate c = {.fd = fd, .inherited = inherited};
    bool found = false;
    int err = 0;
    if (!examine(&c)) {
        return 0;
    }
    if ((record->kind == PRE_FD_INTENT || record->kind == PRE_FD_PENDING) &&
        record->pool != PRE_POOL_NONE) {
        c.handle = pre_pool_handle_ref(record->pool);
        take_env(&c);
        found = c.handle.len > 0;
    }
    if (!found && pre_config()->server) {
        found = env_rule(&c);
    } else if (!found) {
        err = pre_rpc_hello(c.port, PRE_QUICK_MS);
        found = err == 0 && daemon_rule(&c);
    }
    if (found) {
        err = register_candidate(&c);
    } else if (err == 0) {
        pre_log("port %u: no rule says which pool it joins", c.port);
    }
    if (later(err)) {
        set_waiting(&c, record);
        return err;
    }
    if (record->kind == PRE_FD_PENDING) {
        int word = life_of(record);
        if (word >= 0) {
            close_word(word);
        }
    }
    stop_waiting(record);
    if (err != 0 || !found) {
        pre_fd_set(fd, &(struct pre_fd){.kind = PRE_FD_REFUSED});
    }
    return err;
}

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t len = sizeof(listening);
    return pre_real()->getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 &&
           listening != 0;
}

/** Whether the socket could be ours at all: an Internet socket. */
static bool is_inet(int fd)
{
    int domain = 0;
    socklen_t len = sizeof(domain);
    return pre_real()->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
           (domain == AF_INET || domain == AF_INET6);
}

int hook_listen(int fd, int backlog)
{
    int ret = pre_real()->listen(fd, backlog);
    if (ret != 0 || pre_inside() || !pre_real_complete()) {
        return ret;
    }
    struct pre_guard guard;
    struct pre_fd record;
    int err = 0;
    pre_enter(&guard);
    if ((!pre_fd_get(fd, &record) || record.kind == PRE_FD_INTENT ||
         record.kind == PRE_FD_PENDING) &&
        is_inet(fd)) {
        err = serve(fd, &record, false);
    }
    pre_leave(&guard);
    if (err != 0 && pre_config()->strict) {
        errno = later(err) ? EAGAIN : EACCES;
        return -1;
    }
    pre_listen_retry();
    return ret;
}

void pre_listen_retry_now(void)
{
    int64_t now_ms = pre_now_ms();
    int64_t gap = pre_config()->server ? 100 : UNASKED_RETRY_MS;
    int64_t last_ms = atomic_load(&last_retry_ms);
    if (pre_inside() || now_ms - last_ms < gap ||
        !atomic_compare_exchange_strong(&last_retry_ms, &last_ms, now_ms) ||
        getpid() != pre_home_pid()) {
        return;
    }
    struct pre_guard guard;
    pre_enter(&guard);
    /* Cheap while the daemon is away: one attempt to connect, for all listeners together. */
    struct pre_rpc rpc;
    bool away = pre_rpc_begin(&rpc, LP_NAME, PRE_QUICK_MS) != 0;
    if (!away) {
        pre_rpc_end(&rpc);
    }
    int waiting = 0;
    for (int fd = 0; !away && fd < pre_fd_end(); fd++) {
        struct pre_fd record;
        if (pre_fd_peek(fd, &record) && record.kind == PRE_FD_PENDING) {
            if (!pre_fd_get(fd, &record)) {
                pre_fd_clear(fd, NULL); /* closed behind our back */
            } else if (later(serve(fd, &record, false))) {
                waiting++;
            }
        }
    }
    if (!away) {
        atomic_store(&pre_listen_pending, waiting);
    }
    pre_leave(&guard);
}

/** A listener nobody called listen() on in this process image. */
static void look_at_unknown(int fd)
{
    struct pre_guard guard;
    struct pre_fd record;
    pre_enter(&guard);
    if (is_listening(fd) && !pre_fd_get(fd, &record)) {
        if (is_inet(fd)) {
            (void)serve(fd, &record, true);
        } else {
            pre_fd_set(fd, &(struct pre_fd){.kind = PRE_FD_REFUSED});
        }
    }
    pre_leave(&guard);
}

void pre_listen_inherited(void)
{
    int first = 0;
    int last = INHERITED_MAX - 1;
    const char *fds = secure_getenv("LISTEN_FDS");
    const char *pid = secure_getenv("LISTEN_PID");
    if (fds != NULL && pid != NULL) {
        if (strtol(pid, NULL, 10) != getpid()) {
            return; /* meant for another process than this one */
        }
        first = 3;
        last = 2 + (int)strtol(fds, NULL, 10);
        last = last < INHERITED_MAX ? last : INHERITED_MAX - 1;
    }
    for (int fd = first; fd <= last; fd++) {
        if (is_listening(fd)) {
            look_at_unknown(fd);
        }
    }
}

/* --- accept
 * -------------------------------------------------------------------------------------------- */

static void before_accept(int fd, struct pre_fd *record)
{
    if (!pre_fd_peek(fd, record) && !pre_inside() && pre_real_complete()) {
        int saved = errno;
        look_at_unknown(fd);
        errno = saved;
        (void)pre_fd_peek(fd, record);
    }
    pre_listen_retry();
}

int hook_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    struct pre_fd record;
    before_accept(fd, &record);
    int ret = pre_real()->accept(fd, addr, len);
    if (ret >= 0 && record.kind == PRE_FD_LISTEN) {
        pre_hint(record.a);
    }
    return ret;
}

int hook_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    struct pre_fd record;
    before_accept(fd, &record);
    int ret = pre_real()->accept4(fd, addr, len, flags);
    if (ret >= 0 && record.kind == PRE_FD_LISTEN) {
        pre_hint(record.a);
    }
    return ret;
}

/* --- bind
 * ------------------------------------------------------------------------------------------------
 */

/** The pool a bind() to a cookie or to AF_RSP names; PRE_POOL_NONE when nobody knows the cookie. */
static uint16_t pool_to_join(const struct pre_target *target)
{
    uint16_t pool = pre_target_pool(target);
    if (pool != PRE_POOL_NONE) {
        return pool;
    }
    struct pre_rpc rpc;
    struct lp_message reply;
    struct pre_pool_info info = {.index = PRE_POOL_NONE};
    if (pre_rpc_begin(&rpc, LP_NAME, PRE_NAME_MS) == 0) {
        lp_put_address(&rpc.writer, LP_T_ADDRESS, &target->cookie);
        if (pre_rpc_call(&rpc, &reply, NULL) == 0) {
            (void)pre_pool_learn(&reply, NULL, pre_now_ms(), &info);
        }
        pre_rpc_end(&rpc);
    }
    return info.index;
}

/** bind() to a pool: the wildcard address, and the wish to register there. */
static int bind_pool(int fd, const struct pre_target *target)
{
    struct pre_socket s;
    struct pre_guard guard;
    int err = pre_socket_ask(fd, AF_UNSPEC, &s);
    if (err != 0) {
        errno = -err;
        return -1;
    }
    pre_enter(&guard);
    struct pre_fd record = {.kind = PRE_FD_INTENT, .pool = pool_to_join(target)};
    pre_leave(&guard);
    if (record.pool == PRE_POOL_NONE) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    union pre_sockaddr any;
    socklen_t len = pre_socket_wildcard(&s, target->port, &any);
    int ret = pre_real()->bind(fd, &any.sa, len);
    if (ret != 0) {
        return ret;
    }
    pre_enter(&guard);
    pre_fd_set(fd, &record);
    if (s.type == SOCK_DGRAM) {
        (void)serve(fd, &record, false);
    }
    pre_leave(&guard);
    return 0;
}

/** Whether a bound address could make a datagram server: Internet family, a port of its own. */
static bool names_port(const struct sockaddr *addr, socklen_t len)
{
    struct sockaddr_in in; /* the port stands at the same place in both families */
    if (addr == NULL || len < sizeof(in)) {
        return false;
    }
    memcpy(&in, addr, sizeof(in));
    return (in.sin_family == AF_INET || in.sin_family == AF_INET6) && in.sin_port != 0;
}

int hook_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct pre_target target;
    switch (pre_target_read(addr, len, &target)) {
    case PRE_TARGET_BAD:
        errno = EINVAL;
        return -1;
    case PRE_TARGET_NONE:
        break;
    default:
        return bind_pool(fd, &target);
    }
    int ret = pre_real()->bind(fd, addr, len);
    int type = 0;
    socklen_t type_len = sizeof(type);
    if (ret == 0 && !pre_inside() && pre_real_complete() && names_port(addr, len) &&
        pre_real()->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 &&
        type == SOCK_DGRAM) {
        struct pre_guard guard;
        struct pre_fd record;
        pre_enter(&guard);
        if (!pre_fd_get(fd, &record)) {
            (void)serve(fd, &record, false); /* only an explicit rule makes it register */
        }
        pre_leave(&guard);
    }
    return ret;
}

/* --- the life fd follows its listener
 * --------------------------------------------------------------------- */

void pre_listen_closing(int fd, const struct pre_fd *record)
{
    /* A vfork() child shares our memory but not our descriptors: it closes, and writes nothing. */
    bool home = getpid() == pre_home_pid();
    int life = life_of(record);
    if (home) {
        pre_fd_clear(fd, record);
        stop_waiting(record);
    }
    if (life >= 0) {
        if (home) {
            pre_fd_clear(life, NULL);
        }
        (void)pre_real()->close(life);
    }
}

void pre_listen_copied(const struct pre_fd *record, int to, bool cloexec)
{
    if (record->kind == PRE_FD_PENDING) {
        atomic_fetch_add(&pre_listen_pending, 1);
    }
    struct pre_fd copy = *record;
    int life = life_of(record);
    if (life >= 0) {
        int base = life < 700 ? 3 : 700;
        int other = pre_real()->fcntl(life, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, base);
        copy.b = other >= 0 ? (uint32_t)other : PRE_NO_LIFE;
        if (other >= 0) {
            pre_fd_set(other, &(struct pre_fd){.kind = PRE_FD_LIFE, .a = (uint32_t)to});
        }
    }
    pre_fd_set(to, &copy);
}

void pre_listen_cloexec(const struct pre_fd *record, bool cloexec)
{
    int life = life_of(record);
    if (life >= 0) {
        (void)pre_real()->fcntl(life, F_SETFD, cloexec ? FD_CLOEXEC : 0);
    }
}

void pre_listen_make_room(int fd, const struct pre_fd *life)
{
    struct pre_fd listener;
    int flags = pre_real()->fcntl(fd, F_GETFD, 0);
    if (flags < 0 || !pre_fd_get((int)life->a, &listener) || listener.b != (uint32_t)fd) {
        return;
    }
    int moved =
        pre_real()->fcntl(fd, (flags & FD_CLOEXEC) != 0 ? F_DUPFD_CLOEXEC : F_DUPFD, fd + 1);
    if (moved < 0) {
        return;
    }
    pre_fd_set(moved, life);
    listener.b = (uint32_t)moved;
    pre_fd_set((int)life->a, &listener);
}
