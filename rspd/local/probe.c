/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Probes. One timer per PE: at rest it starts the next probe, during a probe it is the time limit.
 * The single tries are separate, short-lived objects.
 */
#include "rspd/local/probe.h"

#include "rspd/local/netns.h"

#include <errno.h>
#include <netinet/in.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXEC_MISSED_MAX   3 /* intervals without PROBE_DONE */
#define TRY_TIMEOUT_MS    1000
#define TRY_ADDRESSES_MAX 8

struct probe {
    uint32_t pe_id; /* first: the key */
    struct probes *owner;
    LIST_ENTRY(probe) link;
    struct probe_target target;
    struct probe_spec spec;
    bool failed;
    struct loop_timer *timer;
    struct tm_us begun; /* of the probe under way, or of the last one */
    /* the connection of a probe under way */
    int fd; /* -1: none */
    struct loop_io *io;
    bool connected;
    size_t sent;
    size_t used;
    char answer[PROBE_ANSWER_MAX];
};

struct
try {
    LIST_ENTRY(try) link;
    struct probes *owner;
    uint32_t pe_id;
    uint16_t port;
    size_t count;
    size_t at;
    struct ip_address addresses[TRY_ADDRESSES_MAX];
    uint32_t slice_ms;
    int fd;
    struct loop_io *io;
    struct loop_timer *timer;
};

struct probes {
    struct loop *loop;
    probe_fn changed;
    probe_try_fn tried;
    void *ctx;
    void *tree;
    LIST_HEAD(, probe) list;
    LIST_HEAD(, try) tries;
    size_t try_count;
};

static void on_timer(void *ctx, struct tm_us now);
static void on_io(void *ctx, int fd, unsigned events);

/* --- spec ----------------------------------------------------------------------------------- */

static bool path_valid(const char *path)
{
    if (path[0] != '/') {
        return false;
    }
    for (const char *c = path; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return false;
        }
    }
    return true;
}

int probe_spec_parse(const char *text, uint32_t interval_ms, struct probe_spec *ret, char *error,
                     size_t error_size)
{
    struct probe_spec spec = {.interval_ms =
                                  interval_ms > 0 ? interval_ms : PROBE_INTERVAL_DEFAULT_MS};
    if (spec.interval_ms < PROBE_INTERVAL_MIN_MS) {
        spec.interval_ms = PROBE_INTERVAL_MIN_MS;
    }
    if (text[0] == '\0') {
        spec.kind = PROBE_NONE;
    } else if (strcmp(text, "tcp") == 0) {
        spec.kind = PROBE_TCP;
    } else if (strcmp(text, "exec") == 0 || strncmp(text, "exec:", 5) == 0) {
        spec.kind = PROBE_EXEC;
    } else if (strncmp(text, "http:", 5) == 0) {
        const char *path = text[5] != '\0' ? text + 5 : "/";
        if (!path_valid(path) || strlen(path) >= sizeof(spec.path)) {
            (void)snprintf(error, error_size,
                           "the path of an http probe begins with \"/\", has no blanks and fewer "
                           "than %d octets",
                           PROBE_PATH_MAX);
            return -EINVAL;
        }
        spec.kind = PROBE_HTTP;
        (void)snprintf(spec.path, sizeof(spec.path), "%s", path);
    } else {
        (void)snprintf(error, error_size, "a probe is tcp, http:/PATH or exec:COMMAND");
        return -EINVAL;
    }
    *ret = spec;
    return 0;
}

/* --- sockets -------------------------------------------------------------------------------- */

static socklen_t socket_address(const struct ip_address *a, uint16_t port,
                                struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (a->family == IP_V4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, a->octets, 4);
        memcpy(ret, &in, sizeof(in));
        return sizeof(in);
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&in6.sin6_addr, a->octets, 16);
    memcpy(ret, &in6, sizeof(in6));
    return sizeof(in6);
}

/** Begins to connect. Returns the descriptor (connected or under way) or -errno. */
static int begin_connect(const struct ip_address *address, uint16_t port, uint32_t pid,
                         uint64_t netns)
{
    struct sockaddr_storage storage;
    struct ip_address a = ip_address_unmap(*address);
    socklen_t len = socket_address(&a, port, &storage);
    int fd = netns_socket(pid, netns, a.family == IP_V4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    if (fd < 0) {
        return fd;
    }
    if (connect(fd, (const struct sockaddr *)&storage, len) < 0 && errno != EINPROGRESS) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

static int connect_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return -errno;
    }
    return -error;
}

