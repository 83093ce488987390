/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's side towards other hosts: SCTP endpoints, announces, the host's addresses. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rspd/daemon_internal.h"
#include "transport/sockdiag.h"
#include "wire/asap.h"
#include "wire/enrp.h"

/* --- by whom is a port taken? --------------------------------------------------------------------
 */

struct port_search {
    uint16_t port;
    uint32_t inode, uid;
};

static bool on_port(void *ctx, const struct diag_socket *s)
{
    struct port_search *search = (struct port_search *)ctx;
    if (s->local_port != search->port) {
        return true;
    }
    search->inode = s->inode;
    search->uid = s->uid;
    return false;
}

/** Whether process `pid` holds the socket. */
static bool holds(const char *pid, uint32_t inode)
{
    char path[64];
    char link[300];
    char wanted[40];
    bool found = false;
    (void)snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
    (void)snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return false;
    }
    const struct dirent *entry;
    while (!found && (entry = readdir(dir)) != NULL) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
        found = n > 0 && (size_t)n == strlen(wanted) && memcmp(link, wanted, (size_t)n) == 0;
    }
    (void)closedir(dir);
    return found;
}

/** "pid 17 (name)", "user 33", or "somebody". */
static const char *port_owner(enum transport_protocol protocol, uint16_t port, char *out,
                              size_t size)
{
    struct port_search search = {.port = port};
    (void)snprintf(out, size, "somebody");
    if (diag_listeners(protocol, on_port, &search) != 0 || search.inode == 0) {
        return out;
    }
    (void)snprintf(out, size, "a process of user %u", search.uid);
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return out;
    }
    const struct dirent *entry;
    while ((entry = readdir(proc)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            !holds(entry->d_name, search.inode)) {
            continue;
        }
        char path[64];
        char name[32] = "?";
        (void)snprintf(path, sizeof(path), "/proc/%.16s/comm", entry->d_name);
        FILE *comm = fopen(path, "re");
        if (comm != NULL) {
            if (fgets(name, sizeof(name), comm) != NULL) {
                name[strcspn(name, "\n")] = '\0';
            }
            (void)fclose(comm);
        }
        (void)snprintf(out, size, "pid %.16s (%s)", entry->d_name, name);
        break;
    }
    (void)closedir(proc);
    return out;
}

/* --- associations --------------------------------------------------------------------------------
 */

static void agent_up(void *ctx, uint64_t assoc, const struct ip_address *peers, size_t count,
                     uint16_t port)
{
    struct daemon *d = (struct daemon *)ctx;
    struct tp_path path;
    d->ag_out.cause = 0;
    if (tp_path(d->agent_ep, assoc, &path) == 0) {
        ag_assoc_source(d->ag, assoc, &path.source);
    }
    ag_assoc_up(d->ag, assoc, peers, count, port, loop_now(d->loop));
}

static void agent_down(void *ctx, uint64_t assoc, enum tp_down reason)
{
    struct daemon *d = (struct daemon *)ctx;
    (void)reason;
    d->ag_out.cause = 0;
    ag_assoc_down(d->ag, assoc, loop_now(d->loop));
}

static void agent_message(void *ctx, uint64_t assoc, uint32_t ppid, const uint8_t *octets,
                          size_t len)
{
    struct daemon *d = (struct daemon *)ctx;
    d->ag_out.cause = 0;
    if (ppid == ASAP_PPID) {
        ag_message(d->ag, assoc, octets, len, loop_now(d->loop));
    } else if (ppid == ENRP_PPID) { /* T-10; any other number is ignored */
        tp_disconnect(d->agent_ep, assoc, true);
        ag_assoc_down(d->ag, assoc, loop_now(d->loop));
    }
}

static void registrar_up(void *ctx, uint64_t assoc, const struct ip_address *peers, size_t count,
                         uint16_t port)
{
    struct daemon *d = (struct daemon *)ctx;
    struct tp_path path;
    if (d->rg != NULL) {
        d->rg_out.cause = 0;
        rg_assoc_up(d->rg, assoc, peers, count, port, loop_now(d->loop));
        if (tp_path(d->registrar_ep, assoc, &path) == 0 && path.encapsulated) {
            rg_assoc_shows_one(d->rg, assoc);
        }
    }
}

static void registrar_down(void *ctx, uint64_t assoc, enum tp_down reason)
{
    struct daemon *d = (struct daemon *)ctx;
    (void)reason;
    if (d->rg != NULL) {
        d->rg_out.cause = 0;
        rg_assoc_down(d->rg, assoc, loop_now(d->loop));
    }
}

