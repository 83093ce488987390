/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What other hooks need of connect.c. */
#ifndef RSP_PRELOAD_CONNECT_H
#define RSP_PRELOAD_CONNECT_H

#include <sys/socket.h>

#include "preload/fdtable.h"

/** A connection left under way has failed: reports it (once) and marks the descriptor. */
void pre_connect_failed(int fd, const struct pre_fd *record, int error);
/** A descriptor marked PRE_FD_PROGRESS is about to be closed: did its connection ever stand? */
void pre_connect_closing(int fd, const struct pre_fd *record);
/** $RSP_PEERNAME=cookie: replaces an address by the pool's cookie; false: no cookie known. */
bool pre_show_cookie(uint16_t pool, struct sockaddr *addr, socklen_t room, socklen_t *len);

#endif