/* --- the life of a probe ---------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static struct probe *find(struct probes *p, uint32_t pe_id)
{
    struct probe **found = (struct probe **)tfind(&pe_id, &p->tree, compare);
    return found != NULL ? *found : NULL;
}

static void hang_up(struct probe *probe)
{
    loop_io_free(probe->io);
    probe->io = NULL;
    if (probe->fd >= 0) {
        (void)close(probe->fd);
        probe->fd = -1;
    }
}

static void probe_free(struct probe *probe)
{
    hang_up(probe);
    loop_timer_free(probe->timer);
    free(probe);
}

static uint32_t limit_ms(const struct probe *probe)
{
    return probe->spec.interval_ms * 4 / 5;
}

/** The next probe, one interval after the last one began; a probe that is late starts at once. */
static void schedule(struct probe *probe)
{
    (void)loop_timer_set(probe->timer, tm_add_ms(probe->begun, probe->spec.interval_ms));
}

/** A probe is over; tells a change. The probe may be gone afterwards. */
static void finish(struct probe *probe, bool ok, const char *reason)
{
    struct probes *p = probe->owner;
    bool changed = probe->failed == ok;
    hang_up(probe);
    probe->failed = !ok;
    schedule(probe);
    if (changed) {
        p->changed(p->ctx, probe->pe_id, ok, reason);
    }
}

static void finish_error(struct probe *probe, const char *what, int error)
{
    char reason[PROBE_REASON_MAX];
    (void)snprintf(reason, sizeof(reason), "%s: %s", what, strerrordesc_np(-error));
    finish(probe, false, reason);
}

static void begin(struct probe *probe, struct tm_us now)
{
    const struct probe_target *t = &probe->target;
    probe->begun = now;
    probe->connected = false;
    probe->sent = 0;
    probe->used = 0;
    probe->fd = begin_connect(&t->address, t->port, t->pid, t->netns);
    if (probe->fd < 0) {
        int r = probe->fd;
        probe->fd = -1;
        finish_error(probe, "probe cannot connect", r);
        return;
    }
    int r = loop_io_add(probe->owner->loop, probe->fd, LOOP_WRITE, on_io, probe, &probe->io);
    if (r < 0) {
        finish_error(probe, "probe", r);
        return;
    }
    (void)loop_timer_set(probe->timer, tm_add_ms(now, limit_ms(probe)));
}

/** Sends what is left of the request: 1 all sent, 0 not yet, -errno. */
static int send_request(struct probe *probe)
{
    char request[PROBE_PATH_MAX + 64];
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.0\r\nHost: localhost\r\nUser-Agent: rspd-probe\r\n\r\n",
                       probe->spec.path);
    while (probe->sent < (size_t)len) {
        ssize_t n = send(probe->fd, request + probe->sent, (size_t)len - probe->sent, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        }
        probe->sent += (size_t)n;
    }
    return 1;
}

/** The status code of "HTTP/1.x NNN", 0 when the line is not complete yet, -1 for anything else. */
static int http_status(const char *answer, size_t len)
{
    static const char head[] = "HTTP/1.";
    size_t common = len < sizeof(head) - 1 ? len : sizeof(head) - 1;
    if (memcmp(answer, head, common) != 0) {
        return -1;
    }
    if (len < 13) {
        return 0;
    }
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (answer[i] < '0' || answer[i] > '9') {
            return -1;
        }
        status = status * 10 + (answer[i] - '0');
    }
    bool ends = answer[12] == ' ' || answer[12] == '\r' || answer[12] == '\n';
    return answer[8] == ' ' && ends ? status : -1;
}

static void read_answer(struct probe *probe)
{
    char reason[PROBE_REASON_MAX];
    ssize_t n =
        recv(probe->fd, probe->answer + probe->used, sizeof(probe->answer) - probe->used, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n < 0) {
        finish_error(probe, "http probe", -errno);
        return;
    }
    probe->used += (size_t)n;
    int status = http_status(probe->answer, probe->used);
    if (status == 0 && n > 0) {
        return;
    }
    if (status <= 0) {
        finish(probe, false,
               status == 0 ? "http probe: closed without an answer"
                           : "http probe: the answer is not HTTP");
        return;
    }
    (void)snprintf(reason, sizeof(reason), "http probe: %.100s answers %d", probe->spec.path,
                   status);
    finish(probe, status >= 200 && status < 400, reason);
}

