/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's side towards the other registrars of the scope: the ENRP machine's settings, its
 * seam with the registrar's ASAP side, its SCTP endpoint and its announces.
 *
 * The machine is there as long as the registrar is. It joins the scope when the role is decided,
 * and only when it serves may clients come: then the ASAP port is opened and announced.
 */
#include <errno.h>
#include <string.h>

#include "rspd/daemon_internal.h"
#include "wire/asap.h"
#include "wire/enrp.h"

#define UNHEARD_MS    3600000 /* with nobody to hear it a sign of life would only wake the host */
#define SHORT_WAIT_MS 100     /* for a mentor, after a long time of listening in vain */
#define ID_TRIES_MAX  3       /* identifiers drawn anew: whoever forges announces gets no more */

/* --- settings ------------------------------------------------------------------------------------
 */

static bool alone(const struct daemon *d)
{
    return d->enrp_ep == NULL || (!enrp_net_can_hear(d) && d->settings.peers.count == 0);
}

static void settings_of(const struct daemon *d, struct enrp_settings *ret)
{
    const struct settings *s = &d->settings;
    bool silent = alone(d);
    /* In auto the announces of a whole listening time were waited for already. */
    bool listened =
        s->role == SETTINGS_ROLE_AUTO && ag_registrars_heard(d->ag, loop_now(d->loop)) == 0;
    enrp_settings_from(s, ret);
    ret->id = d->registrar_id;
    ret->multicast = d->enrp_ep != NULL && enrp_net_can_hear(d);
    ret->heartbeat_ms = silent ? UNHEARD_MS : ret->heartbeat_ms;
    ret->balance_ms = silent ? UNHEARD_MS : ret->balance_ms;
    ret->mentor_ms = listened && ret->mentor_ms > SHORT_WAIT_MS ? SHORT_WAIT_MS : ret->mentor_ms;
}

void enrp_settings_from(const struct settings *s, struct enrp_settings *ret)
{
    *ret = (struct enrp_settings){
        .heartbeat_ms = s->peer_heartbeat_ms,
        .last_heard_ms = s->peer_last_heard_ms,
        .no_response_ms = s->peer_no_response_ms,
        .mentor_ms = s->mentor_ms,
        .retry_min_ms = s->retry_min_ms,
        .retry_max_ms = s->retry_max_ms,
        .session_ms = s->table_session_ms,
        .takeover_delay_ms = s->takeover_delay_ms,
        .takeover_expiry_ms = s->takeover_expiry_ms,
        .guard_ms = s->takeover_guard_ms,
        .resync_max_ms = s->resync_max_ms,
        .balance_ms = s->balance_ms,
        .leave_ms = s->leave_ms,
        .adopt_rate = s->adopt_rate,
        .table_elements = s->table_elements,
        .table_octets = s->table_octets,
        .distance_step_ms = s->distance_step_ms,
        .host_messages = s->peer_messages,
        .suggestion = (enum enrp_suggestion)s->suggestion,
        .handle_max = (uint16_t)s->handle_max,
        .lowest_wins = s->takeover_order == SETTINGS_LOWEST_WINS,
        .life_in_seconds = s->life_in_seconds != 0,
        .failure_is_death = s->failure_is_death != 0,
    };
}

void enrp_side_configure(struct daemon *d)
{
    struct enrp_settings settings;
    if (d->en != NULL) {
        settings_of(d, &settings);
        enrp_configure(d->en, &settings, loop_now(d->loop));
    }
}

/* --- the seam between the registrar's two machines -----------------------------------------------
 */

static void on_adopt(void *ctx, const struct hs_element *element, struct tm_us at)
{
    rg_adopt(((struct daemon *)ctx)->rg, element, at);
}

static void on_suggested(void *ctx, const struct hs_element *element, struct tm_us now)
{
    rg_suggested(((struct daemon *)ctx)->rg, element, now);
}

static void on_offered(void *ctx, uint64_t assoc, struct tm_us now)
{
    rg_offered(((struct daemon *)ctx)->rg, assoc, now);
}

static void on_disowned(void *ctx, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    rg_disowned(((struct daemon *)ctx)->rg, handle, pe_id, now);
}

static bool on_disputed(void *ctx, struct pool_handle handle, uint32_t pe_id)
{
    return rg_disputed(((struct daemon *)ctx)->rg, handle, pe_id);
}

static void on_changed(void *ctx, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    rg_element_changed(((struct daemon *)ctx)->rg, handle, pe_id, now);
}

static void on_registered(void *ctx, const struct hs_element *element, struct tm_us now)
{
    struct daemon *d = (struct daemon *)ctx;
    d->en_out.cause = d->rg_out.cause;
    enrp_registered(d->en, element, now);
}

