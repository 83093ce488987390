/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages of many sizes there and back, with a state that shows what was left out.
 *
 *   serve POOL PROTOCOL                an element that sends every message back and saves how far
 *                                      it has come; "lost" and its end if a number is left out
 *   ask POOL PROTOCOL COUNT WINDOW     sends COUNT numbered messages (0: until its input ends),
 *                                      WINDOW of them ahead of the answers (more than one: with
 *                                      rsp_poll(), where every POLLIN must have something), and
 *                                      compares these;
 *                                      for every tenth "at N PE"; "N right, N failovers" in the end
 *
 * PROTOCOL is sctp, tcp or any.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rsp/rsp.h>

#define LONGEST 150000
#define PPID    1000 /* of the first message */

static const uint32_t sizes[] = {8, 100, 1452, 4096, 20000, 65535, 65536, 100001, LONGEST};
static uint8_t message[LONGEST], answer[LONGEST + 1024];

static int protocol_of(const char *name)
{
    return strcmp(name, "sctp") == 0 ? IPPROTO_SCTP : strcmp(name, "tcp") == 0 ? IPPROTO_TCP : 0;
}

/** Message `number`; its length. */
static size_t compose(uint64_t number, uint8_t *out)
{
    size_t size = sizes[number % (sizeof(sizes) / sizeof(sizes[0]))];
    uint32_t state = (uint32_t)number * 2654435761u + 1;
    memcpy(out, &number, sizeof(number));
    for (size_t i = sizeof(number); i < size; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (uint8_t)(state >> 24);
    }
    return size;
}

/* --- the element --------------------------------------------------------------------------------
 */

static enum rsp_server_result restore(struct rsp_server_session *session, const void *state,
                                      size_t size)
{
    uintptr_t done = 0;
    memcpy(&done, state, size < sizeof(done) ? size : sizeof(done));
    rsp_session_set_data(session, (void *)done);
    return RSP_SERVER_GO_ON;
}

static enum rsp_server_result echo(struct rsp_server_session *session, const void *data,
                                   size_t size, uint32_t ppid, uint16_t stream)
{
    uintptr_t done = (uintptr_t)rsp_session_data(session);
    uint64_t number = 0;
    memcpy(&number, data, size < sizeof(number) ? size : sizeof(number));
    if (number > done + 1) {
        printf("lost: %lu after %lu\n", (unsigned long)number, (unsigned long)done);
        (void)fflush(stdout);
        exit(3);
    }
    done = number > done ? number : done;
    rsp_session_set_data(session, (void *)done);
    if (rsp_session_send(session, data, size, ppid, stream) != 0 ||
        rsp_session_cookie(session, &done, sizeof(done)) != 0) {
        return RSP_SERVER_ABORT;
    }
    return RSP_SERVER_GO_ON;
}

static int serve(const char *pool, int protocol)
{
    struct rsp_server_config config = {.handle = pool,
                                       .protocol = protocol,
                                       .model = RSP_SERVER_THREADS,
                                       .register_flags = REGF_DAEMONMODE,
                                       .on_message = echo,
                                       .on_cookie = restore};
    struct rsp_server *server = rsp_server_new(&config);
    return server != NULL && rsp_server_run(server) == 0 ? 0 : (perror("serve"), 1);
}

/* --- the user -----------------------------------------------------------------------------------
 */

static unsigned failovers;

/** Waits for a whole message; its length or -1. */
static ssize_t wait_for_answer(int sd, struct rsp_sndrcvinfo *info)
{
    ssize_t n = rsp_recv(sd, answer, sizeof(answer), 0);
    uint64_t number = 0;
    if (n <= 0) {
        perror("rsp_recv");
        return -1;
    }
    memcpy(&number, answer, sizeof(number));
    info->rinfo_ppid = htonl((uint32_t)number + PPID - 1); /* which rsp_recv() does not tell */
    return rsp_getpeername(sd, NULL, NULL, &info->rinfo_pe_id) == 0 ? n : -1;
}

/** After rsp_poll() has said that there is something; as above. 0: a notification. */
static ssize_t take_answer(int sd, struct rsp_sndrcvinfo *info)
{
    size_t got = 0;
    int flags = 0;
    do {
        ssize_t n =
            rsp_recvmsg(sd, answer + got, sizeof(answer) - got, info, &flags, got == 0 ? 0 : -1);
        if (n <= 0) {
            perror("rsp_recvmsg");
            return -1;
        }
        if ((flags & MSG_RSERPOOL_NOTIFICATION) != 0) {
            union rserpool_notification notice; /* the rest of a message will not come, then */
            memcpy(&notice, answer + got, sizeof(notice));
            failovers += notice.rn_failover.rf_state == RSERPOOL_FAILOVER_COMPLETE;
            return 0;
        }
        got += (size_t)n;
    } while ((flags & MSG_EOR) == 0);
    return (ssize_t)got;
}

