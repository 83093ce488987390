/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/sctp.h"

#include <errno.h>
#include <linux/sctp.h>
#include <stddef.h>
#include <string.h>

#include "preload/real.h"

unsigned pre_sctp_local(int fd, struct ip_address *ret, unsigned max)
{
    _Alignas(struct sctp_getaddrs) uint8_t buffer[1024];
    struct sctp_getaddrs head = {0};
    socklen_t len = sizeof(buffer);
    memset(buffer, 0, sizeof(buffer)); /* association 0: what the socket is bound to */
    if (pre_real()->getsockopt(fd, IPPROTO_SCTP, SCTP_GET_LOCAL_ADDRS, buffer, &len) != 0) {
        return 0;
    }
    memcpy(&head, buffer, sizeof(head));
    size_t at = offsetof(struct sctp_getaddrs, addrs);
    unsigned count = 0;
    for (uint32_t i = 0; i < head.addr_num && count < max; i++) {
        union pre_sockaddr a;
        size_t left = sizeof(buffer) - at;
        memcpy(&a, buffer + at, left < sizeof(a) ? left : sizeof(a));
        struct ip_address *to = &ret[count];
        *to = (struct ip_address){0};
        if (a.sa.sa_family == AF_INET && left >= sizeof(a.in)) {
            to->family = IP_V4;
            memcpy(to->octets, &a.in.sin_addr, 4);
            at += sizeof(a.in);
        } else if (a.sa.sa_family == AF_INET6 && left >= sizeof(a.in6)) {
            to->family = IP_V6;
            memcpy(to->octets, &a.in6.sin6_addr, 16);
            *to = ip_address_unmap(*to);
            at += sizeof(a.in6);
        } else {
            break;
        }
        count++;
    }
    return count;
}

int pre_sctp_connect(int fd, const struct pre_socket *s, const struct lp_pe *pe, int32_t *ret_assoc)
{
    uint8_t packed[sizeof(pe->addresses) / sizeof(pe->addresses[0]) * sizeof(struct sockaddr_in6)];
    size_t used = 0;
    for (unsigned i = 0; i < pe->address_count; i++) {
        union pre_sockaddr one;
        socklen_t len = pre_socket_fit(s, pe, i, &one);
        if (len != 0 && used + len <= sizeof(packed)) {
            memcpy(packed + used, &one, len);
            used += len;
        }
    }
    struct sctp_getaddrs_old param = {.addr_num = (int)used, .addrs = (struct sockaddr *)packed};
    socklen_t len = sizeof(param);
    int ret = pre_real()->getsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, &len);
    *ret_assoc = param.assoc_id;
    return ret;
}

bool pre_sctp_is_connectx(int level, int name, const void *value, const socklen_t *len,
                          const struct sockaddr **ret, socklen_t *ret_len)
{
    struct sctp_getaddrs_old param;
    if (level != IPPROTO_SCTP || name != SCTP_SOCKOPT_CONNECTX3 || value == NULL || len == NULL ||
        *len < sizeof(param)) {
        return false;
    }
    memcpy(&param, value, sizeof(param));
    if (param.addrs == NULL || param.addr_num < (int)sizeof(struct sockaddr_in)) {
        return false;
    }
    *ret = param.addrs;
    *ret_len = (socklen_t)param.addr_num;
    return true;
}

void pre_sctp_connectx_done(void *value, int32_t assoc)
{
    struct sctp_getaddrs_old param;
    memcpy(&param, value, sizeof(param));
    param.assoc_id = assoc;
    memcpy(value, &param, sizeof(param));
}