static void registrar_message(void *ctx, uint64_t assoc, uint32_t ppid, const uint8_t *octets,
                              size_t len)
{
    struct daemon *d = (struct daemon *)ctx;
    if (d->rg == NULL) {
        return;
    }
    d->rg_out.cause = 0;
    if (ppid == ASAP_PPID) {
        rg_message(d->rg, assoc, octets, len, loop_now(d->loop));
    } else if (ppid == ENRP_PPID) { /* T-10 */
        tp_disconnect(d->registrar_ep, assoc, true);
        rg_assoc_down(d->rg, assoc, loop_now(d->loop));
    }
}

void net_open_registrar(struct daemon *d)
{
    static const struct tp_callbacks CALLBACKS = {
        .up = registrar_up, .down = registrar_down, .message = registrar_message};
    char owner[96];
    uint16_t port = (uint16_t)d->settings.asap_port;
    if (d->tp == NULL || d->registrar_ep != NULL) {
        return;
    }
    int r = tp_open(d->tp, NULL, 0, port, &CALLBACKS, d, &d->registrar_ep);
    if (r == 0) {
        daemon_note(d, NOTE_REGISTRAR_PORT, NULL);
        return;
    }
    d->registrar_ep = NULL;
    daemon_note(d, NOTE_REGISTRAR_PORT,
                "registrar for this host only: SCTP port %u cannot be had: %s%s%s", port,
                strerror(-r), r == -EADDRINUSE ? ", taken by " : "",
                r == -EADDRINUSE ? port_owner(TRANSPORT_SCTP, port, owner, sizeof(owner)) : "");
}

void net_close_registrar(struct daemon *d)
{
    tp_close(d->registrar_ep);
    d->registrar_ep = NULL;
    daemon_note(d, NOTE_REGISTRAR_PORT, NULL);
}

/* --- among registrars ----------------------------------------------------------------------------
 */

static void open_enrp_groups(struct daemon *d)
{
    const struct settings *s = &d->settings;
    char text[IP_ADDRESS_TEXT_MAX];
    for (uint8_t i = 0; i < s->enrp_groups.count; i++) {
        const struct ip_address *group = &s->enrp_groups.items[i];
        int r = announce_new(d->loop, d->host, group, (uint16_t)s->enrp_announce_port,
                             i == 0 ? (uint16_t)s->enrp_port : 0, enrp_side_heard, d,
                             &d->enrp_groups[i]);
        if (r != 0) {
            d->enrp_groups[i] = NULL;
            daemon_note(
                d, NOTE_ENRP_MULTICAST, "registrars announced to %s port %u cannot be heard: %s",
                ip_address_format(group, text, sizeof(text)), s->enrp_announce_port, strerror(-r));
        }
    }
}

void enrp_net_open(struct daemon *d)
{
    char owner[96];
    uint16_t port = (uint16_t)d->settings.enrp_port;
    if (d->tp == NULL || d->agent_ep == NULL || d->enrp_ep != NULL) {
        return; /* others could not reach the elements either */
    }
    int r = tp_open(d->tp, NULL, 0, port, &enrp_side_callbacks, d, &d->enrp_ep);
    if (r == 0) {
        daemon_note(d, NOTE_ENRP_PORT, NULL);
        open_enrp_groups(d);
        return;
    }
    d->enrp_ep = NULL;
    daemon_note(d, NOTE_ENRP_PORT,
                "registrar that shares with no other: SCTP port %u cannot be had: %s%s%s", port,
                strerror(-r), r == -EADDRINUSE ? ", taken by " : "",
                r == -EADDRINUSE ? port_owner(TRANSPORT_SCTP, port, owner, sizeof(owner)) : "");
}

void enrp_net_close(struct daemon *d)
{
    for (size_t i = 0; i < SETTINGS_GROUPS_MAX; i++) {
        announce_free(d->enrp_groups[i]);
        d->enrp_groups[i] = NULL;
    }
    tp_close(d->enrp_ep);
    d->enrp_ep = NULL;
    daemon_note(d, NOTE_ENRP_PORT, NULL);
    daemon_note(d, NOTE_ENRP_MULTICAST, NULL);
    daemon_note(d, NOTE_ENRP_ID, NULL);
}

void enrp_net_announce(struct daemon *d, const void *octets, size_t len)
{
    if (d->enrp_groups[0] != NULL) {
        (void)announce_send(d->enrp_groups[0], octets, len); /* the next one follows soon */
    }
}

static void open_agent(struct daemon *d)
{
    static const struct tp_callbacks CALLBACKS = {
        .up = agent_up, .down = agent_down, .message = agent_message};
    int r = tp_open(d->tp, NULL, 0, 0, &CALLBACKS, d, &d->agent_ep);
    if (r != 0) {
        d->agent_ep = NULL;
        daemon_note(d, NOTE_AGENT_PORT, "registrars of other hosts cannot be reached: SCTP: %s",
                    strerror(-r));
    }
}

