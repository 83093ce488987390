/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/outbox.h"

#include <criterion/criterion.h>
#include <string.h>

Test(outbox, keeps_order)
{
    struct outbox box;
    outbox_init(&box);
    outbox_send(&box, 7, "abcd", 4);
    outbox_disconnect(&box, 8, true);
    cr_assert_not_null(outbox_add(&box, ACTION_RESOLVED));
    struct action *a = outbox_take(&box);
    cr_assert_eq(a->kind, ACTION_SEND);
    cr_assert_eq(a->assoc, 7);
    cr_assert_eq(a->message->len, 4);
    cr_assert_arr_eq(a->message->octets, "abcd", 4);
    action_free(a);
    a = outbox_take(&box);
    cr_assert_eq(a->kind, ACTION_DISCONNECT);
    cr_assert(a->abort);
    action_free(a);
    a = outbox_take(&box);
    cr_assert_eq(a->kind, ACTION_RESOLVED);
    action_free(a);
    cr_assert_null(outbox_take(&box));
    outbox_send(&box, 1, "", 0);
    outbox_done(&box);
    cr_assert_null(box.head);
}

Test(outbox, events_have_ids_and_causes)
{
    struct outbox box;
    outbox_init(&box);
    char handle[] = "web";
    uint64_t first = outbox_event(&box, EVENT_PE_ADDED, pool_handle_of(handle), 5, 6, "pe %d\n", 1);
    box.cause = first;
    memset(handle, 'x', 3);
    uint64_t second =
        outbox_event(&box, EVENT_PE_REMOVED, (struct pool_handle){0}, 5, 6, "%300s", "");
    cr_assert_neq(first, 0);
    cr_assert_eq(second, first + 1);
    struct action *a = outbox_take(&box);
    cr_assert_eq(a->event.id, first);
    cr_assert_eq(a->event.cause, 0);
    cr_assert(pool_handle_equal(a->event.handle, pool_handle_of("web")));
    cr_assert_str_eq(a->event.text, "pe 1?");
    action_free(a);
    a = outbox_take(&box);
    cr_assert_eq(a->event.cause, first);
    cr_assert_eq(strlen(a->event.text), EVENT_TEXT_MAX - 1);
    action_free(a);
    outbox_done(&box);
}

Test(outbox, every_kind_has_its_name)
{
    for (int i = 0; i < EVENT_KINDS; i++) {
        cr_assert_str_neq(event_kind_name(i), "unknown");
        for (int j = 0; j < i; j++) {
            cr_assert_str_neq(event_kind_name(i), event_kind_name(j));
        }
    }
    cr_assert_str_eq(event_kind_name(EVENT_KINDS), "unknown");
}
