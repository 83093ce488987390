/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Basic mode: elements of this process, resolution, reports; waiting and pollable. */
#include <poll.h>

#include "calls.h"

struct element {
    int listener;
    struct sockaddr_in at;
    struct rsp_addrinfo info;
};

/** An element that listens on a port of its own; not registered yet. */
static struct element *element_new(void)
{
    struct element *e = calloc(1, sizeof(*e));
    socklen_t len = sizeof(e->at);
    CHECK(e != NULL);
    e->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    e->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(e->listener >= 0);
    CHECK_IS(bind(e->listener, (struct sockaddr *)&e->at, sizeof(e->at)), 0);
    CHECK_IS(listen(e->listener, 5), 0);
    CHECK_IS(getsockname(e->listener, (struct sockaddr *)&e->at, &len), 0);
    e->info = (struct rsp_addrinfo){.ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_addrlen = sizeof(e->at),
                                    .ai_addrs = 1,
                                    .ai_addr = (struct sockaddr *)&e->at};
    return e;
}

static void element_free(struct element *e)
{
    (void)close(e->listener);
    free(e);
}

static void register_it(struct element *e, const struct rsp_loadinfo *load)
{
    CHECK_IS(rsp_pe_registration(octets(pool), strlen(pool), &e->info, load, 0, 0), RSPERR_OKAY);
    CHECK(e->info.ai_pe_id != 0);
}

static int resolved(struct rsp_addrinfo **list, size_t items, unsigned stale_ms)
{
    return rsp_getaddrinfo(octets(pool), strlen(pool), list, items, stale_ms);
}

static bool listed(const struct rsp_addrinfo *list, uint32_t pe_id)
{
    while (list != NULL && list->ai_pe_id != pe_id) {
        list = list->ai_next;
    }
    return list != NULL;
}

static uint32_t report(const struct element *e)
{
    return rsp_pe_failure(octets(pool), strlen(pool), e->info.ai_pe_id);
}

/** Register, renew with another policy, load and place, deregister. */
void basic(void)
{
    struct rsp_loadinfo load = {.rli_policy = PPT_LEASTUSED, .rli_load = UINT32_MAX / 4};
    struct rsp_addrinfo *list = NULL;
    struct element *e = element_new();
    register_it(e, &load);
    uint32_t id = e->info.ai_pe_id;
    step("registered");
    CHECK_IS(resolved(&list, 1, 0), 1);
    CHECK(list->ai_pe_id == id && list->ai_next == NULL && list->ai_protocol == IPPROTO_TCP &&
          list->ai_socktype == SOCK_STREAM && list->ai_family == AF_INET && list->ai_addrs == 1);
    CHECK(memcmp(list->ai_addr, &e->at, sizeof(e->at)) == 0);
    rsp_freeaddrinfo(list);
    load.rli_load = UINT32_MAX / 4 * 3;
    register_it(e, &load);
    CHECK_IS(e->info.ai_pe_id, id);
    step("renewed");
    struct element *other = element_new();
    load.rli_load = 0;
    register_it(other, &load);
    CHECK(other->info.ai_pe_id != id);
    step("two");
    CHECK_IS(rsp_pe_deregistration(octets(pool), strlen(pool), id, 0), RSPERR_OKAY);
    step("one left");
    CHECK_IS(rsp_pe_deregistration(octets(pool), strlen(pool), id, 0), RSPERR_NOT_FOUND);
    CHECK_IS(
        rsp_pe_deregistration(octets(pool), strlen(pool), other->info.ai_pe_id, DEREGF_DONTWAIT),
        RSPERR_OKAY);
    step("none left");
    element_free(e);
    element_free(other);
}

