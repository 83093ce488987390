/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ENRP decoder: what decodes also encodes, and decodes to the same message again; what does not
 * can be answered.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "wire/enrp.h"

static struct enrp_message first;
static struct enrp_message second;
static struct enrp_message answer;
static struct wire_report report;
static struct wire_report second_report;
static uint8_t encoded[ENRP_MESSAGE_MAX];
static uint8_t again[ENRP_MESSAGE_MAX];

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

static void same_entries(const struct enrp_message *a, const struct enrp_message *b)
{
    MUST(a->entry_count == b->entry_count && a->entry_count <= ENRP_ENTRIES_MAX);
    for (uint16_t i = 0; i < a->entry_count; i++) {
        const struct pool_element *x = &a->entries[i].element;
        const struct pool_element *y = &b->entries[i].element;
        MUST(pool_handle_equal(a->entries[i].handle, b->entries[i].handle));
        MUST(x->pe_id == y->pe_id && x->home_id == y->home_id && x->home_id != 0 &&
             x->registration_life == y->registration_life);
        same_transport(&x->user, &y->user);
        MUST(x->policy.type == y->policy.type && x->policy.word_count == y->policy.word_count);
        MUST(memcmp(x->policy.words, y->policy.words,
                    x->policy.word_count * sizeof(x->policy.words[0])) == 0);
        same_transport(&x->asap, &y->asap);
        MUST(x->asap.protocol == TRANSPORT_SCTP);
    }
}

static void same_message(const struct enrp_message *a, const struct enrp_message *b)
{
    MUST(a->type == b->type && a->flags == b->flags && a->sender_id == b->sender_id &&
         a->receiver_id == b->receiver_id && a->target_id == b->target_id &&
         a->action == b->action);
    MUST(a->has_checksum == b->has_checksum && a->checksum == b->checksum);
    MUST(a->has_capabilities == b->has_capabilities && a->capabilities == b->capabilities);
    MUST(a->server_count == b->server_count && a->cause_count == b->cause_count);
    for (uint16_t i = 0; i < a->server_count; i++) {
        MUST(a->servers[i].id == b->servers[i].id);
        same_transport(&a->servers[i].transport, &b->servers[i].transport);
    }
    for (uint16_t i = 0; i < a->cause_count; i++) {
        MUST(a->causes[i].code == b->causes[i].code);
        same_octets(a->causes[i].body, a->causes[i].body_len, b->causes[i].body,
                    b->causes[i].body_len);
    }
    same_entries(a, b);
}

static void round_trip(size_t original)
{
    int len = enrp_encode(&first, encoded, sizeof(encoded));
    if (len == -EINVAL && first.type == ENRP_HANDLE_UPDATE && first.action > ENRP_DEL_PE) {
        return; /* heard, never said */
    }
    if (len == -EMSGSIZE && original > ENRP_MESSAGE_MAX - 3) {
        return; /* without its last padding it fitted */
    }
    MUST(len > 0 && len % 4 == 0);
    MUST(enrp_decode(encoded, (size_t)len, &second, &second_report) == WIRE_OK);
    MUST(second_report.cause_count == 0);
    same_message(&first, &second);
    int again_len = enrp_encode(&second, again, sizeof(again));
    MUST(again_len == len);
    same_octets(encoded, (size_t)len, again, (size_t)len);
}

/* Every report fits the ERROR it goes into. */
static void answerable(void)
{
    MUST(report.cause_count > 0 && report.cause_count <= ASAP_CAUSES_MAX);
    enrp_message_init(&answer, ENRP_ERROR, 1, first.sender_id);
    answer.cause_count = report.cause_count;
    memcpy(answer.causes, report.causes, sizeof(report.causes));
    MUST(enrp_encode(&answer, encoded, sizeof(encoded)) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
    switch (enrp_decode(octets, len, &first, &report)) {
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
