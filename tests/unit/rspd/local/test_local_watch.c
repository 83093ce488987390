/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The watch against real sockets and processes (decisions.md "Life of a local PE"). */
#include "rspd/local/watch.h"

#include "local_test.h"
#include "net_test.h"
#include "rspd/local/netns.h"
#include "wire/hints.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>

#define PE 0x1234u

static struct loop *loop;
static struct watch *w;
static volatile bool told;
static uint32_t load, connections;
static bool hung, back, gone, blind;
static int64_t hung_at;

static void on_load(void *ctx, uint32_t pe_id, uint32_t l, uint32_t n)
{
    (void)ctx;
    cr_assert_eq(pe_id, PE);
    load = l;
    connections = n;
    told = true;
}

static void on_hung(void *ctx, uint32_t pe_id, bool is_hung, const char *reason)
{
    (void)ctx;
    cr_assert_eq(pe_id, PE);
    cr_assert_eq(is_hung, reason != NULL);
    hung = hung || is_hung;
    back = back || !is_hung;
    hung_at = test_now_ms();
    told = true;
}

static void on_gone(void *ctx, uint32_t pe_id)
{
    (void)ctx;
    cr_assert_eq(pe_id, PE);
    gone = true;
    told = true;
}

static void on_blind(void *ctx, uint32_t pe_id, const char *reason)
{
    (void)ctx;
    cr_assert_eq(pe_id, PE);
    cr_assert_not_null(reason);
    blind = true;
    told = true;
}

static void setup(void)
{
    static const struct watch_events events = {
        .load = on_load, .hung = on_hung, .gone = on_gone, .blind = on_blind};
    cr_assert_eq(loop_new(&loop), 0);
    cr_assert_eq(watch_new(loop, &events, NULL, &w), 0);
    watch_set_hang_after(w, 750);
}

static void teardown(void)
{
    watch_free(w);
    while (loop_step(loop, 0) > 0) {
    }
    loop_free(loop);
}

TestSuite(watch, .init = setup, .fini = teardown, .timeout = 60);

static bool wait_told(int limit_ms)
{
    told = false;
    return test_wait(loop, &told, limit_ms);
}

static struct watch_target target(uint16_t port)
{
    return (struct watch_target){.pe_id = PE, .protocol = TRANSPORT_TCP, .port = port};
}

Test(watch, load_follows_the_kernel_and_the_hint)
{
    uint16_t port;
    int listener = test_listen(16, &port);
    struct watch_target t = target(port);
    t.capacity = 4;
    cr_assert_eq(watch_add(w, &t), 0);
    cr_assert(wait_told(3000));
    cr_assert_eq(load, 0);
    struct hint_page *page = (struct hint_page *)mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
                                                      MAP_SHARED, watch_hint_fd(w), 0);
    cr_assert_neq(page, MAP_FAILED);
    cr_assert_eq(page->magic, HINT_MAGIC);
    cr_assert_lt(ftruncate(watch_hint_fd(w), 0), 0);
    int client = test_connect(port);
    int server = accept(listener, NULL, NULL);
    cr_assert_geq(server, 0);
    hint_touch(page, PE);
    cr_assert(wait_told(2000));
    cr_assert_eq(connections, 1);
    cr_assert_eq(load, LOAD_FULL / 4);
    uint32_t n;
    cr_assert(watch_connections(w, PE, &n));
    cr_assert_eq(n, 1);
    int more[5];
    for (size_t i = 0; i < 5; i++) {
        more[i] = test_connect(port);
        cr_assert_geq(accept(listener, NULL, NULL), 0);
    }
    while (connections != 6) {
        cr_assert(wait_told(3000)); /* without a hint: the counters tell */
    }
    cr_assert_eq(load, LOAD_FULL);
    for (size_t i = 0; i < 5; i++) {
        (void)close(more[i]);
    }
    (void)close(client);
    (void)close(server);
    (void)close(listener);
    (void)munmap(page, sizeof(*page));
}

