/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bounded peer table of userland SCTP (T-12), and stateless answers (RFC 9260 §8.4). */
#include "transport/ootb.h"
#include "transport/udp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct udp *fresh(void)
{
    struct udp *udp;
    struct ip_address lo = {.family = IP_V4, .octets = {127, 0, 0, 1}};
    cr_assert_eq(udp_new(&lo, 0, &udp), 0);
    return udp;
}

static struct udp_name name(unsigned i)
{
    struct udp_name n = {.address = {.family = IP_V4, .octets = {10, 0, (uint8_t)(i >> 8), 0}},
                         .port = 9899};
    n.address.octets[3] = (uint8_t)i;
    return n;
}

Test(udp, peers_are_bounded_and_the_longest_unused_is_reused)
{
    struct udp *udp = fresh();
    struct udp_name n;
    uint32_t pinned = 0;
    bool created;
    for (unsigned i = 0; i < UDP_PEERS_MAX; i++) {
        n = name(i);
        uint32_t peer = udp_peer_get(udp, &n, &created);
        cr_assert(peer != 0 && created);
        cr_assert_eq(udp_peer_find(udp, &n), peer);
        if (i == 0) {
            pinned = peer;
            udp_peer_pin(udp, peer);
        }
    }
    n = name(1);
    cr_assert_neq(udp_peer_find(udp, &n), 0); /* used: now 2 is the oldest */
    n = name(UDP_PEERS_MAX);
    uint32_t reused = udp_peer_get(udp, &n, &created);
    cr_assert(reused != 0 && !created); /* registered with the stack before */
    cr_assert_eq(udp_peer_find(udp, &n), reused);
    n = name(2);
    cr_assert_eq(udp_peer_find(udp, &n), 0);
    n = name(1);
    cr_assert_neq(udp_peer_find(udp, &n), 0);
    n = name(0);
    cr_assert_eq(udp_peer_find(udp, &n), pinned);
    udp_free(udp);
}

/* T-25: the host has lost the address a peer knows: the kernel chooses another (in vain here, but
 * for loopback), and an association of the peer's that begins anew does not inherit the old one. */
Test(udp, a_local_address_that_is_gone_is_forgotten)
{
    struct udp *udp = fresh();
    struct udp_name to = {.address = {.family = IP_V4, .octets = {127, 0, 0, 1}},
                          .local = {.family = IP_V4, .octets = {192, 0, 2, 77}},
                          .port = 9};
    bool created;
    uint32_t peer = udp_peer_get(udp, &to, &created);
    cr_assert_neq(peer, 0);
    cr_assert_lt(udp_send_to(udp, &to, "x", 1), 0);
    cr_assert_eq(udp_send(udp, peer, "x", 1), 0);
    cr_assert_eq(udp_peer_name(udp, peer)->local.family, IP_NONE);
    cr_assert_eq(udp_peer_find(udp, &to), peer); /* a packet has come to that address */
    cr_assert(ip_address_equal(&udp_peer_name(udp, peer)->local, &to.local));
    struct udp_name again = {.address = to.address, .port = to.port};
    udp_peer_pin(udp, peer);
    cr_assert_eq(udp_peer_get(udp, &again, &created), peer);
    cr_assert_eq(udp_peer_name(udp, peer)->local.family, IP_V4);
    udp_peer_unpin(udp, peer);
    cr_assert_eq(udp_peer_get(udp, &again, &created), peer);
    cr_assert_eq(udp_peer_name(udp, peer)->local.family, IP_NONE);
    udp_free(udp);
}

Test(udp, all_pinned_means_no_room)
{
    struct udp *udp = fresh();
    struct udp_name n;
    bool created;
    for (unsigned i = 0; i < UDP_PEERS_MAX; i++) {
        n = name(i);
        udp_peer_pin(udp, udp_peer_get(udp, &n, &created));
    }
    n = name(UDP_PEERS_MAX);
    cr_assert_eq(udp_peer_get(udp, &n, &created), 0);
    struct udp_name third = name(3);
    udp_peer_unpin(udp, udp_peer_find(udp, &third));
    cr_assert_neq(udp_peer_get(udp, &n, &created), 0);
    cr_assert_eq(udp_peer_find(udp, &third), 0);
    udp_free(udp);
}

Test(udp, unknown_numbers_and_families_are_errors)
{
    struct udp *udp = fresh();
    struct udp_name v6 = {.address = {.family = IP_V6, .octets = {[15] = 1}}, .port = 9};
    cr_assert_null(udp_peer_name(udp, 0));
    cr_assert_null(udp_peer_name(udp, 1));
    cr_assert_eq(udp_send(udp, 7, "x", 1), -EHOSTUNREACH);
    cr_assert_eq(udp_send_to(udp, &v6, "x", 1), -EAFNOSUPPORT);
    udp_free(udp);
}

/* A SHUTDOWN ACK from port 0x1122 to 0x3344 with tag 0x55667788, whole and right. */
static void packet_with(uint8_t type, uint8_t packet[16])
{
    static const uint8_t plain[16] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
                                      0,    0,    0,    0,    0,    0,    0,    4};
    uint32_t crc = 0xffffffff;
    memcpy(packet, plain, 16);
    packet[12] = type;
    for (size_t i = 0; i < 16; i++) { /* CRC32c, bit by bit (RFC 9260, appendix A) */
        crc ^= packet[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
        }
    }
    crc = ~crc;
    for (size_t i = 0; i < 4; i++) {
        packet[8 + i] = (uint8_t)(crc >> 8 * i);
    }
}

Test(ootb, answers_follow_rfc_9260)
{
    static const struct {
        uint8_t type;
        int answer;
    } table[] = {{0, 6}, {3, 6}, {4, 6}, {7, 6}, {8, 14}, {6, -1}, {14, -1}, {9, -1}, {11, -1}};
    uint8_t packet[16];
    uint8_t reply[OOTB_REPLY_BYTES];
    uint8_t again[16];
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        packet_with(table[i].type, packet);
        cr_assert_eq(ootb_reply(packet, sizeof(packet), reply), table[i].answer >= 0);
        if (table[i].answer < 0) {
            continue;
        }
        cr_assert_eq(reply[12], table[i].answer);
        cr_assert_eq(reply[13], 1); /* the tag is the receiver's own */
        cr_assert_arr_eq(reply, "\x33\x44\x11\x22\x55\x66\x77\x88", 8);
        cr_assert_not(ootb_reply(reply, sizeof(reply), again)); /* two of us do not play ball */
    }
    packet_with(0, packet);
    packet[9] ^= 1;
    cr_assert_not(ootb_reply(packet, sizeof(packet), reply));
    cr_assert_not(ootb_reply(packet, 15, reply));
    packet_with(0, packet);
    packet[15] = 3; /* shorter than its own header */
    cr_assert_not(ootb_reply(packet, sizeof(packet), reply));
}
