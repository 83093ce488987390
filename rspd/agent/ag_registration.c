/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registration of one local PE (RFC 5352 §3.1, 3.2; asap.md §5.1, 5.3).
 *
 *   UNREGISTERED   nothing to register with: no usable address towards the present home, e.g. a
 *                  loopback listener and a registrar elsewhere; used on this host only
 *   HUNTING        wanted, no home registrar (or to be tried a little later: T4)
 *   REGISTERING    first REGISTRATION sent to this home (T2)
 *   REGISTERED     accepted (T4)
 *   REREGISTERING  renewed, changed, or moved to another home (T2)
 *   DEREGISTERING  DEREGISTRATION sent, or waiting for a home to send it to (T3)
 *   WITHHELD       out of the scope by the owner's wish
 *   REFUSED        refused; not repeated unchanged: a change of the PE or another home frees
 *
 * One timer per PE; its kind says which. Attempts are counted across hunts, zeroed by success
 * too many are reported to the owner, but the agent goes on.
 */
#include "rspd/agent/ag_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "handlespace/policy.h"

#define HASTE_MS 1000 /* a registrar that expires a PE sooner is not answered at once */

const char *ag_pe_state_name(enum ag_pe_state state)
{
    switch (state) {
    case AG_PE_UNREGISTERED:
        return "unregistered";
    case AG_PE_HUNTING:
        return "hunting";
    case AG_PE_REGISTERING:
        return "registering";
    case AG_PE_REGISTERED:
        return "registered";
    case AG_PE_REREGISTERING:
        return "reregistering";
    case AG_PE_DEREGISTERING:
        return "deregistering";
    case AG_PE_WITHHELD:
        return "withheld";
    case AG_PE_REFUSED:
        return "refused";
    }
    return "unknown";
}

static uint32_t bounded(uint32_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value < most ? value : most;
}

uint32_t ag_life_ms(const struct ag_settings *settings, const struct ag_pe *pe)
{
    return pe->life_ms == 0 ? settings->registration_life_ms
                            : bounded(pe->life_ms, AG_LIFE_MIN_MS, AG_LIFE_MAX_MS);
}

uint32_t ag_reregistration_ms(const struct ag_settings *settings, const struct ag_pe *pe)
{
    uint32_t life = ag_life_ms(settings, pe);
    if (pe->interval_ms != 0 && pe->interval_ms < life) {
        return bounded(pe->interval_ms, AG_INTERVAL_MIN_MS, life);
    }
    if (settings->reregistration_ms != 0 && pe->life_ms == 0) {
        return settings->reregistration_ms;
    }
    if (life <= 40000) {
        return life / 2 > 0 ? life / 2 : 1;
    }
    return life - 20000 < 600000 ? life - 20000 : 600000;
}

/* The only place that assigns the state: stops the timer, brings the own cache up to date. */
static void set_state(struct ag *ag, struct ag_local *local, enum ag_pe_state state,
                      struct tm_us now)
{
    ag_timer_stop(&ag->timers, &local->timer);
    if (local->state != state) {
        local->state = state;
        local->since = now;
        if (state != AG_PE_REFUSED && state != AG_PE_WITHHELD && !local->withheld &&
            !local->addressless) {
            local->reason[0] = '\0';
        }
    }
    ag_pool_own(ag, local, now);
}

static void set_timer(struct ag *ag, struct ag_local *local, enum ag_timer_kind kind,
                      int64_t delay_ms, struct tm_us now)
{
    ag_timer_set(&ag->timers, &local->timer, kind, tm_add_ms(now, delay_ms));
}

static void tell(struct ag *ag, struct ag_local *local, int result, uint16_t cause,
                 const char *text)
{
    struct action *action = outbox_add(ag->out, ACTION_REGISTERED);
    local->told_ok = result == 0;
    local->told_failure = result != 0;
    if (action == NULL) {
        local->told_ok = false; /* said again with the next acceptance */
        return;
    }
    action->pe_id = local->pe.pe_id;
    action->result = result;
    action->cause = cause;
    (void)snprintf(action->text, sizeof(action->text), "%s", text);
}

/* --- messages ----------------------------------------------------------------------------------
 */