static void start_transport(struct daemon *d)
{
    const struct settings *s = &d->settings;
    struct tp_config config;
    char error[STATUS_NOTE_MAX] = "";
    char owner[96];
    if (s->transport == SETTINGS_TRANSPORT_NONE) {
        daemon_note(d, NOTE_TRANSPORT, "this host only: Network.Transport is none");
        return;
    }
    tp_config_default(&config);
    config.backend = s->transport == SETTINGS_TRANSPORT_KERNEL    ? TP_KERNEL
                     : s->transport == SETTINGS_TRANSPORT_USRSCTP ? TP_USRSCTP
                                                                  : TP_AUTO;
    config.udp_port = (uint16_t)s->udp_port;
    config.encapsulate = s->encapsulate != 0;
    config.bind = s->bind;
    config.rto_initial_ms = s->rto_initial_ms;
    config.rto_min_ms = s->rto_min_ms;
    config.rto_max_ms = s->rto_max_ms;
    config.heartbeat_ms = s->heartbeat_ms;
    config.path_max_retrans = s->path_max_retrans;
    config.assoc_max_retrans = s->assoc_max_retrans;
    config.max_init_retrans = s->max_init_retrans;
    config.max_init_timeout_ms = s->max_init_timeout_ms;
    int r = tp_new(d->loop, &config, &d->tp, error, sizeof(error));
    if (r != 0) {
        d->tp = NULL;
        daemon_note(d, NOTE_TRANSPORT, "this host only, no other can be reached: %s%s%s",
                    error[0] != '\0' ? error : strerror(-r), r == -EADDRINUSE ? "; taken by " : "",
                    r == -EADDRINUSE
                        ? port_owner(TRANSPORT_UDP, (uint16_t)s->udp_port, owner, sizeof(owner))
                        : "");
        return;
    }
    open_agent(d);
}

const char *net_backend_name(const struct daemon *d)
{
    if (d->tp == NULL) {
        return "none";
    }
    return tp_backend(d->tp) == TP_KERNEL ? "kernel" : "usrsctp";
}

/* --- announces -----------------------------------------------------------------------------------
 */

static void on_announce(void *ctx, const struct ip_address *source, uint16_t source_port,
                        const uint8_t *octets, size_t len)
{
    struct daemon *d = (struct daemon *)ctx;
    d->ag_out.cause = 0;
    ag_announce(d->ag, source, source_port, octets, len, loop_now(d->loop));
}

static bool in_list(const struct settings_groups *list, const struct ip_address *group)
{
    for (uint8_t i = 0; i < list->count; i++) {
        if (ip_address_equal(&list->items[i], group)) {
            return true;
        }
    }
    return false;
}

static void start_announces(struct daemon *d)
{
    const struct settings *s = &d->settings;
    char text[IP_ADDRESS_TEXT_MAX];
    if (d->tp == NULL) {
        return; /* nobody could be reached, nor reach us */
    }
    for (uint8_t i = 0; i < s->announce_groups.count; i++) {
        const struct ip_address *group = &s->announce_groups.items[i];
        int r = announce_new(d->loop, d->host, group, (uint16_t)s->announce_port,
                             in_list(&s->announce_send, group) ? (uint16_t)s->asap_port : 0,
                             on_announce, d, &d->listeners[i]);
        if (r != 0) {
            d->listeners[i] = NULL;
            daemon_note(d, NOTE_MULTICAST, "announces to %s port %u cannot be heard or sent: %s",
                        ip_address_format(group, text, sizeof(text)), s->announce_port,
                        strerror(-r));
        }
    }
    for (uint8_t i = 0; i < s->announce_send.count; i++) {
        const struct ip_address *group = &s->announce_send.items[i];
        if (in_list(&s->announce_groups, group)) {
            continue; /* its listener sends, too */
        }
        int r = announce_new(d->loop, d->host, group, (uint16_t)s->announce_port,
                             (uint16_t)s->asap_port, NULL, NULL, &d->senders[i]);
        if (r != 0) {
            d->senders[i] = NULL;
            daemon_note(d, NOTE_MULTICAST, "announces to %s port %u cannot be sent: %s",
                        ip_address_format(group, text, sizeof(text)), s->announce_port,
                        strerror(-r));
        }
    }
}

void net_announce(struct daemon *d, const void *octets, size_t len)
{
    const struct settings *s = &d->settings;
    for (uint8_t i = 0; i < s->announce_groups.count; i++) {
        if (d->listeners[i] != NULL && in_list(&s->announce_send, &s->announce_groups.items[i])) {
            (void)announce_send(d->listeners[i], octets, len); /* the next one follows soon */
        }
    }
    for (uint8_t i = 0; i < s->announce_send.count; i++) {
        if (d->senders[i] != NULL) {
            (void)announce_send(d->senders[i], octets, len);
        }
    }
}

