/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/target.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/real.h"

static enum pre_target_kind read4(const char *text, struct pre_target *t)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    cr_assert_eq(inet_pton(AF_INET, text, &in.sin_addr), 1);
    return pre_target_read((struct sockaddr *)&in, sizeof(in), t);
}

static enum pre_target_kind read6(const char *text, struct pre_target *t)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    cr_assert_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return pre_target_read((struct sockaddr *)&in6, sizeof(in6), t);
}

static void no_daemon(void)
{
    (void)setenv("RSP_SOCKET", "/nonexistent/rspd.sock", 1);
}

TestSuite(target, .init = no_daemon);

/* L-26, L-27. */
Test(target, cookies)
{
    struct pre_target t;
    cr_assert_eq(read4("127.42.1.7", &t), PRE_TARGET_COOKIE);
    cr_assert(t.port == 80 && t.cookie.family == IP_V4 && t.cookie.octets[3] == 7);
    cr_assert_eq(read4("127.43.0.1", &t), PRE_TARGET_COOKIE);
    cr_assert_eq(read6("::ffff:127.42.1.7", &t), PRE_TARGET_COOKIE);
    cr_assert(t.cookie.family == IP_V4 && t.port == 443);
    cr_assert_eq(read6("fd52:5350:0:a1::9", &t), PRE_TARGET_COOKIE);
    cr_assert_eq(t.cookie.family, IP_V6);
    const char *others[] = {"127.0.0.1", "127.41.255.255", "127.44.0.0", "10.0.0.1"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(read4(others[i], &t), PRE_TARGET_NONE, "%s", others[i]);
    }
    cr_assert_eq(read6("fd52:5350:0:a2::9", &t), PRE_TARGET_NONE);
    cr_assert_eq(read6("::1", &t), PRE_TARGET_NONE);
}

/* L-12: nothing is read beyond the length. */
Test(target, lengths)
{
    struct pre_target t;
    struct sockaddr_in in = {.sin_family = AF_INET};
    cr_assert_eq(inet_pton(AF_INET, "127.42.0.1", &in.sin_addr), 1);
    cr_assert_eq(pre_target_read(NULL, 16, &t), PRE_TARGET_NONE);
    cr_assert_eq(pre_target_read((struct sockaddr *)&in, 1, &t), PRE_TARGET_NONE);
    cr_assert_eq(pre_target_read((struct sockaddr *)&in, sizeof(in) - 1, &t), PRE_TARGET_NONE);
    for (size_t n = 0; n <= 40; n++) {
        uint8_t *exact = (uint8_t *)malloc(n > 0 ? n : 1);
        struct sockaddr_rsp rsp = {.srsp_family = AF_RSP, .srsp_handle_len = htons(20)};
        memcpy(exact, &rsp, n);
        enum pre_target_kind kind =
            pre_target_read((struct sockaddr *)(void *)exact, (socklen_t)n, &t);
        cr_assert_eq(kind, n < 2 ? PRE_TARGET_NONE : n < 32 ? PRE_TARGET_BAD : PRE_TARGET_RSP);
        free(exact);
    }
}

Test(target, magic_family)
{
    struct pre_target t;
    struct sockaddr_rsp rsp = {.srsp_family = AF_RSP,
                               .srsp_port = htons(99),
                               .srsp_pe_id = htonl(0x12345678),
                               .srsp_handle_len = htons(3),
                               .srsp_handle = "abc"};
    cr_assert_eq(pre_target_read((struct sockaddr *)&rsp, 15, &t), PRE_TARGET_RSP);
    cr_assert(t.port == 99 && t.pe_id == 0x12345678 && t.handle_len == 3);
    cr_assert_arr_eq(t.handle, "abc", 3);
    rsp.srsp_handle_len = 0;
    cr_assert_eq(pre_target_read((struct sockaddr *)&rsp, sizeof(rsp), &t), PRE_TARGET_BAD);
    rsp.srsp_handle_len = htons(117);
    cr_assert_eq(pre_target_read((struct sockaddr *)&rsp, sizeof(rsp), &t), PRE_TARGET_BAD);
    cr_assert_eq(sizeof(rsp), 128);
}

