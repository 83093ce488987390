/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCTP sockets have several addresses at each end: an element registers all it is bound to, and a
 * user gives the kernel all an element has, so that the association outlives one of the networks
 * also while it is being set up. What libsctp's functions do with the kernel, without libsctp.
 */
#ifndef RSP_PRELOAD_SCTP_H
#define RSP_PRELOAD_SCTP_H

#include "preload/target.h"

/** The addresses a socket is bound to; 0: they cannot be had. */
unsigned pre_sctp_local(int fd, struct ip_address *ret, unsigned max);

/** connect() to all of an element's addresses that fit the socket; as connect(), errno set. */
int pre_sctp_connect(int fd, const struct pre_socket *s, const struct lp_pe *pe,
                     int32_t *ret_assoc);

/** Whether getsockopt() is called with these for sctp_connectx(): then its first address. */
bool pre_sctp_is_connectx(int level, int name, const void *value, const socklen_t *len,
                          const struct sockaddr **ret, socklen_t *ret_len);
/** The association that sctp_connectx() returns to the program. */
void pre_sctp_connectx_done(void *value, int32_t assoc);

#endif
