/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions that change their server, and how they end. */
#include "calls.h"

/** The session's end at whichever of two servers it has gone to. */
static int take_either(const int *servers)
{
    struct pollfd p[2] = {{.fd = servers[0], .events = POLLIN},
                          {.fd = servers[1], .events = POLLIN}};
    CHECK(rsp_poll(p, 2, WAIT_MS) > 0);
    return take(p[0].revents != 0 ? servers[0] : servers[1]);
}

static void check_text(const union rserpool_notification *n, const char *wanted)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    CHECK(file != NULL);
    rsp_print_notification(n, file);
    CHECK_IS(fclose(file), 0);
    if (strcmp(text, wanted) != 0) {
        FAIL("\"%s\", not \"%s\"", text, wanted);
    }
    free(text);
}

/** What an earlier server has saved comes first, in parts if the buffer is small. */
static void hear_state(int peer, const char *state)
{
    char got[256];
    size_t len = 0;
    int flags = 0;
    while ((flags & MSG_EOR) == 0) {
        struct rsp_sndrcvinfo info;
        flags = 0;
        ssize_t n = rsp_recvmsg(peer, got + len, 5, &info, &flags, WAIT_MS);
        CHECK(n > 0 && (flags & MSG_RSERPOOL_COOKIE_ECHO) != 0);
        len += (size_t)n;
    }
    CHECK(len == strlen(state) && memcmp(got, state, len) == 0);
}

static void moved(int sd, bool forced, bool cookie)
{
    union rserpool_notification n;
    if (!forced) {
        n = notified(sd, RSERPOOL_FAILOVER);
        CHECK_IS(n.rn_failover.rf_state, RSERPOOL_FAILOVER_NECESSARY);
        CHECK_IS(n.rn_failover.rf_has_cookie, cookie);
        check_text(&n, cookie ? "session 0: failover necessary, with cookie\n"
                              : "session 0: failover necessary, without cookie\n");
    }
    n = notified(sd, RSERPOOL_FAILOVER);
    CHECK_IS(n.rn_failover.rf_state, RSERPOOL_FAILOVER_COMPLETE);
    check_text(&n, cookie ? "session 0: failover complete, with cookie\n"
                          : "session 0: failover complete, without cookie\n");
}

void failover(void)
{
    char small[4];
    const int servers[] = {serve(SOCK_STREAM), serve(SOCK_STREAM)};
    int sd = use(SOCK_SEQPACKET);
    int peer = take_either(servers);
    say(sd, "one");
    hear(peer, "one");
    CHECK_IS(rsp_abandon(peer), 0);
    moved(sd, false, false);
    peer = take_either(servers);
    CHECK_IS(rsp_send_cookie(peer, octets("the state"), 9, 0, -1), 9);
    say(peer, "saved");
    hear(sd, "saved");
    CHECK_IS(rsp_has_cookie(sd), 1);
    CHECK_IS(rsp_abandon(peer), 0);
    struct pollfd p = {.fd = sd, .events = POLLIN};
    CHECK_IS(rsp_poll(&p, 1, WAIT_MS), 1);
    CHECK_FAILS(rsp_recvmsg(sd, small, sizeof(small), NULL, NULL, WAIT_MS), EMSGSIZE);
    moved(sd, false, true);
    peer = take_either(servers);
    hear_state(peer, "the state");
    say(sd, "two");
    hear(peer, "two");
    uint32_t was = 0;
    uint32_t is = 0;
    CHECK_IS(rsp_getpeername(sd, NULL, NULL, &was), 0);
    CHECK_IS(rsp_forcefailover(sd, FFF_NONE, 0), 0);
    CHECK_IS(rsp_getpeername(sd, NULL, NULL, &is), 0);
    CHECK(is != was && is != 0);
    moved(sd, true, true);
    CHECK_IS(rsp_recvmsg(peer, small, sizeof(small), NULL, NULL, WAIT_MS) <= 0, 1);
    CHECK_IS(rsp_close(peer), 0);
    peer = take_either(servers);
    hear_state(peer, "the state");
    CHECK_IS(rsp_forcefailover(sd, FFF_UNREACHABLE, 0), 0);
    CHECK_IS(rsp_getpeername(sd, NULL, NULL, &was), 0);
    CHECK(is != was && was != 0);
    moved(sd, true, true);
    CHECK_IS(rsp_close(peer), 0);
    peer = take_either(servers);
    say(sd, "three"); /* rsp_recv() passes the state over */
    hear(peer, "three");
    CHECK_IS(rsp_close(peer), 0);
    union rserpool_notification n = notified(sd, RSERPOOL_SHUTDOWN_EVENT);
    check_text(&n, "session 0: the other end sends no more\n");
    CHECK_IS(rsp_recvmsg(sd, &n, sizeof(n), NULL, NULL, WAIT_MS), 0);
    CHECK_FAILS(rsp_send(sd, "x", 1, 0), EPIPE);
    n.rn_header.rn_type = 99;
    check_text(&n, "notification 99\n");
    CHECK_IS(rsp_close(sd) + rsp_close(servers[0]) + rsp_close(servers[1]), 0);
}

