/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the agent that hold their rule alone: timers, token bucket, order of addresses. */
#include "agent_fixture.h"

#define TIMERS 150

static struct tm_us at_us(int64_t us)
{
    return (struct tm_us){us};
}

/* Whatever is set, moved and stopped: the earliest running timer is the next one. */
Test(agent_parts, the_earliest_timer_is_next)
{
    static struct ag_timer t[TIMERS];
    struct ag_timers timers = {0};
    struct rnd rnd;
    rnd_seed(&rnd, 5);
    cr_assert(tm_is_never(ag_timers_next(&timers)));
    cr_assert_eq(ag_timers_reserve(&timers, TIMERS), 0);
    for (int step = 0; step < 5000; step++) {
        struct ag_timer *one = &t[rnd_below(&rnd, TIMERS)];
        if (rnd_below(&rnd, 3) == 0) {
            ag_timer_stop(&timers, one);
            cr_assert_eq(one->place, 0);
        } else {
            ag_timer_set(&timers, one, AG_TIMER_T4, at_us((int64_t)rnd_below(&rnd, 1000)));
        }
        struct tm_us first = TM_NEVER;
        uint32_t running = 0;
        for (int i = 0; i < TIMERS; i++) {
            running += t[i].place != 0 ? 1 : 0;
            first = t[i].place != 0 && tm_before(t[i].due, first) ? t[i].due : first;
        }
        cr_assert_eq(timers.used, running);
        cr_assert_eq(ag_timers_next(&timers).us, first.us);
    }
    int64_t last = -1;
    uint32_t left = timers.used;
    cr_assert_null(ag_timers_take_due(&timers, at_us(-1)));
    while (left > 0) {
        struct tm_us due = ag_timers_next(&timers);
        cr_assert_null(ag_timers_take_due(&timers, at_us(due.us - 1)));
        struct ag_timer *one = ag_timers_take_due(&timers, due);
        cr_assert_not_null(one);
        cr_assert(one->due.us >= last && one->place == 0 && one->kind == AG_TIMER_T4);
        last = one->due.us;
        cr_assert_eq(timers.used, --left);
    }
    ag_timers_done(&timers);
    cr_assert_eq(timers.size, 0);
}

/* Room is reserved for as many timers as are promised, and given back. */
Test(agent_parts, room_for_timers)
{
    struct ag_timers timers = {0};
    uint32_t promised = 0;
    for (uint32_t n = 1; n < 200; n++) {
        cr_assert_eq(ag_timers_reserve(&timers, n), 0);
        promised += n;
        cr_assert_eq(timers.reserved, promised);
        cr_assert_geq(timers.size, promised);
    }
    uint32_t size = timers.size;
    ag_timers_release(&timers, 100);
    cr_assert_eq(timers.reserved, promised - 100);
    cr_assert_eq(ag_timers_reserve(&timers, 100), 0);
    cr_assert_eq(timers.size, size); /* it was there */
    ag_timers_done(&timers);
}

static unsigned takes(struct ag_bucket *b, unsigned per_s, unsigned burst, int64_t ms)
{
    unsigned n = 0;
    while (n < 1000 && ag_bucket_take(b, per_s, burst, at_us(ms * 1000))) {
        n++;
    }
    return n;
}

/* A burst, then so many a second; a clock gone back gives nothing. */
Test(agent_parts, token_bucket)
{
    struct ag_bucket b = {20000, at_us(0)};
    cr_assert_eq(takes(&b, 10, 20, 0), 20);
    cr_assert_eq(takes(&b, 10, 20, 99), 0);
    cr_assert_eq(takes(&b, 10, 20, 100), 1);
    cr_assert_eq(takes(&b, 10, 20, 350), 2);
    cr_assert_eq(takes(&b, 10, 20, 400), 1); /* the half of before counts */
    cr_assert_eq(takes(&b, 10, 20, 300), 0);
    cr_assert_eq(takes(&b, 10, 20, 500), 1);
    cr_assert_eq(takes(&b, 10, 20, 3600000), 20);
    b = (struct ag_bucket){0, at_us(0)};
    cr_assert_eq(takes(&b, 1, 100, 70000), 70);
    b = (struct ag_bucket){0, at_us(0)};
    cr_assert_eq(takes(&b, 1000, 5, 5), 5);
}

