/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what with a pool; owners are kept in a tree by handle. */
#include "rspd/local/authority.h"

#include <errno.h>
#include <fnmatch.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlespace/rcu.h"

struct pool_owner {
    struct pool_handle handle; /* first: the key; borrows `octets` */
    uint32_t uid;
    uint32_t members;
    uint8_t octets[];
};

/** The settings of all pools; published as a whole. */
struct rule_set {
    struct rcu_head rcu;
    size_t count;
    struct authority_rule rules[];
};

struct authority {
    struct rule_set *set; /* NULL: none */
    void *owners;
};

static struct pool_owner *find(const struct authority *a, struct pool_handle handle)
{
    struct pool_owner **found =
        (struct pool_owner **)tfind(&handle, &a->owners, pool_handle_compare);
    return found != NULL ? *found : NULL;
}

int authority_new(struct authority **ret)
{
    struct authority *a = (struct authority *)calloc(1, sizeof(*a));
    if (a == NULL) {
        return -ENOMEM;
    }
    *ret = a;
    return 0;
}

void authority_free(struct authority *a)
{
    if (a != NULL) {
        tdestroy(a->owners, free);
        free(a->set);
        free(a);
    }
}

static void set_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct rule_set, rcu));
}

int authority_set_rules(struct authority *a, const struct authority_rule *rules, size_t count)
{
    struct rule_set *old = a->set;
    struct rule_set *fresh = NULL;
    if (count > 0) {
        fresh = (struct rule_set *)malloc(sizeof(*fresh) + count * sizeof(*rules));
        if (fresh == NULL) {
            return -ENOMEM;
        }
        fresh->count = count;
        memcpy(fresh->rules, rules, count * sizeof(*rules));
    }
    hs_publish(a->set, fresh);
    if (old != NULL) {
        hs_defer(&old->rcu, set_release);
    }
    return 0;
}

/** The first setting for a handle; one with a NUL inside is matched by "*" alone. */
static const struct authority_rule *rule_of(const struct authority *a, struct pool_handle handle)
{
    const struct rule_set *set = hs_read_ptr(a->set);
    char text[POOL_HANDLE_MAX + 1];
    if (set == NULL) {
        return NULL;
    }
    size_t len = handle.len <= POOL_HANDLE_MAX ? handle.len : POOL_HANDLE_MAX;
    if (len > 0) {
        memcpy(text, handle.octets, len);
    }
    text[len] = '\0';
    bool odd = strlen(text) != len;
    for (size_t i = 0; i < set->count; i++) {
        const char *pattern = set->rules[i].pattern;
        if (odd ? strcmp(pattern, "*") == 0 : fnmatch(pattern, text, FNM_NOESCAPE) == 0) {
            return &set->rules[i];
        }
    }
    return NULL;
}

static bool list_empty(const struct authority_list *list)
{
    return list->uid_count == 0 && list->gid_count == 0;
}

static bool list_has(const struct authority_list *list, const struct authority_subject *who)
{
    for (size_t i = 0; i < list->uid_count; i++) {
        if (list->uids[i] == who->uid) {
            return true;
        }
    }
    for (size_t i = 0; i < list->gid_count; i++) {
        if (list->gids[i] == who->gid) {
            return true;
        }
        for (size_t k = 0; k < who->group_count; k++) {
            if (list->gids[i] == who->groups[k]) {
                return true;
            }
        }
    }
    return false;
}

static bool may_register(const struct authority *a, struct pool_handle handle,
                         const struct authority_subject *who, char *why, size_t size)
{
    char name[POOL_HANDLE_TEXT_MAX];
    const struct authority_rule *rule = rule_of(a, handle);
    if (rule != NULL && !list_empty(&rule->may_register)) {
        if (list_has(&rule->may_register, who)) {
            return true;
        }
        (void)snprintf(why, size,
                       "pool \"%s\" admits only the users and groups of its settings; uid %u is "
                       "not among them: add it to RegisterUsers in its [Pool] section",
                       pool_handle_format(handle, name, sizeof(name)), who->uid);
        return false;
    }
    const struct pool_owner *owner = find(a, handle);
    if (owner == NULL || owner->uid == who->uid) {
        return true;
    }
    (void)snprintf(why, size,
                   "pool \"%s\" belongs to uid %u on this host; uid %u may not join it: choose "
                   "another pool, or name the user in RegisterUsers of its [Pool] section",
                   pool_handle_format(handle, name, sizeof(name)), owner->uid, who->uid);
    return false;
}

