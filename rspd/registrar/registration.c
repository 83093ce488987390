/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registration and deregistration, registrar's side (RFC 5352 §3.1, 3.2; asap.md §5.2, 5.3): the
 * checks in their order, the answer, and who owns an element.
 */
#include "rspd/registrar/rg_internal.h"

#include "handlespace/policy.h"
#include "rspd/registrar/tell.h"
#include "wire/params.h"

#include <stdio.h>
#include <string.h>

/* --- answers -------------------------------------------------------------------------------- */

/* Why a request is refused: cause, its body, and a sentence. */
struct refusal {
    uint16_t cause;
    uint16_t body_len;
    uint8_t body[1536]; /* the longest: a transport of 64 addresses */
    char text[EVENT_TEXT_MAX];
};

static void begin_response(struct rg *rg, enum asap_type type, struct pool_handle handle,
                           uint32_t pe_id)
{
    asap_message_init(&rg->tx, type);
    rg->tx.has_handle = true;
    rg->tx.handle = handle;
    rg->tx.has_pe_id = true;
    rg->tx.pe_id = pe_id;
}

static void add_cause(struct rg *rg, uint16_t code, const uint8_t *body, uint16_t len)
{
    rg->tx.causes[rg->tx.cause_count++] =
        (struct asap_cause){.code = code, .body = body, .body_len = len};
}

static void respond_refused(struct rg *rg, struct rg_assoc *assoc, enum asap_type type,
                            const struct refusal *refusal)
{
    begin_response(rg, type, rg->rx.handle, rg->rx.pe_id);
    rg->tx.flags = type == ASAP_REGISTRATION_RESPONSE ? ASAP_FLAG : 0;
    add_cause(rg, refusal->cause, refusal->body, refusal->body_len);
    rg_send(rg, assoc->id);
}

static void say_refused(struct rg *rg, const struct rg_assoc *assoc, const char *what,
                        const struct refusal *refusal, struct tm_us now)
{
    char handle[POOL_HANDLE_TEXT_MAX];
    char peer[RG_ASSOC_TEXT_MAX];
    if (!rg_may_say(rg, now)) {
        return;
    }
    (void)outbox_event(rg->out, EVENT_PE_REFUSED, rg->rx.handle, rg->rx.pe_id, rg->set.id,
                       "%s of PE 0x%08x in pool %s from %s refused: %s", what, rg->rx.pe_id,
                       pool_handle_format(rg->rx.handle, handle, sizeof(handle)),
                       rg_assoc_text(assoc, peer, sizeof(peer)), refusal->text);
}

bool rg_refuse_malformed(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    static const uint8_t answers[] = {
        [ASAP_REGISTRATION] = ASAP_REGISTRATION_RESPONSE,
        [ASAP_DEREGISTRATION] = ASAP_DEREGISTRATION_RESPONSE,
        [ASAP_HANDLE_RESOLUTION] = ASAP_HANDLE_RESOLUTION_RESPONSE,
    };
    const struct asap_message *rx = &rg->rx;
    uint8_t answer = rx->type < sizeof(answers) ? answers[rx->type] : 0;
    bool resolution = answer == ASAP_HANDLE_RESOLUTION_RESPONSE;
    if (answer == 0 || !rx->has_handle || (!resolution && !rx->has_pe_id)) {
        return false;
    }
    struct refusal refusal = {.cause = CAUSE_INVALID_VALUES};
    (void)snprintf(refusal.text, sizeof(refusal.text), "malformed: %s",
                   rg->report.text != NULL ? rg->report.text : "unreadable");
    begin_response(rg, answer, rx->handle, rx->pe_id);
    rg->tx.has_pe_id = !resolution;
    rg->tx.flags = answer == ASAP_REGISTRATION_RESPONSE ? ASAP_FLAG : 0;
    if (rg->report.cause_count > 0) {
        rg->tx.causes[rg->tx.cause_count++] = rg->report.causes[0];
    } else {
        add_cause(rg, CAUSE_INVALID_VALUES, NULL, 0);
    }
    rg_send(rg, assoc->id);
    if (answer == ASAP_REGISTRATION_RESPONSE) {
        say_refused(rg, assoc, "registration", &refusal, now);
    }
    return true;
}

/* --- the checks ------------------------------------------------------------------------------- */

static void refuse(struct refusal *refusal, uint16_t cause, const char *text)
{
    refusal->cause = cause;
    refusal->body_len = 0;
    (void)snprintf(refusal->text, sizeof(refusal->text), "%s", text);
}