static void send_registration(struct ag *ag, struct ag_local *local)
{
    struct asap_message *tx = &ag->tx;
    uint32_t life_ms = ag_life_ms(&ag->set, &local->pe);
    asap_message_init(tx, ASAP_REGISTRATION);
    tx->has_handle = true;
    tx->handle = local->pe.handle;
    tx->element_count = 1;
    tx->elements[0] = (struct pool_element){
        .pe_id = local->pe.pe_id,
        .registration_life = ag->set.life_in_seconds ? life_ms / 1000 : life_ms,
        .user = {.protocol = local->pe.protocol,
                 .port = local->pe.port,
                 .use = local->pe.protocol == TRANSPORT_SCTP ? local->pe.use : 0,
                 .address_count = local->sent_count,
                 .addresses = local->sent},
        .policy = local->pe.policy};
    if (local->pe.policy.type == POLICY_NONE) {
        tx->elements[0].policy = (struct policy){.type = POLICY_RR}; /* */
    }
    ag_send_tx(ag, ag->home.assoc);
    local->dirty = false;
}

static void send_deregistration(struct ag *ag, struct ag_local *local)
{
    asap_message_init(&ag->tx, ASAP_DEREGISTRATION);
    ag->tx.has_handle = true;
    ag->tx.handle = local->pe.handle;
    ag->tx.has_pe_id = true;
    ag->tx.pe_id = local->pe.pe_id;
    ag_send_tx(ag, ag->home.assoc);
}

/* --- steps -------------------------------------------------------------------------------------
 */

/* Nothing that may leave the host: used here only, and taken back where it was registered. */
static void stay_local(struct ag *ag, struct ag_local *local, struct tm_us now)
{
    (void)snprintf(local->reason, sizeof(local->reason),
                   "no address that other hosts could use: serves this host only");
    if (local->in_scope) {
        set_state(ag, local, AG_PE_DEREGISTERING, now);
        local->attempts = 0;
        send_deregistration(ag, local);
        set_timer(ag, local, AG_TIMER_T3, ag->set.t3_deregistration_ms, now);
        return;
    }
    set_state(ag, local, AG_PE_UNREGISTERED, now);
    if (!local->told_ok) {
        tell(ag, local, 0, 0, local->reason);
    }
}

/* Registers with the present home, or waits for one. */
static void begin(struct ag *ag, struct ag_local *local, enum ag_pe_state state, struct tm_us now)
{
    if (ag->home.assoc == 0) {
        if (!local->told_ok && !local->told_failure) {
            tell(ag, local, -EAGAIN, 0, "no registrar is there yet; kept until one is found");
        }
        set_state(ag, local, AG_PE_HUNTING, now);
        return;
    }
    local->sent_count = ag_register_addresses(ag, local, local->sent);
    local->addressless = local->sent_count == 0;
    if (local->addressless) {
        stay_local(ag, local, now);
        return;
    }
    set_state(ag, local, state, now);
    send_registration(ag, local);
    set_timer(ag, local, AG_TIMER_T2, ag->set.t2_registration_ms, now);
}

/* A new home: at once, or spread when many PEs move together. */
static void begin_spread(struct ag *ag, struct ag_local *local, enum ag_pe_state state,
                         struct tm_us now)
{
    if (ag->local_count <= AG_SPREAD_ABOVE || ag_home_is_local(ag)) {
        begin(ag, local, state, now);
        return;
    }
    if (local->state == AG_PE_REGISTERING || local->state == AG_PE_REREGISTERING) {
        set_state(ag, local, AG_PE_HUNTING, now); /* the old home's answer is void */
    }
    set_timer(ag, local, AG_TIMER_T4, (int64_t)rnd_below(&ag->rnd, AG_SPREAD_MS), now);
}

static void count_attempt(struct ag *ag, struct ag_local *local)
{
    if (++local->attempts > ag->set.max_registration_attempts && !local->told_failure) {
        tell(ag, local, -ETIMEDOUT, 0, "no registrar has answered; still trying");
    }
}

/* It is out of the scope. May free `local`. */
static void out_of_scope(struct ag *ag, struct ag_local *local, int result, uint16_t cause,
                         struct tm_us now)
{
    local->in_scope = false;
    if (!local->removing && !local->withheld) {
        local->attempts = 0;
        begin(ag, local, AG_PE_REGISTERING, now); /* wanted again meanwhile, or lost its address */
        return;
    }
    struct action *action = outbox_add(ag->out, ACTION_DEREGISTERED);
    if (action != NULL) {
        action->pe_id = local->pe.pe_id;
        action->result = result;
        action->cause = cause;
    }
    local->told_ok = false;
    local->told_failure = false;
    if (local->removing) {
        ag_local_free(ag, local);
        return;
    }
    set_state(ag, local, AG_PE_WITHHELD, now);
}

