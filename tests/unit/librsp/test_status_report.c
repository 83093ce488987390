/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As what a process reports to a monitor, and what (rsplib-interop.md §5). */
#include "librsp/status_report.h"

#include <criterion/criterion.h>
#include <string.h>

static struct tm_us at_ms(int64_t ms)
{
    return (struct tm_us){1000000000 + ms * 1000};
}

static struct status_facts facts(void)
{
    struct status_facts f = {
        .host = "node", .address_count = 1, .port = 4711, .registrar_id = 0x11, .workload = 0x8000};
    cr_assert_eq(ip_address_parse("192.0.2.1", &f.addresses[0]), 0);
    return f;
}

/** Out on the wire and in again: what a monitor sees. */
static struct csp_report seen(const struct csp_report *report)
{
    uint8_t octets[CSP_OCTETS_MAX];
    struct csp_report ret;
    int len = csp_encode(report, octets, sizeof(octets));
    cr_assert_eq(len, CSP_HEAD_OCTETS + report->link_count * CSP_LINK_OCTETS);
    cr_assert_eq(csp_decode(octets, (size_t)len, &ret), 0);
    return ret;
}

Test(status_report, nothing_before_there_is_anything)
{
    struct status status = {.user_id = 5, .interval_ms = 1000};
    struct status_facts f = facts();
    struct csp_report report;
    cr_assert_not(status_make(&status, &f, at_ms(0), &report));
    cr_assert_not(status_last(&status, at_ms(0), &report));
}

Test(status_report, an_element_from_its_registration_to_its_end)
{
    struct status status = {.user_id = 5, .interval_ms = 1000};
    struct status_facts f = facts();
    struct csp_report report;
    f.element_id = 0xabc;
    cr_assert(status_make(&status, &f, at_ms(0), &report));
    f.sessions = 2;
    cr_assert(status_make(&status, &f, at_ms(1000), &report));
    report = seen(&report);
    cr_assert_eq(report.sender, csp_id(CSP_ELEMENT, 0xabc));
    cr_assert_eq(report.uptime_us, 1000000);
    cr_assert_eq(report.interval_us, 1000000);
    cr_assert_eq(report.workload, 0x8000);
    cr_assert_str_eq(report.location, "node: 192.0.2.1:4711");
    cr_assert_str_eq(report.status, "2 Sessions");
    cr_assert_eq(report.link_count, 1);
    cr_assert_eq(report.links[0].peer, csp_id(CSP_REGISTRAR, 0x11));
    cr_assert_eq(report.links[0].protocol, 132);
    cr_assert_eq(report.links[0].ppid, 11);
    cr_assert_eq(report.links[0].duration_us, CSP_DURATION_UNKNOWN);

    f.element_id = 0;
    cr_assert(status_make(&status, &f, at_ms(1500), &report));
    report = seen(&report);
    cr_assert(report.final);
    cr_assert_eq(report.sender, csp_id(CSP_ELEMENT, 0xabc));
    cr_assert_str_eq(report.location, "");
    cr_assert_str_eq(report.status, "");
    cr_assert_not(status_make(&status, &f, at_ms(2000), &report), "once");
}

Test(status_report, a_user_says_what_it_does_and_with_whom)
{
    struct status status = {.user_id = 0xff00000000000007, .interval_ms = 250};
    struct status_facts f = facts();
    struct csp_report report;
    f.port = 0;
    f.user = true;
    f.sessions = 1;
    cr_assert(status_make(&status, &f, at_ms(0), &report));
    cr_assert_str_eq(report.status, "1 Session");
    (void)strcpy(f.text, "asking");
    status_add_link(&f, &(struct csp_link){csp_id(CSP_ELEMENT, 0xabc), 7, 6, 99});
    cr_assert(status_make(&status, &f, at_ms(0), &report));
    report = seen(&report);
    cr_assert_eq(report.sender, csp_id(CSP_USER, 7));
    cr_assert_eq(report.workload, CSP_WORKLOAD_UNKNOWN);
    cr_assert_str_eq(report.location, "node: 192.0.2.1");
    cr_assert_str_eq(report.status, "asking");
    cr_assert_eq(report.link_count, 2);
    cr_assert_eq(report.links[1].peer, csp_id(CSP_ELEMENT, 0xabc));
    cr_assert_eq(report.links[1].duration_us, 7);
    cr_assert_eq(report.links[1].protocol, 6);
    cr_assert_eq(report.links[1].ppid, 99);

    f.registrar_id = 0;
    cr_assert(status_make(&status, &f, at_ms(0), &report));
    cr_assert_str_eq(report.status, "Looking for Registrar ...");
    cr_assert_eq(report.link_count, 1);
    cr_assert(status_last(&status, at_ms(0), &report));
    cr_assert(report.final);
}

Test(status_report, the_programs_identifier_counts)
{
    const struct {
        uint64_t wish, sender;
    } cases[] = {
        {0, csp_id(CSP_ELEMENT, 0xabc)},
        {csp_id(CSP_ELEMENT, 0), csp_id(CSP_ELEMENT, 0xabc)},
        {csp_id(CSP_USER, 0), csp_id(CSP_USER, 5)},
        {csp_id(CSP_ELEMENT, 9), csp_id(CSP_ELEMENT, 9)},
        {csp_id(CSP_USER, 9), csp_id(CSP_USER, 9)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct status status = {.id = cases[i].wish, .user_id = 5, .interval_ms = 1000};
        struct status_facts f = facts();
        struct csp_report report;
        f.element_id = 0xabc;
        f.user = true;
        cr_assert(status_make(&status, &f, at_ms(0), &report));
        cr_assert_eq(report.sender, cases[i].sender);
    }
}

Test(status_report, too_many_servers_and_too_long_an_interval)
{
    struct status status = {.user_id = 5, .interval_ms = UINT32_MAX};
    struct status_facts f = facts();
    struct csp_report report;
    f.user = true;
    for (uint32_t i = 0; i < 2 * CSP_LINKS_MAX; i++) {
        status_add_link(&f, &(struct csp_link){csp_id(CSP_ELEMENT, i + 1), 0, 6, 0});
    }
    cr_assert(status_make(&status, &f, at_ms(0), &report));
    report = seen(&report);
    cr_assert_eq(report.link_count, CSP_LINKS_MAX);
    cr_assert_eq(report.links[CSP_LINKS_MAX - 1].peer, csp_id(CSP_ELEMENT, CSP_LINKS_MAX - 1));
    cr_assert_eq(report.interval_us, UINT32_MAX);
}