/* The parameter at fault as the cause's body; left out where it cannot be written. */
static void body_policy(struct refusal *refusal, const struct policy *policy)
{
    int len = asap_encode_policy(policy, refusal->body, sizeof(refusal->body));
    refusal->body_len = len > 0 ? (uint16_t)len : 0;
}

static void body_transport(struct refusal *refusal, const struct transport *transport)
{
    int len = asap_encode_transport(transport, refusal->body, sizeof(refusal->body));
    refusal->body_len = len > 0 ? (uint16_t)len : 0;
}

static void body_handle(struct refusal *refusal, struct pool_handle handle)
{
    struct wcur w = wcur_of(refusal->body, sizeof(refusal->body)); /* the longest handle fits */
    (void)wire_put_handle(&w, handle);                             /* nothing of an empty one */
    refusal->body_len = (uint16_t)wcur_used(&w);
}

/* Check 1 of asap.md §5.2: values that are wrong wherever they come from; what is wrong with the
 * message alone (no identifier, an impossible transport) its decoder has refused. */
static bool check_values(struct rg *rg, const struct pool_element *pe, struct refusal *refusal)
{
    if (rg->rx.handle.len == 0 || rg->rx.handle.len > rg->set.handle_max) {
        refuse(refusal, CAUSE_INVALID_VALUES, "");
        (void)snprintf(refusal->text, sizeof(refusal->text),
                       "pool handles have 1 to %u octets here, this one has %u", rg->set.handle_max,
                       rg->rx.handle.len);
        body_handle(refusal, rg->rx.handle);
        return false;
    }
    const struct policy_info *policy = policy_info_by_type(pe->policy.type);
    if (policy == NULL || pe->policy.word_count < policy->word_count) {
        refuse(refusal, CAUSE_INVALID_VALUES, "");
        (void)snprintf(refusal->text, sizeof(refusal->text),
                       "policy type 0x%08x is not known here or lacks a parameter",
                       pe->policy.type);
        body_policy(refusal, &pe->policy);
        return false;
    }
    return true;
}

/*
 * Check 4: only addresses the association proves to be the PE's. A stray one is left out, as
 * deployed registrars do; loopback and link-local ones too, unless there is nothing else. Where
 * SCTP runs over UDP, an association cannot list its addresses, and a host with several could not
 * register a server that is bound to another one: there it is believed.
 */
static bool keep_proven(const struct rg *rg, const struct rg_assoc *assoc, struct pool_element *pe,
                        struct ip_address *kept, struct refusal *refusal)
{
    uint16_t n = 0;
    uint16_t wide = 0;
    if (assoc->id == LOCAL_ASSOC || pe->user.protocol == TRANSPORT_OPAQUE) {
        return true;
    }
    for (uint16_t i = 0; i < pe->user.address_count && n < WIRE_ADDRESSES_PER_TRANSPORT; i++) {
        if (!rg_assoc_may_be_at(rg, assoc, rg->rx.handle, &pe->user.addresses[i])) {
            continue;
        }
        kept[n] = pe->user.addresses[i];
        /* The widely usable ones are gathered in front. */
        if (ip_address_scope(&kept[n]) >= IP_SCOPE_SITE_LOCAL) {
            struct ip_address swap = kept[wide];
            kept[wide] = kept[n];
            kept[n] = swap;
            wide++;
        }
        n++;
    }
    if (n == 0) {
        refuse(refusal, CAUSE_INVALID_VALUES,
               "none of its addresses belongs to the association it registers over");
        body_transport(refusal, &pe->user);
        return false;
    }
    pe->user.addresses = kept;
    pe->user.address_count = wide > 0 ? wide : n;
    return true;
}

static bool share_address(const struct transport *a, const struct transport *b)
{
    for (uint16_t i = 0; i < a->address_count; i++) {
        for (uint16_t j = 0; j < b->address_count; j++) {
            if (ip_address_equal(&a->addresses[i], &b->addresses[j])) {
                return true;
            }
        }
    }
    return false;
}

/*
 * Check 9: the identifier is taken by what is plainly somebody else: registered over another
 * association that is up, and with no address in common. The old one is asked at once whether it is
 * still there, so that a host whose addresses all changed is not kept out for long.
 */