/** However fast connections come, their server is registered again at most ten times a second. */
Test(watch, load_is_told_at_a_limited_rate)
{
    uint16_t port;
    int listener = test_listen(16, &port);
    struct watch_target t = target(port);
    t.capacity = 100;
    cr_assert_eq(watch_add(w, &t), 0);
    cr_assert(wait_told(3000));
    struct hint_page *page = (struct hint_page *)mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
                                                      MAP_SHARED, watch_hint_fd(w), 0);
    cr_assert_neq(page, MAP_FAILED);
    int64_t first = 0;
    unsigned tellings = 0;
    unsigned clients = 0;
    while (tellings < 6) {
        cr_assert_lt(clients, 400);
        (void)test_connect(port);
        cr_assert_geq(accept(listener, NULL, NULL), 0);
        clients++;
        hint_touch(page, PE);
        if (wait_told(5)) {
            tellings++;
            first = first == 0 ? test_now_ms() : first;
        }
    }
    int64_t took = test_now_ms() - first;
    cr_assert_geq(took, 5 * 100 - 80, "%u clients told six times in %ld ms", clients, (long)took);
    cr_assert_geq(connections, 6);
    cr_assert_gt(clients, 2 * tellings, "they came faster than they were told");
    (void)munmap(page, sizeof(*page));
}

static void serve_never(int listener)
{
    (void)listener;
    for (;;) {
        (void)pause();
    }
}

static void serve_at_once(int listener)
{
    for (;;) {
        (void)close(accept(listener, NULL, NULL));
    }
}

/** One connection every 200 ms, as a server that is busy does. */
static void serve_slowly(int listener)
{
    for (;;) {
        (void)poll(NULL, 0, 200);
        (void)close(accept(listener, NULL, NULL));
    }
}

/** Connects every 50 ms until told or the limit; returns how many. */
static int press(uint16_t port, int *fds, int max, int64_t limit_ms)
{
    int64_t end = test_now_ms() + limit_ms;
    int n = 0;
    told = false;
    while (!told && n < max && test_now_ms() < end) {
        fds[n++] = test_connect(port);
        (void)test_wait(loop, &told, 50);
    }
    return n;
}

static void drop(int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        (void)close(fds[i]);
    }
}

/** The worker has had its first look. */
static void settle(void)
{
    (void)test_wait(loop, &told, 100);
}

Test(watch, hung_server_is_told_within_a_second)
{
    uint16_t port;
    int fds[64];
    pid_t pid = test_serve(test_listen(64, &port), serve_never);
    struct watch_target t = target(port);
    t.hang = true;
    t.pid = (uint32_t)pid;
    cr_assert_eq(watch_add(w, &t), 0);
    settle();
    int64_t start = test_now_ms();
    int n = press(port, fds, 64, 3000);
    cr_assert(hung);
    cr_assert_lt(hung_at - start, 1000 + 100);
    drop(fds, n);
    test_end(pid);
}

Test(watch, stopped_server_with_one_client_and_back)
{
    uint16_t port;
    pid_t pid = test_serve(test_listen(64, &port), serve_at_once);
    struct watch_target t = target(port);
    t.hang = true;
    t.pid = (uint32_t)pid;
    cr_assert_eq(watch_add(w, &t), 0);
    settle();
    test_stop(pid);
    int64_t start = test_now_ms();
    int client = test_connect(port);
    cr_assert(wait_told(3000));
    cr_assert(hung);
    cr_assert_lt(hung_at - start, 1000 + 100);
    cr_assert_eq(kill(pid, SIGCONT), 0);
    cr_assert(wait_told(3000));
    cr_assert(back);
    (void)close(client);
    test_end(pid);
}

Test(watch, stopped_daemon_whose_parent_is_gone)
{
    uint16_t port;
    pid_t pid = test_serve(test_listen(64, &port), serve_at_once);
    struct watch_target t = target(port);
    t.hang = true;
    t.pid = 0; /* who called listen() is no more */
    cr_assert_eq(watch_add(w, &t), 0);
    settle();
    test_stop(pid);
    int client = test_connect(port);
    cr_assert(wait_told(3000));
    cr_assert(hung);
    (void)close(client);
    test_end(pid);
}

