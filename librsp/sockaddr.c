/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sockaddr.h. */
#include "librsp/sockaddr.h"

#include <netinet/in.h>
#include <string.h>

socklen_t sockaddr_len(const struct sockaddr *a)
{
    return a->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
           : a->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                      : 0;
}

struct ip_address sockaddr_ip(const struct sockaddr *a)
{
    struct ip_address ip = {.family = IP_NONE};
    if (a != NULL && a->sa_family == AF_INET) {
        ip.family = IP_V4;
        memcpy(ip.octets, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
    } else if (a != NULL && a->sa_family == AF_INET6) {
        ip.family = IP_V6;
        memcpy(ip.octets, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
    }
    return ip_address_unmap(ip);
}

socklen_t sockaddr_of(const struct ip_address *a, uint16_t port, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (a->family == IP_V4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, a->octets, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, a->octets, 16);
    return sizeof(*in6);
}