/** Answers come in order; those seen before come again after a failover. 0 or -1. */
static int check(size_t len, const struct rsp_sndrcvinfo *info, uint64_t *answered)
{
    static uint8_t expected[LONGEST];
    uint64_t number = 0;
    memcpy(&number, answer, len < sizeof(number) ? len : sizeof(number));
    if (number == 0 || number > *answered + 1 || len != compose(number, expected) ||
        memcmp(answer, expected, len) != 0 ||
        ntohl(info->rinfo_ppid) != (uint32_t)number + PPID - 1) {
        fprintf(stderr, "answer %lu of %zu octets after answer %lu\n", (unsigned long)number, len,
                (unsigned long)*answered);
        return -1;
    }
    if (number > *answered) {
        *answered = number;
        if (number % 10 == 0) {
            printf("at %lu %08x\n", (unsigned long)number, info->rinfo_pe_id);
            (void)fflush(stdout);
        }
    }
    return 0;
}

/** 1: sent, 0: not now, -1. */
static int send_next(int sd, uint64_t sent, int timeout)
{
    size_t size = compose(sent + 1, message);
    ssize_t n =
        rsp_sendmsg(sd, message, size, 0, 0, htonl((uint32_t)sent + PPID), 0, 0, 0, timeout);
    if (n < 0 && errno != EAGAIN) {
        perror("rsp_sendmsg");
        return -1;
    }
    return n > 0;
}

/** How many messages it is to be in the end, after `sent` of them. */
static uint64_t limit(uint64_t count, uint64_t sent)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return count != 0 ? count : poll(&in, 1, 0) > 0 ? sent : UINT64_MAX;
}

/** Sends and receives as rsp_poll() says; how many messages, or -1. */
static int64_t with_poll(int sd, uint64_t count, uint64_t window)
{
    uint64_t sent = 0;
    uint64_t answered = 0;
    int r = 0;
    uint64_t end;
    while (r >= 0 && answered < (end = limit(count, sent))) {
        bool may = sent < end && sent < answered + window;
        struct pollfd p = {.fd = sd, .events = (short)(POLLIN | (may ? POLLOUT : 0))};
        struct rsp_sndrcvinfo info;
        if (rsp_poll(&p, 1, -1) < 0) {
            perror("rsp_poll");
            return -1;
        }
        if ((p.revents & POLLOUT) != 0) {
            r = send_next(sd, sent, 0);
            sent += r > 0;
        }
        if (r >= 0 && (p.revents & POLLIN) != 0) {
            ssize_t n = take_answer(sd, &info);
            r = n > 0 ? check((size_t)n, &info, &answered) : (int)n;
        }
    }
    return r < 0 ? -1 : (int64_t)answered;
}

/** A question, its answer, the next question; how many, or -1. */
static int64_t one_by_one(int sd, uint64_t count)
{
    uint64_t answered = 0;
    uint32_t last = 0;
    int r = 0;
    while (r >= 0 && answered < limit(count, answered)) {
        struct rsp_sndrcvinfo info;
        uint64_t before = answered;
        r = send_next(sd, answered, -1);
        while (r >= 0 && answered == before) {
            ssize_t n = wait_for_answer(sd, &info);
            r = n > 0 ? check((size_t)n, &info, &answered) : -1;
        }
        failovers += last != 0 && info.rinfo_pe_id != last;
        last = info.rinfo_pe_id;
    }
    return r < 0 ? -1 : (int64_t)answered;
}

static int ask(const char *pool, int protocol, uint64_t count, uint64_t window)
{
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    int replay = 8 << 20;
    int notices = window > 1 ? 1 << RSERPOOL_FAILOVER : 0;
    if (sd < 0 || rsp_setsockopt(sd, SOL_RSP, RSP_SO_REPLAY, &replay, sizeof(replay)) != 0 ||
        rsp_setsockopt(sd, SOL_RSP, RSP_SO_NOTIFICATIONS, &notices, sizeof(notices)) != 0 ||
        rsp_connect(sd, (const unsigned char *)pool, strlen(pool), 0) != 0) {
        perror("ask");
        return 1;
    }
    int64_t right = window > 1 ? with_poll(sd, count, window) : one_by_one(sd, count);
    if (right < 0) {
        return 1;
    }
    printf("%ld right, %u failovers\n", (long)right, failovers);
    return rsp_close(sd);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        return serve(argv[2], protocol_of(argv[3]));
    }
    return argc == 6 && strcmp(argv[1], "ask") == 0
               ? ask(argv[2], protocol_of(argv[3]), strtoull(argv[4], NULL, 10),
                     strtoull(argv[5], NULL, 10))
               : 2;
}
