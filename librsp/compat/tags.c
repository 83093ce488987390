/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions with a list of tags, and basic mode, which is the same in both interfaces. */
#include "librsp/compat/compat.h"

/** The next item that says something; NULL: the end. */
static const struct TagItem *next_item(const struct TagItem *item)
{
    while (item != NULL && item->Tag < TAG_USER) {
        switch (item->Tag) {
        case TAG_DONE:
            return NULL;
        case TAG_MORE:
            item = (const struct TagItem *)item->Data;
            break;
        case TAG_SKIP:
            item += item->Data + 1;
            break;
        default: /* TAG_IGNORE and what is not known */
            item++;
            break;
        }
    }
    return item;
}

static tagdata_t tag_value(const struct TagItem *tags, tag_t tag, tagdata_t fallback)
{
    for (const struct TagItem *item = next_item(tags); item != NULL; item = next_item(item + 1)) {
        if (item->Tag == tag) {
            return item->Data;
        }
    }
    return fallback;
}

/* --- basic mode ---------------------------------------------------------------------------------
 */

COMPAT_PUBLIC unsigned int rsp_pe_registration(const unsigned char *handle, const size_t size,
                                               struct rsp_addrinfo *info,
                                               const struct rsp_loadinfo *loadinfo,
                                               unsigned int life_ms, const int flags)
{
    return rspcore_pe_registration(handle, size, info, loadinfo, life_ms, flags);
}

COMPAT_PUBLIC unsigned int rsp_pe_registration_tags(const unsigned char *handle, const size_t size,
                                                    struct rsp_addrinfo *info,
                                                    const struct rsp_loadinfo *loadinfo,
                                                    const unsigned int life_ms, const int flags,
                                                    struct TagItem *tags)
{
    (void)tags;
    return rspcore_pe_registration(handle, size, info, loadinfo, life_ms, flags);
}

COMPAT_PUBLIC unsigned int rsp_pe_deregistration(const unsigned char *handle, const size_t size,
                                                 const uint32_t pe_id, const int flags)
{
    return rspcore_pe_deregistration(handle, size, pe_id, flags);
}

COMPAT_PUBLIC unsigned int rsp_pe_deregistration_tags(const unsigned char *handle,
                                                      const size_t size, const uint32_t pe_id,
                                                      const int flags, struct TagItem *tags)
{
    (void)tags;
    return rspcore_pe_deregistration(handle, size, pe_id, flags);
}

COMPAT_PUBLIC unsigned int rsp_pe_failure(const unsigned char *handle, const size_t size,
                                          const uint32_t pe_id)
{
    return rspcore_pe_failure(handle, size, pe_id);
}

COMPAT_PUBLIC unsigned int rsp_pe_failure_tags(const unsigned char *handle, const size_t size,
                                               const uint32_t pe_id, struct TagItem *tags)
{
    (void)tags;
    return rspcore_pe_failure(handle, size, pe_id);
}

COMPAT_PUBLIC int rsp_getaddrinfo(const unsigned char *handle, const size_t size,
                                  struct rsp_addrinfo **result, const size_t items,
                                  const unsigned int stale_cache_ms)
{
    return rspcore_getaddrinfo(handle, size, result, items, stale_cache_ms);
}

COMPAT_PUBLIC int rsp_getaddrinfo_tags(const unsigned char *handle, const size_t size,
                                       struct rsp_addrinfo **result, const size_t items,
                                       const unsigned int stale_cache_ms, struct TagItem *tags)
{
    (void)tags;
    return rspcore_getaddrinfo(handle, size, result, items, stale_cache_ms);
}

COMPAT_PUBLIC void rsp_freeaddrinfo(struct rsp_addrinfo *list)
{
    rspcore_freeaddrinfo(list);
}

/* --- enhanced mode ------------------------------------------------------------------------------
 */

COMPAT_PUBLIC int rsp_register_tags(int sd, const unsigned char *handle, const size_t size,
                                    const struct rsp_loadinfo *loadinfo,
                                    const unsigned int interval_ms, const int flags,
                                    struct TagItem *tags)
{
    int id = (int)tag_value(tags, TAG_PoolElement_Identifier, 0);
    if (id != 0 && rspcore_getsockname(sd, NULL, NULL, NULL) != 0) {
        (void)rspcore_setsockopt(sd, CORE_LEVEL, CORE_PE_ID, &id, sizeof(id));
    }
    return rsp_register(sd, handle, size, loadinfo, interval_ms, flags);
}

COMPAT_PUBLIC int rsp_deregister_tags(int sd, int flags, struct TagItem *tags)
{
    (void)tags;
    return rsp_deregister(sd, flags);
}

COMPAT_PUBLIC int rsp_accept_tags(int sd, int timeout, struct TagItem *tags)
{
    (void)tags;
    return rsp_accept(sd, timeout);
}

COMPAT_PUBLIC int rsp_connect_tags(int sd, const unsigned char *handle, const size_t size,
                                   const unsigned int stale_cache_ms, struct TagItem *tags)
{
    return compat_connect(sd, handle, size, stale_cache_ms,
                          tag_value(tags, TAG_RspSession_ConnectTimeout, 0));
}

COMPAT_PUBLIC int rsp_forcefailover_tags(int sd, const unsigned int flags,
                                         const unsigned int stale_cache_ms, struct TagItem *tags)
{
    return compat_failover(sd, flags, stale_cache_ms,
                           tag_value(tags, TAG_RspSession_ConnectTimeout, 0),
                           tag_value(tags, TAG_RspSession_HandleResolutionRetryDelay, 0));
}
