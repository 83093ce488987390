/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages: their sizes, parts, PPIDs, streams and limits. */
#include <pthread.h>

#include "calls.h"

#define ROOM      ((size_t)5 << 20)
#define SCTP_MOST 200000 /* octets that its send buffer has room for in any case */

/** Gives every message back as it came, until the session ends. */
static void *echo(void *arg)
{
    int server = *(int *)arg;
    int sd = take(server);
    uint8_t *buffer = malloc(ROOM);
    CHECK(buffer != NULL);
    for (;;) {
        struct rsp_sndrcvinfo info;
        int flags = 0;
        ssize_t n = rsp_recvfullmsg(sd, buffer, ROOM, &info, &flags, WAIT_MS);
        if (n == 0) {
            break;
        }
        CHECK(n > 0 && (flags & MSG_EOR) != 0);
        CHECK_IS(rsp_sendmsg(sd, buffer, (size_t)n, 0, 0, info.rinfo_ppid, info.rinfo_stream, 0, 0,
                             WAIT_MS),
                 n);
    }
    free(buffer);
    CHECK_IS(rsp_close(sd), 0);
    return NULL;
}

void sizes(void)
{
    static const size_t lengths[] = {1,     2,     3,     4,      5,       1452,    2047,   2048,
                                     2049,  4096,  16384, 32768,  65531,   65532,   65535,  65536,
                                     65537, 70001, 99999, 262143, 1000000, 1048577, 4000003};
    pthread_t thread;
    uint8_t *out = malloc(ROOM);
    uint8_t *in = malloc(ROOM);
    CHECK(out != NULL && in != NULL);
    int server = serve(SOCK_STREAM);
    CHECK_IS(pthread_create(&thread, NULL, echo, &server), 0);
    int sd = use(SOCK_STREAM);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct rsp_sndrcvinfo info = {.rinfo_ppid = 0};
        int flags = 0;
        uint16_t stream = (uint16_t)(i % 4);
        fill(out, lengths[i], i);
        memset(in, 0, lengths[i]);
        CHECK_IS(rsp_sendmsg(sd, out, lengths[i], 0, 0, htonl(1000 + i), stream, 0,
                             i % 5 == 0 ? RSP_SEND_UNORDERED : 0, WAIT_MS),
                 lengths[i]);
        CHECK_IS(rsp_recvfullmsg(sd, in, ROOM, &info, &flags, WAIT_MS), lengths[i]);
        CHECK(memcmp(in, out, lengths[i]) == 0);
        CHECK((flags & MSG_EOR) != 0);
        CHECK_IS(ntohl(info.rinfo_ppid), 1000 + i);
        CHECK_IS(info.rinfo_stream, stream);
        CHECK(info.rinfo_pe_id != 0);
    }
    CHECK_IS(rsp_close(sd), 0);
    CHECK_IS(pthread_join(thread, NULL), 0);
    CHECK_IS(rsp_close(server), 0);
    free(out);
    free(in);
}

/** Small buffers: what does not fit follows, and only the last part has MSG_EOR. */
void parts(void)
{
    uint8_t out[10000];
    uint8_t in[10000];
    int server = serve(SOCK_STREAM);
    int sd = use(SOCK_STREAM);
    int peer = take(server);
    fill(out, sizeof(out), 1);
    for (int i = 0; i < 3; i++) {
        CHECK_IS(rsp_send(sd, out, sizeof(out), 0), sizeof(out));
    }
    size_t got = 0;
    int flags = 0;
    while (got < sizeof(out)) {
        CHECK((flags & MSG_EOR) == 0);
        flags = 0;
        ssize_t n = rsp_recvmsg(peer, in + got, 1000, NULL, &flags, WAIT_MS);
        CHECK(n > 0 && n <= 1000);
        got += (size_t)n;
    }
    CHECK(got == sizeof(out) && (flags & MSG_EOR) != 0 && memcmp(in, out, got) == 0);
    /* A full message into too small a buffer, and the rest. */
    flags = 0;
    CHECK_IS(rsp_recvfullmsg(peer, in, 4000, NULL, &flags, WAIT_MS), 4000);
    CHECK((flags & MSG_EOR) == 0);
    flags = 0;
    CHECK_IS(rsp_recvfullmsg(peer, in + 4000, 6000, NULL, &flags, WAIT_MS), 6000);
    CHECK((flags & MSG_EOR) != 0 && memcmp(in, out, sizeof(out)) == 0);
    CHECK_IS(rsp_recvfullmsg(peer, in, sizeof(in), NULL, NULL, WAIT_MS), sizeof(in));
    CHECK_FAILS(rsp_recvfullmsg(peer, in, sizeof(in), NULL, NULL, 20), EAGAIN);
    flags = MSG_DONTWAIT;
    CHECK_FAILS(rsp_recvmsg(peer, in, sizeof(in), NULL, &flags, WAIT_MS), EAGAIN);
    /* read and write are receive and send. */
    CHECK_IS(rsp_write(peer, "written", 7), 7);
    struct pollfd p = {.fd = sd, .events = POLLIN};
    CHECK_IS(rsp_poll(&p, 1, WAIT_MS), 1);
    CHECK_IS(rsp_read(sd, in, sizeof(in)), 7);
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server), 0);
}

