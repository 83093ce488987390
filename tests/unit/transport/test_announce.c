/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Announcements on lo (T-22); between hosts: test_links.c. */
#include "transport/announce.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct heard {
    unsigned count;
    struct ip_address source;
    uint16_t port;
    char text[32];
    struct announce **free_me;
};

static void on_announce(void *ctx, const struct ip_address *source, uint16_t source_port,
                        const uint8_t *octets, size_t len)
{
    struct heard *h = ctx;
    h->count++;
    h->source = *source;
    h->port = source_port;
    cr_assert_lt(len, sizeof(h->text));
    memcpy(h->text, octets, len);
    h->text[len] = '\0';
    if (h->free_me != NULL) {
        announce_free(*h->free_me);
        *h->free_me = NULL;
    }
}

static struct ip_address ip(const char *text)
{
    struct ip_address a;
    cr_assert_eq(ip_address_parse(text, &a), 0);
    return a;
}

static void setup(struct loop **loop, struct hostaddr **host)
{
    cr_assert_eq(loop_new(loop), 0);
    cr_assert_eq(hostaddr_new(*loop, "lo", host), 0);
}

/* A port of our own, so that tests may run at the same time. */
static uint16_t some_port(void)
{
    return (uint16_t)(20000 + getpid() % 20000);
}

Test(announce, two_daemons_on_lo_hear_each_other_but_not_themselves)
{
    struct loop *loop;
    struct hostaddr *host;
    struct announce *a;
    struct announce *b;
    struct heard at_a = {0};
    struct heard at_b = {0};
    struct ip_address group = ip("239.0.0.50");
    struct ip_address lo = ip("127.0.0.1");
    uint16_t port = some_port();
    setup(&loop, &host);
    /* Both from the same port, as two registrars on different loopback addresses would. */
    cr_assert_eq(announce_new(loop, host, &group, port, port, on_announce, &at_a, &a), 0);
    cr_assert_eq(announce_new(loop, host, &group, port, port, on_announce, &at_b, &b), 0);
    cr_assert_eq(announce_send(a, "from a", 6), 1);
    cr_assert_eq(announce_send(b, "from b", 6), 1);
    for (int i = 0; i < 20 && (at_a.count == 0 || at_b.count == 0); i++) {
        cr_assert_geq(loop_step(loop, 100), 0);
    }
    while (loop_step(loop, 20) > 0) {
    }
    cr_assert_eq(at_a.count, 1);
    cr_assert_str_eq(at_a.text, "from b");
    cr_assert_eq(at_b.count, 1);
    cr_assert_str_eq(at_b.text, "from a");
    cr_assert_eq(at_b.port, port); /* T-3 */
    cr_assert(ip_address_equal(&at_b.source, &lo));
    announce_free(a);
    announce_free(b);
    hostaddr_free(host);
    loop_free(loop);
}

Test(announce, other_groups_unicast_and_long_datagrams_are_not_delivered)
{
    struct loop *loop;
    struct hostaddr *host;
    struct announce *a;
    struct announce *other;
    struct announce *plain;
    struct heard at_a = {0};
    struct ip_address group = ip("239.0.0.50");
    struct ip_address second = ip("239.0.0.51");
    uint16_t port = some_port();
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    char big[4096] = {0};
    setup(&loop, &host);
    cr_assert_eq(announce_new(loop, host, &group, port, 0, on_announce, &at_a, &a), 0);
    cr_assert_eq(announce_new(loop, host, &second, port, 0, on_announce, &at_a, &other), 0);
    announce_free(other);
    cr_assert_eq(announce_new(loop, host, &second, port, 0, NULL, NULL, &other), 0);
    cr_assert_eq(announce_new(loop, host, &group, port, 0, NULL, NULL, &plain), 0);
    cr_assert_eq(announce_send(other, "elsewhere", 9), 1);
    cr_assert_eq(announce_send(plain, big, sizeof(big)), -EMSGSIZE);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)sendto(fd, "unicast", 7, 0, (struct sockaddr *)&to, sizeof(to));
    struct ip_mreqn out = {.imr_address = {htonl(INADDR_LOOPBACK)}};
    memcpy(&to.sin_addr, group.octets, 4);
    cr_assert_eq(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)), 0);
    cr_assert_eq(sendto(fd, big, sizeof(big), 0, (struct sockaddr *)&to, sizeof(to)),
                 (ssize_t)sizeof(big));
    cr_assert_eq(announce_send(plain, "last", 4), 1);
    for (int i = 0; i < 20 && at_a.count == 0; i++) {
        cr_assert_geq(loop_step(loop, 100), 0);
    }
    cr_assert_eq(at_a.count, 1);
    cr_assert_str_eq(at_a.text, "last");
    (void)close(fd);
    announce_free(a);
    announce_free(other);
    announce_free(plain);
    hostaddr_free(host);
    loop_free(loop);
}

Test(announce, may_be_freed_in_its_callback)
{
    struct loop *loop;
    struct hostaddr *host;
    struct announce *a;
    struct announce *b;
    struct heard at_a = {.free_me = &a};
    struct ip_address group = ip("239.0.0.50");
    uint16_t port = some_port();
    setup(&loop, &host);
    cr_assert_eq(announce_new(loop, host, &group, port, 0, on_announce, &at_a, &a), 0);
    cr_assert_eq(announce_new(loop, host, &group, port, 0, NULL, NULL, &b), 0);
    cr_assert_eq(announce_send(b, "one", 3), 1);
    cr_assert_eq(announce_send(b, "two", 3), 1);
    for (int i = 0; i < 20 && at_a.count == 0; i++) {
        cr_assert_geq(loop_step(loop, 100), 0);
    }
    cr_assert_eq(at_a.count, 1);
    announce_free(b);
    hostaddr_free(host);
    loop_free(loop);
}

Test(announce, errors)
{
    struct loop *loop;
    struct hostaddr *host;
    struct announce *a;
    struct ip_address unicast = ip("10.0.0.1");
    struct ip_address group = ip("239.0.0.50");
    cr_assert_eq(loop_new(&loop), 0);
    cr_assert_eq(hostaddr_new(loop, "nothing-like-it", &host), 0);
    cr_assert_eq(announce_new(loop, host, &unicast, 3863, 0, NULL, NULL, &a), -EINVAL);
    cr_assert_eq(announce_new(loop, host, &group, some_port(), 0, NULL, NULL, &a), 0);
    cr_assert_eq(announce_send(a, "x", 1), -ENETDOWN);
    announce_free(a);
    announce_free(NULL);
    hostaddr_free(host);
    loop_free(loop);
}
