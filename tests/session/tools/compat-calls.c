/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program written for <rserpool/rserpool.h> that has both ends of its sessions, over the kernel's
 * SCTP. Usage: compat-calls POOL
 */
#include <rserpool/rserpool-internals.h>
#include <rserpool/rserpool.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 20000

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "line %d: %s (errno %d, %s)\n", __LINE__, #condition, errno,     \
                          strerror(errno));                                                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static const unsigned char *pool;
static size_t pool_size;

static void notified(int sd, unsigned state)
{
    union rserpool_notification n;
    struct rsp_sndrcvinfo info;
    int flags = 0;
    CHECK(rsp_recvmsg(sd, &n, sizeof(n), &info, &flags, WAIT_MS) == sizeof(n));
    CHECK((flags & MSG_RSERPOOL_NOTIFICATION) != 0);
    CHECK(n.rn_header.rn_type == RSERPOOL_FAILOVER && n.rn_failover.rf_state == state);
}

static int readable(int sd, int timeout)
{
    struct pollfd p = {.fd = sd, .events = POLLIN};
    CHECK(rsp_poll(&p, 1, timeout) >= 0);
    return p.revents == POLLIN;
}

static void exchange(int from, int to, const char *text)
{
    char got[64];
    struct rsp_sndrcvinfo info;
    int flags = 0;
    size_t size = strlen(text);
    CHECK(rsp_sendmsg(from, text, size, 0, 0, htonl(77), 0, 0, 0, WAIT_MS) == (ssize_t)size);
    CHECK(rsp_recvmsg(to, got, sizeof(got), &info, &flags, WAIT_MS) == (ssize_t)size);
    CHECK(memcmp(got, text, size) == 0 && (flags & MSG_EOR) != 0 && info.rinfo_ppid == htonl(77));
}

/** A session without any server: "failover necessary" is owed from the start. */
static int user_without_server(void)
{
    union rserpool_notification n;
    char octets[4];
    struct TagItem tags[] = {{TAG_RspSession_ConnectTimeout, 2000000},
                             {TAG_RspSession_HandleResolutionRetryDelay, 1000},
                             {TAG_DONE, 0}};
    int flags = 0;
    int sd = rsp_socket(0, SOCK_SEQPACKET, IPPROTO_SCTP);
    CHECK(sd >= 0);
    CHECK(rsp_connect_tags(sd, pool, pool_size, 0, tags) == 0);
    CHECK(rsp_send(sd, "x", 1, 0) == -1 && errno == EIO);
    CHECK(readable(sd, -1));
    CHECK(rsp_recvmsg(sd, octets, sizeof(octets), NULL, &flags, 0) == -1 && errno == ENOMEM);
    notified(sd, RSERPOOL_FAILOVER_NECESSARY);
    CHECK(rsp_forcefailover_tags(sd, FFF_NONE, 0, tags) == 0);
    CHECK(rsp_recvmsg(sd, &n, sizeof(n), NULL, NULL, 0) == sizeof(n));
    return sd;
}

/** A server whose id is in a list of tags with detours. */
static int serve(int type, uint32_t wanted)
{
    struct TagItem more[] = {{TAG_IGNORE, 5}, {TAG_PoolElement_Identifier, wanted}, {TAG_DONE, 0}};
    struct TagItem tags[] = {{TAG_SKIP, 1},
                             {TAG_PoolElement_Identifier, 1},
                             {TAG_USER + 3, 3},
                             {TAG_MORE, (tagdata_t)(uintptr_t)more}};
    struct rsp_loadinfo load = {.rli_policy = PPT_ROUNDROBIN};
    unsigned char handle[64];
    size_t size = sizeof(handle);
    uint32_t id = 0;
    int sd = rsp_socket(0, type, IPPROTO_SCTP);
    CHECK(sd >= 0 && rsp_bind(sd, NULL, 0) == 0 && rsp_listen(sd, 10) == 0);
    CHECK(rsp_register_tags(sd, pool, pool_size, &load, 30000, 0, tags) == 0);
    CHECK(rsp_register_tags(sd, pool, pool_size, &load, 30000, 0, NULL) == 0);
    CHECK(rsp_getsockname(sd, handle, &size, &id) == 0 && id == wanted && size == pool_size);
    return sd;
}

