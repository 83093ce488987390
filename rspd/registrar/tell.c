/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the log and `rspctl monitor` say of an element that came or changed. */
#include "rspd/registrar/tell.h"

#include "handlespace/policy.h"

void tell_element(struct outbox *out, enum event_kind kind, struct pool_handle handle,
                  const struct pool_element *pe, uint32_t registrar_id, const char *source)
{
    char pool[POOL_HANDLE_TEXT_MAX];
    char address[IP_ADDRESS_TEXT_MAX] = "?";
    char policy[48];
    if (pe->user.address_count > 0) {
        (void)ip_address_format(&pe->user.addresses[0], address, sizeof(address));
    }
    (void)outbox_event(
        out, kind, handle, pe->pe_id, registrar_id, "PE 0x%08x %s pool %s: %s %s port %u, %s, %s",
        pe->pe_id, kind == EVENT_PE_ADDED ? "joined" : "changed in",
        pool_handle_format(handle, pool, sizeof(pool)), transport_protocol_name(pe->user.protocol),
        address, pe->user.port, policy_format(&pe->policy, policy, sizeof(policy)), source);
}