/* --- in which order a PU tries the addresses of an element -------------------------------------
 */

static struct ag_view view_of(const char *const *texts)
{
    struct ag_view view = {0};
    for (; *texts != NULL; texts++) {
        view.host[view.host_count++] = fx_ip(*texts);
    }
    return view;
}

static void expect_list(const struct ip_address *got, uint8_t count, const char *const *want,
                        const char *what)
{
    uint8_t n = 0;
    for (; want[n] != NULL; n++) {
        struct ip_address a = fx_ip(want[n]);
        cr_expect(n < count && ip_address_equal(&got[n], &a), "%s: %s is not number %u", what,
                  want[n], n);
    }
    cr_expect_eq(count, n, "%s: %u addresses instead of %u", what, count, n);
}

/* Same family, then same scope, then the longer common prefix; the order given among equals. */
static const struct {
    const char *what;
    const char *host[5];
    const char *element[12];
    uint8_t families;
    bool home_on_host;
    const char *want[12];
} NEARNESS[] = {
    {"prefix",
     {"10.0.0.9", "127.0.0.1"},
     {"192.168.1.1", "10.0.0.200", "10.0.0.24", "10.0.0.8", "10.0.128.1", "10.0.1.1"},
     0,
     false,
     {"10.0.0.8", "10.0.0.24", "10.0.0.200", "10.0.1.1", "10.0.128.1", "192.168.1.1"}},
    {"octet edges",
     {"10.1.128.0"},
     {"10.1.64.0", "10.1.129.0", "10.1.128.1", "10.0.128.0", "10.1.128.128"},
     0,
     false,
     {"10.1.128.1", "10.1.128.128", "10.1.129.0", "10.1.64.0", "10.0.128.0"}},
    {"scope before prefix",
     {"172.16.0.1"},
     {"172.15.0.1", "10.0.0.1"},
     0,
     false,
     {"10.0.0.1", "172.15.0.1"}},
    {"family before all",
     {"2001:db8::1"},
     {"8.8.8.8", "fd00::1", "2001:db8::2"},
     0,
     false,
     {"2001:db8::2", "fd00::1", "8.8.8.8"}},
    {"unique local as site-local",
     {"fd00::1"},
     {"2001:db8::1", "fc12::1", "fd00::2"},
     0,
     false,
     {"fd00::2", "fc12::1", "2001:db8::1"}},
    {"IPv6 prefix to its last bit",
     {"2001:db8::1:0"},
     {"2001:db8::1:2", "2001:db8::1:1", "2001:db8::2:0", "2001:db9::1:0"},
     0,
     false,
     {"2001:db8::1:1", "2001:db8::1:2", "2001:db8::2:0", "2001:db9::1:0"}},
    {"best of several of the host's",
     {"10.0.0.9", "192.168.7.1"},
     {"10.0.128.1", "192.168.7.2"},
     0,
     false,
     {"192.168.7.2", "10.0.128.1"}},
    {"the host's loopback is near to none but loopback",
     {"10.0.0.9", "127.0.0.1"},
     {"126.0.0.1", "9.0.0.1", "127.0.0.1"},
     0,
     true,
     {"127.0.0.1", "9.0.0.1", "126.0.0.1"}},
    {"loopback is another's",
     {"10.0.0.9", "127.0.0.1"},
     {"127.0.0.1", "10.0.0.1", "::1"},
     0,
     false,
     {"10.0.0.1"}},
    {"IPv4 only",
     {"10.0.0.9"},
     {"2001:db8::1", "10.0.0.1", "::ffff:10.0.0.2"},
     LP_FAMILY_V4,
     false,
     {"10.0.0.1", "10.0.0.2"}},
    {"IPv6 only",
     {"10.0.0.9"},
     {"2001:db8::1", "10.0.0.1", "2001:db8::2"},
     LP_FAMILY_V6,
     false,
     {"2001:db8::1", "2001:db8::2"}},
    {"equals as given",
     {"10.0.0.9"},
     {"2001:db8::3", "2001:db8::1", "2001:db8::2"},
     0,
     false,
     {"2001:db8::3", "2001:db8::1", "2001:db8::2"}},
    {"the eight best",
     {"10.0.0.9"},
     {"8.1.1.1", "8.1.1.2", "10.0.0.8", "8.1.1.4", "8.1.1.5", "8.1.1.6", "8.1.1.7", "8.1.1.8",
      "8.1.1.9", "10.0.0.200"},
     0,
     false,
     {"10.0.0.8", "10.0.0.200", "8.1.1.1", "8.1.1.2", "8.1.1.4", "8.1.1.5", "8.1.1.6", "8.1.1.7"}},
};

