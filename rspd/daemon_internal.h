/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of the daemon: daemon.c, and daemon_*.c for its sides. */
#ifndef RSP_RSPD_DAEMON_INTERNAL_H
#define RSP_RSPD_DAEMON_INTERNAL_H

#include "rspd/agent/agent.h"
#include "rspd/csp.h"
#include "rspd/daemon.h"
#include "rspd/eventlog.h"
#include "rspd/local/requests.h"
#include "rspd/registrar/enrp.h"
#include "rspd/registrar/registrar.h"
#include "rspd/role.h"
#include "transport/announce.h"
#include "transport/assoc.h"
#include "transport/hostaddr.h"

#define DAEMON_ADDRESSES_MAX 32

/** Things worth knowing, each with its place, so that a cure takes it away again. */
enum note {
    NOTE_TRANSPORT,
    NOTE_AGENT_PORT,
    NOTE_REGISTRAR_PORT,
    NOTE_MULTICAST,
    NOTE_ADDRESSES,
    NOTE_REGISTRAR,
    NOTE_ENRP_PORT,
    NOTE_ENRP_MULTICAST,
    NOTE_ENRP_ID,
    NOTE_COOKIE_KEYS,
    NOTES
};

struct daemon {
    struct settings settings;
    struct daemon_options options;
    struct loop *loop;
    struct tm_us started;
    struct tm_us wall_at; /* the round in which the wall clock was read last … */
    uint64_t wall_us;     /* … and what it said; 0: never */
    struct rnd rnd;
    struct eventlog *log;
    int lock_fd;
    bool ready, ending;
    struct loop_timer *end_timer;
    char status_line[160];

    struct outbox ag_out, rg_out, en_out;
    struct ag *ag;
    struct rg *rg;   /* NULL: no registrar */
    struct enrp *en; /* its side towards the others; NULL with rg */
    struct hs *hs;   /* the registrar's */
    uint32_t registrar_id;
    bool serving;           /* clients may come: the ASAP port is open, or was tried */
    bool restart_registrar; /* under another identifier */
    unsigned id_tries;
    struct rg_prefix allow[SETTINGS_PREFIXES_MAX], pool_allow[SETTINGS_PREFIXES_MAX];
    struct role role;
    struct loop_timer *soon, *late; /* one is armed: exact when it is near, coarse when it is far */
    bool draining_posted;
    struct csp csp;
    struct loop_timer *csp_timer;

    struct tp *tp; /* NULL: in process only */
    struct tp_endpoint *agent_ep, *registrar_ep, *enrp_ep;
    struct hostaddr *host;
    struct announce *listeners[SETTINGS_GROUPS_MAX];
    struct announce *senders[SETTINGS_GROUPS_MAX];
    struct announce *enrp_groups[SETTINGS_GROUPS_MAX]; /* while there is a registrar */
    struct ip_address addresses[DAEMON_ADDRESSES_MAX];
    size_t address_count;

    struct authority *authority;
    struct rules *rules;
    struct cookies *cookies;
    struct vault *vault;
    struct pes *pes;
    struct requests *requests;

    char notes[NOTES][STATUS_NOTE_MAX];
};

/** Sets (format NULL: takes away) a note; a new one is logged. */
void daemon_note(struct daemon *d, enum note which, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* daemon_net.c */
/** Transport, endpoints and announces, as far as they can be had. Only memory is a failure. */
int net_start(struct daemon *d);
void net_stop(struct daemon *d);
void net_open_registrar(struct daemon *d);
void net_close_registrar(struct daemon *d);
/** Whether another host could be heard: a link that takes multicast, and a socket on it. */
bool net_can_hear(const struct daemon *d);
void net_announce(struct daemon *d, const void *octets, size_t len);
const char *net_backend_name(const struct daemon *d);
/** The same for the registrar's ENRP side, while it is there. */
void enrp_net_open(struct daemon *d);
void enrp_net_close(struct daemon *d);
bool enrp_net_can_hear(const struct daemon *d);
void enrp_net_announce(struct daemon *d, const void *octets, size_t len);

/* daemon_csp.c */
int csp_side_start(struct daemon *d);
void csp_side_configure(struct daemon *d);
/** With a last report. */
void csp_side_stop(struct daemon *d);

/* daemon_machines.c */
int machines_start(struct daemon *d);
void machines_stop(struct daemon *d);
/** Carries out what the machines want, until they want nothing; arms their timer. */
void machines_drain(void *ctx);
/** Looks whether the role changes. */
void machines_role(struct daemon *d);
void machines_configure(struct daemon *d);
void machines_ag_settings(const struct settings *s, struct ag_settings *ret);

/** The registrar leaves the scope, handing over what it has; then it is stopped. */
void machines_leave(struct daemon *d);
/** Somebody wants that, for good: 0, -ENOENT, -EHOSTUNREACH as in struct requests_env. */
int machines_retire(void *ctx);

/* daemon_enrp.c */
extern const struct tp_callbacks enrp_side_callbacks;
void enrp_side_heard(void *ctx, const struct ip_address *source, uint16_t source_port,
                     const uint8_t *octets, size_t len);
/** What the settings say; id and multicast are the daemon's. */
void enrp_settings_from(const struct settings *s, struct enrp_settings *ret);
/** With the registrar, whose ASAP side and handlespace are there already. -ENOMEM. */
int enrp_side_start(struct daemon *d);
void enrp_side_stop(struct daemon *d);
/** The role is decided: joins the scope. */
void enrp_side_join(struct daemon *d);
void enrp_side_configure(struct daemon *d);
/** The host's addresses are known, or others. */
void enrp_side_addresses(struct daemon *d);
bool enrp_side_serves(const struct daemon *d);
bool enrp_side_joining(const struct daemon *d);
/** The phase may have changed. */
void enrp_side_phase(struct daemon *d);
/** For struct requests_env. */
size_t enrp_side_peers(void *ctx, struct requests_peer *ret, size_t max);
/** An event of the machine was told. */
void enrp_side_event(struct daemon *d, const struct event *event);

#endif
