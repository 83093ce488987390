/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Status reports (rsplib-interop.md §5), against its example and what rsplib 3.4.4 has sent. */
#include "wire/csp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An element with 25 % load, five seconds old, with a registrar. */
static struct csp_report example(void)
{
    struct csp_report r = {.sender = csp_id(CSP_ELEMENT, 0x100),
                           .uptime_us = 5000000,
                           .interval_us = 1000000,
                           .workload = 0x4000,
                           .link_count = 1};
    (void)strcpy(r.location, "somewhere");
    (void)strcpy(r.status, "busy");
    r.links[0] = (struct csp_link){.peer = csp_id(CSP_REGISTRAR, 0x10000),
                                   .duration_us = 5000000,
                                   .protocol = 132,
                                   .ppid = 11};
    return r;
}

Test(csp, octets_of_the_example)
{
    static const uint8_t begin[] = {0x01, 0x00, 0x01, 0x38, 0x00, 0x00, 0x02, 0x00, 0x02, 0x00,
                                    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
                                    0x00, 0x4c, 0x4b, 0x40, 0x00, 0x0f, 0x42, 0x40};
    static const uint8_t end[] = {0x40, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01,
                                  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x4c, 0x4b, 0x40,
                                  0x00, 0x00, 0x00, 0x84, 0x00, 0x00, 0x00, 0x0b};
    struct csp_report r = example();
    uint8_t octets[CSP_OCTETS_MAX];
    cr_assert_eq(csp_encode(&r, octets, sizeof(octets)), 312);
    cr_assert_eq(memcmp(octets, begin, sizeof(begin)), 0);
    cr_assert_eq(memcmp(octets + 312 - sizeof(end), end, sizeof(end)), 0);
    cr_assert_str_eq((const char *)octets + 28, "somewhere");
    cr_assert_str_eq((const char *)octets + 156, "busy");
    r.final = true;
    (void)csp_encode(&r, octets, sizeof(octets));
    cr_assert_eq(octets[1], 1);
}

Test(csp, comes_back)
{
    struct csp_report r = example(), back;
    uint8_t octets[CSP_OCTETS_MAX];
    int n = csp_encode(&r, octets, sizeof(octets));
    cr_assert_eq(csp_decode(octets, (size_t)n, &back), 0);
    cr_assert_eq(memcmp(&r, &back, sizeof(r)), 0);
}

Test(csp, wrong_sizes)
{
    struct csp_report r = example(), back;
    uint8_t octets[CSP_OCTETS_MAX + 1] = {0};
    for (size_t size = 0; size < 312; size++) {
        cr_assert_eq(csp_encode(&r, octets, size), -EMSGSIZE);
    }
    r.link_count = CSP_LINKS_MAX;
    int n = csp_encode(&r, octets, sizeof(octets));
    cr_assert_eq(n, CSP_OCTETS_MAX);
    cr_assert_eq(csp_decode(octets, (size_t)n, &back), 0);
    for (size_t len = 0; len <= sizeof(octets); len++) {
        cr_assert_eq(csp_decode(octets, len, &back), len == (size_t)n ? 0 : -EBADMSG, "%zu", len);
    }
    r.link_count = CSP_LINKS_MAX + 1;
    cr_assert_eq(csp_encode(&r, octets, sizeof(octets)), -EINVAL);
    octets[287] = CSP_LINKS_MAX + 1;
    cr_assert_eq(csp_decode(octets, CSP_OCTETS_MAX, &back), -EBADMSG);
}

Test(csp, other_types_and_versions)
{
    struct csp_report r = example(), back;
    uint8_t octets[CSP_OCTETS_MAX];
    int n = csp_encode(&r, octets, sizeof(octets));
    octets[0] = 2;
    cr_assert_eq(csp_decode(octets, (size_t)n, &back), -EBADMSG);
    octets[0] = 1;
    octets[7] = 1;
    cr_assert_eq(csp_decode(octets, (size_t)n, &back), -EBADMSG);
    octets[7] = 0;
    octets[2] = 0xff; /* the length is not looked at */
    octets[1] = 0x80; /* any flag ends */
    cr_assert_eq(csp_decode(octets, (size_t)n, &back), 0);
    cr_assert(back.final);
}