/* Leaves: by DEREGISTRATION where a registrar may hold it. May free `local`. */
static void leave(struct ag *ag, struct ag_local *local, struct tm_us now)
{
    if (ag->home.assoc == 0 || !local->in_scope) {
        out_of_scope(ag, local, 0, 0, now);
        return;
    }
    local->attempts = 0;
    set_state(ag, local, AG_PE_DEREGISTERING, now);
    send_deregistration(ag, local);
    set_timer(ag, local, AG_TIMER_T3, ag->set.t3_deregistration_ms, now);
}

/* T2, T3: the home does not answer. The local one cannot be hunted away; it is asked again. */
static void no_answer(struct ag *ag, struct tm_us now)
{
    if (!ag_home_is_local(ag)) {
        ag_home_lost(ag, true, "it did not answer", now);
    }
}

static void accepted(struct ag *ag, struct ag_local *local, struct tm_us now)
{
    bool moved = local->home_assoc != ag->home.assoc;
    local->attempts = 0;
    local->contested = 0;
    local->in_scope = true;
    local->home_assoc = ag->home.assoc;
    set_state(ag, local, AG_PE_REGISTERED, now);
    if (!local->told_ok || moved) {
        (void)outbox_event(ag->out, EVENT_LOCAL_REGISTERED, local->pe.handle, local->pe.pe_id,
                           ag->home.id, "registered with registrar %08x", ag->home.id);
    }
    if (!local->told_ok) {
        tell(ag, local, 0, 0, "registered");
    }
    if (local->dirty) {
        begin(ag, local, AG_PE_REREGISTERING, now);
        return;
    }
    set_timer(ag, local, AG_TIMER_T4, ag_reregistration_ms(&ag->set, &local->pe), now);
}

static void waiting(struct ag *ag, struct ag_local *local, enum ag_pe_event ev, struct tm_us now)
{
    count_attempt(ag, local);
    if (ev == AG_EV_T2 && ag_home_is_local(ag)) {
        begin(ag, local, local->state, now);
        return;
    }
    set_state(ag, local, AG_PE_HUNTING, now);
    if (ev == AG_EV_T2) {
        no_answer(ag, now);
    }
}

static void t3_expired(struct ag *ag, struct ag_local *local, struct tm_us now)
{
    if (++local->attempts > ag->set.max_request_retransmits || ag->home.assoc == 0) {
        out_of_scope(ag, local, -ETIMEDOUT, 0, now);
        return;
    }
    set_timer(ag, local, AG_TIMER_T3, ag->set.t3_deregistration_ms, now);
    if (ag_home_is_local(ag)) {
        send_deregistration(ag, local);
        return;
    }
    no_answer(ag, now); /* repeated with the next home */
}

static void expired_there(struct ag *ag, struct ag_local *local, struct tm_us now)
{
    local->in_scope = false;
    if (tm_diff_ms(now, local->since) < HASTE_MS) {
        set_timer(ag, local, AG_TIMER_T4, HASTE_MS, now);
        return;
    }
    begin(ag, local, AG_PE_REREGISTERING, now);
}

/* --- the machine -------------------------------------------------------------------------------
 */

static void in_registering(struct ag *ag, struct ag_local *local, enum ag_pe_event ev,
                           struct tm_us now)
{
    switch (ev) {
    case AG_EV_ACCEPTED:
        accepted(ag, local, now);
        break;
    case AG_EV_REFUSED:
        set_state(ag, local, AG_PE_REFUSED, now);
        break;
    case AG_EV_T2:
    case AG_EV_HOME_LOST:
        waiting(ag, local, ev, now);
        break;
    case AG_EV_HOME:
        begin_spread(ag, local, local->state, now);
        break;
    case AG_EV_LEAVE:
        local->in_scope = true; /* the REGISTRATION may be accepted yet */
        leave(ag, local, now);
        break;
    case AG_EV_CHANGED:
        local->dirty = true;
        break;
    default:
        break;
    }
}

static void in_registered(struct ag *ag, struct ag_local *local, enum ag_pe_event ev,
                          struct tm_us now)
{
    switch (ev) {
    case AG_EV_T4:
    case AG_EV_CHANGED:
        begin(ag, local, AG_PE_REREGISTERING, now);
        break;
    case AG_EV_HOME:
        begin_spread(ag, local, AG_PE_REREGISTERING, now);
        break;
    case AG_EV_HOME_LOST:
        set_state(ag, local, AG_PE_HUNTING, now);
        break;
    case AG_EV_LEAVE:
        leave(ag, local, now);
        break;
    case AG_EV_LEFT:
        expired_there(ag, local, now);
        break;
    default:
        break;
    }
}