#define MIXED_USERS    4
#define MIXED_MESSAGES 12
#define MIXED_SIZE     1500000

static size_t mixed_size(void)
{
    return protocol == IPPROTO_SCTP ? SCTP_MOST : MIXED_SIZE;
}

static void *send_letters(void *arg)
{
    char *text = malloc(MIXED_SIZE);
    int sd = use(SOCK_STREAM);
    CHECK(text != NULL);
    memset(text, *(const char *)arg, mixed_size());
    for (int i = 0; i < MIXED_MESSAGES; i++) {
        CHECK_IS(rsp_send(sd, text, mixed_size(), 0), mixed_size());
    }
    hear(sd, "all there");
    CHECK_IS(rsp_close(sd), 0);
    free(text);
    return NULL;
}

/** Long messages of several sessions at a time on one socket: each is received whole. */
void mixed(void)
{
    pthread_t users[MIXED_USERS];
    char letters[] = "abcd";
    int counts[256] = {0};
    char *text = malloc(ROOM);
    int server = serve(SOCK_SEQPACKET);
    CHECK(text != NULL);
    for (int i = 0; i < MIXED_USERS; i++) {
        CHECK_IS(pthread_create(&users[i], NULL, send_letters, &letters[i]), 0);
    }
    for (int removed = 0; removed < MIXED_USERS;) {
        struct rsp_sndrcvinfo info;
        int flags = 0;
        ssize_t n = rsp_recvfullmsg(server, text, ROOM, &info, &flags, WAIT_MS);
        CHECK(n > 0 && (flags & MSG_EOR) != 0);
        if ((flags & MSG_RSERPOOL_NOTIFICATION) != 0) {
            union rserpool_notification notice;
            CHECK_IS(n, sizeof(notice));
            memcpy(&notice, text, sizeof(notice));
            removed += notice.rn_header.rn_type == RSERPOOL_SESSION_CHANGE &&
                       notice.rn_session_change.rsc_state == RSERPOOL_SESSION_REMOVE;
            continue;
        }
        CHECK_IS(n, mixed_size());
        CHECK(memcmp(text, text + 1, mixed_size() - 1) == 0);
        if (++counts[(uint8_t)text[0]] == MIXED_MESSAGES) {
            CHECK_IS(rsp_sendmsg(server, "all there", 9, 0, info.rinfo_session, 0, 0, 0, 0, -1), 9);
        }
    }
    for (int i = 0; i < MIXED_USERS; i++) {
        CHECK_IS(pthread_join(users[i], NULL), 0);
        CHECK_IS(counts[(uint8_t)letters[i]], MIXED_MESSAGES);
    }
    CHECK_IS(rsp_close(server), 0);
    free(text);
}

#define FAIR_SENT   2000
#define FAIR_READ   200 /* until the kernel gives as much as is read ahead */
#define FAIR_WITHIN 100 /* more messages than are read ahead */

/** The next message on a socket with many sessions; its first octet. */
static char next_of_many(int server)
{
    char text[1000];
    int flags;
    ssize_t n;
    do {
        flags = 0;
        n = rsp_recvmsg(server, text, sizeof(text), NULL, &flags, WAIT_MS);
        CHECK(n > 0);
    } while ((flags & MSG_RSERPOOL_NOTIFICATION) != 0);
    return text[0];
}

