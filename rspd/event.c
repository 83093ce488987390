/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of events. */
#include "rspd/event.h"

#include <stddef.h>

const char *event_kind_name(enum event_kind kind)
{
    static const char *const names[EVENT_KINDS] = {
        [EVENT_PE_ADDED] = "pe-added",
        [EVENT_PE_REMOVED] = "pe-removed",
        [EVENT_PE_CHANGED] = "pe-changed",
        [EVENT_PE_REFUSED] = "pe-refused",
        [EVENT_LOCAL_REGISTERED] = "local-registered",
        [EVENT_LOCAL_REFUSED] = "local-refused",
        [EVENT_LOCAL_GONE] = "local-gone",
        [EVENT_LOCAL_WITHHELD] = "local-withheld",
        [EVENT_LOCAL_BACK] = "local-back",
        [EVENT_LOCAL_DRAINING] = "local-draining",
        [EVENT_LOCAL_ADOPTED] = "local-adopted",
        [EVENT_PE_UNREACHABLE] = "pe-unreachable",
        [EVENT_PE_QUARANTINED] = "pe-quarantined",
        [EVENT_PE_RELEASED] = "pe-released",
        [EVENT_REGISTRAR_FOUND] = "registrar-found",
        [EVENT_REGISTRAR_LOST] = "registrar-lost",
        [EVENT_HOME_CHANGED] = "home-changed",
        [EVENT_RESOLUTION_FAILED] = "resolution-failed",
        [EVENT_ADDRESSES_CHANGED] = "addresses-changed",
        [EVENT_CLIENT_REJECTED] = "client-rejected",
        [EVENT_ROLE_CHANGED] = "role-changed",
        [EVENT_PEER_FOUND] = "peer-found",
        [EVENT_PEER_LOST] = "peer-lost",
        [EVENT_PEER_REFUSED] = "peer-refused",
        [EVENT_PEER_RESYNC] = "peer-resync",
        [EVENT_TAKEOVER] = "takeover",
        [EVENT_REGISTRAR_PHASE] = "registrar-phase",
        [EVENT_COOKIE_REFUSED] = "cookie-refused",
        [EVENT_COOKIE_KEY] = "cookie-key",
    };
    return (unsigned)kind < EVENT_KINDS && names[kind] != NULL ? names[kind] : "unknown";
}
