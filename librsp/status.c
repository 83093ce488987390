/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reports to a monitor: settings, what the process is doing, datagrams; see status.h. */
#include "librsp/status.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "librsp/server_internal.h"
#include "librsp/sockaddr.h"
#include "librsp/status_report.h"
#include "librsp/user.h"

#define INTERVAL_MIN_MS 250
#define REGISTRAR_MS    200 /* the daemon answers at once, or is not counted upon */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* before any sd's */
static struct status status;
static struct sockaddr_storage monitor;
static bool configured;
static _Atomic uint32_t interval;           /* ms */
static _Atomic int64_t next_us = INT64_MAX; /* TM_NEVER: off */

/* --- what the process is doing ------------------------------------------------------------------
 */

static void take_address(struct status_facts *facts, struct ip_address a)
{
    if (a.family != IP_NONE && facts->address_count < STATUS_ADDRESSES) {
        facts->addresses[facts->address_count++] = a;
    }
}

/** A registered socket: id, load, port; and its address if it is bound to one. */
static void look_at_element(const struct sd *sd, struct status_facts *facts)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    const struct sockaddr *a = (const struct sockaddr *)&name;
    if (!sd->server->registered || facts->element_id != 0) {
        return;
    }
    facts->element_id = sd->pe_id;
    facts->workload = sd->server->workload;
    if (getsockname(sd->server->listeners[0].fd, (struct sockaddr *)&name, &len) == 0) {
        facts->port = ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
        struct ip_address ip = sockaddr_ip(a);
        if (ip_address_scope(&ip) != IP_SCOPE_UNSPECIFIED) {
            take_address(facts, ip);
        }
    }
}

static void count_session(struct status_facts *facts, const char *text)
{
    facts->sessions++;
    memset(facts->text, 0, sizeof(facts->text));
    if (text != NULL) {
        memcpy(facts->text, text, strnlen(text, sizeof(facts->text) - 1));
    }
}

static void look_at_user(struct sd *sd, struct status_facts *facts)
{
    const struct user *u = sd->user;
    if (u->m.state == MACHINE_NEW || u->m.state == MACHINE_ENDED) {
        return;
    }
    facts->user = true;
    count_session(facts, sd->status);
    if (u->m.state == MACHINE_ACTIVE) {
        struct csp_link link = {.peer = csp_id(CSP_ELEMENT, u->current.pe_id),
                                .duration_us = (uint64_t)(now_us().us - u->since.us),
                                .protocol = u->current.protocol == TRANSPORT_SCTP ? IPPROTO_SCTP
                                                                                  : IPPROTO_TCP,
                                .ppid = u->ppid};
        status_add_link(facts, &link);
    }
}

static void look_at(struct sd *sd, void *ctx)
{
    struct status_facts *facts = (struct status_facts *)ctx;
    if (sd->kind == SD_USER) {
        look_at_user(sd, facts);
    } else if (sd->kind == SD_PEER && !sd->peer->ended) {
        count_session(facts, sd->status);
    } else if (sd->kind == SD_SERVER) {
        look_at_element(sd, facts);
        for (uint32_t i = 0, left = sd->server->used; left > 0 && i < sd->server->size; i++) {
            if (sd->server->peers[i] != NULL) {
                count_session(facts, sd->server->peers[i]->status);
                left--;
            }
        }
    }
}

/** The registrar of the daemon; 0: none, or there is no daemon. */
static uint32_t ask_registrar(void)
{
    struct rpc rpc;
    struct lp_each it;
    uint32_t id = 0;
    if (rpc_begin(&rpc, LP_STATUS) != 0) {
        return 0;
    }
    if (rpc_call(&rpc, LP_STATUS_REPLY, REGISTRAR_MS) == 0 &&
        lp_find(&rpc.reply, LP_T_HOME_ID, &it)) {
        id = lp_u32(&it, 0);
    }
    rpc_end(&rpc);
    return id;
}

static void gather(struct status_facts *facts)
{
    struct ifaddrs *list = NULL;
    facts->workload = CSP_WORKLOAD_UNKNOWN;
    (void)gethostname(facts->host, sizeof(facts->host) - 1);
    sd_each(look_at, facts);
    if (facts->address_count == 0 && getifaddrs(&list) == 0) {
        for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
            take_address(facts, sockaddr_ip(i->ifa_addr));
        }
        freeifaddrs(list);
    }
    facts->registrar_id = ask_registrar();
}

/* --- sending ------------------------------------------------------------------------------------
 */