Test(watch, slow_server_is_never_withheld)
{
    uint16_t port;
    int fds[64];
    pid_t pid = test_serve(test_listen(64, &port), serve_slowly);
    struct watch_target t = target(port);
    t.hang = true;
    t.pid = (uint32_t)pid;
    cr_assert_eq(watch_add(w, &t), 0);
    settle();
    int n = press(port, fds, 60, 3500);
    cr_assert_not(hung);
    cr_assert_gt(n, 20);
    drop(fds, n);
    test_end(pid);
}

Test(watch, full_queue_is_hung)
{
    uint16_t port;
    int fds[8];
    int listener = test_listen(1, &port);
    struct watch_target t = target(port);
    t.hang = true;
    cr_assert_eq(watch_add(w, &t), 0);
    settle();
    for (size_t i = 0; i < 8; i++) {
        fds[i] = test_connect(port);
    }
    cr_assert(wait_told(3000));
    cr_assert(hung);
    drop(fds, 8);
    (void)close(listener);
}

static int find_result;
static struct watch_listener found;

static void on_found(void *ctx, int result, const struct watch_listener *l)
{
    (void)ctx;
    find_result = result;
    found = l != NULL ? *l : (struct watch_listener){.sockets = 0};
    told = true;
}

Test(watch, adopted_server_is_found_and_missed)
{
    uint16_t port;
    int listener = test_listen(16, &port);
    uint64_t cookie;
    socklen_t len = sizeof(cookie);
    cr_assert_eq(getsockopt(listener, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
    pid_t pid = test_serve(listener, serve_at_once);
    cr_assert_eq(watch_find(w, TRANSPORT_TCP, port, (uint32_t)pid, 0, on_found, NULL), 0);
    cr_assert(wait_told(3000));
    cr_assert_eq(find_result, 0);
    cr_assert_eq(found.sock_cookie, cookie);
    cr_assert_eq(found.uid, getuid());
    cr_assert_eq(found.sockets, 1);
    cr_assert_eq(found.address_count, 1);
    struct watch_target t = target(port);
    t.alive = true;
    t.sock_cookie = cookie;
    t.pid = (uint32_t)pid;
    cr_assert_eq(watch_add(w, &t), 0);
    settle();
    cr_assert_not(gone);
    int64_t start = test_now_ms();
    test_end(pid);
    cr_assert(wait_told(3000));
    cr_assert(gone);
    cr_assert_lt(test_now_ms() - start, 300); /* an event, not a tick */
    cr_assert_eq(watch_drain_query(w, PE, NULL, NULL), -ENOENT);
}

Test(watch, adoption_of_what_is_not_there)
{
    uint16_t port;
    int listener = test_listen(16, &port);
    pid_t other = fork();
    if (other == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(listener);
        serve_never(-1);
    }
    cr_assert_eq(watch_find(w, TRANSPORT_UDP, port, 0, 0, on_found, NULL), 0);
    cr_assert(wait_told(3000));
    cr_assert_eq(find_result, -ENOENT);
    struct watch_target t = target(port);
    t.alive = true;
    t.sock_cookie = 1; /* another socket than the one that listens now */
    cr_assert_eq(watch_add(w, &t), 0);
    cr_assert(wait_told(3000));
    cr_assert(gone);
    (void)close(listener);
    test_end(other);
}

static uint32_t drain_connections, drain_queued;

static void on_drain(void *ctx, uint32_t pe_id, int result, uint32_t c, uint32_t q)
{
    (void)ctx;
    cr_assert_eq(pe_id, PE);
    cr_assert_eq(result, 0);
    drain_connections = c;
    drain_queued = q;
    told = true;
}

Test(watch, what_a_pe_has_in_hand)
{
    uint16_t port;
    int listener = test_listen(16, &port);
    struct watch_target t = target(port);
    cr_assert_eq(watch_add(w, &t), 0);
    int a = test_connect(port);
    int b = test_connect(port);
    int served = accept(listener, NULL, NULL);
    cr_assert_eq(watch_drain_query(w, PE, on_drain, NULL), 0);
    cr_assert(wait_told(3000));
    cr_assert_eq(drain_connections, 2);
    cr_assert_eq(drain_queued, 1);
    (void)close(served);
    (void)close(accept(listener, NULL, NULL));
    (void)close(a);
    (void)close(b);
    cr_assert_eq(watch_drain_query(w, PE, on_drain, NULL), 0);
    cr_assert(wait_told(3000));
    cr_assert_eq(drain_connections, 0);
    cr_assert_eq(drain_queued, 0);
    (void)close(listener);
}

static int in_namespace[2];

/** A server in a network namespace of its own; tells its port, or 0 when that is not allowed. */
static pid_t serve_elsewhere(uint16_t *ret_port)
{
    cr_assert_eq(pipe(in_namespace), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        uint16_t port = 0;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) == 0) {
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            struct sockaddr_in a = {.sin_family = AF_INET};
            socklen_t len = sizeof(a);
            (void)bind(fd, (struct sockaddr *)&a, sizeof(a));
            (void)listen(fd, 16);
            (void)getsockname(fd, (struct sockaddr *)&a, &len);
            port = ntohs(a.sin_port);
        }
        (void)!write(in_namespace[1], &port, sizeof(port));
        serve_never(-1);
    }
    cr_assert_eq(read(in_namespace[0], ret_port, sizeof(*ret_port)), sizeof(*ret_port));
    return pid;
}

