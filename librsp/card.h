/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Business cards (RFC 5352 section 3.9): a server names other elements of its pool to a user at the
 * start of a session, and a user that cannot ask for the pool any more goes to one of them. Which
 * elements are named is not by the pool's policy: a card takes nobody's turn. So while the pool can
 * be asked, the policy decides and not the card, unless the program says otherwise
 * (RSP_SO_BUSINESS_CARD).
 */
#ifndef RSP_LIBRSP_CARD_H
#define RSP_LIBRSP_CARD_H

#include "librsp/server_internal.h"
#include "librsp/user.h"

enum card_use {
    CARD_NOT,   /* none is sent, none is kept */
    CARD_SPARE, /* sent over TCP, whose framing rsplib does not speak; used where nobody answers */
    CARD_FIRST  /* sent over SCTP, too; its order comes before that of the pool */
};

/** Sends one on a new session of a server's listener, if the pool has others. */
void card_send(struct sd *server, struct listener *l, struct peer *peer);

/** A user has got one: the latest counts. */
void card_take(struct sd *sd, const struct control *c);
/** With CARD_FIRST: of `count` elements in hand those of the card come first, in its order. */
void card_sort(struct sd *sd, int count);
/** The elements of the card become those in hand; how many. */
int card_picks(struct sd *sd);

#endif