static struct pre_socket ask(int domain, int type, bool v6only)
{
    struct pre_socket s;
    int on = v6only;
    int fd = socket(domain, type, 0);
    cr_assert_geq(fd, 0);
    if (domain == AF_INET6) {
        cr_assert_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
    }
    cr_assert_eq(pre_socket_ask(fd, AF_UNSPEC, &s), 0);
    (void)close(fd);
    return s;
}

/* L-30. */
Test(target, elements_fit_sockets)
{
    struct lp_pe pe = {.pe_id = 1, .protocol = TRANSPORT_TCP, .port = 80, .address_count = 3};
    cr_assert_eq(ip_address_parse("10.0.0.1", &pe.addresses[0]), 0);
    cr_assert_eq(ip_address_parse("fd00::1", &pe.addresses[1]), 0);
    cr_assert_eq(ip_address_parse("fe80::1", &pe.addresses[2]), 0);
    union pre_sockaddr a;
    struct pre_socket v4 = ask(AF_INET, SOCK_STREAM, false);
    struct pre_socket dual = ask(AF_INET6, SOCK_STREAM, false);
    struct pre_socket v6 = ask(AF_INET6, SOCK_STREAM, true);
    struct pre_socket udp = ask(AF_INET, SOCK_DGRAM, false);
    cr_assert_eq(v4.families, LP_FAMILY_V4);
    cr_assert_eq(dual.families, LP_FAMILY_V4 | LP_FAMILY_V6);
    cr_assert_eq(v6.families, LP_FAMILY_V6);
    cr_assert(udp.protocol == TRANSPORT_UDP && udp.type == SOCK_DGRAM);
    cr_assert_eq(pre_socket_fit(&v4, &pe, 0, &a), sizeof(struct sockaddr_in));
    cr_assert(a.in.sin_port == htons(80) && a.in.sin_addr.s_addr == htonl(0x0a000001));
    cr_assert_eq(pre_socket_fit(&v4, &pe, 1, &a), 0);
    cr_assert_eq(pre_socket_fit(&dual, &pe, 0, &a), sizeof(struct sockaddr_in6));
    cr_assert(IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr));
    cr_assert_eq(pre_socket_fit(&v6, &pe, 0, &a), 0);
    cr_assert_eq(pre_socket_fit(&v6, &pe, 1, &a), sizeof(struct sockaddr_in6));
    cr_assert_eq(pre_socket_fit(&dual, &pe, 2, &a), 0, "a link-local address lacks its scope");
    cr_assert_eq(pre_socket_fit(&dual, &pe, 3, &a), 0);
    cr_assert_eq(pre_socket_fit(&udp, &pe, 0, &a), 0);
}

Test(target, what_is_known_to_be_tcp_is_not_asked_for)
{
    struct pre_socket s = {.domain = 0};
    struct pre_socket asked = ask(AF_INET6, SOCK_STREAM, false);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    cr_assert(pre_socket_tcp(fd, AF_INET6, &s));
    cr_assert(s.domain == asked.domain && s.type == asked.type && s.protocol == asked.protocol &&
              s.families == asked.families && s.v6only == asked.v6only);
    cr_assert_not(pre_socket_tcp(fd, AF_UNIX, &s));
    (void)close(fd);
}

Test(target, what_is_no_internet_socket)
{
    struct pre_socket s;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(pre_socket_ask(fd, AF_UNSPEC, &s), -EAFNOSUPPORT);
    (void)close(fd);
    cr_assert_eq(pre_socket_ask(fd, AF_UNSPEC, &s), -EBADF);
    cr_assert_eq(pre_socket_ask(0, AF_UNSPEC, &s) == 0, false);
}

Test(target, originals_are_bound)
{
    cr_assert(pre_real_complete());
    cr_assert_neq(pre_real(), &pre_raw);
    /* L-5: the raw forms work too. */
    int fd = pre_raw.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    int copy = pre_raw.dup2(fd, fd);
    cr_assert_eq(copy, fd);
    cr_assert_eq(pre_raw.fcntl(fd, 1, 0), 1);
    cr_assert_eq(pre_raw.close(fd), 0);
    cr_assert_eq(pre_raw.dup2(fd, fd), -1);
}
