/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Servers of this host: register, deregister, drain, undrain. */
#include "tools/rspctl/rspctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/** Everything `register` is told. */
struct registration {
    struct handle_text pool;
    uint32_t port, pid, capacity;
    enum transport_protocol protocol;
    struct ip_address address; /* family IP_NONE: wildcard */
    struct policy_option policy;
    struct probe_option probe;
    uint64_t netns;
};

static int read_registration(struct ctl *ctl, struct registration *r)
{
    const char *proto = ctl->opt[OPT_PROTO] != NULL ? ctl->opt[OPT_PROTO] : "tcp";
    const char *address = ctl->opt[OPT_ADDRESS];
    if (ctl->opt[OPT_PORT] == NULL) {
        return ctl_fail(CTL_USAGE, "register: which port? - rspctl register HANDLE --port N");
    }
    r->port = ctl_option_number(ctl, OPT_PORT, 1, 65535, 0);
    r->pid = ctl_option_number(ctl, OPT_PID, 1, INT32_MAX, 0);
    r->capacity = ctl_option_number(ctl, OPT_CAPACITY, 1, INT32_MAX, 0);
    r->protocol = strcmp(proto, "udp") == 0 ? TRANSPORT_UDP : TRANSPORT_TCP;
    if (r->protocol == TRANSPORT_TCP && strcmp(proto, "tcp") != 0) {
        return ctl_fail(CTL_USAGE, "--proto \"%s\" - write tcp or udp", proto);
    }
    if (address != NULL && ip_address_parse(address, &r->address) != 0) {
        return ctl_fail(CTL_USAGE, "--address \"%s\" is no IP address", address);
    }
    int status = policy_read(ctl, &r->policy);
    status = status == CTL_OK ? probe_read(ctl, &r->probe) : status;
    if (status != CTL_OK) {
        return status;
    }
    char path[64];
    struct stat st;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/net",
                   r->pid != 0 ? (int)r->pid : (int)getpid());
    if (stat(path, &st) == 0) {
        r->netns = (uint64_t)st.st_ino;
    } else if (errno == ENOENT) {
        return ctl_fail(CTL_NOT_FOUND, "register: there is no process %u", r->pid);
    }
    return CTL_OK;
}

static void put_registration(struct lp_writer *w, const struct registration *r)
{
    lp_put_handle(w, handle_of(&r->pool));
    lp_put_u32(w, LP_T_PROTOCOL, r->protocol);
    lp_put_u32(w, LP_T_PORT, r->port);
    lp_put_u32(w, LP_T_ADOPT, 1);
    if (r->address.family != IP_NONE) {
        lp_put_address(w, LP_T_ADDRESS, &r->address);
    }
    if (r->policy.policy.type != POLICY_NONE) {
        lp_put_policy(w, &r->policy.policy);
    }
    if (r->policy.slow_start_ms != 0) {
        lp_put_u32(w, LP_T_SLOW_START_MS, r->policy.slow_start_ms);
    }
    if (r->capacity != 0) {
        lp_put_u32(w, LP_T_CAPACITY, r->capacity);
    }
    if (r->pid != 0) {
        lp_put_u32(w, LP_T_PID, r->pid);
    }
    if (r->netns != 0) {
        lp_put_u64(w, LP_T_NETNS, r->netns);
    }
    if (r->probe.text != NULL) {
        lp_put_str(w, LP_T_PROBE, r->probe.text);
        lp_put_u32(w, LP_T_PROBE_MS, r->probe.interval_ms);
    }
}

int ctl_run_register(struct ctl *ctl)
{
    struct registration r = {.port = 0};
    int status = read_registration(ctl, &r);
    status = status == CTL_OK ? client_open(ctl) : status;
    status = status == CTL_OK ? handle_read(ctl, ctl->argv[0], &r.pool) : status;
    if (status != CTL_OK) {
        return status;
    }
    put_registration(client_begin(ctl, LP_REGISTER), &r);
    char handle[POOL_HANDLE_TEXT_MAX];
    char what[POOL_HANDLE_TEXT_MAX + 64];
    char advice[POOL_HANDLE_TEXT_MAX + 64];
    (void)pool_handle_format(handle_of(&r.pool), handle, sizeof(handle));
    (void)snprintf(what, sizeof(what), "register port %u in pool \"%s\"", r.port, handle);
    (void)snprintf(advice, sizeof(advice), "see \"rspctl pool show %s\" and \"ss -ltnup\"", handle);
    struct lp_message reply;
    status = client_call(ctl, what, advice, &reply);
    if (status != CTL_OK) {
        return status;
    }
    struct lp_each it;
    uint32_t id = lp_find(&reply, LP_T_PE_ID, &it) ? lp_u32(&it, 0) : 0;
    bool pending = lp_result(&reply) != 0;
    if (r.probe.command != NULL) {
        struct probe_target target = {.pe_id = id};
        int err = probe_start(ctl, &r.probe, &target);
        if (err != 0) {
            return ctl_fail(CTL_FAILED, "registered 0x%08x, but its probe does not run: %s", id,
                            strerror(-err));
        }
    }
    if (ctl->opt[OPT_JSON] != NULL) {
        json_t *document = json_object();
        (void)json_object_set_new(document, "pe_id", out_id(id));
        out_put_handle(document, "handle", handle_of(&r.pool));
        (void)json_object_set_new(document, "accepted", json_boolean(!pending));
        return out_json("rspctl.register/1", document);
    }
    if (ctl->opt[OPT_QUIET] == NULL) {
        printf("0x%08x\n", id);
    }
    if (pending) {
        ctl_say(ctl, "no registrar answers: it will be registered as soon as one does");
    }
    return CTL_OK;
}

