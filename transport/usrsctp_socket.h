/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets of the SCTP stack in user space: made with the options we want, and asked. */
#ifndef RSP_TRANSPORT_USRSCTP_SOCKET_H
#define RSP_TRANSPORT_USRSCTP_SOCKET_H

#include "transport/assoc.h"

#include <usrsctp.h>

/** Bound and listening; `*port` 0: becomes a free one. */
int usr_socket_new(const struct tp_config *config, uint16_t *port, struct socket **ret);
/** Smoothed round trip time in milliseconds, 0: not measured yet. -ENOTCONN: no such one. */
int usr_socket_srtt(struct socket *sock, sctp_assoc_t id, uint32_t *ret);

#endif