static void on_io(void *ctx, int fd, unsigned events)
{
    struct probe *probe = (struct probe *)ctx;
    if (!probe->connected) {
        int r = connect_result(fd);
        if (r < 0) {
            finish_error(probe, "probe cannot connect", r);
            return;
        }
        probe->connected = true;
        if (probe->spec.kind == PROBE_TCP) {
            finish(probe, true, "connected");
            return;
        }
    }
    if ((events & (LOOP_READ | LOOP_HANGUP)) != 0) {
        read_answer(probe);
        return;
    }
    int r = send_request(probe);
    if (r < 0) {
        finish_error(probe, "http probe", r);
    } else if (r > 0) {
        (void)loop_io_set(probe->io, LOOP_READ);
    }
}

static void exec_overdue(struct probe *probe, struct tm_us now)
{
    char reason[PROBE_REASON_MAX];
    (void)snprintf(reason, sizeof(reason), "no result of the exec probe for %d intervals",
                   EXEC_MISSED_MAX);
    probe->begun = now;
    bool changed = !probe->failed;
    probe->failed = true;
    (void)loop_timer_set(probe->timer, TM_NEVER); /* until a result comes */
    if (changed) {
        probe->owner->changed(probe->owner->ctx, probe->pe_id, false, reason);
    }
}

static void on_timer(void *ctx, struct tm_us now)
{
    struct probe *probe = (struct probe *)ctx;
    char reason[PROBE_REASON_MAX];
    if (probe->spec.kind == PROBE_EXEC) {
        exec_overdue(probe, now);
    } else if (probe->fd < 0) {
        begin(probe, now);
    } else {
        (void)snprintf(reason, sizeof(reason), "%s probe: no %s within %u ms",
                       probe->spec.kind == PROBE_TCP ? "tcp" : "http",
                       probe->connected ? "answer" : "connection", limit_ms(probe));
        finish(probe, false, reason);
    }
}

int probes_new(struct loop *loop, probe_fn changed, probe_try_fn tried, void *ctx,
               struct probes **ret)
{
    struct probes *p = (struct probes *)calloc(1, sizeof(*p));
    if (p == NULL) {
        return -ENOMEM;
    }
    p->loop = loop;
    p->changed = changed;
    p->tried = tried;
    p->ctx = ctx;
    LIST_INIT(&p->list);
    LIST_INIT(&p->tries);
    *ret = p;
    return 0;
}

static int arm_first(struct probe *probe, struct tm_us now)
{
    /* Late by a twentieth at most, so that the probes of many PEs share wake-ups. */
    uint64_t accuracy_us = (uint64_t)probe->spec.interval_ms * 1000 / 20;
    int r = loop_timer_add(probe->owner->loop, accuracy_us, on_timer, probe, &probe->timer);
    if (r < 0) {
        return r;
    }
    probe->begun = now;
    bool exec = probe->spec.kind == PROBE_EXEC;
    return loop_timer_set(probe->timer,
                          exec ? tm_add_ms(now, (int64_t)EXEC_MISSED_MAX * probe->spec.interval_ms)
                               : now);
}

int probe_add(struct probes *p, const struct probe_target *target, const struct probe_spec *spec)
{
    if (spec->kind == PROBE_NONE) {
        return -ENOTSUP;
    }
    struct probe *probe = (struct probe *)calloc(1, sizeof(*probe));
    if (probe == NULL) {
        return -ENOMEM;
    }
    probe->pe_id = target->pe_id;
    probe->owner = p;
    probe->target = *target;
    probe->spec = *spec;
    probe->fd = -1;
    int r = arm_first(probe, loop_now(p->loop));
    if (r < 0) {
        probe_free(probe);
        return r;
    }
    const struct probe *before = find(p, target->pe_id);
    probe->failed = before != NULL && before->failed; /* the next result tells */
    probe_remove(p, target->pe_id);
    if (tsearch(probe, &p->tree, compare) == NULL) {
        probe_free(probe);
        return -ENOMEM;
    }
    LIST_INSERT_HEAD(&p->list, probe, link);
    return 0;
}

void probe_remove(struct probes *p, uint32_t pe_id)
{
    struct probe *probe = find(p, pe_id);
    if (probe != NULL) {
        (void)tdelete(probe, &p->tree, compare);
        LIST_REMOVE(probe, link);
        probe_free(probe);
    }
}