static void on_removed(void *ctx, const struct hs_element *element, bool by_itself,
                       struct tm_us now)
{
    struct daemon *d = (struct daemon *)ctx;
    d->en_out.cause = d->rg_out.cause;
    enrp_removed(d->en, element, by_itself, now);
}

static uint32_t round_trip(struct tp_endpoint *ep, uint64_t assoc)
{
    uint32_t ms = 0;
    return ep != NULL && tp_srtt_ms(ep, assoc, &ms) == 0 ? ms : 0;
}

static uint32_t element_round_trip(void *ctx, uint64_t assoc)
{
    return round_trip(((struct daemon *)ctx)->registrar_ep, assoc);
}

static uint32_t peer_round_trip(void *ctx, uint64_t assoc)
{
    return round_trip(((struct daemon *)ctx)->enrp_ep, assoc);
}

/* --- associations --------------------------------------------------------------------------------
 */

static void peer_up(void *ctx, uint64_t assoc, const struct ip_address *peers, size_t count,
                    uint16_t port)
{
    struct daemon *d = (struct daemon *)ctx;
    if (d->en != NULL) {
        d->en_out.cause = 0;
        enrp_assoc_up(d->en, assoc, peers, count, port, loop_now(d->loop));
    }
}

static void peer_down(void *ctx, uint64_t assoc, enum tp_down reason)
{
    struct daemon *d = (struct daemon *)ctx;
    if (d->en != NULL) {
        d->en_out.cause = 0;
        enrp_assoc_down(d->en, assoc,
                        reason == TP_DOWN_SHUTDOWN     ? ENRP_DOWN_SHUTDOWN
                        : reason == TP_DOWN_CANT_START ? ENRP_DOWN_CANT_START
                                                       : ENRP_DOWN_LOST,
                        loop_now(d->loop));
    }
}

static void peer_message(void *ctx, uint64_t assoc, uint32_t ppid, const uint8_t *octets,
                         size_t len)
{
    struct daemon *d = (struct daemon *)ctx;
    if (d->en == NULL) {
        return;
    }
    d->en_out.cause = 0;
    if (ppid == ENRP_PPID) {
        enrp_receive(d->en, assoc, octets, len, loop_now(d->loop));
    } else if (ppid == ASAP_PPID) { /* enrp.md T-5; any other number is ignored */
        tp_disconnect(d->enrp_ep, assoc, true);
        enrp_assoc_down(d->en, assoc, ENRP_DOWN_LOST, loop_now(d->loop));
    }
}

const struct tp_callbacks enrp_side_callbacks = {
    .up = peer_up, .down = peer_down, .message = peer_message};

void enrp_side_heard(void *ctx, const struct ip_address *source, uint16_t source_port,
                     const uint8_t *octets, size_t len)
{
    struct daemon *d = (struct daemon *)ctx;
    if (d->en != NULL) {
        d->en_out.cause = 0;
        enrp_heard(d->en, source, source_port, octets, len, loop_now(d->loop));
    }
}

/* --- what is told of them ------------------------------------------------------------------------
 */

size_t enrp_side_peers(void *ctx, struct requests_peer *ret, size_t max)
{
    struct daemon *d = (struct daemon *)ctx;
    static struct enrp_peer_info list[ENRP_PEERS_MAX]; /* loop thread only */
    struct tm_us now = loop_now(d->loop);
    if (d->en == NULL || max == 0) {
        return 0;
    }
    size_t n = enrp_peers(d->en, list, max - 1 < ENRP_PEERS_MAX ? max - 1 : ENRP_PEERS_MAX);
    ret[0] = (struct requests_peer){.id = d->registrar_id,
                                    .self = true,
                                    .state = enrp_phase_name(enrp_phase(d->en)),
                                    .heard_ms = 0,
                                    .elements = hs_home_count(d->hs, d->registrar_id),
                                    .checksum = hs_checksum(d->hs, d->registrar_id)};
    for (size_t i = 0; i < n; i++) {
        const struct enrp_peer_info *peer = &list[i];
        int64_t age = tm_diff_ms(now, peer->last_heard);
        ret[i + 1] = (struct requests_peer){.id = peer->id,
                                            .connected = peer->connected,
                                            .configured = peer->is_static,
                                            .resync = peer->resync,
                                            .state = enrp_peer_state_name(peer->state),
                                            .port = peer->port,
                                            .address_count = peer->address_count,
                                            .heard_ms = peer->last_heard.us == 0 ? UINT64_MAX
                                                        : age > 0                ? (uint64_t)age
                                                                                 : 0,
                                            .elements = peer->elements,
                                            .checksum = peer->checksum,
                                            .told = peer->told,
                                            .told_checksum = peer->told_checksum};
        memcpy(ret[i + 1].addresses, peer->addresses, sizeof(peer->addresses));
    }
    return n + 1;
}

