/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What basic mode and the accepting side share: policies and addresses for the local protocol. */
#ifndef RSP_LIBRSP_BASIC_INTERNAL_H
#define RSP_LIBRSP_BASIC_INTERNAL_H

#include <sys/socket.h>

#include <rsp/policy.h>

#include "wire/local.h"

#define SERVER_ADDRESSES 8

/** NULL or no policy: round robin. 0, or -EINVAL for a number that no policy has. */
int policy_of(const struct rsp_loadinfo *info, struct policy *ret);
/** Puts the address, unless it is the wildcard: true then. */
bool basic_put_address(struct lp_writer *w, const struct sockaddr_storage *at);
uint16_t basic_port(const struct sockaddr_storage *at);
/** The addresses of an SCTP socket (packed, at most `max`); how many. channel_sctp.c */
int sctp_local(int fd, uint8_t *out, int max);

#endif