/* A text that fills its field is cut, in both directions. */
Test(csp, long_texts)
{
    struct csp_report r = example(), back;
    uint8_t octets[CSP_OCTETS_MAX];
    memset(r.location, 'x', sizeof(r.location));
    int n = csp_encode(&r, octets, sizeof(octets));
    cr_assert_eq(octets[28 + 126], 'x');
    cr_assert_eq(octets[28 + 127], 0);
    memset(octets + 156, 'y', CSP_TEXT_MAX);
    cr_assert_eq(csp_decode(octets, (size_t)n, &back), 0);
    cr_assert_eq(strlen(back.location), CSP_TEXT_MAX - 1);
    cr_assert_eq(strlen(back.status), CSP_TEXT_MAX - 1);
}

/* Every report of rsplib 3.4.4 decodes, and encodes to the same octets. */
Test(csp, captures_make_the_round_trip)
{
    static struct csp_report r;
    FILE *f = fopen(CSP_CAPTURES, "re");
    char line[4096], hex[3500];
    unsigned count = 0, finals = 0, links = 0;
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        uint8_t octets[CSP_OCTETS_MAX], again[CSP_OCTETS_MAX];
        cr_assert_eq(sscanf(line, "%*s %*s csp udp %3499s", hex), 1);
        size_t len = strlen(hex) / 2;
        for (size_t i = 0; i < len; i++) {
            char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
            octets[i] = (uint8_t)strtoul(two, NULL, 16);
        }
        cr_assert_eq(csp_decode(octets, len, &r), 0, "%s", line);
        cr_assert_eq(csp_encode(&r, again, sizeof(again)), (int)len);
        /* Behind the NUL of a text the reference leaves what was there before. */
        cr_assert_eq(memcmp(again, octets, 28), 0);
        cr_assert_eq(memcmp(again + 284, octets + 284, len - 284), 0);
        cr_assert_str_eq((const char *)again + 28, r.location);
        count++;
        finals += r.final ? 1 : 0;
        links += r.link_count;
    }
    (void)fclose(f);
    cr_assert(count > 20 && finals >= 3 && links > 4, "%u %u %u", count, finals, links);
}

Test(csp, a_location_names_what_others_can_reach)
{
    struct ip_address addresses[4];
    char text[CSP_TEXT_MAX];
    cr_assert_eq(ip_address_parse("127.0.0.1", &addresses[0]), 0);
    cr_assert_eq(ip_address_parse("fd00::1", &addresses[1]), 0);
    cr_assert_eq(ip_address_parse("10.0.0.1", &addresses[2]), 0);
    cr_assert_eq(ip_address_parse("192.0.2.1", &addresses[3]), 0);
    csp_say_location("node", addresses, 1, 80, text);
    cr_assert_str_eq(text, "node: (local only)");
    csp_say_location("node", addresses, 2, 80, text);
    cr_assert_str_eq(text, "node: [fd00::1]:80");
    csp_say_location("node", addresses, 2, 0, text);
    cr_assert_str_eq(text, "node: fd00::1");
    csp_say_location("node", addresses + 3, 1, 80, text);
    cr_assert_str_eq(text, "node: 192.0.2.1:80");
}

Test(csp, a_location_that_is_too_long_is_cut)
{
    struct ip_address addresses[32];
    char text[CSP_TEXT_MAX];
    for (size_t i = 0; i < 32; i++) {
        cr_assert_eq(ip_address_parse("2001:db8:1111:2222:3333::1", &addresses[i]), 0);
    }
    csp_say_location("node", addresses, 32, 80, text);
    cr_assert_eq(strlen(text), CSP_TEXT_MAX - 1);
}
