/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface of librsplib.so.3 (rsplib 3.x, API 2.3), for programs written for that library.
 * New programs want <rsp/rsp.h>, which has the same functions without the reference library's
 * peculiarities; where this library departs from those itself, rsp(7) says so.
 *
 * A descriptor here is a real one. Timeouts are milliseconds; a negative one does not wait.
 */
#ifndef RSP_COMPAT_RSERPOOL_H
#define RSP_COMPAT_RSERPOOL_H

#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/poll.h>
#include <sys/time.h>

#include <rserpool/rserpool-csp.h>
#include <rserpool/rserpool-policytypes.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RSPLIB_VERSION  2
#define RSPLIB_REVISION 3

#define ASAP_PORT                       3863
#define ASAP_ANNOUNCE_MULTICAST_ADDRESS "239.0.0.50:3863"
#define ENRP_PORT                       9901
#define ENRP_ANNOUNCE_MULTICAST_ADDRESS "239.0.0.51:9901"

#define SESSION_SETSIZE 16384 /* sessions of a socket */

/* --- beginning and end ------------------------------------------------------------------------ */

/** A registrar given by hand; `rri_addr`: socket addresses one behind the other (packed). */
struct rsp_registrar_info {
    struct rsp_registrar_info *rri_next;
    struct sockaddr *rri_addr;
    size_t rri_addrs;
};

struct rsp_info {
    unsigned int ri_version;
    unsigned int ri_revision;
    const char *ri_build_date;
    const char *ri_build_time;

    struct rsp_registrar_info *ri_registrars;
    int ri_disable_autoconfig;
    struct sockaddr *ri_registrar_announce;
    unsigned int ri_registrar_announce_timeout;
    unsigned int ri_registrar_connect_timeout;
    unsigned int ri_registrar_connect_max_trials;
    unsigned int ri_registrar_request_timeout;
    unsigned int ri_registrar_response_timeout;
    unsigned int ri_registrar_request_max_trials;

    uint64_t ri_csp_identifier;
    struct sockaddr *ri_csp_server;
    unsigned int ri_csp_interval;
};

/** Empties `info`; CSP_SERVER and CSP_INTERVAL of the environment go in. */
void rsp_initinfo(struct rsp_info *info);
/** Frees the list of registrars. */
void rsp_freeinfo(struct rsp_info *info);
/** Takes a command line argument: 1 if it is one for this library, else 0. */
int rsp_initarg(struct rsp_info *info, const char *arg);
/** Before everything else, once; NULL: as rsp_initinfo() has it. 0, or -1 with errno. */
int rsp_initialize(struct rsp_info *info);
/** Closes what is still open. */
void rsp_cleanup(void);

/* --- basic mode ------------------------------------------------------------------------------- */

struct rsp_addrinfo {
    int ai_family;
    int ai_socktype;
    int ai_protocol;
    size_t ai_addrlen;
    size_t ai_addrs;
    struct sockaddr *ai_addr; /* packed */
    struct rsp_addrinfo *ai_next;
    uint32_t ai_pe_id;
};

/** What an element says of itself; 0xffffffff is 100 %. */
struct rsp_loadinfo {
    uint32_t rli_policy;
    uint32_t rli_weight;
    uint32_t rli_weight_dpf;
    uint32_t rli_load;
    uint32_t rli_load_degradation;
    uint32_t rli_load_dpf;
};

#define REAI_NONAME -1
#define REAI_MEMORY -2
#define REAI_SYSTEM -3
#define REAI_FAMILY -4

#define RSPGETADDRS_DEFAULT ((size_t)0)
#define RSPGETADDRS_MIN     ((size_t)1)
#define RSPGETADDRS_MAX     ((size_t)0xffffffff)

#define REGF_DONTWAIT       (1 << 0)
#define REGF_CONTROLCHANNEL (1 << 1)
#define REGF_DAEMONMODE     (1 << 2)
#define DEREGF_DONTWAIT     (1 << 0)

unsigned int rsp_pe_registration(const unsigned char *handle, const size_t size,
                                 struct rsp_addrinfo *info, const struct rsp_loadinfo *loadinfo,
                                 unsigned int life_ms, const int flags);
unsigned int rsp_pe_deregistration(const unsigned char *handle, const size_t size,
                                   const uint32_t pe_id, const int flags);
unsigned int rsp_pe_failure(const unsigned char *handle, const size_t size, const uint32_t pe_id);
int rsp_getaddrinfo(const unsigned char *handle, const size_t size, struct rsp_addrinfo **result,
                    const size_t items, const unsigned int stale_cache_ms);
void rsp_freeaddrinfo(struct rsp_addrinfo *list);

/* --- sockets ---------------------------------------------------------------------------------- */

typedef int rserpool_session_t;

struct rserpool_session_parameters {
    uint32_t sp_rto_initial;
    uint32_t sp_rto_min;
    uint32_t sp_rto_max;
    uint32_t sp_assoc_max_rxt;
    uint32_t sp_path_max_rxt;
    uint32_t sp_hbinterval;
};

