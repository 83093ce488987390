/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notifications: a queue for each descriptor, and their text. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "librsp/sd.h"

#define NOTICES_LENGTH sizeof(union rserpool_notification)

bool notice_wanted(const struct sd *sd, int type)
{
    return (sd->opt.notifications & (1 << type)) != 0;
}

void notice_add(struct sd *sd, const union rserpool_notification *n)
{
    struct notice *notice;
    if (!notice_wanted(sd, n->rn_header.rn_type) ||
        (notice = (struct notice *)malloc(sizeof(*notice))) == NULL) {
        return;
    }
    notice->next = NULL;
    notice->n = *n;
    notice->n.rn_header.rn_length = NOTICES_LENGTH;
    *sd->notices_end = notice;
    sd->notices_end = &notice->next;
    sd_ready(sd, true);
}

void notice_session(struct sd *sd, rserpool_session_t session, unsigned state)
{
    union rserpool_notification n;
    memset(&n, 0, sizeof(n));
    n.rn_session_change.rsc_type = RSERPOOL_SESSION_CHANGE;
    n.rn_session_change.rsc_state = state;
    n.rn_session_change.rsc_session = session;
    notice_add(sd, &n);
}

void notice_failover(struct sd *sd, unsigned state, bool has_cookie)
{
    union rserpool_notification n;
    memset(&n, 0, sizeof(n));
    n.rn_failover.rf_type = RSERPOOL_FAILOVER;
    n.rn_failover.rf_state = state;
    n.rn_failover.rf_has_cookie = has_cookie;
    notice_add(sd, &n);
}

void notice_shutdown(struct sd *sd, rserpool_session_t session)
{
    union rserpool_notification n;
    memset(&n, 0, sizeof(n));
    n.rn_shutdown_event.rse_type = RSERPOOL_SHUTDOWN_EVENT;
    n.rn_shutdown_event.rse_session = session;
    notice_add(sd, &n);
}

void notice_refused(struct sd *sd, rserpool_session_t session, int reason)
{
    union rserpool_notification n;
    memset(&n, 0, sizeof(n));
    n.rn_cookie_refused.rcr_type = RSERPOOL_COOKIE_REFUSED;
    n.rn_cookie_refused.rcr_reason = (unsigned)reason;
    n.rn_cookie_refused.rcr_session = session;
    notice_add(sd, &n);
}

bool notice_take(struct sd *sd, union rserpool_notification *ret)
{
    struct notice *first = sd->notices;
    if (first == NULL) {
        return false;
    }
    *ret = first->n;
    sd->notices = first->next;
    if (sd->notices == NULL) {
        sd->notices_end = &sd->notices;
    }
    free(first);
    return true;
}

void notice_drop_all(struct sd *sd)
{
    union rserpool_notification n;
    while (notice_take(sd, &n)) {
        /* taken is dropped */
    }
}

RSP_PUBLIC void rsp_print_notification(const union rserpool_notification *notification, FILE *file)
{
    const union rserpool_notification *n = notification;
    switch (n->rn_header.rn_type) {
    case RSERPOOL_SESSION_CHANGE:
        (void)fprintf(file, "session %d %s\n", n->rn_session_change.rsc_session,
                      n->rn_session_change.rsc_state == RSERPOOL_SESSION_ADD ? "has begun"
                                                                             : "has ended");
        break;
    case RSERPOOL_FAILOVER:
        (void)fprintf(file, "session %d: failover %s%s\n", n->rn_failover.rf_session,
                      n->rn_failover.rf_state == RSERPOOL_FAILOVER_NECESSARY ? "necessary"
                                                                             : "complete",
                      n->rn_failover.rf_has_cookie != 0 ? ", with cookie" : ", without cookie");
        break;
    case RSERPOOL_SHUTDOWN_EVENT:
        (void)fprintf(file, "session %d: the other end sends no more\n",
                      n->rn_shutdown_event.rse_session);
        break;
    case RSERPOOL_COOKIE_REFUSED:
        (void)fprintf(file, "session %d: state cookie refused: %s\n",
                      n->rn_cookie_refused.rcr_session,
                      strerrordesc_np((int)n->rn_cookie_refused.rcr_reason));
        break;
    default:
        (void)fprintf(file, "notification %u\n", n->rn_header.rn_type);
        break;
    }
}