int probe_done(struct probes *p, uint32_t pe_id, bool ok, const char *text)
{
    struct probe *probe = find(p, pe_id);
    if (probe == NULL || probe->spec.kind != PROBE_EXEC) {
        return -ENOENT;
    }
    probe->begun = loop_now(p->loop);
    (void)loop_timer_set(
        probe->timer, tm_add_ms(probe->begun, (int64_t)EXEC_MISSED_MAX * probe->spec.interval_ms));
    bool changed = probe->failed == ok;
    probe->failed = !ok;
    if (changed) {
        char reason[PROBE_REASON_MAX];
        (void)snprintf(reason, sizeof(reason), "exec probe: %s",
                       text != NULL && text[0] != '\0' ? text
                       : ok                            ? "success"
                                                       : "failure");
        p->changed(p->ctx, pe_id, ok, reason);
    }
    return 0;
}

/* --- single tries ----------------------------------------------------------------------------- */

static void try_free(struct try *t)
{
    LIST_REMOVE(t, link);
    t->owner->try_count--;
    loop_io_free(t->io);
    loop_timer_free(t->timer);
    if (t->fd >= 0) {
        (void)close(t->fd);
    }
    free(t);
}

static void try_end(struct try *t, bool reachable)
{
    struct probes *p = t->owner;
    uint32_t pe_id = t->pe_id;
    try_free(t);
    p->tried(p->ctx, pe_id, reachable);
}

static void try_next(struct try *t);

static void on_try_io(void *ctx, int fd, unsigned events)
{
    struct try *t = (struct try *)ctx;
    (void)events;
    if (connect_result(fd) == 0) {
        try_end(t, true);
    } else {
        try_next(t);
    }
}

static void on_try_timer(void *ctx, struct tm_us now)
{
    struct try *t = (struct try *)ctx;
    (void)now;
    try_next(t);
}

/** Goes on with the next address, or ends. */
static void try_next(struct try *t)
{
    loop_io_free(t->io);
    t->io = NULL;
    if (t->fd >= 0) {
        (void)close(t->fd);
        t->fd = -1;
    }
    while (t->at < t->count) {
        int fd = begin_connect(&t->addresses[t->at++], t->port, 0, 0);
        if (fd < 0) {
            continue;
        }
        if (loop_io_add(t->owner->loop, fd, LOOP_WRITE, on_try_io, t, &t->io) < 0) {
            (void)close(fd);
            continue;
        }
        t->fd = fd;
        (void)loop_timer_set(t->timer, tm_add_ms(loop_now(t->owner->loop), t->slice_ms));
        return;
    }
    try_end(t, false);
}

int probe_try(struct probes *p, uint32_t pe_id, const struct ip_address *addresses, size_t count,
              uint16_t port, uint32_t timeout_ms)
{
    if (count == 0 || port == 0) {
        return -EINVAL;
    }
    if (p->try_count == PROBE_TRIES_MAX) {
        return -ENOBUFS;
    }
    struct try *t = (struct try *)calloc(1, sizeof(*t));
    if (t == NULL) {
        return -ENOMEM;
    }
    t->owner = p;
    t->pe_id = pe_id;
    t->port = port;
    t->count = count < TRY_ADDRESSES_MAX ? count : TRY_ADDRESSES_MAX;
    memcpy(t->addresses, addresses, t->count * sizeof(*addresses));
    t->slice_ms = (timeout_ms > 0 ? timeout_ms : TRY_TIMEOUT_MS) / (uint32_t)t->count;
    t->fd = -1;
    LIST_INSERT_HEAD(&p->tries, t, link);
    p->try_count++;
    int r = loop_timer_add(p->loop, 1000, on_try_timer, t, &t->timer);
    if (r == 0) {
        r = loop_timer_set(t->timer, loop_now(p->loop)); /* the answer never comes from in here */
    }
    if (r < 0) {
        try_free(t);
    }
    return r;
}

void probes_free(struct probes *p)
{
    if (p == NULL) {
        return;
    }
    struct probe *probe;
    while ((probe = LIST_FIRST(&p->list)) != NULL) {
        probe_remove(p, probe->pe_id);
    }
    struct try *t;
    while ((t = LIST_FIRST(&p->tries)) != NULL) {
        try_free(t); /* NOLINT(clang-analyzer-unix.Malloc): it leaves the list first */
    }
    free(p);
}
