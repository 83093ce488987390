/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker of the watch beside the loop: elements come and go, are asked about and looked at. */
#include "rspd/local/watch.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tsan/tsan.h"

#define ELEMENTS 8
#define ROUNDS   40

static struct loop *loop;
static struct watch *w;
static int listeners[ELEMENTS];
static struct watch_target targets[ELEMENTS];
static unsigned answers;
static unsigned loads;

static void on_load(void *ctx, uint32_t pe_id, uint32_t load, uint32_t connections)
{
    (void)ctx;
    (void)load;
    (void)connections;
    CHECK(pe_id >= 1 && pe_id <= ELEMENTS);
    loads++;
}

static void on_found(void *ctx, int result, const struct watch_listener *l)
{
    (void)ctx;
    CHECK(result != 0 || l->sockets > 0);
    answers++;
}

static void on_drain(void *ctx, uint32_t pe_id, int result, uint32_t connections, uint32_t queued)
{
    (void)ctx;
    (void)pe_id;
    (void)result;
    (void)connections;
    (void)queued;
    answers++;
}

static void give_up(void *ctx, struct tm_us now)
{
    (void)ctx;
    (void)now;
    CHECK(!"answers within the deadline");
}

static void listen_on(int i)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listeners[i] >= 0 && bind(listeners[i], (struct sockaddr *)&a, sizeof(a)) == 0 &&
          listen(listeners[i], 16) == 0 &&
          getsockname(listeners[i], (struct sockaddr *)&a, &len) == 0);
    targets[i] = (struct watch_target){.pe_id = (uint32_t)i + 1,
                                       .protocol = TRANSPORT_TCP,
                                       .port = ntohs(a.sin_port),
                                       .capacity = 10,
                                       .hang = true,
                                       .alive = i % 2 == 0};
}

/** A connection that is made and accepted: load, and life. */
static void visit(int i)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(targets[i].port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(client >= 0 && connect(client, (struct sockaddr *)&a, sizeof(a)) == 0);
    int server = accept(listeners[i], NULL, NULL);
    CHECK(server >= 0 && close(server) == 0 && close(client) == 0);
}

int main(void)
{
    const struct watch_events events = {.load = on_load};
    struct loop_timer *deadline;
    unsigned asked = 0;
    CHECK(loop_new(&loop) == 0 && watch_new(loop, &events, NULL, &w) == 0);
    CHECK(loop_timer_add(loop, 1000, give_up, NULL, &deadline) == 0 &&
          loop_timer_set(deadline, tm_add_ms(loop_now(loop), 60000)) == 0);
    for (int i = 0; i < ELEMENTS; i++) {
        listen_on(i);
        CHECK(watch_add(w, &targets[i]) == 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int i = round % ELEMENTS;
        uint32_t connections;
        visit(i);
        asked += watch_find(w, TRANSPORT_TCP, targets[i].port, 0, 0, on_found, NULL) == 0;
        asked += watch_drain_query(w, targets[i].pe_id, on_drain, NULL) == 0;
        (void)watch_connections(w, targets[i].pe_id, &connections);
        while (answers < asked) {
            CHECK(loop_step(loop, -1) >= 0);
        }
        watch_remove(w, targets[i].pe_id);
        CHECK(watch_add(w, &targets[i]) == 0);
    }
    CHECK(asked >= ROUNDS);
    watch_free(w);
    loop_timer_free(deadline);
    loop_free(loop);
    return 0;
}
