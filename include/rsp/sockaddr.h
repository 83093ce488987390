/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The magic address family. Programs that know of it give a pool handle wherever a socket address
 * is taken; librsp_preload.so turns it into the address of a pool element. Without the library the
 * kernel answers EAFNOSUPPORT.
 */
#ifndef RSP_SOCKADDR_H
#define RSP_SOCKADDR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AF_RSP 0x5250
#define PF_RSP AF_RSP

#define RSP_SOCKADDR_HANDLE_MAX 116

/** Same size as struct sockaddr_storage; an address length of 12 + handle_len is enough. */
struct sockaddr_rsp {
    uint16_t srsp_family;     /* AF_RSP, host order like every family */
    uint16_t srsp_port;       /* network order; 0: the pool element's (connect), any (bind) */
    uint32_t srsp_pe_id;      /* network order; 0: any element */
    uint16_t srsp_flags;      /* 0 */
    uint16_t srsp_handle_len; /* network order */
    uint8_t srsp_handle[RSP_SOCKADDR_HANDLE_MAX];
};

#ifdef __cplusplus
}
#endif
#endif