static void stream(int sd)
{
    char got[64];
    struct rsp_sndrcvinfo info;
    int flags = 0;
    unsigned char handle[64];
    size_t size = sizeof(handle);
    uint32_t id = 0;
    int server = serve(SOCK_STREAM, 0x77);
    CHECK(rsp_forcefailover(sd, FFF_NONE, 0) == 0);
    notified(sd, RSERPOOL_FAILOVER_COMPLETE);
    CHECK(rsp_getpeername(sd, handle, &size, &id) == 0 && id == 0x77);
    CHECK(rsp_connect(sd, pool, pool_size, 0) == -1 && errno == EBADF);
    CHECK(readable(server, WAIT_MS));
    int peer = rsp_accept(server, WAIT_MS);
    CHECK(peer >= 0 && rsp_accept(server, -1) == -1 && errno == EAGAIN);
    exchange(sd, peer, "there");
    exchange(peer, sd, "and back");
    CHECK(!readable(sd, 0) && rsp_recv(sd, got, sizeof(got), 0) == -1 && errno == EAGAIN);
    CHECK(rsp_has_cookie(sd) == 0);
    CHECK(rsp_send_cookie(peer, (const unsigned char *)"state", 5, 0, WAIT_MS) == 5);
    CHECK(rsp_send(peer, "sent", 4, 0) == 4);
    CHECK(readable(sd, WAIT_MS) && rsp_recv(sd, got, sizeof(got), 0) == 4);
    CHECK(rsp_has_cookie(sd) == 1);
    CHECK(rsp_write(sd, "written", 7) == 7);
    CHECK(rsp_recvfullmsg(peer, got, sizeof(got), &info, &flags, WAIT_MS) == 7);
    CHECK(rsp_recvfullmsg(peer, got, sizeof(got), &info, NULL, 10) == -1 && errno == EAGAIN);
    CHECK(rsp_write(peer, "read", 4) == 4 && readable(sd, WAIT_MS));
    CHECK(rsp_read(sd, got, sizeof(got)) == 4);
    /* The server breaks off: told, and then it is the program's business. */
    CHECK(rsp_sendmsg(peer, NULL, 0, 0, 0, 0, 0, 0, SCTP_ABORT, 0) == 0 && rsp_close(peer) == 0);
    notified(sd, RSERPOOL_FAILOVER_NECESSARY);
    CHECK(rsp_send(sd, "x", 1, 0) == -1 && errno == EIO);
    CHECK(rsp_forcefailover_tags(sd, FFF_NONE, 0, NULL) == 0);
    notified(sd, RSERPOOL_FAILOVER_COMPLETE);
    peer = rsp_accept_tags(server, WAIT_MS, NULL);
    CHECK(peer >= 0);
    flags = 0;
    CHECK(rsp_recvmsg(peer, got, sizeof(got), &info, &flags, WAIT_MS) == 5);
    CHECK((flags & MSG_RSERPOOL_COOKIE_ECHO) != 0 && memcmp(got, "state", 5) == 0);
    exchange(sd, peer, "again");
    CHECK(rsp_csp_setstatus(sd, 0, "busy") == 0);
    CHECK(rsp_deregister_tags(server, 0, NULL) == 0);
    CHECK(rsp_deregister(server, 0) == -1);
    CHECK(rsp_close(sd) == 0);
    CHECK(rsp_recv(peer, got, sizeof(got), 0) <= 0 && rsp_close(peer) == 0);
    CHECK(rsp_close(server) == 0);
}

static void want(fd_set *in, fd_set *out, int sd)
{
    FD_ZERO(in);
    FD_ZERO(out);
    FD_SET(sd, in);
    FD_SET(sd, out);
}