void basic_errors(void)
{
    const struct rsp_loadinfo strange = {.rli_policy = 0x12345678};
    struct rsp_addrinfo *list = NULL;
    static unsigned char longest[1025];
    struct element *e = element_new();
    size_t size = strlen(pool);
    memset(longest, 'x', sizeof(longest));
    CHECK_IS(rsp_pe_registration(octets(pool), size, NULL, NULL, 0, 0), RSPERR_INVALID_VALUES);
    CHECK_IS(rsp_pe_registration(NULL, size, &e->info, NULL, 0, 0), RSPERR_INVALID_VALUES);
    CHECK_IS(rsp_pe_registration(octets(pool), 0, &e->info, NULL, 0, 0), RSPERR_INVALID_VALUES);
    CHECK_IS(rsp_pe_registration(longest, sizeof(longest), &e->info, NULL, 0, 0),
             RSPERR_INVALID_VALUES);
    CHECK_IS(rsp_pe_registration(octets(pool), size, &e->info, &strange, 0, 0),
             RSPERR_INVALID_VALUES);
    struct rsp_addrinfo bad = e->info;
    bad.ai_protocol = 77;
    CHECK_IS(rsp_pe_registration(octets(pool), size, &bad, NULL, 0, 0), RSPERR_INVALID_VALUES);
    bad = e->info;
    bad.ai_addrs = 0;
    CHECK_IS(rsp_pe_registration(octets(pool), size, &bad, NULL, 0, 0), RSPERR_INVALID_VALUES);
    struct sockaddr_in no_port = e->at;
    no_port.sin_port = 0;
    bad.ai_addrs = 1;
    bad.ai_addr = (struct sockaddr *)&no_port;
    CHECK_IS(rsp_pe_registration(octets(pool), size, &bad, NULL, 0, 0), RSPERR_INVALID_VALUES);
    struct sockaddr_in two[2] = {e->at, e->at};
    two[1].sin_port = htons(1);
    bad.ai_addrs = 2;
    bad.ai_addr = (struct sockaddr *)two;
    CHECK_IS(rsp_pe_registration(octets(pool), size, &bad, NULL, 0, 0), RSPERR_INVALID_VALUES);
    CHECK_IS(rsp_pe_failure(NULL, size, 1), RSPERR_INVALID_VALUES);
    CHECK_IS(rsp_pe_failure(octets(pool), 0, 1), RSPERR_INVALID_VALUES);
    CHECK_IS(rsp_pe_deregistration(NULL, size, 1, 0), RSPERR_INVALID_VALUES);
    CHECK_IS(rsp_pe_deregistration(octets(pool), size, 1, 0), RSPERR_NOT_FOUND);
    CHECK_IS(rsp_getaddrinfo(octets("nobody"), 6, &list, 1, 0), REAI_NONAME);
    CHECK(list == NULL);
    CHECK_IS(rsp_getaddrinfo(octets(pool), size, NULL, 1, 0), REAI_SYSTEM);
    CHECK_IS(rsp_getaddrinfo(NULL, size, &list, 1, 0), REAI_SYSTEM);
    CHECK_IS(rsp_getaddrinfo(longest, sizeof(longest), &list, 1, 0), REAI_SYSTEM);
    CHECK_FAILS(rsp_getaddrinfo_start(NULL, 1, 1, 0), EINVAL);
    CHECK_FAILS(rsp_finish(STDIN_FILENO, NULL, NULL), EBADF);
    CHECK_FAILS(rsp_cancel(-1), EBADF);
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK_FAILS(rsp_finish(sd, NULL, NULL), EBADF);
    CHECK_FAILS(rsp_cancel(sd), EBADF);
    CHECK_IS(rsp_close(sd), 0);
    /* A pool that was there and is empty. */
    register_it(e, NULL);
    CHECK_IS(rsp_pe_deregistration(octets(pool), size, e->info.ai_pe_id, 0), RSPERR_OKAY);
    int r = resolved(&list, 1, 0);
    CHECK(r == REAI_NONAME || (r == REAI_SYSTEM && errno == ECONNREFUSED));
    element_free(e);
    rsp_freeaddrinfo(NULL);
}

/** Waits as an event loop does; what rsp_finish() says. */
static int finished(int request, struct rsp_addrinfo **list, uint32_t *pe_id)
{
    CHECK(request >= 0);
    for (;;) {
        struct pollfd p = {.fd = request, .events = POLLIN};
        CHECK_IS(poll(&p, 1, WAIT_MS), 1);
        int r = rsp_finish(request, list, pe_id);
        if (r >= 0 || errno != EAGAIN) {
            return r;
        }
    }
}

void basic_pollable(void)
{
    struct rsp_addrinfo *list = NULL;
    struct element *e = element_new();
    size_t size = strlen(pool);
    uint32_t id = 0;
    int request = rsp_getaddrinfo_start(octets(pool), size, 1, 0);
    CHECK_FAILS(finished(request, &list, NULL), ENOENT);
    CHECK_FAILS(rsp_finish(request, NULL, NULL), EBADF);
    request = rsp_pe_registration_start(octets(pool), size, &e->info, NULL, 0, 0);
    CHECK_IS(finished(request, NULL, &id), 0);
    CHECK(id != 0);
    CHECK_IS(finished(rsp_getaddrinfo_start(octets(pool), size, 5, 0), &list, NULL), 1);
    CHECK_IS(list->ai_pe_id, id);
    rsp_freeaddrinfo(list);
    CHECK_IS(finished(rsp_getaddrinfo_start(octets(pool), size, 5, 0), NULL, NULL), 1);
    /* Renewed, with the place left as it is. */
    struct rsp_addrinfo again = {.ai_protocol = IPPROTO_TCP, .ai_pe_id = id};
    CHECK_IS(finished(rsp_pe_registration_start(octets(pool), size, &again, NULL, 0, 0), NULL, &id),
             0);
    CHECK_IS(id, again.ai_pe_id);
    request = rsp_getaddrinfo_start(octets(pool), size, 1, 0);
    CHECK_IS(rsp_cancel(request), 0);
    CHECK_FAILS(rsp_cancel(request), EBADF);
    /* A session socket is none of these, and a request is no session socket. */
    request = rsp_getaddrinfo_start(octets(pool), size, 1, 0);
    CHECK_FAILS(rsp_close(request), EBADF);
    CHECK_FAILS(rsp_send(request, "x", 1, 0), EBADF);
    CHECK_FAILS(rsp_recv(request, &list, sizeof(list), 0), EBADF);
    CHECK_IS(rsp_cancel(request), 0);
    CHECK_IS(finished(rsp_pe_deregistration_start(octets(pool), size, id), NULL, NULL), 0);
    CHECK_FAILS(rsp_pe_deregistration_start(octets(pool), size, id), ENOENT);
    element_free(e);
}