static bool check_identity(struct rg *rg, const struct rg_assoc *assoc,
                           const struct hs_element *old, const struct pool_element *pe,
                           struct refusal *refusal, struct tm_us now)
{
    if (old == NULL || old->owner_ref == assoc->id) {
        return true;
    }
    struct transport old_user = hs_user(old);
    struct transport old_asap = hs_asap(old);
    if (share_address(&old_user, &pe->user) || share_address(&old_asap, &pe->asap) ||
        (old->owner_ref != LOCAL_ASSOC && rg_assoc_find(rg, old->owner_ref) == NULL)) {
        return true;
    }
    struct rg_pe *record = rg_pe_find(rg, *old->handle, old->pe_id);
    if (record != NULL) {
        rg_pe_ask(rg, record, false, now);
    }
    refuse(refusal, CAUSE_NON_UNIQUE_PE_ID, "another host's PE has this identifier");
    return false;
}

/* What the handlespace said, as a cause (checks 5 to 8). */
static void refuse_result(struct rg *rg, enum hs_result result, const struct pool_element *pe,
                          struct refusal *refusal)
{
    struct hs_pool_info pool = {0};
    struct hs_cursor cursor = {0};
    const struct policy_info *policy = NULL;
    const struct hs_element *member = NULL;
    if (hs_pool(rg->hs, rg->rx.handle, &pool)) {
        policy = policy_info_by_type(pool.policy_type);
        member = hs_pool_element_next(rg->hs, rg->rx.handle, &cursor);
    }
    switch (result) {
    case HS_INCONSISTENT_POLICY: {
        struct policy wanted = {.type = pool.policy_type,
                                .word_count = policy != NULL ? policy->word_count : 0};
        char mine[64];
        char pools[64];
        refuse(refusal, CAUSE_INCONSISTENT_POLICY, "");
        (void)snprintf(
            refusal->text, sizeof(refusal->text), "the pool's policy is %s, this one's %s",
            policy != NULL ? policy->title : policy_format(&wanted, pools, sizeof(pools)),
            policy_format(&pe->policy, mine, sizeof(mine)));
        body_policy(refusal, &wanted);
        return;
    }
    case HS_INCONSISTENT_TRANSPORT:
        refuse(refusal, CAUSE_INCONSISTENT_TRANSPORT, "");
        (void)snprintf(
            refusal->text, sizeof(refusal->text), "the pool's transport is %s, this one's %s",
            transport_protocol_name(pool.protocol), transport_protocol_name(pe->user.protocol));
        if (member != NULL) {
            struct transport user = hs_user(member);
            body_transport(refusal, &user);
        }
        return;
    case HS_INCONSISTENT_USE:
        refuse(refusal, CAUSE_INCONSISTENT_DATA_CONTROL,
               pool.use == TRANSPORT_USE_DATA ? "the pool is for data only"
                                              : "the pool is for data and control");
        return;
    case HS_NO_RESOURCES:
        refuse(refusal, CAUSE_LACK_OF_RESOURCES, "this registrar takes no more");
        return;
    default:
        refuse(refusal, CAUSE_INVALID_VALUES, "its transport is not valid");
        body_transport(refusal, &pe->user);
        return;
    }
}

/* --- registration
 * --------------------------------------------------------------------------------- */

static int64_t life_ms(const struct rg *rg, uint32_t life)
{
    if (life == REGISTRATION_LIFE_INFINITE) {
        return -1;
    }
    return rg->set.life_in_seconds ? (int64_t)life * 1000 : life;
}

static bool same_transport(const struct transport *a, const struct transport *b)
{
    if (a->port != b->port || a->address_count != b->address_count) {
        return false;
    }
    for (uint16_t i = 0; i < a->address_count; i++) {
        if (!ip_address_equal(&a->addresses[i], &b->addresses[i])) {
            return false;
        }
    }
    return true;
}

static bool same_policy(const struct policy *a, const struct policy *b)
{
    return a->type == b->type && a->word_count == b->word_count &&
           memcmp(a->words, b->words, a->word_count * sizeof(a->words[0])) == 0;
}

static void say_registered(struct rg *rg, const struct rg_assoc *assoc, enum event_kind kind,
                           const struct pool_element *pe)
{
    char peer[RG_ASSOC_TEXT_MAX];
    char by[RG_ASSOC_TEXT_MAX + sizeof("registered by ")];
    (void)snprintf(by, sizeof(by), "registered by %s", rg_assoc_text(assoc, peer, sizeof(peer)));
    tell_element(rg->out, kind, rg->rx.handle, pe, rg->set.id, by);
}

