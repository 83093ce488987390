/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ASAP decoder: what decodes also encodes, and decodes to the same message again; what does not
 * can be answered.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "wire/asap.h"

static struct asap_message first;
static struct asap_message second;
static struct asap_message answer;
static struct wire_report report;
static struct wire_report second_report;
static uint8_t encoded[ASAP_MESSAGE_MAX];
static uint8_t again[ASAP_MESSAGE_MAX];

static void same_octets(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    MUST(a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0));
}

static void same_transport(const struct transport *a, const struct transport *b)
{
    MUST(a->protocol == b->protocol && a->port == b->port && a->use == b->use &&
         a->service_code == b->service_code && a->address_count == b->address_count);
    for (uint16_t i = 0; i < a->address_count; i++) {
        MUST(ip_address_equal(&a->addresses[i], &b->addresses[i]));
    }
    same_octets(a->opaque, a->opaque_len, b->opaque, b->opaque_len);
}

static void same_policy(const struct policy *a, const struct policy *b)
{
    MUST(a->type == b->type && a->word_count == b->word_count && a->word_count <= POLICY_WORDS_MAX);
    MUST(memcmp(a->words, b->words, a->word_count * sizeof(a->words[0])) == 0);
}

static void same_elements(const struct asap_message *a, const struct asap_message *b)
{
    MUST(a->element_count == b->element_count && a->element_count <= ASAP_ELEMENTS_MAX);
    for (uint16_t i = 0; i < a->element_count; i++) {
        const struct pool_element *x = &a->elements[i];
        const struct pool_element *y = &b->elements[i];
        MUST(x->pe_id == y->pe_id && x->home_id == y->home_id &&
             x->registration_life == y->registration_life);
        same_transport(&x->user, &y->user);
        same_policy(&x->policy, &y->policy);
        same_transport(&x->asap, &y->asap);
    }
}

static void same_message(const struct asap_message *a, const struct asap_message *b)
{
    MUST(a->type == b->type && a->flags == b->flags);
    MUST(a->has_handle == b->has_handle && a->has_pe_id == b->has_pe_id &&
         a->has_server_id == b->has_server_id && a->has_policy == b->has_policy &&
         a->has_items == b->has_items);
    MUST(!a->has_handle || pool_handle_equal(a->handle, b->handle));
    MUST(!a->has_pe_id || a->pe_id == b->pe_id);
    MUST(!a->has_server_id || a->server_id == b->server_id);
    MUST(!a->has_items || a->items == b->items);
    if (a->has_policy) {
        same_policy(&a->policy, &b->policy);
    }
    same_octets(a->cookie.octets, a->cookie.len, b->cookie.octets, b->cookie.len);
    same_elements(a, b);
    MUST(a->transport_count == b->transport_count && a->cause_count == b->cause_count);
    for (uint16_t i = 0; i < a->transport_count; i++) {
        same_transport(&a->transports[i], &b->transports[i]);
    }
    for (uint16_t i = 0; i < a->cause_count; i++) {
        MUST(a->causes[i].code == b->causes[i].code);
        same_octets(a->causes[i].body, a->causes[i].body_len, b->causes[i].body,
                    b->causes[i].body_len);
    }
}

static void round_trip(size_t original)
{
    int len = asap_encode(&first, encoded, sizeof(encoded));
    if (len == -EMSGSIZE && original > ASAP_MESSAGE_MAX - 3) {
        return; /* without its last padding it fitted */
    }
    MUST(len > 0 && len % 4 == 0);
    MUST(asap_decode(encoded, (size_t)len, &second, &second_report) == WIRE_OK);
    MUST(second_report.cause_count == 0);
    same_message(&first, &second);
    int again_len = asap_encode(&second, again, sizeof(again));
    MUST(again_len == len);
    same_octets(encoded, (size_t)len, again, (size_t)len);
}

/* Every report fits the ERROR or the response it goes into. */
static void answerable(void)
{
    MUST(report.cause_count > 0 && report.cause_count <= ASAP_CAUSES_MAX);
    asap_message_init(&answer, ASAP_ERROR);
    answer.cause_count = report.cause_count;
    memcpy(answer.causes, report.causes, sizeof(report.causes));
    MUST(asap_encode(&answer, encoded, sizeof(encoded)) > 0);
    if (first.has_handle && first.has_pe_id) {
        answer.type = ASAP_REGISTRATION_RESPONSE;
        answer.flags = ASAP_FLAG;
        answer.has_handle = true;
        answer.handle = first.handle;
        answer.has_pe_id = true;
        answer.pe_id = first.pe_id;
        MUST(asap_encode(&answer, encoded, sizeof(encoded)) > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
    switch (asap_decode(octets, len, &first, &report)) {
    case WIRE_OK:
        if (report.cause_count > 0) {
            answerable();
        }
        round_trip(len);
        return 0;
    case WIRE_DISCARD:
        MUST(report.cause_count == 0);
        return 0;
    case WIRE_DISCARD_REPORT:
        answerable();
        return 0;
    case WIRE_INVALID:
        answerable();
        MUST(report.causes[0].code == CAUSE_INVALID_VALUES && report.text != NULL);
        return 0;
    }
    abort();
}