void basic_count(void)
{
    struct element *elements[5];
    struct rsp_addrinfo *list = NULL;
    for (int i = 0; i < 5; i++) {
        elements[i] = element_new();
        register_it(elements[i], NULL);
    }
    const size_t asked[] = {RSPGETADDRS_DEFAULT, 1, 3, 5, 9, RSPGETADDRS_MAX};
    const int got[] = {1, 1, 3, 5, 5, 5};
    for (int i = 0; i < 6; i++) {
        CHECK_IS(resolved(&list, asked[i], 0), got[i]);
        int count = 0;
        for (const struct rsp_addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
            CHECK(!listed(ai->ai_next, ai->ai_pe_id));
            count++;
        }
        CHECK_IS(count, got[i]);
        rsp_freeaddrinfo(list);
    }
    /* Round robin: five questions for one each, five elements. */
    uint32_t seen = 0;
    for (int i = 0; i < 5; i++) {
        CHECK_IS(resolved(&list, 1, 0), 1);
        for (int n = 0; n < 5; n++) {
            seen |= list->ai_pe_id == elements[n]->info.ai_pe_id ? 1U << n : 0;
        }
        rsp_freeaddrinfo(list);
    }
    CHECK_IS(seen, 31);
    for (int i = 0; i < 5; i++) {
        element_free(elements[i]);
    }
}

/** A reported element is not chosen on this host any more; registered anew it is. */
void basic_failure(void)
{
    struct element *good = element_new();
    struct element *bad = element_new();
    struct rsp_addrinfo *list = NULL;
    register_it(good, NULL);
    register_it(bad, NULL);
    CHECK_IS(shutdown(bad->listener, SHUT_RD), 0); /* nobody listens there any more */
    CHECK_IS(report(bad), RSPERR_OKAY);
    for (int i = 0; i < 6; i++) {
        CHECK_IS(resolved(&list, 1, 0), 1);
        CHECK_IS(list->ai_pe_id, good->info.ai_pe_id);
        rsp_freeaddrinfo(list);
    }
    step("reported");
    element_free(good);
    element_free(bad);
}

/** Without a daemon every function that needs one says so. */
void no_daemon(void)
{
    struct rsp_addrinfo *list = NULL;
    struct element *e = element_new();
    size_t size = strlen(pool);
    CHECK_IS(rsp_pe_registration(octets(pool), size, &e->info, NULL, 0, 0), RSPERR_NO_DAEMON);
    CHECK_IS(rsp_pe_failure(octets(pool), size, 1), RSPERR_NO_DAEMON);
    CHECK_IS(resolved(&list, 1, 0), REAI_SYSTEM);
    CHECK_IS(errno, ENOTCONN);
    CHECK_FAILS(rsp_getaddrinfo_start(octets(pool), size, 1, 0), ENOTCONN);
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK_FAILS(rsp_register(sd, octets(pool), size, NULL, 0, 0), ENOTCONN);
    CHECK_FAILS(rsp_register(sd, octets(pool), size, NULL, 0, REGF_DAEMONMODE), ENOTCONN);
    CHECK_IS(rsp_close(sd), 0);
    sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK_FAILS(rsp_connect(sd, octets(pool), size, 0), ENOTCONN);
    CHECK_FAILS(rsp_connect(sd, octets(pool), size, 0), ENOTCONN);
    CHECK_IS(rsp_close(sd), 0);
    element_free(e);
}

void no_registrar(void)
{
    struct element *e = element_new();
    struct element *kept = element_new();
    size_t size = strlen(pool);
    CHECK_IS(rsp_pe_registration(octets(pool), size, &e->info, NULL, 0, 0), RSPERR_NO_REGISTRAR);
    CHECK_IS(rsp_pe_registration(octets(pool), size, &kept->info, NULL, 0, REGF_DAEMONMODE),
             RSPERR_OKAY);
    CHECK(kept->info.ai_pe_id != 0);
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK_FAILS(rsp_register(sd, octets(pool), size, NULL, 0, 0), EAGAIN);
    CHECK_IS(rsp_register(sd, octets(pool), size, NULL, 0, REGF_DAEMONMODE), 0);
    step("kept");
    CHECK_IS(rsp_close(sd), 0);
    element_free(e);
    element_free(kept);
}

/** For each line "ITEMS STALE_MS" how many elements there are. */
void resolve(void)
{
    char line[64];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct rsp_addrinfo *list = NULL;
        char *rest = NULL;
        size_t items = strtoul(line, &rest, 10);
        printf("%d\n", resolved(&list, items, (unsigned)strtoul(rest, NULL, 10)));
        (void)fflush(stdout);
        rsp_freeaddrinfo(list);
    }
}