/** One session has always something to be read: others have their turn all the same. */
void fair(void)
{
    char text[1000];
    int sent = 0;
    int got = 0;
    int server = serve(SOCK_SEQPACKET);
    int busy = use(SOCK_STREAM);
    int other = use(SOCK_STREAM);
    say(other, "hello");
    CHECK_IS(next_of_many(server), 'h');
    memset(text, 'b', sizeof(text));
    while (sent < FAIR_SENT && rsp_send(busy, text, sizeof(text), MSG_DONTWAIT) > 0) {
        sent++;
    }
    CHECK(sent > FAIR_READ + 2 * FAIR_WITHIN);
    while (got < FAIR_READ) {
        CHECK_IS(next_of_many(server), 'b');
        got++;
    }
    say(other, "me");
    while (next_of_many(server) == 'b') {
        CHECK(++got < FAIR_READ + FAIR_WITHIN);
    }
    CHECK_IS(rsp_close(busy) + rsp_close(other) + rsp_close(server), 0);
}

struct cut {
    int server;
    size_t size;
};

/** Breaks off in the middle of a long message, then sends a short one. */
static void *cut_off_server(void *arg)
{
    const struct cut *cut = arg;
    char *text = malloc(cut->size);
    CHECK(text != NULL);
    memset(text, 'x', cut->size);
    int peer = take(cut->server);
    CHECK_IS(rsp_send(peer, text, cut->size, 0), cut->size); /* its end is not out yet */
    CHECK_IS(rsp_abandon(peer), 0);
    peer = take(cut->server);
    say(peer, "short");
    CHECK_IS(rsp_recvmsg(peer, text, cut->size, NULL, NULL, WAIT_MS), 0);
    CHECK_IS(rsp_close(peer), 0);
    free(text);
    return NULL;
}

/** The server changes in the middle of a message: it is dropped, and none is made of two. */
void cut_off(void)
{
    struct cut cut = {.size = (size_t)16 << 20};
    uint8_t *text = malloc(cut.size);
    CHECK(text != NULL);
    cut.server = serve(SOCK_STREAM);
    for (int many = 0; many < 2; many++) {
        pthread_t thread;
        CHECK_IS(pthread_create(&thread, NULL, cut_off_server, &cut), 0);
        int sd = use(many ? SOCK_SEQPACKET : SOCK_STREAM);
        int flags = 0;
        ssize_t n = rsp_recvfullmsg(sd, text, cut.size, NULL, &flags, WAIT_MS);
        while (many && n > 0 && (flags & MSG_RSERPOOL_NOTIFICATION) != 0) {
            CHECK_IS(n, sizeof(union rserpool_notification));
            flags = 0;
            n = rsp_recvfullmsg(sd, text, cut.size, NULL, &flags, WAIT_MS);
        }
        CHECK_IS(n, 5);
        CHECK(memcmp(text, "short", 5) == 0 && (flags & MSG_EOR) != 0);
        CHECK_IS(rsp_close(sd), 0);
        CHECK_IS(pthread_join(thread, NULL), 0);
    }
    CHECK_IS(rsp_close(cut.server), 0);
    free(text);
}

/** Longer messages than the limit are neither sent nor taken. */
void message_max(void)
{
    uint8_t text[2000] = {1};
    int most = 1000;
    int server = serve(SOCK_STREAM);
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK_IS(rsp_setsockopt(sd, SOL_RSP, RSP_SO_MESSAGE_MAX, &most, sizeof(most)), 0);
    CHECK_IS(rsp_connect(sd, octets(pool), strlen(pool), 0), 0);
    int peer = take(server);
    CHECK_FAILS(rsp_send(sd, text, 1001, 0), EMSGSIZE);
    CHECK_IS(rsp_send(sd, text, 1000, 0), 1000);
    CHECK_IS(rsp_recvmsg(peer, text, sizeof(text), NULL, NULL, WAIT_MS), 1000);
    CHECK_IS(rsp_send(peer, text, 1001, 0), 1001);
    CHECK_IS(rsp_close(peer), 0);
    /* The session goes to a server that behaves: here the same one. */
    CHECK_FAILS(rsp_recvmsg(sd, text, sizeof(text), NULL, NULL, 500), EAGAIN);
    peer = take(server);
    say(peer, "again");
    hear(sd, "again");
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server), 0);
}