/** A session of a SOCK_SEQPACKET server begins; its number. */
static int begun(int server)
{
    union rserpool_notification n = notified(server, RSERPOOL_SESSION_CHANGE);
    char text[64];
    CHECK_IS(n.rn_session_change.rsc_state, RSERPOOL_SESSION_ADD);
    CHECK(n.rn_session_change.rsc_session > 0);
    (void)snprintf(text, sizeof(text), "session %d has begun\n", n.rn_session_change.rsc_session);
    check_text(&n, text);
    return n.rn_session_change.rsc_session;
}

static void ended(int server, int session)
{
    union rserpool_notification n = notified(server, RSERPOOL_SESSION_CHANGE);
    char text[64];
    CHECK_IS(n.rn_session_change.rsc_state, RSERPOOL_SESSION_REMOVE);
    CHECK_IS(n.rn_session_change.rsc_session, session);
    (void)snprintf(text, sizeof(text), "session %d has ended\n", session);
    check_text(&n, text);
}

/** The session that brings a state; the daemon may try in between whether the server is there. */
static int restored(int server, const char *state)
{
    char got[64];
    struct rsp_sndrcvinfo info;
    int flags;
    do {
        flags = 0;
        CHECK(rsp_recvmsg(server, got, sizeof(got), &info, &flags, WAIT_MS) > 0);
    } while ((flags & MSG_RSERPOOL_NOTIFICATION) != 0);
    CHECK((flags & MSG_RSERPOOL_COOKIE_ECHO) != 0 && memcmp(got, state, strlen(state)) == 0);
    return info.rinfo_session;
}

static void heard_of(int server, int session, const char *text)
{
    char got[64];
    struct rsp_sndrcvinfo info;
    int flags = 0;
    CHECK_IS(rsp_recvmsg(server, got, sizeof(got), &info, &flags, WAIT_MS), strlen(text));
    CHECK(memcmp(got, text, strlen(text)) == 0 && flags == MSG_EOR);
    CHECK_IS(info.rinfo_session, session);
}

