/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handlespace as a whole, in an order and with members that are the same on every host that
 * knows the same: dumps of two registrars are compared by diff. What only one host sees (states,
 * ages, processes, elements for itself) is left to `dump --all`.
 */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlespace/policy.h"

/** One element. */
struct entry {
    struct handle_text pool;
    uint32_t pe_id, home_id;
    enum transport_protocol protocol;
    uint32_t port;
    size_t address_count;
    struct ip_address addresses[8];
    struct policy policy;
};

struct entries {
    struct entry *items;
    size_t count, size;
    size_t left_out; /* known on this host only */
    bool no_memory;
};

static void read_entry(const struct lp_each *it, struct entry *ret)
{
    struct lp_each in;
    struct pool_handle handle;
    lp_nested(&in, it);
    while (lp_next(&in)) {
        if (in.type == LP_T_HANDLE && lp_handle(&in, &handle) && handle.len <= POOL_HANDLE_MAX) {
            ret->pool.len = handle.len;
            memcpy(ret->pool.octets, handle.octets, handle.len);
        } else if (in.type == LP_T_PE_ID) {
            ret->pe_id = lp_u32(&in, 0);
        } else if (in.type == LP_T_HOME_ID) {
            ret->home_id = lp_u32(&in, 0);
        } else if (in.type == LP_T_PROTOCOL) {
            ret->protocol = (enum transport_protocol)lp_u32(&in, 0);
        } else if (in.type == LP_T_PORT) {
            ret->port = lp_u32(&in, 0);
        } else if (in.type == LP_T_POLICY) {
            (void)lp_policy(&in, &ret->policy);
        } else if (in.type == LP_T_ADDRESS && ret->address_count < 8 &&
                   lp_address(&in, &ret->addresses[ret->address_count])) {
            ret->address_count++;
        }
    }
}

static void collect(const struct lp_each *it, void *arg)
{
    struct entries *list = arg;
    struct entry entry = {.port = 0};
    read_entry(it, &entry);
    if (entry.home_id == 0) {
        list->left_out++;
        return;
    }
    if (list->count == list->size) {
        size_t size = list->size > 0 ? list->size * 2 : 64;
        struct entry *more = reallocarray(list->items, size, sizeof(*more));
        if (more == NULL) {
            list->no_memory = true;
            return;
        }
        list->items = more;
        list->size = size;
    }
    list->items[list->count++] = entry;
}

/** By pool, octet by octet, then by identifier. */
static int compare(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    size_t least = x->pool.len < y->pool.len ? x->pool.len : y->pool.len;
    int order = memcmp(x->pool.octets, y->pool.octets, least);
    if (order == 0) {
        order = (x->pool.len > y->pool.len) - (x->pool.len < y->pool.len);
    }
    return order != 0 ? order : (x->pe_id > y->pe_id) - (x->pe_id < y->pe_id);
}

static bool same_pool(const struct entry *x, const struct entry *y)
{
    return pool_handle_equal(handle_of(&x->pool), handle_of(&y->pool));
}

static json_t *element_object(const struct entry *e)
{
    char text[160];
    json_t *addresses = json_array();
    json_t *object = json_object();
    for (size_t i = 0; i < e->address_count; i++) {
        (void)json_array_append_new(
            addresses, json_string(ip_address_format(&e->addresses[i], text, sizeof(text))));
    }
    (void)json_object_set_new(object, "pe_id", out_id(e->pe_id));
    (void)json_object_set_new(object, "home_id", out_id(e->home_id));
    (void)json_object_set_new(object, "protocol",
                              json_string(transport_protocol_name(e->protocol)));
    (void)json_object_set_new(object, "port", json_integer((json_int_t)e->port));
    (void)json_object_set_new(object, "addresses", addresses);
    (void)json_object_set_new(object, "policy",
                              json_string(policy_format(&e->policy, text, sizeof(text))));
    return object;
}

static int print_json(const struct entries *list)
{
    json_t *pools = json_array();
    json_t *elements = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct entry *e = &list->items[i];
        if (i == 0 || !same_pool(e, &list->items[i - 1])) {
            json_t *pool = json_object();
            elements = json_array();
            out_put_handle(pool, "handle", handle_of(&e->pool));
            (void)json_object_set_new(pool, "elements", elements);
            (void)json_array_append_new(pools, pool);
        }
        (void)json_array_append_new(elements, element_object(e));
    }
    return out_json("rspctl.dump/2", json_pack("{s:o}", "pools", pools));
}

/** One element a line, nothing aligned: a change of one line changes no other. */
static int print_text(const struct entries *list)
{
    char text[POOL_HANDLE_MAX * 4 + 1];
    for (size_t i = 0; i < list->count; i++) {
        const struct entry *e = &list->items[i];
        printf("%s 0x%08x home 0x%08x %s",
               pool_handle_format(handle_of(&e->pool), text, sizeof(text)), e->pe_id, e->home_id,
               transport_protocol_name(e->protocol));
        for (size_t k = 0; k < e->address_count; k++) {
            printf(" %s", ip_address_format(&e->addresses[k], text, sizeof(text)));
        }
        printf(" port %u, %s\n", e->port, policy_format(&e->policy, text, sizeof(text)));
    }
    return CTL_OK;
}

static int dump_all(struct ctl *ctl)
{
    int status = CTL_OK;
    json_t *document = json_object();
    json_t *part = status_object(ctl, &status);
    if (part != NULL) {
        (void)json_object_set_new(document, "status", part);
        part = rows_registrars(ctl, &status);
    }
    if (part != NULL) {
        (void)json_object_set_new(document, "registrars", part);
        part = rows_pools(ctl, NULL, &status);
    }
    if (part != NULL) {
        (void)json_object_set_new(document, "pools", part);
        part = rows_pes(ctl, NULL, false, &status);
    }
    if (part == NULL) {
        json_decref(document);
        return status;
    }
    (void)json_object_set_new(document, "pes", part);
    return out_json("rspctl.dump/1", document);
}

int ctl_run_dump(struct ctl *ctl)
{
    struct entries list = {.items = NULL};
    int status = client_open(ctl);
    if (status == CTL_OK && ctl->opt[OPT_ALL] != NULL) {
        return dump_all(ctl);
    }
    if (status == CTL_OK) {
        (void)client_begin(ctl, LP_PE_LIST);
        status = client_list(ctl, "list pool elements", LP_T_PE, collect, &list);
    }
    if (status == CTL_OK && list.no_memory) {
        status = ctl_fail(CTL_FAILED, "out of memory");
    }
    if (status == CTL_OK) {
        if (list.count > 0) {
            qsort(list.items, list.count, sizeof(list.items[0]), compare);
        }
        if (list.left_out > 0 && ctl->opt[OPT_JSON] == NULL) {
            ctl_say(ctl, "%zu elements that only this host knows are left out, see --all",
                    list.left_out);
        }
        status = ctl->opt[OPT_JSON] != NULL ? print_json(&list) : print_text(&list);
    }
    free(list.items);
    return status;
}