Test(watch, another_network_namespace)
{
    uint16_t port;
    uint64_t home = netns_self();
    pid_t pid = serve_elsewhere(&port);
    cr_assert_neq(port, 0, "network namespaces need root");
    uint64_t ns = netns_of((uint32_t)pid);
    cr_assert_neq(ns, 0);
    cr_assert_neq(ns, home);
    cr_assert_eq(watch_find(w, TRANSPORT_TCP, port, (uint32_t)pid, 0, on_found, NULL), 0);
    cr_assert(wait_told(3000));
    cr_assert_eq(find_result, -ENOENT);
    cr_assert_eq(watch_find(w, TRANSPORT_TCP, port, (uint32_t)pid, ns, on_found, NULL), 0);
    cr_assert(wait_told(3000));
    cr_assert_eq(find_result, 0);
    cr_assert_eq(found.address_count, 0);
    cr_assert_eq(found.families, 1);
    int fd = netns_socket((uint32_t)pid, ns, AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    cr_assert_eq(netns_self(), home);
    cr_assert_eq(netns_socket((uint32_t)pid, ns + 1, AF_INET, SOCK_STREAM, 0), -ESRCH);
    struct watch_target t = target(port);
    t.alive = true;
    t.netns = ns;
    t.pid = (uint32_t)pid;
    cr_assert_eq(watch_add(w, &t), 0);
    settle();
    cr_assert_not(gone);
    test_end(pid);
    cr_assert(wait_told(3000));
    cr_assert(gone);
}

Test(watch, namespace_that_cannot_be_entered)
{
    struct watch_target t = target(80);
    t.hang = true;
    t.netns = 1;
    t.pid = (uint32_t)getpid();
    cr_assert_eq(watch_add(w, &t), 0);
    cr_assert(wait_told(3000));
    cr_assert(blind);
}

static void on_free_yourself(void *ctx, uint32_t pe_id, int result, uint32_t c, uint32_t q)
{
    on_drain(ctx, pe_id, result, c, q);
    watch_free(w);
    w = NULL;
}

Test(watch, freed_in_its_own_callback)
{
    struct watch_target t = target(80);
    cr_assert_eq(watch_add(w, &t), 0);
    cr_assert_eq(watch_drain_query(w, PE, on_free_yourself, NULL), 0);
    cr_assert_eq(watch_drain_query(w, PE, on_free_yourself, NULL), 0);
    cr_assert(wait_told(3000));
}

Test(watch, arguments)
{
    struct watch_target t = target(0);
    cr_assert_eq(watch_add(w, &t), -EINVAL);
    t = target(80);
    t.pe_id = 0;
    cr_assert_eq(watch_add(w, &t), -EINVAL);
    watch_remove(w, 99);
    uint32_t n;
    cr_assert_not(watch_connections(w, PE, &n));
}