int ctl_run_deregister(struct ctl *ctl)
{
    const char *text = ctl->argv[0];
    struct handle_text pool = {.len = 0};
    uint32_t id = 0;
    uint32_t port = ctl_option_number(ctl, OPT_PORT, 1, 65535, 0);
    int status = client_open(ctl);
    if (status != CTL_OK) {
        return status;
    }
    bool is_pe = strncmp(text, "0x", 2) == 0 ||
                 (port == 0 && strchr(text, ':') != NULL && strncmp(text, "rsp://", 6) != 0);
    status = is_pe ? pe_read(ctl, text, &id) : handle_read(ctl, text, &pool);
    if (status != CTL_OK) {
        return status;
    }
    struct lp_writer *w = client_begin(ctl, LP_DEREGISTER);
    if (is_pe) {
        lp_put_u32(w, LP_T_PE_ID, id);
    } else {
        lp_put_handle(w, handle_of(&pool));
        if (port != 0) {
            lp_put_u32(w, LP_T_PORT, port);
        }
    }
    char what[160];
    (void)snprintf(what, sizeof(what), "deregister \"%.100s\"", text);
    struct lp_message reply;
    status =
        client_call(ctl, what, "\"rspctl pe list --local\" shows this host's elements", &reply);
    if (status == CTL_OK) {
        ctl_say(ctl, "deregistered %s", text);
    }
    return status;
}

static int64_t monotonic_ms(void)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/** Waits for the answer to a drain, and shows that it does (U-11). */
static int wait_drained(struct ctl *ctl, uint32_t id, int limit_ms, struct lp_message *reply)
{
    int64_t start = monotonic_ms();
    bool terminal = isatty(STDERR_FILENO) && ctl->opt[OPT_QUIET] == NULL;
    int64_t said = start;
    for (;;) {
        int status = client_next(ctl, 500, reply);
        int64_t now = monotonic_ms();
        if (status != CTL_TIMED_OUT) {
            if (terminal && said != start) {
                (void)fputs("\r\033[K", stderr);
            }
            return status;
        }
        if (now - start > limit_ms + 1000) {
            return ctl_fail(CTL_TIMED_OUT, "0x%08x still has connections", id);
        }
        if (now - said >= (terminal ? 1000 : 10000)) {
            char took[32];
            said = now;
            (void)out_duration((uint64_t)(now - start), took, sizeof(took));
            if (terminal) {
                (void)fprintf(stderr, "\rdraining 0x%08x, %s \033[K", id, took);
            } else {
                ctl_say(ctl, "draining 0x%08x, %s", id, took);
            }
        }
    }
}

int ctl_run_pe_drain(struct ctl *ctl)
{
    uint32_t id = 0;
    bool wait = ctl->opt[OPT_WAIT] != NULL;
    int status = client_open(ctl);
    status = status == CTL_OK ? pe_read(ctl, ctl->argv[0], &id) : status;
    if (status != CTL_OK) {
        return status;
    }
    int limit_ms = ctl->opt[OPT_TIMEOUT] != NULL || !wait ? ctl->timeout_ms : 3600000;
    struct lp_writer *w = client_begin(ctl, LP_DRAIN);
    lp_put_u32(w, LP_T_PE_ID, id);
    struct lp_message reply;
    char what[64];
    (void)snprintf(what, sizeof(what), "drain 0x%08x", id);
    if (!wait) {
        status =
            client_call(ctl, what, "\"rspctl pe list --local\" shows this host's elements", &reply);
    } else {
        lp_put_u32(w, LP_T_WAIT, 1);
        lp_put_u32(w, LP_T_TIMEOUT_MS, (uint32_t)limit_ms);
        if (lp_finish(w) < 0 || lp_send(&lp_calls_libc, ctl->fd, w) != 0) {
            return ctl_fail(CTL_NO_DAEMON, "cannot %s: rspd has gone", what);
        }
        status = wait_drained(ctl, id, limit_ms, &reply);
        int err = status == CTL_OK ? lp_result(&reply) : 0;
        if (err != 0) {
            struct lp_each it;
            char text[256];
            status = ctl_fail(client_status(err), "cannot %s: %s", what,
                              lp_find(&reply, LP_T_TEXT, &it) ? lp_str(&it, text, sizeof(text))
                                                              : strerror(-err));
        }
    }
    if (status == CTL_OK) {
        ctl_say(ctl, wait ? "drained 0x%08x: no connection is left" : "draining 0x%08x", id);
    }
    return status;
}

int ctl_run_pe_undrain(struct ctl *ctl)
{
    uint32_t id = 0;
    int status = client_open(ctl);
    status = status == CTL_OK ? pe_read(ctl, ctl->argv[0], &id) : status;
    if (status != CTL_OK) {
        return status;
    }
    lp_put_u32(client_begin(ctl, LP_UNDRAIN), LP_T_PE_ID, id);
    struct lp_message reply;
    status = client_call(ctl, "undrain the element",
                         "\"rspctl pe list --local\" shows this host's elements", &reply);
    if (status == CTL_OK) {
        ctl_say(ctl, "0x%08x takes clients again", id);
    }
    return status;
}