/** rsp_select(), options, and a server with many sessions. */
static void many(void)
{
    fd_set in;
    fd_set out;
    fd_set except;
    struct timeval soon = {.tv_sec = 20};
    char got[64];
    struct rsp_sndrcvinfo info = {.rinfo_session = 0};
    struct rserpool_session_parameters parameters;
    int value = 0;
    socklen_t len = sizeof(value);
    int flags = 0;
    int server = serve(SOCK_SEQPACKET, 0x78);
    int sd = rsp_socket(0, SOCK_STREAM, IPPROTO_SCTP);
    CHECK(sd >= 0 && rsp_connect(sd, pool, pool_size, 0) == 0);
    memset(&parameters, 0, sizeof(parameters));
    CHECK(rsp_update_session_parameters(sd, &parameters) == 0);
    CHECK(rsp_getsockopt(sd, SOL_SOCKET, SO_RCVBUF, &value, &len) == 0 && value > 0);
    CHECK(rsp_setsockopt(sd, SOL_SOCKET, SO_RCVBUF, &value, len) == 0);
    want(&in, &out, sd);
    FD_ZERO(&except);
    FD_SET(sd, &except);
    CHECK(rsp_select(sd + 1, &in, &out, &except, &soon) == 1);
    CHECK(FD_ISSET(sd, &out) && !FD_ISSET(sd, &in) && !FD_ISSET(sd, &except));
    CHECK(rsp_send(sd, "hello", 5, 0) == 5);
    do {
        flags = 0;
        CHECK(rsp_recvmsg(server, got, sizeof(got), &info, &flags, WAIT_MS) > 0);
    } while ((flags & MSG_RSERPOOL_NOTIFICATION) != 0);
    CHECK(rsp_sendmsg(server, "you", 3, 0, info.rinfo_session, 0, 0, 0, 0, WAIT_MS) == 3);
    want(&in, &out, sd);
    CHECK(rsp_select(sd + 1, &in, NULL, NULL, NULL) == 1 && FD_ISSET(sd, &in));
    CHECK(rsp_recv(sd, got, sizeof(got), 0) == 3);
    CHECK(rsp_select(-1, NULL, NULL, NULL, NULL) == -1 && errno == EINVAL);
    CHECK(rsp_close(sd) == 0);
    /* Left open: rsp_cleanup() closes it. */
    (void)server;
}

static void basic(void)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(7321)};
    struct rsp_addrinfo info = {.ai_family = AF_INET,
                                .ai_socktype = SOCK_STREAM,
                                .ai_protocol = IPPROTO_TCP,
                                .ai_addrlen = sizeof(at),
                                .ai_addrs = 1,
                                .ai_addr = (struct sockaddr *)&at};
    const unsigned char *handle = (const unsigned char *)"compat-basic";
    struct rsp_addrinfo *list = NULL;
    CHECK(rsp_pe_registration_tags(handle, 12, &info, NULL, 30000, 0, NULL) == 0);
    CHECK(rsp_pe_registration(handle, 12, &info, NULL, 30000, 0) == 0);
    CHECK(rsp_getaddrinfo_tags(handle, 12, &list, 1, 0, NULL) == 1);
    CHECK(list->ai_pe_id == info.ai_pe_id);
    rsp_freeaddrinfo(list);
    CHECK(rsp_getaddrinfo(handle, 12, &list, 1, 0) == 1);
    rsp_freeaddrinfo(list);
    CHECK(rsp_pe_failure(handle, 12, info.ai_pe_id) == 0);
    CHECK(rsp_pe_failure_tags(handle, 12, info.ai_pe_id, NULL) == 0);
    CHECK(rsp_pe_deregistration_tags(handle, 12, info.ai_pe_id, 0, NULL) == 0);
    CHECK(rsp_pe_deregistration(handle, 12, info.ai_pe_id, 0) != 0);
    CHECK(strcmp(rsp_getpolicybytype(PPT_ROUNDROBIN), "RoundRobin") == 0);
    CHECK(rsp_getpolicybyname("RoundRobin") == PPT_ROUNDROBIN);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    pool = (const unsigned char *)argv[1];
    pool_size = strlen(argv[1]);
    CHECK(rsp_initialize(NULL) == 0);
    stream(user_without_server());
    many();
    basic();
    rsp_cleanup();
    printf("done\n");
    return 0;
}