Test(agent_parts, contacts_by_nearness)
{
    for (size_t r = 0; r < sizeof(NEARNESS) / sizeof(NEARNESS[0]); r++) {
        struct ag_view view = view_of(NEARNESS[r].host);
        struct ip_address list[12];
        struct ip_address got[AG_ADDRESSES_MAX];
        size_t n = 0;
        for (; n < 12 && NEARNESS[r].element[n] != NULL; n++) {
            list[n] = fx_ip(NEARNESS[r].element[n]);
        }
        view.home_on_host = NEARNESS[r].home_on_host;
        uint8_t count = ag_contact_addresses(&view, list, n, NEARNESS[r].families, got);
        expect_list(got, count, NEARNESS[r].want, NEARNESS[r].what);
    }
}

/* What to register, or to try where the PE is this host's: loopback first, then what it is bound
 * to, or all of the host's of its families. */
Test(agent_parts, contacts_of_own_elements)
{
    static const char *const HOST[] = {"10.0.0.9",  "2001:db8::9", "fe80::9", "169.254.1.1",
                                       "127.0.0.1", "::1",         NULL};
    static const struct {
        const char *what;
        uint8_t families;
        const char *bound[4];
        uint8_t wanted;
        const char *want[8];
    } rows[] = {
        {"wildcard", 0, {0}, 0, {"127.0.0.1", "::1", "10.0.0.9", "2001:db8::9"}},
        {"IPv4 wildcard", LP_FAMILY_V4, {0}, 0, {"127.0.0.1", "10.0.0.9"}},
        {"IPv6 wildcard", LP_FAMILY_V6, {0}, 0, {"::1", "2001:db8::9"}},
        {"both, IPv6 wanted", 3, {0}, LP_FAMILY_V6, {"::1", "2001:db8::9"}},
        {"both, IPv4 wanted", 3, {0}, LP_FAMILY_V4, {"127.0.0.1", "10.0.0.9"}},
        {"IPv4, IPv6 wanted", LP_FAMILY_V4, {0}, LP_FAMILY_V6, {0}},
        {"bound", 0, {"10.0.0.9"}, 0, {"10.0.0.9"}},
        {"bound to what is not the host's", 0, {"10.0.0.77"}, 0, {"10.0.0.77"}},
        {"bound, the other family wanted", 0, {"10.0.0.9"}, LP_FAMILY_V6, {0}},
        {"bound to loopback", 0, {"127.0.0.5"}, 0, {"127.0.0.5"}},
        {"bound to several", 0, {"10.0.0.9", "::1"}, 0, {"::1", "10.0.0.9"}},
        {"the same twice", 0, {"10.0.0.9", "10.0.0.9"}, 0, {"10.0.0.9"}},
    };
    struct ag_view view = view_of(HOST);
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct ag_pe pe = {.families = rows[r].families};
        struct ip_address got[AG_ADDRESSES_MAX];
        for (; rows[r].bound[pe.address_count] != NULL; pe.address_count++) {
            pe.addresses[pe.address_count] = fx_ip(rows[r].bound[pe.address_count]);
        }
        uint8_t count = ag_own_addresses(&view, &pe, rows[r].wanted, got);
        expect_list(got, count, rows[r].want, rows[r].what);
    }
}

