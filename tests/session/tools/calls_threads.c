/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several threads; rsp_server in both models. */
#include <pthread.h>
#include <stdatomic.h>

#include "calls.h"

#define USERS    6
#define MESSAGES 40

/* --- a server that counts -----------------------------------------------------------------------
 */

static atomic_int timers, sessions_begun, sessions_ended, rejections, notices;

static enum rsp_server_result session_begins(struct rsp_server_session *session)
{
    sessions_begun++;
    rsp_session_load(session, 0.01);
    rsp_session_timer(session, 5);
    CHECK(rsp_session_id(session) > 0);
    CHECK(rsp_session_socket(session) >= 0);
    CHECK(rsp_session_data(session) == NULL);
    return RSP_SERVER_GO_ON;
}

static void session_ends(struct rsp_server_session *session)
{
    (void)session;
    sessions_ended++;
}

static enum rsp_server_result session_timer(struct rsp_server_session *session)
{
    timers++;
    rsp_session_timer(session, 5);
    return RSP_SERVER_GO_ON;
}

static enum rsp_server_result restore(struct rsp_server_session *session, const void *state,
                                      size_t size)
{
    uintptr_t count = 0;
    CHECK(size == sizeof(count));
    memcpy(&count, state, sizeof(count));
    rsp_session_set_data(session, (void *)count);
    return RSP_SERVER_GO_ON;
}

/** Answers with the number of the session's message; "close" and "abort" end it. */
static enum rsp_server_result answer(struct rsp_server_session *session, const void *data,
                                     size_t size, uint32_t ppid, uint16_t stream)
{
    struct rsp_server *server = rsp_session_server(session);
    uintptr_t count = (uintptr_t)rsp_session_data(session) + 1;
    char text[64];
    if (size == 5 && memcmp(data, "close", 5) == 0) {
        return RSP_SERVER_CLOSE;
    }
    if (size == 5 && memcmp(data, "abort", 5) == 0) {
        return RSP_SERVER_ABORT;
    }
    int len = snprintf(text, sizeof(text), "%lu", (unsigned long)count);
    rsp_session_set_data(session, (void *)count);
    rsp_session_load(session, (double)(count % 10) / 100);
    CHECK(rsp_server_load(server) >= 0 && rsp_server_sessions(server) > 0);
    (void)rsp_session_send(session, text, (size_t)len, ppid, stream);
    (void)rsp_session_cookie(session, &count, sizeof(count));
    return RSP_SERVER_GO_ON;
}

static enum rsp_server_result noticed(struct rsp_server_session *session,
                                      const union rserpool_notification *n)
{
    (void)session;
    (void)n;
    notices++;
    return RSP_SERVER_GO_ON;
}

static void rejected(struct rsp_server *server)
{
    (void)server;
    rejections++;
}

static double half(struct rsp_server *server, double load)
{
    (void)server;
    return load / 2;
}

static struct rsp_server_config config_of(enum rsp_server_model model)
{
    return (struct rsp_server_config){.handle = pool,
                                      .model = model,
                                      .protocol = protocol,
                                      .load = {.rli_policy = PPT_LEASTUSED},
                                      .load_hook = half,
                                      .rejected = rejected,
                                      .session_init = session_begins,
                                      .session_fini = session_ends,
                                      .on_message = answer,
                                      .on_cookie = restore,
                                      .on_notification = noticed,
                                      .on_session_timer = session_timer};
}

static void *run(void *arg)
{
    CHECK_IS(rsp_server_run(arg), 0);
    return NULL;
}

/** Until as many elements are in the pool. */
static void until_elements(int count)
{
    struct rsp_addrinfo *list = NULL;
    int64_t end = now_ms() + WAIT_MS;
    while (rsp_getaddrinfo(octets(pool), strlen(pool), &list, RSPGETADDRS_MAX, 0) != count) {
        CHECK(now_ms() < end);
        rsp_freeaddrinfo(list);
        (void)poll(NULL, 0, 5);
    }
    rsp_freeaddrinfo(list);
}

/* --- users --------------------------------------------------------------------------------------
 */

/** Answers until the one with the number; those before it have been seen. */
static void hear_number(int sd, long number)
{
    char text[64];
    for (long got = 0; got != number;) {
        ssize_t n = rsp_recv(sd, text, sizeof(text) - 1, 0);
        CHECK(n > 0);
        text[n] = '\0';
        got = atol(text);
        CHECK(got <= number);
    }
}