static void in_deregistering(struct ag *ag, struct ag_local *local, enum ag_pe_event ev,
                             struct tm_us now)
{
    switch (ev) {
    case AG_EV_LEFT:
        out_of_scope(ag, local, 0, 0, now);
        break;
    case AG_EV_LEAVE_REFUSED:
        /* asap.md §5.3 goes back to REGISTERED; but the owner wants it out: it is not served from
           here any more, and unanswered keep-alives end it there. */
        out_of_scope(ag, local, -EACCES, CAUSE_SECURITY, now);
        break;
    case AG_EV_T3:
        t3_expired(ag, local, now);
        break;
    case AG_EV_HOME:
        send_deregistration(ag, local);
        set_timer(ag, local, AG_TIMER_T3, ag->set.t3_deregistration_ms, now);
        break;
    default:
        break;
    }
}

/* UNREGISTERED, HUNTING, WITHHELD, REFUSED: no request is on its way. */
static void in_rest(struct ag *ag, struct ag_local *local, enum ag_pe_event ev, struct tm_us now)
{
    bool hunting = local->state == AG_PE_HUNTING;
    switch (ev) {
    case AG_EV_START:
    case AG_EV_CHANGED:
        if (hunting || (local->state == AG_PE_WITHHELD && ev == AG_EV_CHANGED)) {
            break; /* it will be sent as it is then */
        }
        begin(ag, local, AG_PE_REGISTERING, now);
        break;
    case AG_EV_HOME:
        if (local->state != AG_PE_WITHHELD) {
            begin_spread(ag, local, local->in_scope ? AG_PE_REREGISTERING : AG_PE_REGISTERING, now);
        }
        break;
    case AG_EV_HOME_LOST:
        if (hunting) {
            ag_timer_stop(&ag->timers, &local->timer);
        } else if (local->state == AG_PE_UNREGISTERED) {
            set_state(ag, local, AG_PE_HUNTING, now);
        }
        break;
    case AG_EV_T4:
        if (local->state != AG_PE_WITHHELD) {
            begin(ag, local, local->in_scope ? AG_PE_REREGISTERING : AG_PE_REGISTERING, now);
        }
        break;
    case AG_EV_LEAVE:
        leave(ag, local, now);
        break;
    default:
        break;
    }
}

void ag_pe_fsm(struct ag *ag, struct ag_local *local, enum ag_pe_event ev, struct tm_us now)
{
    switch (local->state) {
    case AG_PE_REGISTERING:
    case AG_PE_REREGISTERING:
        in_registering(ag, local, ev, now);
        break;
    case AG_PE_REGISTERED:
        in_registered(ag, local, ev, now);
        break;
    case AG_PE_DEREGISTERING:
        in_deregistering(ag, local, ev, now);
        break;
    case AG_PE_UNREGISTERED:
    case AG_PE_HUNTING:
    case AG_PE_WITHHELD:
    case AG_PE_REFUSED:
        in_rest(ag, local, ev, now);
        break;
    }
}

/* --- answers -----------------------------------------------------------------------------------
 */

static int result_of_cause(uint16_t cause)
{
    switch (cause) {
    case CAUSE_SECURITY:
        return -EACCES;
    case CAUSE_LACK_OF_RESOURCES:
        return -ENOSPC;
    case CAUSE_NON_UNIQUE_PE_ID:
        return -EEXIST;
    case CAUSE_INVALID_VALUES:
    case CAUSE_INCONSISTENT_POLICY:
    case CAUSE_INCONSISTENT_TRANSPORT:
    case CAUSE_INCONSISTENT_DATA_CONTROL:
        return -EINVAL;
    default:
        return -EPROTO;
    }
}

/* The pool's policy, which a refusal for another one names. */
static bool named_policy(const struct asap_cause *cause, struct policy *ret)
{
    if (cause->code != CAUSE_INCONSISTENT_POLICY || cause->body_len < 8) {
        return false;
    }
    const uint8_t *o = cause->body;
    size_t len = (size_t)(o[2] << 8 | o[3]);
    if (o[0] != 0 || o[1] != 8 || len < 8 || len % 4 != 0 || len > cause->body_len) {
        return false;
    }
    struct policy policy = {0};
    policy.type = (uint32_t)o[4] << 24 | (uint32_t)o[5] << 16 | (uint32_t)o[6] << 8 | o[7];
    for (size_t at = 8; at < len && policy.word_count < POLICY_WORDS_MAX; at += 4) {
        policy.words[policy.word_count++] = (uint32_t)o[at] << 24 | (uint32_t)o[at + 1] << 16 |
                                            (uint32_t)o[at + 2] << 8 | o[at + 3];
    }
    *ret = policy;
    return policy.type != POLICY_NONE;
}

