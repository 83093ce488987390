/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transport/hostaddr.h"

#include <criterion/criterion.h>
#include <string.h>

Test(hostaddr, lo_named_is_there_with_its_address_and_may_multicast)
{
    struct loop *loop;
    struct hostaddr *h;
    const struct host_link *links;
    const struct host_address *addresses;
    struct ip_address v4;
    bool found = false;
    cr_assert_eq(loop_new(&loop), 0);
    cr_assert_eq(hostaddr_new(loop, " nothing-like-it, lo", &h), 0);
    cr_assert_eq(hostaddr_links(h, &links), 1);
    cr_assert_str_eq(links[0].name, "lo");
    cr_assert(links[0].loopback);
    cr_assert(links[0].multicast); /* T-22 */
    size_t n = hostaddr_addresses(h, &addresses);
    cr_assert_eq(ip_address_parse("127.0.0.1", &v4), 0);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(addresses[i].ifindex, links[0].ifindex);
        found = found || ip_address_equal(&addresses[i].address, &v4);
    }
    cr_assert(found);
    hostaddr_free(h);
    loop_free(loop);
}

Test(hostaddr, without_filter_lo_is_listed_but_not_for_multicast)
{
    struct loop *loop;
    struct hostaddr *h;
    const struct host_link *links;
    bool seen = false;
    cr_assert_eq(loop_new(&loop), 0);
    cr_assert_eq(hostaddr_new(loop, "", &h), 0);
    size_t n = hostaddr_links(h, &links);
    for (size_t i = 0; i < n; i++) {
        if (links[i].loopback && strcmp(links[i].name, "lo") == 0) {
            seen = true;
            cr_assert_not(links[i].multicast);
        }
    }
    cr_assert(seen);
    hostaddr_free(h);
    loop_free(loop);
}

Test(hostaddr, unknown_interface_gives_nothing)
{
    struct loop *loop;
    struct hostaddr *h;
    const struct host_link *links;
    const struct host_address *addresses;
    cr_assert_eq(loop_new(&loop), 0);
    cr_assert_eq(hostaddr_new(loop, "l,o", &h), 0);
    cr_assert_eq(hostaddr_links(h, &links), 0);
    cr_assert_eq(hostaddr_addresses(h, &addresses), 0);
    hostaddr_free(h);
    loop_free(loop);
}
