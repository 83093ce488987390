/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control channel; see control.h. */
#include "librsp/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/asap.h"

#define END_TYPE    0x3f
#define END_LEN     4
#define COVERS_TYPE 0x3e
#define COVERS_LEN  CONTROL_COVERS_LEN

/* The head of COVERS, and of its only parameter: one that is skipped where it is not known. */
static const uint8_t covers_head[COVERS_LEN - 4] = {COVERS_TYPE, 0,    0, COVERS_LEN,
                                                    0x80,        0x3e, 0, 8};

static struct asap_message *message_new(enum asap_type type)
{
    struct asap_message *msg = (struct asap_message *)malloc(sizeof(*msg));
    if (msg != NULL) {
        asap_message_init(msg, type);
    }
    return msg;
}

/** An element that a session could be had with; false: it is none. */
static bool take_element(const struct pool_element *e, struct lp_pe *ret)
{
    const size_t most = sizeof(ret->addresses) / sizeof(ret->addresses[0]);
    *ret = (struct lp_pe){.pe_id = e->pe_id, .protocol = e->user.protocol, .port = e->user.port};
    for (size_t i = 0; i < e->user.address_count && ret->address_count < most; i++) {
        ret->addresses[ret->address_count++] = e->user.addresses[i];
    }
    return ret->pe_id != 0 && ret->port != 0 && ret->address_count > 0 &&
           (ret->protocol == TRANSPORT_TCP || ret->protocol == TRANSPORT_SCTP);
}

static void take(const struct asap_message *msg, struct control *c)
{
    switch (msg->type) {
    case ASAP_COOKIE:
    case ASAP_COOKIE_ECHO:
        if (msg->cookie.len > 0) {
            c->kind = msg->type == ASAP_COOKIE ? CONTROL_COOKIE : CONTROL_COOKIE_ECHO;
            c->cookie = msg->cookie.octets;
            c->cookie_len = msg->cookie.len;
        }
        break;
    case ASAP_BUSINESS_CARD:
        c->kind = CONTROL_CARD;
        c->pool = msg->handle;
        for (uint16_t i = 0; i < msg->element_count && c->card_count < CONTROL_CARD_MAX; i++) {
            c->card_count += take_element(&msg->elements[i], &c->card[c->card_count]);
        }
        break;
    case ASAP_ERROR:
        c->kind = CONTROL_ERROR;
        c->cause = msg->cause_count > 0 ? msg->causes[0].code : CAUSE_UNSPECIFIED;
        break;
    default:
        break;
    }
}

int control_read(const void *octets, size_t len, struct control *ret)
{
    const uint8_t *p = (const uint8_t *)octets;
    struct control c = {.kind = CONTROL_NOTHING};
    int r = 0;
    if (len == END_LEN && p[0] == END_TYPE && p[2] == 0 && p[3] == END_LEN) {
        *ret = (struct control){.kind = CONTROL_END};
        return 0;
    }
    if (len == COVERS_LEN && memcmp(p, covers_head, sizeof(covers_head)) == 0) {
        *ret = (struct control){.kind = CONTROL_COVERS,
                                .covers = (uint32_t)p[8] << 24 | (uint32_t)p[9] << 16 |
                                          (uint32_t)p[10] << 8 | p[11]};
        return 0;
    }
    struct wire_report *report = (struct wire_report *)malloc(sizeof(*report));
    struct asap_message *msg = message_new(ASAP_ERROR);
    if (msg == NULL || report == NULL) {
        r = -ENOMEM;
    } else {
        switch (asap_decode(octets, len, msg, report)) {
        case WIRE_OK:
            take(msg, &c);
            break;
        case WIRE_INVALID:
            r = -EPROTO;
            break;
        case WIRE_DISCARD:
        case WIRE_DISCARD_REPORT:
            break;
        }
    }
    free(msg);
    free(report);
    if (r == 0) {
        *ret = c;
    }
    return r;
}

static int encode(struct asap_message *msg, void *out, size_t size)
{
    int r = msg != NULL ? asap_encode(msg, out, size) : -ENOMEM;
    free(msg);
    return r;
}

int control_write_cookie(bool echo, const void *cookie, size_t len, void *out, size_t size)
{
    if (len == 0 || len > CONTROL_COOKIE_MAX) {
        return len == 0 ? -EINVAL : -EMSGSIZE;
    }
    struct asap_message *msg = message_new(echo ? ASAP_COOKIE_ECHO : ASAP_COOKIE);
    if (msg != NULL) {
        msg->cookie.octets = (const uint8_t *)cookie;
        msg->cookie.len = (uint16_t)len;
    }
    return encode(msg, out, size);
}

int control_write_error(uint16_t cause, void *out, size_t size)
{
    struct asap_message *msg = message_new(ASAP_ERROR);
    if (msg != NULL) {
        msg->cause_count = 1;
        msg->causes[0] = (struct asap_cause){.code = cause};
    }
    return encode(msg, out, size);
}

int control_write_end(void *out, size_t size)
{
    static const uint8_t end[END_LEN] = {END_TYPE, 0, 0, END_LEN};
    if (size < END_LEN) {
        return -EMSGSIZE;
    }
    memcpy(out, end, END_LEN);
    return END_LEN;
}

int control_write_covers(uint32_t messages, void *out, size_t size)
{
    uint8_t *p = (uint8_t *)out;
    if (size < COVERS_LEN) {
        return -EMSGSIZE;
    }
    memcpy(p, covers_head, sizeof(covers_head));
    p[8] = (uint8_t)(messages >> 24);
    p[9] = (uint8_t)(messages >> 16);
    p[10] = (uint8_t)(messages >> 8);
    p[11] = (uint8_t)messages;
    return COVERS_LEN;
}

int control_write_card(struct pool_handle handle, const struct pool_element *elements, size_t count,
                       void *out, size_t size)
{
    if (count == 0) {
        return -EINVAL;
    }
    struct asap_message *msg = message_new(ASAP_BUSINESS_CARD);
    if (msg != NULL) {
        msg->has_handle = true;
        msg->handle = handle;
        for (size_t i = 0; i < count && i < CONTROL_CARD_MAX; i++) {
            msg->elements[msg->element_count++] = elements[i];
        }
    }
    return encode(msg, out, size);
}
