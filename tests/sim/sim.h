/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scope on a virtual clock: the very agents and registrars of the daemon, in one process, on a
 * network that delays, partitions and heals, drops associations and loses datagrams, and on hosts
 * that crash, freeze, leave and return. One seed determines everything.
 *
 *   world.c   time: the queue of what will happen
 *   net.c     associations and datagrams between hosts
 *   host.c    one host: agent, and where it is one, registrar
 *   faults.c  what befalls the scope
 *   use.c     pool users
 *   check.c   what must hold once everything is well again
 *   main.c    schedules, seeds, figures
 *   scaling.c what all that costs on the network
 */
#ifndef RSP_TESTS_SIM_H
#define RSP_TESTS_SIM_H

#include "rspd/agent/agent.h"
#include "rspd/registrar/enrp.h"
#include "rspd/registrar/registrar.h"

#define ASAP_PORT_SIM  3863
#define ENRP_PORT_SIM  9901
#define AGENT_PORT_SIM 40000

enum endpoint { EP_AGENT, EP_ASAP, EP_ENRP, EPS };

/** One end of an association. */
struct end {
    int host;
    enum endpoint ep;
    uint64_t assoc; /* the number it has there; 0: this end knows nothing (more) of it */
    bool up;        /* that end was told so */
};

struct parcel {
    struct parcel *next;
    struct tm_us due;
    struct buffer *message; /* NULL: the association is up */
    uint32_t ppid;
};

enum link_state { LINK_FREE, LINK_OPENING, LINK_UP, LINK_DYING };

/** An association. [0] opened it; queue[i] leads to end i. */
struct link {
    enum link_state state;
    uint32_t generation;
    struct end end[2];
    struct parcel *first[2], **last[2];
    struct tm_us last_due[2];
    bool shutdown;  /* DYING in good order */
    int next_of[2]; /* lists per host */
};

struct pe {
    bool used;
    uint32_t id;
    uint16_t port;
    char handle[16];
};
#define PES_MAX 32

struct host {
    struct ip_address address;
    bool can_register; /* may be a registrar */
    bool alive, frozen;
    int group; /* partition it is in */
    uint32_t timer_generation;
    struct tm_us timer_at;
    uint64_t accepted;
    int links; /* head of its list */
    struct ag *ag;
    struct rg *rg;
    struct enrp *en;
    struct hs *hs;
    struct outbox ag_box, rg_box, en_box;
    uint32_t id;
    struct pe pes[PES_MAX];
    struct held *held; /* what arrived while it was frozen */
    struct held **held_last;
};

enum happening_kind {
    AT_LINK,  /* the next parcel for one end of a link */
    AT_DEATH, /* a link dies; arg: which end is told */
    AT_CAST,  /* a datagram reaches everybody */
    AT_TIMER, /* of a host */
    AT_FAULT, /* the next fault */
    AT_USE,   /* some host uses a pool */
    AT_THAW,
    AT_RETURN
};

struct happening {
    struct tm_us at;
    uint64_t seq;
    enum happening_kind kind;
    int a;
    uint32_t generation;
    int arg;
    struct cast *cast;
};

struct cast {
    int from;
    bool enrp;
    struct buffer *message;
};

struct config {
    uint64_t seed;
    int registrars;
    int agents;
    int pes; /* per agent, at the start */
    enum enrp_profile profile;
    bool highest_wins; /* the RFC's tie-break */
    bool statics;      /* peers are configured; else found by multicast */
    bool verbose;
    bool no_faults;
    bool daemon_times; /* registration and keep-alives as rare as the daemon's in profile lan */
    int64_t fault_ms;
    int64_t settle_ms; /* 0: by the profile */
};

/** Counted on the way. */
struct traffic {
    uint64_t messages[EPS];
    uint64_t octets[EPS];
    uint64_t casts, cast_octets;
    uint64_t announces, announce_octets; /* of them, ASAP's */
};

struct world {
    struct config config;
    struct tm_us now;
    struct rnd rnd;
    struct enrp_settings en_set;
    struct rg_settings rg_set;
    struct ag_settings ag_set;
    int64_t dead_ms; /* an association over a cut is given up */

    struct host *hosts;
    int host_count;

