/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients that resolve, resolver threads that answer, and a loop thread that changes all the while
 * what these read: elements, quarantine, PEs of this host, rules, the host's addresses, the role.
 */
#include "rspd/local/resolver.h"

#include <pthread.h>
#include <stdatomic.h>

#include "rspd/local/requests.h"
#include "rspd/registrar/registrar.h"
#include "tests/bench/local.h"
#include "tests/tsan/tsan.h"

#define CLIENTS  3
#define ROUNDS   1500
#define ELEMENTS 20
#define RG_ID    0xa1b2c3d4

static const struct pool_handle POOL = {.octets = (const uint8_t *)"web", .len = 3};
static struct loop *loop;
static struct hs *hs;
static struct ag *ag;
static struct outbox out;
static struct authority *authority;
static atomic_bool done;
static char path[64];

static struct hs *handlespace(void *ctx)
{
    (void)ctx;
    return hs;
}

static bool is_registrar(void *ctx)
{
    (void)ctx;
    return true;
}

/** What the machines want done is not done here. */
static void settle(void *ctx)
{
    struct action *action;
    (void)ctx;
    while ((action = outbox_take(&out)) != NULL) {
        action_free(action);
    }
}

static void *resolve_on(void *arg)
{
    uint64_t *answers = (uint64_t *)arg;
    struct local *l = (struct local *)calloc(1, sizeof(*l));
    CHECK(l != NULL);
    local_open(l, path);
    while (!atomic_load(&done)) {
        struct lp_pe pe;
        int err = local_resolve(l, "web", TRANSPORT_TCP, &pe);
        CHECK(err == 0 || err == -ECONNREFUSED || err == -EPERM || err == -EAGAIN);
        CHECK(err != 0 || (pe.pe_id >= 1 && pe.pe_id <= ELEMENTS && pe.port == 80));
        *answers += err == 0;
    }
    (void)close(l->fd);
    free(l);
    return NULL;
}

static void change_element(uint32_t pe_id, struct tm_us now)
{
    const struct ip_address address = {.family = IP_V4, .octets = {127, 0, 0, 1}};
    const struct pool_element pe = {
        .pe_id = pe_id,
        .home_id = RG_ID,
        .policy = {.type = POLICY_RR},
        .user = {.protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &address}};
    if (pe_id % 2 == 0 && now.us % 3 == 0) {
        (void)hs_deregister(hs, POOL, pe_id);
    } else {
        (void)hs_register(hs, POOL, &pe, -1, LOCAL_ASSOC, now);
    }
}

static void change_own(uint32_t pe_id, int round, struct tm_us now)
{
    const struct ag_pe pe = {.handle = POOL,
                             .pe_id = pe_id,
                             .protocol = TRANSPORT_TCP,
                             .port = 80,
                             .families = LP_FAMILY_V4,
                             .policy = {.type = POLICY_RR}};
    int err;
    switch (round % 4) {
    case 0:
        (void)ag_pe_add(ag, &pe, now, &err);
        break;
    case 1:
        (void)ag_pe_withhold(ag, pe_id, "hung", now);
        break;
    case 2:
        (void)ag_pe_withhold(ag, pe_id, NULL, now);
        break;
    default:
        ag_pe_remove(ag, pe_id, NULL, now);
        break;
    }
}

static void change_rest(int round, struct tm_us now)
{
    struct authority_rule rule = {.pattern = "*"};
    struct ip_address address = {.family = IP_V4, .octets = {10, 0, 0, (uint8_t)(1 + round % 4)}};
    if (round % 10 == 0) {
        rule.may_resolve = (struct authority_list){.uid_count = 1, .uids = {(uint32_t)getuid()}};
        CHECK(authority_set_rules(authority, &rule, 1) == 0);
        ag_host_addresses(ag, &address, 1, now);
    }
    if (round % 100 == 50) {
        ag_local_registrar(ag, 0, NULL, now);
    } else if (round % 100 == 51) {
        ag_local_registrar(ag, RG_ID, hs, now);
    }
}

static void work(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct tm_us now = {1000000 + round};
        uint32_t pe_id = 1 + (uint32_t)round % ELEMENTS;
        change_element(pe_id, now);
        change_own(1 + (uint32_t)(round / 4) % 3, round, now);
        if (round % 5 == 0) {
            ag_report(ag, POOL, pe_id, ECONNREFUSED, now);
        } else if (round % 5 == 3) {
            ag_tried(ag, pe_id, true, now);
        }
        change_rest(round, now);
        settle(NULL);
        CHECK(loop_step(loop, 0) >= 0);
    }
}

static void beside_clients(void)
{
    pthread_t threads[CLIENTS];
    uint64_t answers[CLIENTS] = {0};
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(pthread_create(&threads[i], NULL, resolve_on, &answers[i]) == 0);
    }
    work();
    atomic_store(&done, true);
    for (int i = 0; i < CLIENTS; i++) {
        while (pthread_tryjoin_np(threads[i], NULL) != 0) {
            CHECK(loop_step(loop, 1) >= 0); /* its last question may be the loop's to answer */
        }
        CHECK(answers[i] > 0);
    }
}

static void quiet(void *ctx, bool error, const char *text)
{
    (void)ctx;
    (void)error;
    (void)text;
}

int main(void)
{
    const struct hs_limits limits = {0};
    static char words[3][32] = {"rspd", "--set", "Daemon.ResolverThreads=2"};
    char *arguments[] = {words[0], words[1], words[2]};
    struct settings_command command;
    struct settings settings;
    struct ag_settings ag_settings;
    struct cookies_settings cookies_settings;
    struct cookies *cookies;
    struct rules *rules;
    char error[256];
    CHECK(settings_command_line(3, arguments, quiet, NULL, &command) == 0 &&
          settings_load(&command, "/nonexistent", true, "/run", quiet, NULL, &settings) == 0);
    hs_thread_register();
    outbox_init(&out);
    ag_settings_default(&ag_settings);
    cookies_settings_default(true, &cookies_settings);
    hs = hs_new(&limits, 7);
    ag = ag_new(&ag_settings, &out, 3, (struct tm_us){1});
    struct eventlog *log = eventlog_new(NULL, NULL);
    CHECK(hs != NULL && ag != NULL && log != NULL && loop_new(&loop) == 0 &&
          authority_new(&authority) == 0 && rules_new(&rules) == 0 &&
          cookies_new(&cookies_settings, NULL, &cookies) == 0);
    const struct requests_env env = {.loop = loop,
                                     .ag = ag,
                                     .out = &out,
                                     .authority = authority,
                                     .rules = rules,
                                     .cookies = cookies,
                                     .log = log,
                                     .settings = &settings,
                                     .handlespace = handlespace,
                                     .is_registrar = is_registrar,
                                     .settle = settle};
    struct requests *rq = requests_new(&env);
    (void)snprintf(path, sizeof(path), "tsan-resolvers.%d", (int)getpid());
    CHECK(rq != NULL && requests_listen(rq, path, -1, error, sizeof(error)) == 0);
    ag_local_registrar(ag, RG_ID, hs, (struct tm_us){2});
    beside_clients();
    requests_free(rq);
    ag_free(ag);
    outbox_done(&out);
    cookies_free(cookies);
    rules_free(rules);
    authority_free(authority);
    eventlog_free(log);
    loop_free(loop);
    settings_done(&settings);
    hs_free(hs);
    hs_thread_unregister();
    return 0;
}