static void *ask(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    int sd = use(SOCK_STREAM);
    for (int i = 1; i <= MESSAGES; i++) {
        struct rsp_addrinfo *list = NULL;
        say(sd, "question");
        hear_number(sd, i);
        if (rand_r(&seed) % 8 == 0) {
            CHECK_IS(rsp_forcefailover(sd, FFF_NONE, 1000), 0);
        }
        if (rand_r(&seed) % 8 == 0) {
            CHECK(rsp_getaddrinfo(octets(pool), strlen(pool), &list, 2, 1000) > 0);
            rsp_freeaddrinfo(list);
        }
    }
    CHECK_IS(rsp_close(sd), 0);
    return NULL;
}

static void *send_all(void *arg)
{
    for (int i = 0; i < MESSAGES; i++) {
        say(*(int *)arg, "question");
    }
    return NULL;
}

/** One thread sends, another one receives. */
static void *ask_by_two(void *arg)
{
    pthread_t sender;
    int sd = use(SOCK_STREAM);
    (void)arg;
    CHECK_IS(pthread_create(&sender, NULL, send_all, &sd), 0);
    for (int i = 1; i <= MESSAGES; i++) {
        hear_number(sd, i);
    }
    CHECK_IS(pthread_join(sender, NULL), 0);
    CHECK_IS(rsp_close(sd), 0);
    return NULL;
}

void threads(void)
{
    const struct rsp_server_config configs[] = {config_of(RSP_SERVER_THREADS),
                                                config_of(RSP_SERVER_LOOP)};
    struct rsp_server *servers[2];
    pthread_t runners[2];
    pthread_t users[2 * USERS];
    unsigned seeds[USERS];
    for (int i = 0; i < 2; i++) {
        servers[i] = rsp_server_new(&configs[i]);
        CHECK(servers[i] != NULL);
        CHECK_IS(pthread_create(&runners[i], NULL, run, servers[i]), 0);
    }
    until_elements(2);
    for (unsigned i = 0; i < USERS; i++) {
        seeds[i] = i;
        CHECK_IS(pthread_create(&users[2 * i], NULL, ask, &seeds[i]), 0);
        CHECK_IS(pthread_create(&users[2 * i + 1], NULL, ask_by_two, NULL), 0);
    }
    for (int i = 0; i < 2 * USERS; i++) {
        CHECK_IS(pthread_join(users[i], NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        rsp_server_stop(servers[i]);
        CHECK_IS(pthread_join(runners[i], NULL), 0);
        CHECK_IS(rsp_server_sessions(servers[i]), 0);
        rsp_server_free(servers[i]);
    }
    CHECK(timers > 0 && sessions_begun >= 2 * USERS);
    CHECK_IS(sessions_begun, sessions_ended);
}

/* --- stopping -----------------------------------------------------------------------------------
 */

static atomic_int inits, finis;

static int init(struct rsp_server *server)
{
    uint32_t id = 0;
    CHECK_IS(rsp_getsockname(rsp_server_socket(server), NULL, NULL, &id), 0);
    inits++;
    rsp_server_timer(server, 10);
    return *(int *)rsp_server_user(server);
}

static void fini(struct rsp_server *server)
{
    (void)server;
    finis++;
}

static atomic_int server_timers;

static void server_timer(struct rsp_server *server)
{
    server_timers++;
    rsp_server_timer(server, 10);
}

/** A full server turns sessions away; a stopped one lets go of those that do not end. */
static void stopped(enum rsp_server_model model)
{
    int result = 0;
    struct rsp_server_config config = config_of(model);
    pthread_t runner;
    char text[16];
    config.init = init;
    config.fini = fini;
    config.user = &result;
    config.on_timer = server_timer;
    config.max_sessions = 2;
    config.stop_timeout_ms = 150;
    struct rsp_server *server = rsp_server_new(&config);
    CHECK(server != NULL);
    CHECK_IS(rsp_server_socket(server), -1);
    CHECK_IS(pthread_create(&runner, NULL, run, server), 0);
    until_elements(1);
    int one = use(SOCK_STREAM);
    say(one, "question");
    hear(one, "1");
    int two = use(SOCK_STREAM);
    say(two, "question");
    hear(two, "1");
    int before = rejections;
    int most = 300;
    int three = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK(three >= 0);
    CHECK_IS(rsp_setsockopt(three, SOL_RSP, RSP_SO_GIVE_UP, &most, sizeof(most)), 0);
    /* Turned away while it connects, or just after that. */
    bool connected = rsp_connect(three, octets(pool), strlen(pool), 0) == 0;
    CHECK(connected || errno == ECONNRESET);
    while (connected && rejections == before) {
        CHECK_FAILS(rsp_recvmsg(three, text, sizeof(text), NULL, NULL, 5), EAGAIN);
    }
    for (int64_t end = now_ms() + WAIT_MS; rejections == before; (void)poll(NULL, 0, 1)) {
        CHECK(now_ms() < end);
    }
    CHECK_IS(rsp_close(three), 0);
    say(two, "close");
    CHECK_IS(rsp_recv(two, text, sizeof(text), 0), 0);
    CHECK_IS(rsp_close(two), 0);
    int64_t end = now_ms() + WAIT_MS;
    while (server_timers < 2) {
        CHECK(now_ms() < end);
        (void)poll(NULL, 0, 5);
    }
    rsp_server_stop(server);
    CHECK_IS(pthread_join(runner, NULL), 0);
    CHECK_IS(rsp_server_sessions(server), 0);
    rsp_server_free(server);
    CHECK_FAILS(rsp_recvmsg(one, text, sizeof(text), NULL, NULL, 20), EAGAIN); /* seeks another */
    CHECK_IS(rsp_close(one), 0);
}

void stopping(void)
{
    int result = -1;
    struct rsp_server_config config = config_of(RSP_SERVER_LOOP);
    stopped(RSP_SERVER_LOOP);
    stopped(RSP_SERVER_THREADS);
    CHECK_IS(inits, 2);
    CHECK_IS(finis, 2);
    /* A program that cannot begin; no place to listen. */
    config.init = init;
    config.fini = fini;
    config.user = &result;
    struct rsp_server *server = rsp_server_new(&config);
    CHECK_IS(rsp_server_run(server), -1);
    rsp_server_free(server);
    struct sockaddr_in bad = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201), .sin_port = htons(7314)};
    config.address = (struct sockaddr *)&bad;
    config.addresses = 1;
    server = rsp_server_new(&config);
    CHECK_FAILS(rsp_server_run(server), EADDRNOTAVAIL);
    rsp_server_free(server);
    CHECK_IS(finis, 2);
}

