/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A queue of actions, in the order in which the machines wanted them. */
#include "rspd/outbox.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void outbox_init(struct outbox *box)
{
    *box = (struct outbox){.next_event_id = 1};
    box->tail = &box->head;
}

void outbox_done(struct outbox *box)
{
    struct action *action;
    while ((action = outbox_take(box)) != NULL) {
        action_free(action);
    }
}

static void append(struct outbox *box, struct action *action)
{
    action->event.cause = box->cause;
    *box->tail = action;
    box->tail = &action->next;
}

static struct action *action_new(enum action_kind kind)
{
    struct action *action = calloc(1, sizeof(*action));
    if (action != NULL) {
        action->kind = kind;
    }
    return action;
}

struct action *outbox_add(struct outbox *box, enum action_kind kind)
{
    struct action *action = action_new(kind);
    if (action != NULL) {
        append(box, action);
    }
    return action;
}

void outbox_send(struct outbox *box, uint64_t assoc, const void *octets, size_t len)
{
    outbox_send_as(box, assoc, 0, octets, len);
}

void outbox_send_as(struct outbox *box, uint64_t assoc, uint32_t ppid, const void *octets,
                    size_t len)
{
    struct action *action = action_new(ACTION_SEND);
    if (action == NULL) {
        return;
    }
    action->assoc = assoc;
    action->ppid = ppid;
    action->message = buffer_copy(octets, len);
    if (action->message == NULL) {
        action_free(action);
        return;
    }
    append(box, action);
}

void outbox_disconnect(struct outbox *box, uint64_t assoc, bool abort)
{
    struct action *action = outbox_add(box, ACTION_DISCONNECT);
    if (action != NULL) {
        action->assoc = assoc;
        action->abort = abort;
    }
}

/* Log and terminal get the text as it is: no control octets may come through. */
static void escape_controls(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

uint64_t outbox_event(struct outbox *box, enum event_kind kind, struct pool_handle handle,
                      uint32_t pe_id, uint32_t registrar_id, const char *format, ...)
{
    uint64_t id = box->event_counter != NULL ? (*box->event_counter)++ : box->next_event_id++;
    struct action *action = action_new(ACTION_EVENT);
    if (action == NULL) {
        return id;
    }
    struct event *event = &action->event;
    event->id = id;
    event->kind = kind;
    event->pe_id = pe_id;
    event->registrar_id = registrar_id;
    if (handle.len > 0) {
        action->event_handle = malloc(handle.len);
        if (action->event_handle == NULL) {
            action_free(action);
            return id;
        }
        memcpy(action->event_handle, handle.octets, handle.len);
        event->handle = (struct pool_handle){.octets = action->event_handle, .len = handle.len};
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(event->text, sizeof(event->text), format, args);
    va_end(args);
    escape_controls(event->text);
    append(box, action);
    return id;
}

struct action *outbox_take(struct outbox *box)
{
    struct action *action = box->head;
    if (action == NULL) {
        return NULL;
    }
    box->head = action->next;
    if (box->head == NULL) {
        box->tail = &box->head;
    }
    action->next = NULL;
    return action;
}

void action_free(struct action *action)
{
    if (action == NULL) {
        return;
    }
    free(action->message);
    free(action->event_handle);
    free(action);
}
