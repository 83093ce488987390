/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/rspd/insides.h"

#include "rspd/registrar/enrp_internal.h"

static bool leads_to(const struct enrp *en, uint64_t assoc, int slot)
{
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        if (en->assocs[i].id == assoc) {
            return en->assocs[i].peer == slot;
        }
    }
    return false;
}

static const char *peer(const struct enrp *en, int slot)
{
    const struct en_peer *p = &en->peers[slot];
    HOLDS(slot < en->top, "a peer beyond those looked at");
    HOLDS((p->id == 0) == (p->state == ENRP_PEER_STATIC), "a peer of no name, or one too many");
    HOLDS(p->id != en->set.id, "we are among our own peers");
    HOLDS(p->state != ENRP_PEER_STATIC || p->is_static, "nobody has configured this peer");
    HOLDS(!p->is_static || (p->static_count > 0 && p->static_port != 0), "configured without port");
    HOLDS(p->id == 0 || en_peer_find(en, p->id) == slot, "a registrar stands there twice");
    HOLDS(en->phase == ENRP_INIT || !tm_is_never(p->timer), "a peer that nothing is due for");
    HOLDS(p->assoc == 0 || leads_to(en, p->assoc, slot), "the way to a peer leads elsewhere");
    HOLDS(p->state != ENRP_PEER_ARBITRATED || p->waiting != 0, "an arbitration nobody is asked in");
    for (int i = 0; i < ENRP_PEERS_MAX && p->state == ENRP_PEER_ARBITRATED; i++) {
        HOLDS((p->waiting & en_bit(i)) == 0 || en_peer_alive(&en->peers[i]), "waits for the dead");
    }
    return NULL;
}

static const char *associations(const struct enrp *en)
{
    for (int i = 0; i < EN_ASSOCS_MAX; i++) {
        const struct en_assoc *a = &en->assocs[i];
        if (a->id == 0) {
            continue;
        }
        HOLDS(a->peer == EN_NOBODY || en->peers[a->peer].used, "an association of nobody");
        HOLDS(a->up == (a->host != EN_NOBODY), "an association that is up comes from a host");
        HOLDS(!a->up || en->hosts[a->host].used, "… of which we know");
        HOLDS(a->malformed <= EN_MALFORMED_MAX, "too many malformed messages were borne");
        for (int k = 0; k < i; k++) {
            HOLDS(en->assocs[k].id != a->id, "an association stands there twice");
        }
    }
    return NULL;
}

/* What is due in which phase. */
static const char *phase(const struct enrp *en)
{
    bool joins = en->phase == ENRP_LIST || en->phase == ENRP_TABLE;
    bool serves = en_serving(en);
    HOLDS(tm_is_never(en->next_heartbeat) != serves, "heartbeats are for those who serve");
    HOLDS(tm_is_never(en->balance_at) != serves, "so is balancing");
    HOLDS(tm_is_never(en->leave_step) == (en->phase != ENRP_LEAVING), "leaving, or not");
    HOLDS(tm_is_never(en->start_timer) != (joins || en->phase == ENRP_FIND_MENTOR),
          "joining goes on, or is over");
    HOLDS(!joins || (en->mentor != EN_NOBODY && en->peers[en->mentor].used), "joins with nobody");
    HOLDS(joins || en->mentor == EN_NOBODY || en->phase == ENRP_LEFT, "a mentor for nothing");
    HOLDS(!joins || (en->tried & en_bit(en->mentor)) != 0, "the mentor was not tried");
    HOLDS(en->event_bucket.tokens <= EN_EVENT_BURST, "more events than may be said");
    HOLDS(en->heard_bucket.tokens <= EN_HEARD_BURST, "more registrars than may be heard");
    return NULL;
}

const char *insides_of_enrp(const struct enrp *en)
{
    unsigned sessions = 0;
    const char *wrong = phase(en);
    wrong = wrong != NULL ? wrong : associations(en);
    for (int i = 0; i < ENRP_PEERS_MAX && wrong == NULL; i++) {
        sessions += en->peers[i].used && en->peers[i].session.open ? 1 : 0;
        wrong = en->peers[i].used ? peer(en, i) : NULL;
    }
    return wrong == NULL && sessions > EN_SESSIONS_MAX ? "too many downloads" : wrong;
}
