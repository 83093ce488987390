/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that speak with a registrar or a peer, with a list of tags as last argument (NULL:
 * none; unknown tags are passed over).
 */
#ifndef RSP_COMPAT_RSERPOOL_INTERNALS_H
#define RSP_COMPAT_RSERPOOL_INTERNALS_H

#include <rserpool/rserpool.h>
#include <rserpool/tagitem.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TAG_PoolElement_Identifier                (TAG_USER + 1000) /* 0: one is drawn */
#define TAG_RspSession_ConnectTimeout             (TAG_USER + 2000) /* microseconds */
#define TAG_RspSession_HandleResolutionRetryDelay (TAG_USER + 2001) /* microseconds */

/* Taken, without effect: the daemon rspd(8) has settings for these. */
#define TAG_RspLib_CacheElementTimeout       (TAG_USER + 4000)
#define TAG_RspLib_RegistrarAnnounceAddress  (TAG_USER + 4001)
#define TAG_RspLib_RegistrarAnnounceTimeout  (TAG_USER + 4002)
#define TAG_RspLib_RegistrarConnectMaxTrials (TAG_USER + 4003)
#define TAG_RspLib_RegistrarConnectTimeout   (TAG_USER + 4004)
#define TAG_RspLib_RegistrarRequestMaxTrials (TAG_USER + 4005)
#define TAG_RspLib_RegistrarRequestTimeout   (TAG_USER + 4006)
#define TAG_RspLib_RegistrarResponseTimeout  (TAG_USER + 4007)

unsigned int rsp_pe_registration_tags(const unsigned char *handle, const size_t size,
                                      struct rsp_addrinfo *info,
                                      const struct rsp_loadinfo *loadinfo,
                                      const unsigned int life_ms, const int flags,
                                      struct TagItem *tags);
unsigned int rsp_pe_deregistration_tags(const unsigned char *handle, const size_t size,
                                        const uint32_t pe_id, const int flags,
                                        struct TagItem *tags);
unsigned int rsp_pe_failure_tags(const unsigned char *handle, const size_t size,
                                 const uint32_t pe_id, struct TagItem *tags);
int rsp_getaddrinfo_tags(const unsigned char *handle, const size_t size,
                         struct rsp_addrinfo **result, const size_t items,
                         const unsigned int stale_cache_ms, struct TagItem *tags);
int rsp_register_tags(int sd, const unsigned char *handle, const size_t size,
                      const struct rsp_loadinfo *loadinfo, const unsigned int interval_ms,
                      const int flags, struct TagItem *tags);
int rsp_deregister_tags(int sd, int flags, struct TagItem *tags);
int rsp_accept_tags(int sd, int timeout, struct TagItem *tags);
int rsp_connect_tags(int sd, const unsigned char *handle, const size_t size,
                     const unsigned int stale_cache_ms, struct TagItem *tags);
int rsp_forcefailover_tags(int sd, const unsigned int flags, const unsigned int stale_cache_ms,
                           struct TagItem *tags);

#ifdef __cplusplus
}
#endif
#endif