/** One of them is there, and a link that it can hear others on. */
static bool can_hear(const struct daemon *d, struct announce *const *groups)
{
    const struct host_link *links;
    size_t n = hostaddr_links(d->host, &links);
    bool listening = false;
    for (size_t i = 0; i < SETTINGS_GROUPS_MAX; i++) {
        listening = listening || groups[i] != NULL;
    }
    for (size_t i = 0; i < n && listening; i++) {
        if (!links[i].loopback && links[i].multicast) {
            return true;
        }
    }
    return false;
}

bool net_can_hear(const struct daemon *d)
{
    return can_hear(d, d->listeners);
}

bool enrp_net_can_hear(const struct daemon *d)
{
    return can_hear(d, d->enrp_groups);
}

/* --- addresses -----------------------------------------------------------------------------------
 */

/** Best first: greater scope, lasting before temporary, IPv4 before IPv6; loopback comes last. */
static int address_order(const void *a, const void *b)
{
    const struct host_address *x = (const struct host_address *)a;
    const struct host_address *y = (const struct host_address *)b;
    int scope = (int)ip_address_scope(&y->address) - (int)ip_address_scope(&x->address);
    if (scope != 0) {
        return scope;
    }
    if (x->temporary != y->temporary) {
        return x->temporary ? 1 : -1;
    }
    if (x->address.family != y->address.family) {
        return x->address.family == IP_V4 ? -1 : 1;
    }
    return memcmp(x->address.octets, y->address.octets, sizeof(x->address.octets));
}

static void read_addresses(struct daemon *d)
{
    const struct host_address *all;
    size_t n = hostaddr_addresses(d->host, &all);
    struct host_address *sorted = (struct host_address *)calloc(n > 0 ? n : 1, sizeof(*sorted));
    size_t used = 0;
    bool others = false;
    if (sorted == NULL) {
        return; /* the old ones stay until the next change */
    }
    for (size_t i = 0; i < n; i++) {
        enum ip_scope scope = ip_address_scope(&all[i].address);
        bool loopback = scope == IP_SCOPE_LOOPBACK;
        if (loopback || (scope != IP_SCOPE_LINK_LOCAL && scope >= d->settings.minimum_scope)) {
            sorted[used++] = all[i];
            others = others || !loopback;
        }
    }
    qsort(sorted, used, sizeof(*sorted), address_order);
    d->address_count = used < DAEMON_ADDRESSES_MAX ? used : DAEMON_ADDRESSES_MAX;
    for (size_t i = 0; i < d->address_count; i++) {
        d->addresses[i] = sorted[i].address;
    }
    free(sorted);
    if (others) {
        daemon_note(d, NOTE_ADDRESSES, NULL);
    } else {
        daemon_note(d, NOTE_ADDRESSES,
                    "this host has no address%s%s but loopback: its elements serve this host only",
                    d->settings.interfaces[0] != '\0' ? " on " : "", d->settings.interfaces);
    }
}

static void on_addresses(void *ctx)
{
    struct daemon *d = (struct daemon *)ctx;
    read_addresses(d);
    d->ag_out.cause = 0;
    ag_host_addresses(d->ag, d->addresses, d->address_count, loop_now(d->loop));
    enrp_side_addresses(d);
    machines_configure(d); /* there may be somebody to hear announces now */
    machines_role(d);
}

/* --- beginning and end ---------------------------------------------------------------------------
 */

int net_start(struct daemon *d)
{
    int r = hostaddr_new(d->loop, d->settings.interfaces, &d->host);
    if (r != 0) {
        return r;
    }
    r = hostaddr_on_change(d->host, on_addresses, d);
    if (r != 0) {
        return r;
    }
    read_addresses(d);
    start_transport(d);
    start_announces(d);
    return 0;
}

void net_stop(struct daemon *d)
{
    for (size_t i = 0; i < SETTINGS_GROUPS_MAX; i++) {
        if (d->listeners[i] != NULL) {
            announce_free(d->listeners[i]);
        }
        if (d->senders[i] != NULL) {
            announce_free(d->senders[i]);
        }
    }
    for (size_t i = 0; i < SETTINGS_GROUPS_MAX; i++) {
        announce_free(d->enrp_groups[i]);
    }
    tp_close(d->enrp_ep);
    tp_close(d->registrar_ep);
    tp_close(d->agent_ep);
    tp_free(d->tp);
    if (d->host != NULL) {
        hostaddr_free(d->host);
    }
}