struct registers {
    const char *what;
    const char *host[7];
    const char *home[3];
    const char *source;
    enum transport_protocol protocol;
    const char *bound[3];
    bool local;
    const char *want[7];
};

/* transport.md §7.2: all that may leave the host; of a transport with one address the nearest. */
static const struct registers REGISTERS[] = {
    {"SCTP: all",
     {"10.0.0.9", "8.8.0.1", "169.254.0.1", "fe80::1", "127.0.0.1"},
     {"10.0.0.1"},
     NULL,
     TRANSPORT_SCTP,
     {0},
     false,
     {"10.0.0.9", "8.8.0.1"}},
    {"nearest by prefix",
     {"10.0.128.9", "10.0.0.9", "10.1.0.9"},
     {"10.0.0.1"},
     NULL,
     TRANSPORT_TCP,
     {0},
     false,
     {"10.0.0.9"}},
    {"any of the home's addresses",
     {"10.0.128.9", "192.168.3.3"},
     {"172.16.0.1", "192.168.3.1"},
     NULL,
     TRANSPORT_TCP,
     {0},
     false,
     {"192.168.3.3"}},
    {"the first among equals",
     {"10.0.0.4", "10.0.0.5"},
     {"10.0.0.128"},
     NULL,
     TRANSPORT_UDP,
     {0},
     false,
     {"10.0.0.4"}},
    {"IPv4 where both lead there",
     {"2001:db8::9", "10.0.0.9"},
     {"2001:db8::1", "10.64.0.1"},
     NULL,
     TRANSPORT_TCP,
     {0},
     false,
     {"10.0.0.9"}},
    {"IPv4 where none leads there, whatever its scope",
     {"2001:db8::9", "10.0.0.9"},
     {"8.8.8.8"},
     NULL,
     TRANSPORT_TCP,
     {0},
     false,
     {"10.0.0.9"}},
    {"IPv6 where only that leads there",
     {"10.0.0.9", "2001:db8::9"},
     {"2001:db8::1"},
     NULL,
     TRANSPORT_TCP,
     {0},
     false,
     {"2001:db8::9"}},
    {"IPv4 of another scope is not led there",
     {"10.0.0.9", "2001:db8::9"},
     {"8.8.8.8", "2001:db8::1"},
     NULL,
     TRANSPORT_TCP,
     {0},
     false,
     {"2001:db8::9"}},
    {"the association's own",
     {"10.0.0.9", "10.0.0.3"},
     {"10.0.0.8"},
     "10.0.0.3",
     TRANSPORT_TCP,
     {0},
     false,
     {"10.0.0.3"}},
    {"the association's own, of another family",
     {"10.0.0.9", "2001:db8::9"},
     {"10.0.0.8"},
     "2001:db8::9",
     TRANSPORT_TCP,
     {0},
     false,
     {"10.0.0.9"}},
    {"the association's own, not the listener's",
     {"10.0.0.9", "10.0.0.3", "10.0.0.4"},
     {"10.0.0.8"},
     "10.0.0.3",
     TRANSPORT_TCP,
     {"10.0.0.9", "10.0.0.4"},
     false,
     {"10.0.0.9"}},
    {"of this host's registrar: IPv4, global ones first",
     {"2001:db8::9", "10.0.0.9", "8.8.0.1"},
     {0},
     "10.0.0.9",
     TRANSPORT_TCP,
     {0},
     true,
     {"8.8.0.1"}},
    {"of this host's registrar: global IPv6 before unique local",
     {"fd00::1", "2001:db8::9"},
     {0},
     NULL,
     TRANSPORT_TCP,
     {0},
     true,
     {"2001:db8::9"}},
    {"loopback for a registrar of this host",
     {"127.0.0.1"},
     {0},
     NULL,
     TRANSPORT_SCTP,
     {0},
     true,
     {"127.0.0.1", "::1"}},
    {"loopback over loopback",
     {"127.0.0.1"},
     {"10.0.0.9", "127.0.0.1"},
     NULL,
     TRANSPORT_TCP,
     {"127.0.0.7"},
     false,
     {"127.0.0.7"}},
    {"no loopback elsewhere", {"127.0.0.1"}, {"10.0.0.1"}, NULL, TRANSPORT_TCP, {0}, false, {0}},
    {"no loopback beside others",
     {"10.0.0.9"},
     {0},
     NULL,
     TRANSPORT_SCTP,
     {"127.0.0.1", "10.0.0.9"},
     true,
     {"10.0.0.9"}},
    {"bound to what the host lost",
     {"10.0.0.9"},
     {"10.0.0.1"},
     NULL,
     TRANSPORT_TCP,
     {"10.0.0.77"},
     false,
     {0}},
    {"a host that knows nothing of itself",
     {0},
     {"10.0.0.1"},
     NULL,
     TRANSPORT_TCP,
     {"10.0.0.77"},
     false,
     {"10.0.0.77"}},
};