/* A PE without a policy of its own takes the pool's (A-45: corrected). */
static bool corrected(struct ag_local *local, const struct asap_cause *cause)
{
    return local->pe.policy.type == POLICY_NONE && named_policy(cause, &local->pe.policy);
}

/* What a refusal means to the one who wants in. */
static void explain(const struct ag_local *local, const struct asap_cause *cause, uint16_t code,
                    char *out, size_t size)
{
    struct policy policy;
    struct policy own = {.type = local->pe.policy.type};
    char mine[64];
    char pools[64];
    switch (code) {
    case CAUSE_SECURITY:
        (void)snprintf(out, size, "its prefixes (AllowFrom, RegisterFrom) do not admit this host");
        return;
    case CAUSE_INCONSISTENT_POLICY:
        if (!named_policy(cause, &policy)) {
            (void)snprintf(out, size, "the pool has another policy");
            return;
        }
        policy.word_count = 0;
        (void)snprintf(out, size, "the pool's policy is %s, this one's %s",
                       policy_format(&policy, pools, sizeof(pools)),
                       policy_format(&own, mine, sizeof(mine)));
        return;
    case CAUSE_INCONSISTENT_TRANSPORT:
        (void)snprintf(out, size, "the pool's elements do not speak %s",
                       transport_protocol_name(local->pe.protocol));
        return;
    case CAUSE_LACK_OF_RESOURCES:
        (void)snprintf(out, size, "it takes no more elements");
        return;
    default:
        (void)snprintf(out, size, "its log says why");
        return;
    }
}

/*
 * "Another's identifier": as a rule our own, over an association that the registrar still holds
 * for alive, because all addresses of this host have changed, or a snapshot of it was taken back.
 * The registrar is asking the old one; so the error corrects itself soon, or never.
 */
static bool contested(struct ag *ag, struct ag_local *local, uint16_t code, struct tm_us now)
{
    if (code != CAUSE_NON_UNIQUE_PE_ID || ++local->contested > AG_CONTEST_MAX) {
        local->contested = 0;
        return false;
    }
    set_state(ag, local, AG_PE_HUNTING, now);
    set_timer(ag, local, AG_TIMER_T4, AG_CONTEST_MS, now);
    return true;
}

static void refused(struct ag *ag, struct ag_local *local, const struct asap_cause *cause,
                    struct tm_us now)
{
    if (corrected(local, cause)) {
        begin(ag, local, local->state, now);
        return;
    }
    uint16_t code = rsp_cause_map(cause->code);
    if (code == CAUSE_INVALID_VALUES && ag->home.readdressed && !ag_home_is_local(ag)) {
        /* SCTP fixed the host's addresses when the association began, and a registrar takes only
         * those it proves: a new association proves the new ones. */
        ag_home_lost(ag, true, "the association lacks this host's new addresses", now);
        return;
    }
    if (contested(ag, local, code, now)) {
        return;
    }
    char why[AG_REASON_MAX - 40];
    explain(local, cause, code, why, sizeof(why));
    (void)snprintf(local->reason, sizeof(local->reason), "registrar 0x%08x refuses: %s",
                   ag->home.id, why);
    const char *name = rsp_cause_name(code);
    (void)outbox_event(ag->out, EVENT_LOCAL_REFUSED, local->pe.handle, local->pe.pe_id, ag->home.id,
                       "%s: %s (0x%x)", local->reason, name != NULL ? name : "cause", code);
    tell(ag, local, result_of_cause(code), code, local->reason);
    ag_pe_fsm(ag, local, AG_EV_REFUSED, now);
}

void ag_pe_response(struct ag *ag, const struct asap_message *msg, struct tm_us now)
{
    struct ag_local *local = msg->has_pe_id ? ag_local_find(ag, msg->pe_id) : NULL;
    if (local == NULL || !msg->has_handle || !pool_handle_equal(msg->handle, local->pe.handle)) {
        return;
    }
    uint64_t before = ag_cause(ag, local->pe.cause);
    if (msg->type == ASAP_DEREGISTRATION_RESPONSE) {
        ag_pe_fsm(ag, local, msg->cause_count > 0 ? AG_EV_LEAVE_REFUSED : AG_EV_LEFT, now);
    } else if ((msg->flags & ASAP_FLAG) == 0) { /* R decides; a cause is a warning then */
        ag_pe_fsm(ag, local, AG_EV_ACCEPTED, now);
    } else if (local->state == AG_PE_REGISTERING || local->state == AG_PE_REREGISTERING) {
        struct asap_cause none = {.code = CAUSE_UNSPECIFIED};
        refused(ag, local, msg->cause_count > 0 ? &msg->causes[0] : &none, now);
    }
    ag->out->cause = before;
}