/* What is different from before; nothing is said of what is not. */
static void report_registered(struct rg *rg, const struct rg_assoc *assoc,
                              const struct hs_element *old, const struct pool_element *pe,
                              struct tm_us now)
{
    enum rg_change change = RG_ADDED;
    if (old != NULL) {
        struct transport old_user = hs_user(old);
        struct policy old_policy = hs_policy(old);
        bool same_user = same_transport(&old_user, &pe->user);
        bool policy = !same_policy(&old_policy, &pe->policy);
        bool load = policy && policy_info_by_type(pe->policy.type)->adaptive;
        if (same_user && !policy) {
            return;
        }
        change = load && same_user ? RG_LOAD : RG_ALTERED;
    }
    if (change != RG_LOAD) {
        say_registered(rg, assoc, old == NULL ? EVENT_PE_ADDED : EVENT_PE_CHANGED, pe);
    }
    rg_changed(rg, change, rg->rx.handle, pe->pe_id, now);
}

/* Checks 5 to 9, and the registration itself. Inside a read section. */
static bool admit(struct rg *rg, struct rg_assoc *assoc, struct pool_element *pe,
                  struct refusal *refusal, struct tm_us now)
{
    const struct hs_element *old = hs_find(rg->hs, rg->rx.handle, pe->pe_id);
    if (!check_identity(rg, assoc, old, pe, refusal, now)) {
        return false;
    }
    if (old == NULL && !rg_principal_may_have(rg, assoc)) {
        refuse(refusal, CAUSE_LACK_OF_RESOURCES, "its host has as many elements as one may have");
        return false;
    }
    bool fresh;
    struct rg_pe *record = rg_pe_get(rg, rg->rx.handle, pe->pe_id, &fresh);
    enum hs_result result = HS_NO_RESOURCES;
    if (record != NULL) {
        result = hs_register(rg->hs, rg->rx.handle, pe, life_ms(rg, pe->registration_life),
                             assoc->id, now);
    }
    if (result != HS_ADDED && result != HS_UPDATED) {
        if (record != NULL && fresh) {
            rg_pe_drop(rg, record);
        }
        refuse_result(rg, result, pe, refusal);
        return false;
    }
    rg_pe_registered(rg, record, assoc->id, now);
    rg_tell_registered(rg, rg->rx.handle, pe->pe_id, now);
    report_registered(rg, assoc, old, pe, now);
    return true;
}

/* Nobody but this host could reach it. */
static bool stays_here(const struct rg *rg, const struct rg_assoc *assoc,
                       const struct pool_element *pe)
{
    if (!rg->set.loopback_stays || assoc->id != LOCAL_ASSOC || pe->user.address_count == 0) {
        return false;
    }
    for (uint16_t i = 0; i < pe->user.address_count; i++) {
        if (ip_address_scope(&pe->user.addresses[i]) > IP_SCOPE_LOOPBACK) {
            return false;
        }
    }
    return true;
}

/* Whatever the PE says of how far it is from us, we know it better (policies:P-36). */
static void measure(const struct rg *rg, const struct rg_assoc *assoc, struct policy *policy)
{
    uint32_t *distance = policy_distance_word(policy);
    if (distance != NULL) {
        uint32_t rtt = assoc->id != LOCAL_ASSOC && rg->hooks.round_trip != NULL
                           ? rg->hooks.round_trip(rg->hooks.ctx, assoc->id)
                           : 0;
        *distance = policy_distance(rtt, rg->set.distance_step_ms);
    }
}

void rg_registration(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    struct pool_element pe = rg->rx.elements[0];
    struct ip_address kept[WIRE_ADDRESSES_PER_TRANSPORT];
    struct refusal refusal = {0};
    /* Owner from now on, whoever it was, reached where it speaks from. */
    pe.home_id = stays_here(rg, assoc, &pe) ? 0 : rg->set.id;
    pe.asap = (struct transport){0};
    if (assoc->peer_count > 0) {
        pe.asap = (struct transport){.protocol = TRANSPORT_SCTP,
                                     .port = assoc->port,
                                     .use = TRANSPORT_USE_DATA,
                                     .address_count = assoc->peer_count,
                                     .addresses = assoc->peers};
    }
    bool ok = check_values(rg, &pe, &refusal);
    if (ok && !rg_assoc_may_register(rg, assoc, rg->rx.handle)) {
        refuse(&refusal, CAUSE_SECURITY, "this registrar does not let it register from there");
        ok = false;
    }
    ok = ok && keep_proven(rg, assoc, &pe, kept, &refusal);
    if (ok) {
        measure(rg, assoc, &pe.policy);
    }
    hs_read_begin();
    if (ok && hs_find(rg->hs, rg->rx.handle, pe.pe_id) == NULL &&
        !rg_principal_may_bear(rg, assoc, now)) {
        hs_read_end();
        return; /* unanswered: it comes again, and is not refused for good */
    }
    ok = ok && admit(rg, assoc, &pe, &refusal, now);
    hs_read_end();
    if (!ok) {
        respond_refused(rg, assoc, ASAP_REGISTRATION_RESPONSE, &refusal);
        say_refused(rg, assoc, "registration", &refusal, now);
        return;
    }
    begin_response(rg, ASAP_REGISTRATION_RESPONSE, rg->rx.handle, pe.pe_id);
    rg_send(rg, assoc->id);
}

