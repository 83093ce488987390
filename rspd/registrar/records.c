/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The records of PEs: found by handle and identifier. There is one for each element, so they stand
 * in blocks, side by side, and share the handle of their pool. Blocks stay for what is to come.
 */
#include "rspd/registrar/rg_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct rg_pe) <= 64 || sizeof(void *) > 8, "a record is a cache line");

bool rg_pes_init(struct rg *rg)
{
    return rg_table_init(&rg->pes) && rg_table_init(&rg->names);
}

void rg_pes_done(struct rg *rg)
{
    struct rg_node *node;
    while ((node = rg_table_any(&rg->pes)) != NULL) {
        rg_pe_drop(rg, rg_of(node, struct rg_pe));
    }
    while (rg->pe_blocks != NULL) {
        struct rg_pe_block *next = rg->pe_blocks->next;
        free(rg->pe_blocks);
        rg->pe_blocks = next;
    }
    rg_table_done(&rg->pes);
    rg_table_done(&rg->names);
}

/* --- handles -----------------------------------------------------------------------------------
 */

static struct pool_handle handle_of(const struct rg_name *name)
{
    return (struct pool_handle){.octets = name->octets, .len = name->len};
}

struct pool_handle rg_pe_name(const struct rg_pe *pe)
{
    return handle_of(pe->name);
}

/* The name, which one more record has now; NULL: memory is out. */
static struct rg_name *name_get(struct rg *rg, struct pool_handle handle)
{
    uint64_t hash = rg_hash_handle(rg, handle, 0);
    struct rg_node *node = rg_table_first(&rg->names, hash);
    while (node != NULL && !pool_handle_equal(handle_of(rg_of(node, struct rg_name)), handle)) {
        node = node->next;
    }
    struct rg_name *name = node != NULL ? rg_of(node, struct rg_name) : NULL;
    if (name == NULL) {
        name = calloc(1, sizeof(*name) + handle.len);
        if (name == NULL) {
            return NULL;
        }
        name->len = handle.len;
        memcpy(name->octets, handle.octets, handle.len);
        rg_table_add(&rg->names, &name->node, hash);
    }
    name->pes++;
    return name;
}

static void name_put(struct rg *rg, struct rg_name *name)
{
    if (--name->pes == 0) {
        rg_table_remove(&rg->names, &name->node);
        free(name);
    }
}

/* --- records -----------------------------------------------------------------------------------
 */

/* A record that is in use by nobody; NULL: memory is out. */
static struct rg_pe *take(struct rg *rg)
{
    if (rg->spare_pes == NULL) {
        struct rg_pe_block *block = calloc(1, sizeof(*block));
        if (block == NULL) {
            return NULL;
        }
        block->next = rg->pe_blocks;
        rg->pe_blocks = block;
        for (unsigned i = 0; i < RG_PES_IN_BLOCK; i++) {
            block->pes[i].node.next = rg->spare_pes;
            rg->spare_pes = &block->pes[i].node;
        }
    }
    struct rg_node *node = rg->spare_pes;
    struct rg_pe *pe = rg_of(node, struct rg_pe);
    rg->spare_pes = node->next;
    memset(pe, 0, sizeof(*pe));
    return pe;
}

static void give_back(struct rg *rg, struct rg_pe *pe)
{
    pe->node.next = rg->spare_pes;
    rg->spare_pes = &pe->node;
}

struct rg_pe *rg_pe_find(const struct rg *rg, struct pool_handle handle, uint32_t pe_id)
{
    struct rg_node *node = rg_table_first(&rg->pes, rg_hash_handle(rg, handle, pe_id));
    for (; node != NULL; node = node->next) {
        struct rg_pe *pe = rg_of(node, struct rg_pe);
        if (rg_pe_id(pe) == pe_id && pool_handle_equal(rg_pe_name(pe), handle)) {
            return pe;
        }
    }
    return NULL;
}

struct rg_pe *rg_pe_get(struct rg *rg, struct pool_handle handle, uint32_t pe_id, bool *ret_new)
{
    struct rg_pe *pe = rg_pe_find(rg, handle, pe_id);
    *ret_new = pe == NULL;
    if (pe != NULL) {
        return pe;
    }
    struct rg_name *name = name_get(rg, handle);
    pe = name != NULL ? take(rg) : NULL;
    if (pe == NULL || !rg_timer_join(&rg->heap, &pe->timer, RG_TIMER_PE)) {
        if (pe != NULL) {
            give_back(rg, pe);
        }
        if (name != NULL) {
            name_put(rg, name);
        }
        return NULL;
    }
    pe->name = name;
    pe->node.number = pe_id;
    rg_table_add(&rg->pes, &pe->node, rg_hash_handle(rg, handle, pe_id));
    return pe;
}

void rg_pe_drop(struct rg *rg, struct rg_pe *pe)
{
    rg_principal_takes(pe, NULL);
    rg_pe_clear_doubt(pe);
    rg_timer_leave(&rg->heap, &pe->timer);
    rg_table_remove(&rg->pes, &pe->node);
    name_put(rg, pe->name);
    give_back(rg, pe);
}

/* --- what is said against one ------------------------------------------------------------------
 */

struct rg_doubt *rg_pe_doubt_with(struct rg_pe *pe, uint8_t reporters)
{
    struct rg_doubt *doubt = rg_pe_doubt(pe);
    if (doubt != NULL && doubt->reporter_size >= reporters) {
        return doubt;
    }
    struct rg_principal *principal = *rg_pe_principal(pe);
    bool fresh = doubt == NULL;
    doubt = realloc(doubt, sizeof(*doubt) + reporters * sizeof(doubt->reporters[0]));
    if (doubt == NULL) {
        return NULL;
    }
    if (fresh) {
        *doubt = (struct rg_doubt){.principal = principal};
    }
    doubt->reporter_size = reporters;
    pe->doubt = doubt;
    pe->doubted = true;
    return doubt;
}

void rg_pe_clear_doubt(struct rg_pe *pe)
{
    if (pe->doubted) {
        struct rg_doubt *doubt = pe->doubt;
        pe->doubted = false;
        pe->principal = doubt->principal;
        free(doubt);
    }
}