    struct link *links;
    int link_count, free_link;

    struct happening *heap;
    size_t heap_n, heap_size;
    uint64_t next_seq;
    uint64_t happenings;

    uint32_t loss; /* of datagrams, % */
    bool faults_on;
    uint32_t next_pe;
    struct traffic traffic;
    struct enrp_counters enrp; /* of the registrars that are gone */
    char error[512];
    uint64_t next_request;
    uint32_t asked, judged;
    struct living *living; /* of check.c */
    size_t living_count;
};

#define CHECKED(x)                                                                                 \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            sim_die(#x, __FILE__, __LINE__);                                                       \
        }                                                                                          \
    } while (0)
void sim_die(const char *what, const char *file, int line) __attribute__((noreturn));
/** With --verbose: what happens, with the time. */
void say(const struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- world.c */
void world_open(struct world *w, const struct config *config);
void world_close(struct world *w);
void world_at(struct world *w, struct tm_us at, enum happening_kind kind, int a,
              uint32_t generation, int arg, struct cast *cast);
void world_run(struct world *w, struct tm_us until);
/** Of all registrars together, those that are gone included. */
struct enrp_counters world_counters(const struct world *w);

/* --- net.c */
bool net_reaches(const struct world *w, int a, int b);
void net_connect(struct world *w, int host, enum endpoint ep, const struct action *action);
/** Takes the message. False: there is no such association. */
bool net_send(struct world *w, int host, enum endpoint ep, uint64_t assoc, uint32_t ppid,
              struct buffer *take_message);
void net_disconnect(struct world *w, int host, enum endpoint ep, uint64_t assoc, bool abort);
void net_cast(struct world *w, int host, bool enrp, struct buffer *take_message);
void net_arrive(struct world *w, int link, uint32_t generation, int end);
void net_death(struct world *w, int link, uint32_t generation, int end);
void net_cast_arrives(struct world *w, struct cast *take_cast);
/** All associations of a host (or of one endpoint) end: at once for the others, or after the time
 *  it takes to notice. */
void net_drop_all(struct world *w, int host, int ep, bool at_once, bool shutdown);
/** Some association breaks, of those that are up. */
void net_drop_one(struct world *w, int link);
/** Associations over a new cut will die unless it heals before. */
void net_cut(struct world *w);
void net_free(struct world *w);

/* --- host.c */
void host_start(struct world *w, int h);
/** Stops everything at once. */
void host_stop(struct world *w, int h);
void host_start_registrar(struct world *w, int h);
void host_stop_registrar(struct world *w, int h);
uint32_t host_add_pe(struct world *w, int h);
void host_timer(struct world *w, int h, uint32_t generation);
/** Performs what its machines want, and arms its timer. */
void host_drain(struct world *w, int h);
void host_thaw(struct world *w, int h);

/** What the network tells an endpoint; kept while the host is frozen. */
enum tell { TELL_UP, TELL_MESSAGE, TELL_DOWN, TELL_SHUTDOWN, TELL_CANT };
struct held {
    struct held *next;
    enum tell tell;
    enum endpoint ep;
    uint64_t assoc;
    int peer;
    uint16_t port;
    struct buffer *message;
};
void host_tell(struct world *w, int h, enum tell tell, enum endpoint ep, uint64_t assoc, int peer,
               uint16_t port, struct buffer *take_message);
uint16_t endpoint_port(enum endpoint ep);
bool host_has(const struct host *host, enum endpoint ep);

/* --- faults.c */
void faults_step(struct world *w);
void faults_return(struct world *w, int h);
/** Everything is well again: no cut, everybody back. */
void faults_heal(struct world *w);

/* --- use.c */
void use_step(struct world *w);
/** The agent has an answer. */
void use_resolved(struct world *w, int h, uint64_t request);
/** Users find what lives, and nothing else. */
void check_users(struct world *w);

/* --- check.c */
/** Empty w->error: everything holds. */
void check_world(struct world *w);
/** The same for one thing: every registrar knows every element that lives. */
void check_live(struct world *w);
/** Nobody corrected anything between the two. */
void check_quiet(struct world *w, const struct enrp_counters *before,
                 const struct enrp_counters *after);

#endif