/* --- leaving
 * ------------------------------------------------------------------------------------------ */

/* Inside a read section. */
static bool take_out(struct rg *rg, struct pool_handle handle, uint32_t pe_id, const char *reason,
                     bool by_itself, struct tm_us now)
{
    char text[POOL_HANDLE_TEXT_MAX];
    struct rg_pe *record = rg_pe_find(rg, handle, pe_id);
    const struct hs_element *element = hs_find(rg->hs, handle, pe_id);
    enum hs_result result = hs_deregister(rg->hs, handle, pe_id);
    if (result == HS_NO_RESOURCES) {
        return false;
    }
    if (result != HS_REMOVED) {
        if (record != NULL) {
            rg_pe_drop(rg, record);
        }
        return true;
    }
    if (rg->hooks.removed != NULL) {
        rg->hooks.removed(rg->hooks.ctx, element, by_itself, now);
    }
    uint64_t cause = rg->out->cause;
    const struct rg_doubt *doubt = record != NULL ? rg_pe_doubt(record) : NULL;
    if (!by_itself && doubt != NULL && doubt->report_event != 0) {
        rg->out->cause = doubt->report_event;
    }
    (void)outbox_event(rg->out, EVENT_PE_REMOVED, handle, pe_id, rg->set.id,
                       "PE 0x%08x left pool %s: %s", pe_id,
                       pool_handle_format(handle, text, sizeof(text)), reason);
    rg->out->cause = cause;
    rg_changed(rg, RG_REMOVED, handle, pe_id, now);
    if (record != NULL) {
        rg_pe_drop(rg, record);
    }
    return true;
}

bool rg_remove(struct rg *rg, struct pool_handle handle, uint32_t pe_id, const char *reason,
               struct tm_us now)
{
    hs_read_begin();
    bool done = take_out(rg, handle, pe_id, reason, false, now);
    hs_read_end();
    return done;
}

/* A PE may take out only itself: over its association, or from its own ASAP transport. */
static bool may_deregister(const struct rg_assoc *assoc, const struct hs_element *element)
{
    struct transport asap = hs_asap(element);
    if (element->owner_ref == assoc->id) {
        return true;
    }
    if (asap.port != assoc->port) {
        return false;
    }
    for (uint16_t i = 0; i < asap.address_count; i++) {
        if (rg_assoc_has(assoc, &asap.addresses[i])) {
            return true;
        }
    }
    return false;
}

void rg_deregistration(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    struct refusal refusal = {0};
    hs_read_begin();
    const struct hs_element *element = hs_find(rg->hs, rg->rx.handle, rg->rx.pe_id);
    if (element != NULL && !may_deregister(assoc, element)) {
        refuse(&refusal, CAUSE_SECURITY, "only the PE itself may leave");
    } else if (element != NULL &&
               !take_out(rg, *element->handle, element->pe_id, "it deregistered", true, now)) {
        refuse(&refusal, CAUSE_LACK_OF_RESOURCES, "memory is out");
    }
    hs_read_end();
    if (refusal.cause != 0) {
        respond_refused(rg, assoc, ASAP_DEREGISTRATION_RESPONSE, &refusal);
        say_refused(rg, assoc, "deregistration", &refusal, now);
        return;
    }
    /* Unknown counts as done. */
    begin_response(rg, ASAP_DEREGISTRATION_RESPONSE, rg->rx.handle, rg->rx.pe_id);
    rg_send(rg, assoc->id);
}

void rg_expire(struct rg *rg, struct tm_us now)
{
    const struct hs_element *element;
    rg->retry = (struct tm_us){0};
    hs_read_begin();
    while ((element = hs_due(rg->hs, now)) != NULL) {
        uint64_t owner = element->owner_ref;
        if (!rg_remove(rg, *element->handle, element->pe_id, "its registration ran out", now)) {
            rg->retry = tm_add_ms(now, RG_RETRY_MS);
            break;
        }
        if (rg->set.tell_expired && owner != 0 &&
            (owner == LOCAL_ASSOC || rg_assoc_find(rg, owner) != NULL)) {
            begin_response(rg, ASAP_DEREGISTRATION_RESPONSE, *element->handle, element->pe_id);
            rg_send(rg, owner);
        }
    }
    hs_read_end();
}