Test(agent_parts, registered_addresses)
{
    struct fx *fx = fx_new(NULL);
    struct ag *ag = fx->ag;
    for (size_t r = 0; r < sizeof(REGISTERS) / sizeof(REGISTERS[0]); r++) {
        const struct registers *row = &REGISTERS[r];
        struct ag_local local = {.pe = {.protocol = row->protocol}};
        struct ip_address got[AG_ADDRESSES_MAX];
        ag->view.host_count = 0;
        for (; row->host[ag->view.host_count] != NULL; ag->view.host_count++) {
            ag->view.host[ag->view.host_count] = fx_ip(row->host[ag->view.host_count]);
        }
        ag->home = (struct ag_peer){.assoc = row->local ? LOCAL_ASSOC : 77};
        for (; row->home[ag->home.address_count] != NULL; ag->home.address_count++) {
            ag->home.addresses[ag->home.address_count] = fx_ip(row->home[ag->home.address_count]);
        }
        if (row->source != NULL) {
            ag->home.source = fx_ip(row->source);
        }
        for (; row->bound[local.pe.address_count] != NULL; local.pe.address_count++) {
            local.pe.addresses[local.pe.address_count] = fx_ip(row->bound[local.pe.address_count]);
        }
        uint8_t count = ag_register_addresses(ag, &local, got);
        expect_list(got, count, row->want, row->what);
    }
    ag->home = (struct ag_peer){0};
    ag_share(ag);
    fx_free(fx);
}

/* The eighth address is the last that is kept, and the same one counts once. */
Test(agent_parts, eight_addresses)
{
    struct fx *fx = fx_new(NULL);
    struct ag_local local = {.pe = {.protocol = TRANSPORT_SCTP}};
    struct ip_address got[AG_ADDRESSES_MAX];
    fx->ag->view.host_count = 0;
    for (uint8_t i = 0; i < 20; i++) {
        fx->ag->view.host[fx->ag->view.host_count++] =
            (struct ip_address){IP_V4, {10, 0, 0, (uint8_t)(1 + i / 2)}};
    }
    cr_assert_eq(ag_register_addresses(fx->ag, &local, got), 8);
    for (uint8_t i = 0; i < 8; i++) {
        cr_assert_eq(got[i].octets[3], 1 + i);
    }
    ag_share(fx->ag);
    fx_free(fx);
}
