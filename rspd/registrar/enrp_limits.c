/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one host, or one IPv6 network of a host, may cost the ENRP side (security.md §6.3), as
 * limits.c has it for the ASAP side: so many associations, new ones at a rate, and messages at a
 * rate, each counted by what it costs us. Besides, each element of the registrar at the other end
 * may change, all of them at once, and who knows nothing yet may ask for the whole table. What is
 * over that is not read, which the next audit repairs; who goes on and on is cut off with all it
 * has, and stays out for a while. Associations that we open ourselves are not refused, but what
 * comes over them counts.
 */
#include "rspd/registrar/enrp_internal.h"

#include <string.h>

#define NEW_BURST     100 /* associations a host may begin at once … */
#define NEW_MS        50  /* … and one more each */
#define BAN_MS        10000
#define BURST_S       1  /* of silence that can be made up for … */
#define FLOOD_S       12 /* worth of messages that are not read: many hosts may start at once */
#define CHANGES       2  /* … besides so many changes of each element, */
#define CHANGE_S      10 /* which again has one after that time */
#define ENTRIES       8  /* of a table cost as much as a change */
#define QUESTION_COST 4  /* an answer, or a round of the others */

static struct ip_address network_of(const struct en_assoc *assoc)
{
    struct ip_address net = assoc->count > 0 ? assoc->addresses[0] : (struct ip_address){0};
    if (net.family == IP_V6) {
        memset(&net.octets[8], 0, 8);
    }
    return net;
}

/* A single change is what there is most of: it costs 1. */
static uint32_t cost_of(const struct enrp *en, const uint8_t *octets, size_t len)
{
    switch (len > 0 ? octets[0] : 0) {
    case ENRP_HANDLE_UPDATE:
        return 1;
    case ENRP_HANDLE_TABLE_REQUEST:
        return 1 + en->set.table_elements / ENTRIES;
    default:
        return QUESTION_COST;
    }
}

/* A registrar's elements count over the way to it alone: anybody may use its name. */
static struct meter_limit limit_of(const struct enrp *en, const struct en_assoc *assoc)
{
    const struct en_peer *peer = assoc->peer != EN_NOBODY ? &en->peers[assoc->peer] : NULL;
    bool way = peer != NULL && peer->used && peer->assoc == assoc->id;
    int64_t own = way ? hs_home_count(en->hs, peer->id) : 0;
    int64_t whole_table = 2 * (int64_t)hs_element_count(en->hs) / ENTRIES;
    int64_t rate = en->set.host_messages;
    return (struct meter_limit){.rate = rate + own / CHANGE_S,
                                .burst = BURST_S * rate + CHANGES * own + whole_table,
                                .flood = FLOOD_S * rate};
}

static uint32_t associations(const struct enrp *en, int host)
{
    uint32_t n = 0;
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        n += en->assocs[i].id != 0 && en->assocs[i].host == host ? 1 : 0;
    }
    return n;
}

/* Known, or in the place of the one that nothing has been heard of for longest. There are more
 * places than associations. */
static int host_of(struct enrp *en, const struct en_assoc *assoc, struct tm_us now)
{
    const struct ip_address net = network_of(assoc);
    int oldest = EN_NOBODY;
    for (int i = 0; i < EN_HOSTS_MAX; i++) {
        const struct en_host *h = &en->hosts[i];
        if (h->used && ip_address_equal(&h->net, &net)) {
            return i;
        }
        if ((oldest == EN_NOBODY || tm_before(h->last, en->hosts[oldest].last)) &&
            associations(en, i) == 0) {
            oldest = i;
        }
    }
    struct en_host *host = &en->hosts[oldest];
    *host = (struct en_host){
        .used = true, .net = net, .openings = {.tokens = NEW_BURST, .refill = now}};
    meter_init(&host->messages, limit_of(en, assoc), now);
    return oldest;
}

bool en_host_opens(struct enrp *en, struct en_assoc *assoc, bool by_us, struct tm_us now)
{
    assoc->host = EN_NOBODY;
    int slot = host_of(en, assoc, now);
    struct en_host *host = &en->hosts[slot];
    uint32_t open = associations(en, slot);
    host->last = tm_before(host->last, now) ? now : host->last;
    assoc->host = (int16_t)slot;
    return by_us || en->set.host_messages == 0 ||
           (tm_due(host->banned_until, now) && open < EN_HOST_ASSOCS &&
            bucket_take(&host->openings, NEW_BURST, NEW_MS, now));
}

static void cut_off(struct enrp *en, int host, struct tm_us now)
{
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        if (en->assocs[i].id != 0 && en->assocs[i].host == host) {
            outbox_disconnect(en->out, en->assocs[i].id, true);
            enrp_assoc_down(en, en->assocs[i].id, ENRP_DOWN_LOST, now);
        }
    }
}

static void ban(struct enrp *en, int slot, int64_t rate, struct tm_us now)
{
    char text[IP_ADDRESS_TEXT_MAX];
    struct en_host *host = &en->hosts[slot];
    host->banned_until = tm_add_ms(now, BAN_MS);
    host->last = host->banned_until;
    if (en_may_say(en, now)) {
        (void)outbox_event(en->out, EVENT_PEER_REFUSED, (struct pool_handle){0}, 0, en->set.id,
                           "%s sends far more than %lld messages a second: cut off for %d s",
                           ip_address_format(&host->net, text, sizeof(text)), (long long)rate,
                           BAN_MS / 1000);
    }
    cut_off(en, slot, now);
}

bool en_host_sends(struct enrp *en, const struct en_assoc *assoc, const uint8_t *octets, size_t len,
                   struct tm_us now)
{
    int slot = assoc->host;
    if (slot == EN_NOBODY || en->set.host_messages == 0) {
        return true;
    }
    struct en_host *host = &en->hosts[slot];
    if (!tm_due(host->banned_until, now)) {
        cut_off(en, slot, now);
        return false;
    }
    struct meter_limit limit = limit_of(en, assoc);
    enum meter_verdict verdict = meter_take(&host->messages, cost_of(en, octets, len), limit, now);
    if (verdict == METER_FLOOD) {
        ban(en, slot, limit.rate, now);
    }
    en->counters.ignored += verdict == METER_FITS ? 0 : 1;
    return verdict == METER_FITS;
}