/* --- closing under a call -----------------------------------------------------------------------
 */

static atomic_int waiters;

static void *wait_for_message(void *arg)
{
    char text[16];
    waiters++;
    CHECK_FAILS(rsp_recvmsg(*(int *)arg, text, sizeof(text), NULL, NULL, -1), EBADF);
    return NULL;
}

static void *wait_for_session(void *arg)
{
    int sd;
    waiters++;
    while ((sd = rsp_accept(*(int *)arg, -1)) >= 0) { /* a user whose server was closed */
        CHECK_IS(rsp_abandon(sd), 0);
    }
    CHECK_IS(errno, EBADF);
    return NULL;
}

static void *wait_for_room(void *arg)
{
    static char text[100000];
    ssize_t n;
    waiters++;
    while ((n = rsp_send(*(int *)arg, text, sizeof(text), 0)) == (ssize_t)sizeof(text)) {
    }
    CHECK(n == -1 && errno == EBADF);
    return NULL;
}

/** A close in one thread ends the calls of the others. */
void closing(void)
{
    pthread_t waits[4];
    int server = serve(SOCK_STREAM);
    int first = use(SOCK_STREAM);
    int first_peer = take(server);
    int second = use(SOCK_STREAM);
    int second_peer = take(server);
    CHECK_IS(pthread_create(&waits[0], NULL, wait_for_message, &first), 0);
    CHECK_IS(pthread_create(&waits[1], NULL, wait_for_message, &first_peer), 0);
    CHECK_IS(pthread_create(&waits[2], NULL, wait_for_session, &server), 0);
    CHECK_IS(pthread_create(&waits[3], NULL, wait_for_room, &second), 0);
    while (waiters < 4) {
        (void)poll(NULL, 0, 1);
    }
    (void)poll(NULL, 0, 50); /* most likely they wait by now; if not, they find it closed */
    CHECK_IS(rsp_abandon(second), 0);
    CHECK_IS(rsp_abandon(first_peer), 0);
    CHECK_IS(rsp_close(first), 0);
    CHECK_IS(rsp_close(server), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_IS(pthread_join(waits[i], NULL), 0);
    }
    CHECK_IS(rsp_close(second_peer), 0);
}
