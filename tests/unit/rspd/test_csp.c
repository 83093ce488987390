/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a registrar reports to monitors, and what (rsplib-interop.md §5). */
#include "rspd/csp.h"

#include <criterion/criterion.h>
#include <string.h>

static struct tm_us at_ms(int64_t ms)
{
    return (struct tm_us){1000000000 + ms * 1000};
}

static struct ip_address address(const char *text)
{
    struct ip_address a;
    cr_assert_eq(ip_address_parse(text, &a), 0);
    return a;
}

static const uint32_t PEERS[] = {0x22, 0x33};

static struct csp_facts facts(void)
{
    static struct ip_address addresses[3];
    addresses[0] = address("10.1.1.1");
    addresses[1] = address("fd52::1");
    addresses[2] = address("192.0.2.1");
    return (struct csp_facts){.registrar_id = 0x11,
                              .elements = 12,
                              .owned = 5,
                              .pools = 3,
                              .peers = PEERS,
                              .peer_count = 2,
                              .host = "node",
                              .addresses = addresses,
                              .address_count = 3,
                              .port = 3863};
}

Test(csp_sender, at_once_and_then_every_interval)
{
    struct csp csp = {0};
    struct csp_report report;
    struct csp_facts f = facts();
    cr_assert(tm_is_never(csp_next(&csp)));
    csp_configure(&csp, 1000, at_ms(0));
    cr_assert_eq(csp_next(&csp).us, at_ms(0).us);
    cr_assert(csp_due(&csp, &f, at_ms(0), &report));
    cr_assert_eq(report.uptime_us, 0);
    cr_assert_eq(report.interval_us, 1000000);
    cr_assert_eq(csp_next(&csp).us, at_ms(1000).us);
    cr_assert(csp_due(&csp, &f, at_ms(1003), &report));
    cr_assert_eq(report.uptime_us, 1003000);
    cr_assert_eq(csp_next(&csp).us, at_ms(2003).us);
    csp_configure(&csp, 1000, at_ms(1500)); /* nothing new: not sooner */
    cr_assert_eq(csp_next(&csp).us, at_ms(2003).us);
    csp_configure(&csp, 500, at_ms(1500));
    cr_assert_eq(csp_next(&csp).us, at_ms(1500).us);
    csp_configure(&csp, 0, at_ms(1600));
    cr_assert(tm_is_never(csp_next(&csp)));
}

Test(csp_sender, tells_of_registrar_and_peers)
{
    struct csp csp = {0};
    struct csp_report report;
    struct csp_facts f = facts();
    csp_configure(&csp, 1000, at_ms(0));
    cr_assert(csp_due(&csp, &f, at_ms(0), &report));
    cr_assert_not(report.final);
    cr_assert_eq(report.sender, 0x0100000000000011u);
    cr_assert_str_eq(report.status, "12[5] PEs in 3 Pools, 2 Peers");
    cr_assert_eq(report.workload, CSP_WORKLOAD_UNKNOWN);
    cr_assert_eq(report.link_count, 2);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(report.links[i].peer, csp_id(CSP_REGISTRAR, PEERS[i]));
        cr_assert_eq(report.links[i].duration_us, CSP_DURATION_UNKNOWN);
        cr_assert_eq(report.links[i].protocol, 132);
        cr_assert_eq(report.links[i].ppid, 12);
    }
    f.pools = 1;
    f.peer_count = 1;
    cr_assert(csp_due(&csp, &f, at_ms(1), &report));
    cr_assert_str_eq(report.status, "12[5] PEs in 1 Pool, 1 Peer");
    cr_assert_eq(report.link_count, 1);
}

/* Global addresses alone where there are any (fc00::/7 counts as global), else site-local ones. */
Test(csp_sender, tells_where_it_is)
{
    struct csp csp = {0};
    struct csp_report report;
    struct csp_facts f = facts();
    csp_configure(&csp, 1000, at_ms(0));
    (void)csp_due(&csp, &f, at_ms(0), &report);
    cr_assert_str_eq(report.location, "node: [fd52::1]:3863, 192.0.2.1");
    f.address_count = 1;
    (void)csp_due(&csp, &f, at_ms(0), &report);
    cr_assert_str_eq(report.location, "node: 10.1.1.1:3863");
    struct ip_address loopback = address("127.0.0.1");
    f.addresses = &loopback;
    (void)csp_due(&csp, &f, at_ms(0), &report);
    cr_assert_str_eq(report.location, "node: (local only)");

    struct ip_address many[40];
    for (int i = 0; i < 40; i++) {
        many[i] = address("fd52:1111:2222:3333:4444:5555:6666:7777");
    }
    f.addresses = many;
    f.address_count = 40;
    (void)csp_due(&csp, &f, at_ms(0), &report);
    cr_assert_eq(strlen(report.location), CSP_TEXT_MAX - 1);
}

Test(csp_sender, ends_once_and_begins_anew)
{
    struct csp csp = {0};
    struct csp_report report;
    struct csp_facts f = facts();
    csp_configure(&csp, 1000, at_ms(0));
    cr_assert_not(csp_last(&csp, at_ms(0), &report));
    f.registrar_id = 0;
    cr_assert_not(csp_due(&csp, &f, at_ms(0), &report));
    cr_assert_eq(csp_next(&csp).us, at_ms(1000).us);
    f.registrar_id = 0x11;
    cr_assert(csp_due(&csp, &f, at_ms(1000), &report));
    cr_assert(csp_last(&csp, at_ms(1500), &report));
    cr_assert(report.final);
    cr_assert_eq(report.sender, csp_id(CSP_REGISTRAR, 0x11));
    cr_assert_eq(report.uptime_us, 500000);
    cr_assert_str_eq(report.status, "");
    cr_assert_eq(report.link_count, 0);
    cr_assert_not(csp_last(&csp, at_ms(1600), &report));
    cr_assert(csp_due(&csp, &f, at_ms(9000), &report));
    cr_assert_eq(report.uptime_us, 0);
}