int rsp_socket(int domain, int type, int protocol);
int rsp_update_session_parameters(int sd, struct rserpool_session_parameters *params);
int rsp_bind(int sd, const struct sockaddr *addrs, int addrcnt);
int rsp_listen(int sd, int backlog);
int rsp_getsockname(int sd, unsigned char *handle, size_t *size, uint32_t *pe_id);
int rsp_getpeername(int sd, unsigned char *handle, size_t *size, uint32_t *pe_id);
int rsp_close(int sd);
int rsp_poll(struct pollfd *fds, unsigned int nfds, int timeout);
int rsp_select(int n, fd_set *readfds, fd_set *writefds, fd_set *exceptfds,
               struct timeval *timeout);
int rsp_getsockopt(int sd, int level, int optname, void *optval, socklen_t *optlen);
int rsp_setsockopt(int sd, int level, int optname, const void *optval, socklen_t optlen);
/** Takes a descriptor of the system in: rsp_poll(), rsp_read() and rsp_write() then know it. */
int rsp_mapsocket(int fd, int wanted_sd);
int rsp_unmapsocket(int sd);

/* --- pool elements ---------------------------------------------------------------------------- */

int rsp_register(int sd, const unsigned char *handle, const size_t size,
                 const struct rsp_loadinfo *loadinfo, unsigned int interval_ms, int flags);
int rsp_deregister(int sd, int flags);
int rsp_accept(int sd, int timeout);

/* --- pool users ------------------------------------------------------------------------------- */

#define FFF_NONE        0
#define FFF_UNREACHABLE (1 << 0)

/** 0 also when no element could be reached: that comes as "failover necessary". */
int rsp_connect(int sd, const unsigned char *handle, const size_t size,
                const unsigned int stale_cache_ms);
int rsp_has_cookie(int sd);
/** One attempt; whether it was one is told by "failover complete". */
int rsp_forcefailover(int sd, const unsigned int flags, const unsigned int stale_cache_ms);

/* --- messages --------------------------------------------------------------------------------- */

struct rsp_sndrcvinfo {
    rserpool_session_t rinfo_session;
    uint32_t rinfo_ppid; /* network byte order; of a cookie echo 11 in the host's */
    uint32_t rinfo_pe_id;
    uint32_t rinfo_timetolive;
    uint16_t rinfo_stream;
};

#define MSG_RSERPOOL_NOTIFICATION (1 << 0)
#define MSG_RSERPOOL_COOKIE_ECHO  (1 << 1)

ssize_t rsp_sendmsg(int sd, const void *data, size_t size, unsigned int msg_flags,
                    rserpool_session_t session, uint32_t ppid, uint16_t stream, uint32_t ttl,
                    uint16_t sctp_flags, int timeout);
ssize_t rsp_send_cookie(int sd, const unsigned char *cookie, const size_t size,
                        rserpool_session_t session, int timeout);
ssize_t rsp_recvmsg(int sd, void *buffer, size_t size, struct rsp_sndrcvinfo *info, int *msg_flags,
                    int timeout);
ssize_t rsp_recvfullmsg(int sd, void *buffer, size_t size, struct rsp_sndrcvinfo *info,
                        int *msg_flags, int timeout);
ssize_t rsp_read(int sd, void *buffer, size_t size);
ssize_t rsp_recv(int sd, void *buffer, size_t size, int flags);
ssize_t rsp_write(int sd, const char *data, size_t size);
ssize_t rsp_send(int sd, const void *data, size_t size, int flags);

/* --- notifications ---------------------------------------------------------------------------- */

#define RSERPOOL_SESSION_CHANGE 1
#define RSERPOOL_FAILOVER       2
#define RSERPOOL_SHUTDOWN_EVENT 3

#define RSERPOOL_SESSION_ADD    1
#define RSERPOOL_SESSION_REMOVE 2

#define RSERPOOL_FAILOVER_NECESSARY 1
#define RSERPOOL_FAILOVER_COMPLETE  2

struct rserpool_session_change {
    uint16_t rsc_type;
    uint16_t rsc_flags;
    uint32_t rsc_length;
    unsigned int rsc_state;
    rserpool_session_t rsc_session;
};

struct rserpool_failover {
    uint16_t rf_type;
    uint16_t rf_flags;
    uint32_t rf_length;
    unsigned int rf_state;
    rserpool_session_t rf_session;
    unsigned char rf_has_cookie;
};

struct rserpool_shutdown_event {
    uint16_t rse_type;
    uint16_t rse_flags;
    uint32_t rse_length;
    rserpool_session_t rse_session;
};

union rserpool_notification {
    struct {
        uint16_t rn_type;
        uint16_t rn_flags;
        uint32_t rn_length;
    } rn_header;
    struct rserpool_session_change rn_session_change;
    struct rserpool_failover rn_failover;
    struct rserpool_shutdown_event rn_shutdown_event;
};

void rsp_print_notification(const union rserpool_notification *notification, FILE *fd);

/* --- the rest --------------------------------------------------------------------------------- */

const char *rsp_getpolicybytype(unsigned int policy);
unsigned int rsp_getpolicybyname(const char *name);
int rsp_csp_setstatus(int sd, rserpool_session_t session, const char *text);

#ifdef __cplusplus
}
#endif
#endif
