/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * librsp/compat/ - the drop-in for the reference library's librsplib.so.3: the interface of
 * include/rsp-compat/rserpool/ on top of the very code of librsp, which is compiled a second time
 * with other names (rename.h). What differs between the two interfaces is done here: explicit
 * failover, timeouts, descriptors of the system, tags, options of the command line.
 *
 * core.h declares librsp under these names, for files that cannot include <rsp/rsp.h> because they
 * have the reference header, with structures of the same names. core_check.c compares.
 */
#ifndef RSP_LIBRSP_COMPAT_CORE_H
#define RSP_LIBRSP_COMPAT_CORE_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>

struct rsp_addrinfo;
struct rsp_loadinfo;
struct rsp_sndrcvinfo;
struct rserpool_session_parameters;
union rserpool_notification;

/** Options of <rsp/session.h>. */
enum core_option {
    CORE_LEVEL = 0x5250,
    CORE_AUTO_FAILOVER = 1,
    CORE_NOTIFICATIONS = 2,
    CORE_CONNECT_TIMEOUT = 4,
    CORE_REPLAY = 9,
    CORE_PE_ID = 14
};

unsigned int rspcore_pe_registration(const unsigned char *handle, size_t size,
                                     struct rsp_addrinfo *info, const struct rsp_loadinfo *loadinfo,
                                     unsigned int life_ms, int flags);
unsigned int rspcore_pe_deregistration(const unsigned char *handle, size_t size, uint32_t pe_id,
                                       int flags);
unsigned int rspcore_pe_failure(const unsigned char *handle, size_t size, uint32_t pe_id);
int rspcore_getaddrinfo(const unsigned char *handle, size_t size, struct rsp_addrinfo **result,
                        size_t items, unsigned int stale_cache_ms);
void rspcore_freeaddrinfo(struct rsp_addrinfo *list);

int rspcore_socket(int domain, int type, int protocol);
int rspcore_bind(int sd, const struct sockaddr *addrs, int addrcnt);
int rspcore_listen(int sd, int backlog);
int rspcore_close(int sd);
int rspcore_getsockname(int sd, unsigned char *handle, size_t *size, uint32_t *pe_id);
int rspcore_getpeername(int sd, unsigned char *handle, size_t *size, uint32_t *pe_id);
int rspcore_poll(struct pollfd *fds, unsigned int nfds, int timeout);
int rspcore_getsockopt(int sd, int level, int name, void *value, socklen_t *len);
int rspcore_setsockopt(int sd, int level, int name, const void *value, socklen_t len);
int rspcore_update_session_parameters(int sd, struct rserpool_session_parameters *parameters);
int rspcore_register(int sd, const unsigned char *handle, size_t size,
                     const struct rsp_loadinfo *loadinfo, unsigned int interval_ms, int flags);
int rspcore_deregister(int sd, int flags);
int rspcore_accept(int sd, int timeout);
int rspcore_connect(int sd, const unsigned char *handle, size_t size, unsigned int stale_cache_ms);
int rspcore_forcefailover(int sd, unsigned int flags, unsigned int stale_cache_ms);
int rspcore_has_cookie(int sd);
ssize_t rspcore_sendmsg(int sd, const void *data, size_t size, unsigned int msg_flags, int session,
                        uint32_t ppid, uint16_t stream, uint32_t ttl, uint16_t sctp_flags,
                        int timeout);
ssize_t rspcore_recvmsg(int sd, void *buffer, size_t size, struct rsp_sndrcvinfo *info,
                        int *msg_flags, int timeout);
ssize_t rspcore_send_cookie(int sd, const unsigned char *cookie, size_t size, int session,
                            int timeout);
int rspcore_csp_configure(const struct sockaddr *server, unsigned int interval_ms, uint64_t id);
int rspcore_csp_setstatus(int sd, int session, const char *text);
const char *rspcore_getpolicybytype(unsigned int policy);
unsigned int rspcore_getpolicybyname(const char *name);

#endif