static void send_report(const struct sockaddr_storage *to, const struct csp_report *report)
{
    uint8_t octets[CSP_OCTETS_MAX];
    int len = csp_encode(report, octets, sizeof(octets));
    int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && len > 0) {
        /* Nobody answers, and nobody need be there. */
        (void)sendto(fd, octets, (size_t)len, MSG_NOSIGNAL, (const struct sockaddr *)to,
                     sockaddr_len((const struct sockaddr *)to));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

bool status_on(void)
{
    return atomic_load_explicit(&next_us, memory_order_relaxed) != TM_NEVER.us;
}

/** One report at a time, so that the final one is the last; `wait`: for another one's end. */
static void report(bool wait)
{
    struct status_facts facts = {0};
    struct csp_report made;
    int error = errno;
    int cancel;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    if ((wait ? pthread_mutex_lock(&mutex) : pthread_mutex_trylock(&mutex)) == 0) {
        gather(&facts);
        if (status_on() && status_make(&status, &facts, now_us(), &made)) {
            send_report(&monitor, &made);
        }
        (void)pthread_mutex_unlock(&mutex);
    }
    (void)pthread_setcancelstate(cancel, NULL);
    errno = error;
}

void status_now(void)
{
    int64_t then = tm_add_ms(now_us(), atomic_load(&interval)).us;
    int64_t due_us = atomic_load(&next_us);
    while (due_us != TM_NEVER.us && !atomic_compare_exchange_weak(&next_us, &due_us, then)) {
    }
    if (due_us != TM_NEVER.us) {
        report(true);
    }
}

void status_tick(void)
{
    if (!status_on()) {
        return;
    }
    struct tm_us now = now_us();
    int64_t then = tm_add_ms(now, atomic_load(&interval)).us;
    int64_t due_us = atomic_load(&next_us);
    /* One thread of those that come now: the one that moves the time of the next. */
    if (due_us != TM_NEVER.us && tm_due((struct tm_us){due_us}, now) &&
        atomic_compare_exchange_strong(&next_us, &due_us, then)) {
        report(false);
    }
}

int status_patience_ms(void)
{
    int ms = status_on() ? time_left_ms((struct tm_us){atomic_load(&next_us)}, INT32_MAX) : -1;
    return ms == 0 ? 1 : ms;
}

/* --- settings -----------------------------------------------------------------------------------
 */

static void configure(const struct sockaddr *server, unsigned interval_ms, uint64_t id)
{
    struct csp_report report;
    (void)pthread_mutex_lock(&mutex);
    if (status_last(&status, now_us(), &report)) {
        send_report(&monitor, &report);
    }
    bool on = server != NULL && interval_ms > 0;
    status = (struct status){.id = id, .interval_ms = interval_ms};
    (void)!getrandom(&status.user_id, sizeof(status.user_id), 0);
    if (on) {
        memset(&monitor, 0, sizeof(monitor));
        memcpy(&monitor, server, sockaddr_len(server));
    }
    configured = true;
    atomic_store(&interval, interval_ms);
    atomic_store(&next_us, on ? 0 : TM_NEVER.us);
    (void)pthread_mutex_unlock(&mutex);
}

RSP_PUBLIC int rsp_csp_configure(const struct sockaddr *server, unsigned int interval_ms,
                                 uint64_t id)
{
    if (server != NULL && sockaddr_len(server) == 0) {
        return rsp_ret(-EAFNOSUPPORT);
    }
    configure(server, interval_ms, id);
    return 0;
}

/** "address:port", "[v6]:port"; false: something else. */
static bool read_monitor(const char *text, struct sockaddr_storage *ret)
{
    char host[IP_ADDRESS_TEXT_MAX + 2];
    struct ip_address ip;
    char *end = NULL;
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    size_t skip = len > 2 && text[0] == '[' && text[len - 1] == ']' ? 1 : 0;
    unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
    if (len == 0 || len >= sizeof(host) || port == 0 || port > UINT16_MAX || *end != '\0') {
        return false;
    }
    memcpy(host, text + skip, len - 2 * skip);
    host[len - 2 * skip] = '\0';
    if (ip_address_parse(host, &ip) != 0 || (skip == 1) != (ip.family == IP_V6)) {
        return false;
    }
    (void)sockaddr_of(&ip, (uint16_t)port, ret);
    return true;
}

void status_from_environment(void)
{
    struct sockaddr_storage server;
    const char *text = getenv("CSP_SERVER");
    const char *every = getenv("CSP_INTERVAL");
    unsigned long ms = every != NULL ? strtoul(every, NULL, 10) : 0;
    (void)pthread_mutex_lock(&mutex);
    bool said = configured;
    (void)pthread_mutex_unlock(&mutex);
    if (!said && text != NULL && ms > 0 && ms <= INT32_MAX && read_monitor(text, &server)) {
        configure((const struct sockaddr *)&server,
                  ms > INTERVAL_MIN_MS ? (unsigned)ms : INTERVAL_MIN_MS, 0);
    }
}

void status_child(void)
{
    (void)pthread_mutex_init(&mutex, NULL);
    status = (struct status){0};
    atomic_store(&next_us, TM_NEVER.us);
}

RSP_PUBLIC int rsp_csp_setstatus(int fd, rserpool_session_t session, const char *text)
{
    struct sd *sd = text != NULL ? sd_get(fd) : NULL;
    if (sd == NULL) {
        return rsp_ret(text == NULL ? -EINVAL : -EBADF);
    }
    bool many = sd->kind == SD_SERVER && session != 0;
    struct peer *peer = many && sd->type == SOCK_SEQPACKET ? server_peer(sd, session) : NULL;
    char *copy = strndup(text, CSP_TEXT_MAX - 1);
    int r = copy == NULL ? -ENOMEM : many && peer == NULL ? -EBADF : 0;
    if (r == 0) {
        char **at = peer != NULL ? &peer->status : &sd->status;
        free(*at);
        *at = copy;
        copy = NULL;
    }
    free(copy);
    sd_put(sd);
    status_tick();
    return rsp_ret(r);
}