void endings(void)
{
    char text[16];
    int server = serve(SOCK_SEQPACKET);
    CHECK_FAILS(rsp_accept(server, 0), EINVAL);
    int first = use(SOCK_STREAM);
    int a = begun(server);
    int second = use(SOCK_STREAM);
    int b = begun(server);
    CHECK(a != b);
    say(second, "hello");
    heard_of(server, b, "hello");
    CHECK_IS(rsp_sendmsg(server, "answer", 6, 0, a, 0, 0, 0, 0, -1), 6);
    hear(first, "answer");
    CHECK_FAILS(rsp_sendmsg(server, "x", 1, 0, 99, 0, 0, 0, 0, -1), EBADF);
    CHECK_FAILS(rsp_sendmsg(server, NULL, 0, 0, 99, 0, 0, 0, RSP_SEND_EOF, -1), EBADF);
    CHECK_FAILS(rsp_send_cookie(server, octets("x"), 1, -1, -1), EBADF);
    CHECK_IS(rsp_send_cookie(server, octets("kept"), 4, b, -1), 4);
    CHECK_IS(rsp_sendmsg(server, "after", 5, 0, b, 0, 0, 0, 0, -1), 5);
    hear(second, "after");
    /* By the server, in order: the session is over. */
    CHECK_IS(rsp_sendmsg(server, NULL, 0, 0, a, 0, 0, 0, RSP_SEND_EOF, -1), 0);
    ended(server, a);
    CHECK_IS(rsp_recv(first, text, sizeof(text), 0), 0);
    CHECK_IS(rsp_close(first), 0);
    /* By the server, at once: it goes on, here with the same server again. */
    CHECK_IS(rsp_sendmsg(server, NULL, 0, 0, b, 0, 0, 0, RSP_SEND_ABORT, -1), 0);
    ended(server, b);
    CHECK_FAILS(rsp_recvmsg(second, text, sizeof(text), NULL, NULL, 300), EAGAIN);
    b = restored(server, "kept");
    say(second, "again");
    heard_of(server, b, "again");
    /* By the user, in order. */
    CHECK_IS(rsp_sendmsg(second, NULL, 0, 0, 0, 0, 0, 0, RSP_SEND_EOF, -1), 0);
    CHECK_FAILS(rsp_send(second, "x", 1, 0), EPIPE);
    union rserpool_notification n = notified(server, RSERPOOL_SHUTDOWN_EVENT);
    CHECK_IS(n.rn_shutdown_event.rse_session, b);
    ended(server, b);
    CHECK_IS(rsp_close(second), 0);
    /* What is open when the server closes ends in order. */
    first = use(SOCK_STREAM);
    a = begun(server);
    CHECK_IS(rsp_close(server), 0);
    CHECK_IS(rsp_recv(first, text, sizeof(text), 0), 0);
    CHECK_IS(rsp_close(first), 0);
}

void no_auto_failover(void)
{
    char text[16];
    int off = 0;
    int server = serve(SOCK_STREAM);
    int sd = use(SOCK_STREAM);
    CHECK_IS(rsp_setsockopt(sd, SOL_RSP, RSP_SO_AUTO_FAILOVER, &off, sizeof(off)), 0);
    int peer = take(server);
    CHECK_IS(rsp_sendmsg(peer, NULL, 0, 0, 0, 0, 0, 0, RSP_SEND_ABORT, -1), 0);
    CHECK_IS(rsp_recv(peer, text, sizeof(text), 0), 0);
    CHECK_FAILS(rsp_send(peer, "x", 1, 0), EPIPE);
    CHECK_IS(rsp_close(peer), 0);
    CHECK_FAILS(rsp_recv(sd, text, sizeof(text), 0), ECONNRESET);
    CHECK_FAILS(rsp_send(sd, "x", 1, 0), ECONNRESET);
    CHECK_IS(rsp_forcefailover(sd, FFF_NONE, 0), 0);
    peer = take(server);
    say(sd, "again");
    hear(peer, "again");
    CHECK_IS(rsp_sendmsg(peer, NULL, 0, 0, 0, 0, 0, 0, RSP_SEND_EOF, -1), 0);
    CHECK_IS(rsp_recv(sd, text, sizeof(text), 0), 0);
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server), 0);
}

void give_up(void)
{
    char text[16];
    int most = 400;
    int server = serve(SOCK_STREAM);
    int sd = use(SOCK_STREAM);
    CHECK_IS(rsp_setsockopt(sd, SOL_RSP, RSP_SO_GIVE_UP, &most, sizeof(most)), 0);
    int peer = take(server);
    say(peer, "served");
    hear(sd, "served");
    CHECK_IS(rsp_abandon(peer) + rsp_abandon(server), 0);
    int64_t began = now_ms();
    CHECK_IS(rsp_recv(sd, text, sizeof(text), 0), -1);
    CHECK(errno == ECONNREFUSED || errno == ENOENT);
    CHECK(now_ms() - began >= 400);
    CHECK_IS(rsp_send(sd, "x", 1, 0), -1);
    CHECK_FAILS(rsp_connect(sd, octets(pool), strlen(pool), 0), EISCONN);
    server = serve(SOCK_STREAM);
    CHECK_IS(rsp_forcefailover(sd, FFF_NONE, 0), 0);
    peer = take(server);
    say(sd, "again");
    hear(peer, "again");
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server), 0);
}

