/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See card.h. */
#include "librsp/card.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "librsp/control.h"
#include "librsp/sockaddr.h"

#define ASK_MS   200  /* a session does not begin later for it than that */
#define FRESH_MS 1000 /* sessions that begin within it get the same elements */
#define RETRY_MS 5000 /* a daemon that does not answer is left alone for so long */
#define CARD_MAX 1024 /* octets of a message */

/* --- a server's ---------------------------------------------------------------------------------
 */

/** Asks the daemon for elements of the listener's pool other than its own. */
static void renew(const struct sd *sd, struct listener *l)
{
    uint8_t handle[POOL_HANDLE_MAX];
    struct rpc rpc;
    struct lp_each it;
    int len = server_pool(sd, l, handle);
    int r = len < 0 ? len : rpc_begin(&rpc, LP_RESOLVE);
    l->card_count = 0;
    if (r == 0) {
        lp_put_handle(&rpc.writer, (struct pool_handle){.octets = handle, .len = (uint16_t)len});
        lp_put_u32(&rpc.writer, LP_T_PROTOCOL, l->protocol);
        lp_put_u32(&rpc.writer, LP_T_COUNT, 0);
        lp_put_u32(&rpc.writer, LP_T_TIMEOUT_MS, ASK_MS);
        lp_put_u32(&rpc.writer, LP_T_AVOID, l->pe_id);
        r = rpc_call(&rpc, LP_RESOLVED, ASK_MS);
        lp_each_init(&it, &rpc.reply);
        while (r == 0 && l->card_count < SERVER_CARD && lp_next(&it)) {
            l->card_count += it.type == LP_T_PE && lp_read_pe(&it, &l->card[l->card_count]);
        }
        rpc_end(&rpc);
    }
    bool silent = r == -ETIMEDOUT || r == -ENOTCONN;
    l->card_until = tm_add_ms(now_us(), silent ? RETRY_MS : FRESH_MS);
}

/** Where the user is; false: it has gone. */
static bool far_end(int fd, struct ip_address *ret)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    if (getpeername(fd, (struct sockaddr *)&at, &len) != 0) {
        return false;
    }
    *ret = sockaddr_ip((const struct sockaddr *)&at);
    return true;
}

/**
 * An element as a card names it to a user: over TCP one address, of the family that the user has
 * been seen to speak, and loopback only on this host. `room` is for the addresses. False: it has
 * none.
 */
static bool name_element(const struct lp_pe *pe, const struct ip_address *user,
                         struct ip_address *room, struct pool_element *ret)
{
    bool near = ip_address_scope(user) == IP_SCOPE_LOOPBACK;
    bool sctp = pe->protocol == TRANSPORT_SCTP;
    uint16_t count = 0;
    for (uint8_t i = 0; i < pe->address_count && (sctp || count == 0); i++) {
        const struct ip_address *a = &pe->addresses[i];
        if ((near || ip_address_scope(a) != IP_SCOPE_LOOPBACK) &&
            (sctp || a->family == user->family)) {
            room[count++] = *a;
        }
    }
    *ret = (struct pool_element){
        .pe_id = pe->pe_id,
        .registration_life = REGISTRATION_LIFE_INFINITE,
        .user = {.protocol = pe->protocol,
                 .port = pe->port,
                 .use = sctp ? TRANSPORT_USE_DATA_AND_CONTROL : TRANSPORT_USE_DATA,
                 .address_count = count,
                 .addresses = room},
        .policy = {.type = POLICY_RR}};
    return count > 0;
}

void card_send(struct sd *server, struct listener *l, struct peer *peer)
{
    struct ip_address room[SERVER_CARD][sizeof(l->card[0].addresses) / sizeof(struct ip_address)];
    struct pool_element elements[SERVER_CARD];
    uint8_t handle[POOL_HANDLE_MAX];
    uint8_t message[CARD_MAX];
    struct ip_address user;
    size_t count = 0;
    int least = l->protocol == TRANSPORT_TCP ? CARD_SPARE : CARD_FIRST;
    if (server->opt.business_card < least || !server->server->registered) {
        return;
    }
    if (tm_due(l->card_until, now_us())) {
        renew(server, l);
    }
    if (l->card_count == 0 || !far_end(peer->ch.fd, &user)) {
        return;
    }
    for (uint8_t i = 0; i < l->card_count; i++) {
        count += name_element(&l->card[i], &user, room[count], &elements[count]);
    }
    struct pool_handle pool = {.octets = handle, .len = (uint16_t)server_pool(server, l, handle)};
    int len = control_write_card(pool, elements, count, message, sizeof(message));
    if (len > 0) {
        (void)channel_send(&peer->ch, message, (size_t)len, htonl(CONTROL_PPID), 0, 0, false, true);
    }
}

/* --- a user's -----------------------------------------------------------------------------------
 */

/** Whether the elements are of the session's pool: HANDLE, or HANDLE.tcp where both protocols do.
 */
static bool of_this_pool(const struct sd *sd, struct pool_handle pool)
{
    size_t len = sd->handle_len;
    bool begins = pool.len >= len && memcmp(pool.octets, sd->handle, len) == 0;
    return begins &&
           (pool.len == len || (sd->protocol == 0 && pool.len == len + sizeof(TCP_POOL) - 1 &&
                                memcmp(pool.octets + len, TCP_POOL, sizeof(TCP_POOL) - 1) == 0));
}

void card_take(struct sd *sd, const struct control *c)
{
    struct user *u = sd->user;
    if (sd->opt.business_card == CARD_NOT || !of_this_pool(sd, c->pool)) {
        return;
    }
    free(u->card);
    u->card_count = 0;
    u->card = (struct lp_pe *)malloc(c->card_count * sizeof(*u->card));
    if (u->card != NULL) {
        memcpy(u->card, c->card, c->card_count * sizeof(*u->card));
        u->card_count = c->card_count;
    }
}

void card_sort(struct sd *sd, int count)
{
    struct user *u = sd->user;
    int front = 0;
    for (uint8_t c = 0; sd->opt.business_card == CARD_FIRST && c < u->card_count; c++) {
        for (int i = front; i < count; i++) {
            if (u->picks[i].pe_id == u->card[c].pe_id) {
                struct lp_pe first = u->picks[i];
                memmove(&u->picks[front + 1], &u->picks[front],
                        (size_t)(i - front) * sizeof(first));
                u->picks[front++] = first;
            }
        }
    }
}

int card_picks(struct sd *sd)
{
    struct user *u = sd->user;
    int count = 0;
    for (uint8_t c = 0; c < u->card_count && count < USER_PICKS; c++) {
        if (u->card[c].pe_id != u->avoid) {
            u->picks[count++] = u->card[c];
        }
    }
    return count;
}
