/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A user's session: what user.c (carrying out) and user_replay.c (state and replay) share. */
#ifndef RSP_LIBRSP_USER_H
#define RSP_LIBRSP_USER_H

#include "librsp/control.h"
#include "librsp/sd.h"

#define USER_PICKS 4 /* elements asked for at once */

struct user {
    struct machine m;
    struct channel ch;
    int daemon_fd, timer_fd; /* -1: none */
    bool watching_out;
    unsigned connections; /* that there have been */
    struct tm_us since;   /* when the present one came */
    uint32_t ppid;        /* of what was sent last */
    unsigned stale_ms;
    /* the question in hand */
    uint32_t request;
    enum transport_protocol asking;
    int first_error; /* protocol 0: what the question for SCTP came to */
    uint32_t avoid;  /* the element that was lost; 0: none */
    struct lp_pe picks[USER_PICKS];
    struct lp_pe current; /* pe_id 0: none */
    struct lp_pe *card;   /* of the latest business card */
    uint8_t card_count;
    int pending_error; /* to be told once */
    /* state */
    uint8_t *cookie;
    uint32_t cookie_len;
    bool echoed; /* on the present connection */
    /* what was sent since the cookie */
    uint8_t *kept;
    size_t kept_len, kept_size;
    uint32_t kept_count, sent_count; /* messages; sent: on the present connection */
    bool kept_lost;                  /* more was sent than is kept */
};

/* user_replay.c */
/** A cookie has come: it covers what the other end has said, or all if it says nothing. */
int replay_cookie(struct sd *sd, const void *cookie, size_t len);
/** State and replay go to a new server; 0 or -errno. */
int replay_greet(struct sd *sd);
/** The session begins anew. */
void replay_forget(struct sd *sd, int reason);
void replay_free(struct user *u);

#endif