void unknown_pool(void)
{
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK_FAILS(rsp_connect(sd, octets(pool), strlen(pool), 0), ENOENT);
    int server = serve(SOCK_STREAM);
    CHECK_IS(rsp_connect(sd, octets(pool), strlen(pool), 0), 0);
    int peer = take(server);
    say(sd, "found");
    hear(peer, "found");
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server), 0);
}

/** More was sent since the last cookie than is kept: the state cannot be restored, and it is said
    once. */
void stale_state(void)
{
    static char text[600];
    int most = 1000;
    int server = serve(SOCK_STREAM);
    int sd = use(SOCK_STREAM);
    CHECK_IS(rsp_setsockopt(sd, SOL_RSP, RSP_SO_REPLAY, &most, sizeof(most)), 0);
    int peer = take(server);
    CHECK_IS(rsp_send_cookie(peer, octets("state"), 5, 0, -1), 5);
    say(peer, "go on");
    hear(sd, "go on");
    for (int i = 0; i < 3; i++) {
        CHECK_IS(rsp_send(sd, text, sizeof(text), 0), sizeof(text));
    }
    CHECK_IS(rsp_abandon(peer), 0);
    CHECK_FAILS(rsp_recv(sd, text, sizeof(text), 0), ESTALE);
    peer = take(server);
    CHECK_IS(rsp_has_cookie(sd), 0);
    say(sd, "anew");
    hear(peer, "anew");
    /* What fits is sent again, after the state. */
    CHECK_IS(rsp_send_cookie(peer, octets("other"), 5, 0, -1), 5);
    say(peer, "go on");
    hear(sd, "go on");
    say(sd, "to be kept");
    say(sd, "and this");
    hear(peer, "to be kept");
    CHECK_IS(rsp_abandon(peer), 0);
    CHECK_FAILS(rsp_recvmsg(sd, text, sizeof(text), NULL, NULL, 300), EAGAIN);
    peer = take(server);
    hear_state(peer, "other");
    hear(peer, "to be kept");
    hear(peer, "and this");
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server), 0);
}

/* --- a user that does what it is told -----------------------------------------------------------
 */

/** Everything there is to receive, a line each; false: the session is over. */
static bool receive_all(int sd)
{
    char got[512];
    for (;;) {
        int flags = 0;
        ssize_t n = rsp_recvmsg(sd, got, sizeof(got) - 1, NULL, &flags, 0);
        if (n < 0 && errno == EAGAIN) {
            return true;
        }
        if (n <= 0) {
            printf(n == 0 ? "end\n" : "error %d\n", errno);
            return false;
        }
        if ((flags & MSG_RSERPOOL_NOTIFICATION) != 0) {
            union rserpool_notification notification;
            memcpy(&notification, got, sizeof(notification));
            rsp_print_notification(&notification, stdout);
        } else {
            printf("message %.*s\n", (int)n, got);
        }
        (void)fflush(stdout);
    }
}

/** Sends each line of input as a message, and prints whatever comes. */
void user(void)
{
    int sd = use(SOCK_SEQPACKET);
    printf("connected\n");
    (void)fflush(stdout);
    struct pollfd p[2] = {{.fd = sd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    while (rsp_poll(p, 2, -1) > 0) {
        char line[128];
        if (!receive_all(sd)) {
            break;
        }
        if (p[1].revents != 0) {
            ssize_t n = read(STDIN_FILENO, line, sizeof(line));
            if (n <= 0) {
                break;
            }
            CHECK_IS(rsp_send(sd, line, (size_t)n - 1, 0), n - 1);
        }
    }
    CHECK_IS(rsp_close(sd), 0);
}
