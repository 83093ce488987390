/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system's socket addresses, to and from ours. */
#ifndef RSP_LIBRSP_SOCKADDR_H
#define RSP_LIBRSP_SOCKADDR_H

#include <sys/socket.h>

#include "common/types.h"

/** Octets of an address of that family; 0: neither IPv4 nor IPv6. */
socklen_t sockaddr_len(const struct sockaddr *a);
/** Its IP address, IPv4 also of IPv4 mapped into IPv6; IP_NONE: NULL or of another family. */
struct ip_address sockaddr_ip(const struct sockaddr *a);
/** Sets *ret to address and port, the rest of it to zero; its length. */
socklen_t sockaddr_of(const struct ip_address *a, uint16_t port, struct sockaddr_storage *ret);

#endif
