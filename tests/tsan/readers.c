/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readers of the handlespace beside a busy writer. */
#include "handlespace/handlespace.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/rnd.h"
#include "handlespace/policy.h"
#include "tests/tsan/tsan.h"

#define READERS  3
#define CHANGES  8000
#define ELEMENTS 100

#define KINDS 16 /* a pool for each policy */

static const struct ip_address ADDRESS = {.family = IP_V4, .octets = {10, 1, 1, 1}};
static atomic_bool done;
static struct hs *hs;

static void *read_on(void *arg)
{
    uint64_t *rounds = (uint64_t *)arg;
    hs_thread_register();
    do {
        for (size_t p = 0; p < KINDS; p++) {
            const struct hs_element *found[8];
            struct hs_cursor cursor = {0};
            hs_read_begin();
            size_t n = hs_select(hs, pool_handle_of(policy_info_at(p)->name), 8, NULL, NULL, found);
            for (size_t i = 0; i < n; i++) {
                CHECK(hs_user(found[i]).port == 80 &&
                      hs_user(found[i]).addresses[0].octets[0] == 10);
            }
            const struct hs_element *e = hs_find(hs, pool_handle_of(policy_info_at(p)->name), 5);
            CHECK(e == NULL || e->pe_id == 5);
            (void)hs_checksum(hs, 0xa1b2c3d4);
            for (int i = 0; i < 20 && hs_element_next(hs, &cursor) != NULL; i++) {
            }
            hs_read_end();
        }
        (*rounds)++;
    } while (!atomic_load(&done));
    hs_thread_unregister();
    return NULL;
}

static void change(struct rnd *rnd, struct tm_us now)
{
    uint32_t which = (uint32_t)rnd_below(rnd, KINDS);
    const struct policy_info *info = policy_info_at(which);
    struct pool_element pe = {.pe_id = 1 + (uint32_t)rnd_below(rnd, ELEMENTS),
                              .home_id = 0xa1b2c3d4};
    if (rnd_below(rnd, 3) == 0) {
        (void)hs_deregister(hs, pool_handle_of(info->name), pe.pe_id);
        return;
    }
    pe.user = (struct transport){
        .protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &ADDRESS};
    pe.policy = (struct policy){.type = info->type, .word_count = info->word_count};
    for (int i = 0; i < 4; i++) {
        pe.policy.words[i] = (uint32_t)rnd_below(rnd, 50);
    }
    (void)hs_register(hs, pool_handle_of(info->name), &pe, -1, 0, now);
}

int main(void)
{
    pthread_t threads[READERS];
    uint64_t rounds[READERS] = {0};
    struct rnd rnd;
    const struct hs_limits limits = {0};
    hs = hs_new(&limits, 7);
    CHECK(hs != NULL && policy_info_at(KINDS - 1) != NULL && policy_info_at(KINDS) == NULL);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, read_on, &rounds[i]) == 0);
    }
    rnd_seed(&rnd, 3);
    for (int i = 0; i < CHANGES; i++) {
        change(&rnd, (struct tm_us){i});
    }
    atomic_store(&done, true);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0 && rounds[i] > 0);
    }
    hs_free(hs);
    return 0;
}