/* --- coming and going ----------------------------------------------------------------------------
 */

void enrp_side_addresses(struct daemon *d)
{
    struct ip_address list[DAEMON_ADDRESSES_MAX];
    size_t count = 0;
    struct tm_us now = loop_now(d->loop);
    if (d->rg == NULL) {
        return;
    }
    for (size_t i = 0; i < d->address_count; i++) {
        if (ip_address_scope(&d->addresses[i]) != IP_SCOPE_LOOPBACK ||
            d->settings.minimum_scope <= IP_SCOPE_LOOPBACK) {
            list[count++] = d->addresses[i];
        }
    }
    /* Where others reach the elements of this host: by its agent. */
    uint16_t port = d->agent_ep != NULL ? tp_port(d->agent_ep) : 0;
    rg_assoc_up(d->rg, LOCAL_ASSOC, list, port != 0 ? count : 0, port, now);
    enrp_addresses(d->en, list, count, d->enrp_ep != NULL ? tp_port(d->enrp_ep) : 0, now);
}

int enrp_side_start(struct daemon *d)
{
    struct enrp_settings settings;
    struct enrp_hooks hooks = {.ctx = d,
                               .adopt = on_adopt,
                               .suggested = on_suggested,
                               .offered = on_offered,
                               .disowned = on_disowned,
                               .disputed = on_disputed,
                               .changed = on_changed,
                               .round_trip = peer_round_trip};
    const struct rg_hooks back = {.ctx = d,
                                  .registered = on_registered,
                                  .removed = on_removed,
                                  .round_trip = element_round_trip};
    enrp_net_open(d);
    settings_of(d, &settings);
    d->en = enrp_new(&settings, &hooks, d->hs, &d->en_out, rnd_next(&d->rnd), loop_now(d->loop));
    if (d->en == NULL) {
        enrp_net_close(d);
        return -ENOMEM;
    }
    rg_set_hooks(d->rg, &back);
    d->en_out.cause = 0;
    enrp_side_addresses(d);
    for (uint8_t i = 0; d->enrp_ep != NULL && i < d->settings.peers.count; i++) {
        const struct settings_registrar *peer = &d->settings.peers.items[i];
        (void)enrp_static_peer(d->en, &peer->address, 1, peer->port); /* there is room for all */
    }
    return 0;
}

void enrp_side_join(struct daemon *d)
{
    if (d->en != NULL && enrp_phase(d->en) == ENRP_INIT) {
        enrp_side_configure(d);
        d->en_out.cause = 0;
        enrp_start(d->en, loop_now(d->loop));
        enrp_side_phase(d);
    }
}

void enrp_side_stop(struct daemon *d)
{
    enrp_net_close(d);
    enrp_free(d->en);
    d->en = NULL;
    outbox_done(&d->en_out);
}

bool enrp_side_serves(const struct daemon *d)
{
    return d->en != NULL && enrp_phase(d->en) == ENRP_OPERATIONAL;
}

bool enrp_side_joining(const struct daemon *d)
{
    return d->en != NULL && enrp_phase(d->en) < ENRP_OPERATIONAL;
}

/** Once it serves, clients may come, and hear of it at once. */
void enrp_side_phase(struct daemon *d)
{
    if (!enrp_side_serves(d) || !d->role.decided || d->serving) {
        return;
    }
    d->serving = true;
    ag_local_registrar(d->ag, d->registrar_id, d->hs, loop_now(d->loop));
    ag_local_joining(d->ag, false);
    net_open_registrar(d);
    rg_announce_soon(d->rg, loop_now(d->loop));
}

/**
 * Another registrar has our identifier (enrp.md §12): while joining a drawn one is drawn anew,
 * later people have to know.
 */
static void identifier_taken(struct daemon *d)
{
    if (d->settings.registrar_id == 0 && enrp_side_joining(d) && d->id_tries < ID_TRIES_MAX) {
        d->id_tries++;
        d->restart_registrar = true; /* not within the machine's own actions */
        return;
    }
    daemon_note(d, NOTE_ENRP_ID, "another registrar of the scope has the same identifier %08x%s",
                d->registrar_id,
                d->settings.registrar_id != 0 ? ": see Registrar.Identifier" : "; restart one");
}

void enrp_side_event(struct daemon *d, const struct event *event)
{
    if (event->kind == EVENT_REGISTRAR_PHASE) {
        enrp_side_phase(d);
    } else if (event->kind == EVENT_PEER_REFUSED && event->registrar_id == d->registrar_id) {
        identifier_taken(d);
    }
}