static bool may_change(const struct authority *a, enum authority_act act, struct pool_handle handle,
                       const struct authority_subject *who, uint32_t pe_uid, char *why, size_t size)
{
    char name[POOL_HANDLE_TEXT_MAX];
    const struct pool_owner *owner = find(a, handle);
    if (who->uid == pe_uid || (owner != NULL && owner->uid == who->uid)) {
        return true;
    }
    (void)snprintf(why, size,
                   "this element of pool \"%s\" belongs to uid %u; uid %u may not %s it: ask its "
                   "owner or root",
                   pool_handle_format(handle, name, sizeof(name)), pe_uid, who->uid,
                   act == AUTHORITY_DEREGISTER ? "deregister" : "drain or change");
    return false;
}

bool authority_may_resolve(const struct authority *a, struct pool_handle handle,
                           const struct authority_subject *who)
{
    const struct authority_rule *rule = who->uid != 0 ? rule_of(a, handle) : NULL;
    return rule == NULL || list_empty(&rule->may_resolve) || list_has(&rule->may_resolve, who);
}

static bool may_resolve(const struct authority *a, struct pool_handle handle,
                        const struct authority_subject *who, char *why, size_t size)
{
    char name[POOL_HANDLE_TEXT_MAX];
    if (authority_may_resolve(a, handle, who)) {
        return true;
    }
    (void)snprintf(why, size,
                   "pool \"%s\" may be used only by the users and groups of its settings; uid %u "
                   "is not among them: add it to ResolveUsers in its [Pool] section",
                   pool_handle_format(handle, name, sizeof(name)), who->uid);
    return false;
}

bool authority_allows(const struct authority *a, enum authority_act act, struct pool_handle handle,
                      const struct authority_subject *who, uint32_t pe_uid, char *why, size_t size)
{
    char unused[AUTHORITY_WHY_MAX];
    if (why == NULL) {
        why = unused;
        size = sizeof(unused);
    }
    if (who->uid == 0) {
        return true;
    }
    switch (act) {
    case AUTHORITY_REGISTER:
        return may_register(a, handle, who, why, size);
    case AUTHORITY_DEREGISTER:
    case AUTHORITY_DRAIN:
        return may_change(a, act, handle, who, pe_uid, why, size);
    case AUTHORITY_RESOLVE:
    case AUTHORITY_REPORT:
        return may_resolve(a, handle, who, why, size);
    }
    (void)snprintf(why, size, "unknown request");
    return false;
}

int authority_join(struct authority *a, struct pool_handle handle, uint32_t uid)
{
    struct pool_owner *owner = find(a, handle);
    if (owner == NULL) {
        owner = (struct pool_owner *)malloc(sizeof(*owner) + handle.len);
        if (owner == NULL) {
            return -ENOMEM;
        }
        *owner =
            (struct pool_owner){.handle = {.octets = owner->octets, .len = handle.len}, .uid = uid};
        if (handle.len > 0) {
            memcpy(owner->octets, handle.octets, handle.len);
        }
        if (tsearch(owner, &a->owners, pool_handle_compare) == NULL) {
            free(owner);
            return -ENOMEM;
        }
    }
    owner->members++;
    return 0;
}

void authority_leave(struct authority *a, struct pool_handle handle)
{
    struct pool_owner *owner = find(a, handle);
    if (owner != NULL && --owner->members == 0) {
        (void)tdelete(owner, &a->owners, pool_handle_compare);
        free(owner);
    }
}

bool authority_owner(const struct authority *a, struct pool_handle handle, uint32_t *ret_uid)
{
    const struct pool_owner *owner = find(a, handle);
    if (owner == NULL) {
        return false;
    }
    *ret_uid = owner->uid;
    return true;
}
