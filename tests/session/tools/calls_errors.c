/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is refused, and how; options; names. */
#include "calls.h"

#include <sys/select.h>

/** Every function of sessions on a descriptor that is none. */
static void none_of_ours(int fd)
{
    char text[32];
    size_t size = sizeof(text);
    socklen_t len = sizeof(text);
    uint32_t id;
    struct rserpool_session_parameters parameters = {.sp_rto_max = 0};
    CHECK_FAILS(rsp_bind(fd, NULL, 0), EBADF);
    CHECK_FAILS(rsp_listen(fd, 1), EBADF);
    CHECK_FAILS(rsp_accept(fd, 0), EBADF);
    CHECK_FAILS(rsp_register(fd, octets(pool), strlen(pool), NULL, 0, 0), EBADF);
    CHECK_FAILS(rsp_deregister(fd, 0), EBADF);
    CHECK_FAILS(rsp_connect(fd, octets(pool), strlen(pool), 0), EBADF);
    CHECK_FAILS(rsp_forcefailover(fd, 0, 0), EBADF);
    CHECK_FAILS(rsp_has_cookie(fd), EBADF);
    CHECK_FAILS(rsp_send(fd, "x", 1, 0), EBADF);
    CHECK_FAILS(rsp_write(fd, "x", 1), EBADF);
    CHECK_FAILS(rsp_sendmsg(fd, "x", 1, 0, 0, 0, 0, 0, 0, 0), EBADF);
    CHECK_FAILS(rsp_send_cookie(fd, octets("x"), 1, 0, 0), EBADF);
    CHECK_FAILS(rsp_recv(fd, text, sizeof(text), 0), EBADF);
    CHECK_FAILS(rsp_read(fd, text, sizeof(text)), EBADF);
    CHECK_FAILS(rsp_recvmsg(fd, text, sizeof(text), NULL, NULL, 0), EBADF);
    CHECK_FAILS(rsp_recvfullmsg(fd, text, sizeof(text), NULL, NULL, 0), EBADF);
    CHECK_FAILS(rsp_getsockname(fd, (unsigned char *)text, &size, &id), EBADF);
    CHECK_FAILS(rsp_getpeername(fd, (unsigned char *)text, &size, &id), EBADF);
    CHECK_FAILS(rsp_getsockopt(fd, SOL_RSP, RSP_SO_REPLAY, text, &len), EBADF);
    CHECK_FAILS(rsp_setsockopt(fd, SOL_RSP, RSP_SO_REPLAY, &len, sizeof(len)), EBADF);
    CHECK_FAILS(rsp_update_session_parameters(fd, &parameters), EBADF);
    CHECK_FAILS(rsp_close(fd), EBADF);
    CHECK_FAILS(rsp_abandon(fd), EBADF);
}

static void sockets(void)
{
    CHECK_FAILS(rsp_socket(AF_UNIX, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_FAILS(rsp_socket(0, SOCK_DGRAM, 0), EPROTOTYPE);
    CHECK_FAILS(rsp_socket(0, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    int sd = rsp_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    CHECK(sd >= 0);
    CHECK_IS(rsp_close(sd), 0);
    CHECK_FAILS(rsp_close(sd), EBADF);
}

/** A socket that is nothing yet. */
static void fresh(void)
{
    char text[32];
    static unsigned char longest[1025];
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK(sd >= 0);
    CHECK_FAILS(rsp_accept(sd, 0), EINVAL);
    CHECK_FAILS(rsp_deregister(sd, 0), ENOTCONN);
    CHECK_FAILS(rsp_forcefailover(sd, 0, 0), ENOTCONN);
    CHECK_FAILS(rsp_has_cookie(sd), ENOTCONN);
    CHECK_FAILS(rsp_send(sd, "x", 1, 0), ENOTCONN);
    CHECK_FAILS(rsp_recv(sd, text, sizeof(text), 0), ENOTCONN);
    CHECK_FAILS(rsp_send_cookie(sd, octets("x"), 1, 0, 0), EINVAL);
    CHECK_FAILS(rsp_sendmsg(sd, NULL, 0, 0, 0, 0, 0, 0, RSP_SEND_EOF, 0), ENOTCONN);
    CHECK_FAILS(rsp_getsockname(sd, NULL, NULL, NULL), ENOTCONN);
    CHECK_FAILS(rsp_getpeername(sd, NULL, NULL, NULL), ENOTCONN);
    CHECK_FAILS(rsp_connect(sd, NULL, 1, 0), EINVAL);
    CHECK_FAILS(rsp_connect(sd, octets(pool), 0, 0), EINVAL);
    CHECK_FAILS(rsp_connect(sd, longest, sizeof(longest), 0), ENAMETOOLONG);
    CHECK_FAILS(rsp_register(sd, NULL, 1, NULL, 0, 0), EINVAL);
    CHECK_FAILS(rsp_register(sd, longest, sizeof(longest), NULL, 0, 0), ENAMETOOLONG);
    CHECK_FAILS(rsp_bind(sd, NULL, 1), EINVAL);
    CHECK_FAILS(rsp_connect(sd, octets("nobody at all"), 13, 0), ENOENT);
    CHECK_FAILS(rsp_recv(sd, text, sizeof(text), 0), ENOENT);
    CHECK_IS(rsp_close(sd), 0);
}

static void arguments(void)
{
    char text[32];
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK_FAILS(rsp_send(sd, NULL, 1, 0), EINVAL);
    CHECK_FAILS(rsp_send(sd, "x", 0, 0), EINVAL);
    CHECK_FAILS(rsp_sendmsg(sd, "x", 1, 0, 0, htonl(11), 0, 0, 0, 0), EINVAL);
    CHECK_FAILS(rsp_sendmsg(sd, "x", 1, 0, 0, 0, 0, 0, RSP_SEND_EOF, 0), EINVAL);
    CHECK_FAILS(rsp_recv(sd, NULL, 1, 0), EINVAL);
    CHECK_FAILS(rsp_recv(sd, text, 0, 0), EINVAL);
    CHECK_FAILS(rsp_recvmsg(sd, NULL, 1, NULL, NULL, 0), EINVAL);
    CHECK_FAILS(rsp_send_cookie(sd, NULL, 1, 0, 0), EINVAL);
    CHECK_FAILS(rsp_send_cookie(sd, octets(text), 60001, 0, 0), EMSGSIZE);
    CHECK_FAILS(rsp_getsockopt(sd, SOL_RSP, RSP_SO_REPLAY, NULL, NULL), EINVAL);
    CHECK_FAILS(rsp_setsockopt(sd, SOL_RSP, RSP_SO_REPLAY, NULL, sizeof(int)), EINVAL);
    CHECK_FAILS(rsp_update_session_parameters(sd, NULL), EINVAL);
    CHECK_FAILS(rsp_poll(NULL, 1, 0), EFAULT);
    CHECK_FAILS(rsp_select(-1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_FAILS(rsp_select(FD_SETSIZE + 1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_IS(rsp_close(sd), 0);
    CHECK(rsp_server_new(NULL) == NULL && errno == EINVAL);
    rsp_server_free(NULL);
}

static void servers(void)
{
    char text[32];
    struct sockaddr_in two[2] = {
        {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(7311)},
        {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002), .sin_port = htons(7311)}};
    int sd = rsp_socket(AF_INET, SOCK_STREAM, protocol);
    if (protocol == IPPROTO_TCP) {
        CHECK_FAILS(rsp_bind(sd, (struct sockaddr *)two, 2), EINVAL);
    }
    CHECK_IS(rsp_bind(sd, (struct sockaddr *)two, 1), 0);
    CHECK_FAILS(rsp_bind(sd, (struct sockaddr *)two, 1), EINVAL);
    CHECK_FAILS(rsp_accept(sd, 0), EINVAL);
    CHECK_FAILS(rsp_connect(sd, octets(pool), strlen(pool), 0), EINVAL);
    CHECK_IS(rsp_listen(sd, 5), 0);
    CHECK_IS(rsp_listen(sd, 7), 0);
    CHECK_FAILS(rsp_accept(sd, 20), EAGAIN);
    CHECK_FAILS(rsp_recv(sd, text, sizeof(text), MSG_DONTWAIT), EINVAL);
    CHECK_FAILS(rsp_send(sd, "x", 1, 0), ENOTCONN);
    CHECK_FAILS(rsp_send_cookie(sd, octets("x"), 1, 0, 0), ENOTCONN);
    int other = rsp_socket(AF_INET, SOCK_STREAM, protocol);
    CHECK_FAILS(rsp_bind(other, (struct sockaddr *)two, 1), EADDRINUSE);
    two[0].sin_family = AF_UNIX;
    CHECK_FAILS(rsp_bind(other, (struct sockaddr *)two, 1), EINVAL);
    CHECK_IS(rsp_close(other), 0);
    CHECK_IS(rsp_register(sd, octets(pool), strlen(pool), NULL, 0, 0), 0);
    CHECK_IS(rsp_register(sd, octets(pool), strlen(pool), NULL, 0, 0), 0);
    CHECK_FAILS(rsp_register(sd, octets("another"), 7, NULL, 0, 0), EINVAL);
    CHECK_IS(rsp_deregister(sd, DEREGF_DONTWAIT), 0);
    CHECK_FAILS(rsp_deregister(sd, 0), ENOTCONN);
    CHECK_IS(rsp_close(sd), 0);
}

void errors(void)
{
    int pipes[2];
    CHECK_IS(pipe(pipes), 0);
    none_of_ours(-1);
    none_of_ours(pipes[0]);
    none_of_ours(1 << 22);
    CHECK_IS(close(pipes[0]) + close(pipes[1]), 0);
    sockets();
    fresh();
    arguments();
    servers();
}

/* --- options ------------------------------------------------------------------------------------
 */

static int get(int sd, int name)
{
    int v = -77;
    socklen_t len = sizeof(v);
    CHECK_IS(rsp_getsockopt(sd, SOL_RSP, name, &v, &len), 0);
    CHECK_IS(len, sizeof(v));
    return v;
}

static int set(int sd, int name, int value)
{
    return rsp_setsockopt(sd, SOL_RSP, name, &value, sizeof(value));
}

/** The documented defaults; each can be set, and says so afterwards. */
static void documented(int type)
{
    bool many = type == SOCK_SEQPACKET;
    const struct {
        int name, value, other, wrong;
    } all[] = {{RSP_SO_AUTO_FAILOVER, 1, 0, 2},
               {RSP_SO_NOTIFICATIONS, many ? 30 : 0, 4, 64},
               {RSP_SO_ATTEMPT_TIMEOUT, 1000, 300, 0},
               {RSP_SO_CONNECT_TIMEOUT, 5000, 1, 0},
               {RSP_SO_DETECTION_TIME, 2000, 1000, 199},
               {RSP_SO_RETRY_MIN, 50, 10, 0},
               {RSP_SO_RETRY_MAX, 2000, 10, -1},
               {RSP_SO_GIVE_UP, 0, 10, -1},
               {RSP_SO_REPLAY, many ? 0 : 1 << 20, 10, -1},
               {RSP_SO_MESSAGE_MAX, 64 << 20, 10, 0},
               {RSP_SO_SEND_BUFFER, 256 << 10, 10, 0},
               {RSP_SO_PE_ID, 0, 77, 0}};
    int sd = rsp_socket(0, type, protocol);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        CHECK_IS(get(sd, all[i].name), all[i].value);
        CHECK_IS(set(sd, all[i].name, all[i].other), 0);
        CHECK_IS(get(sd, all[i].name), all[i].other);
        if (all[i].name != RSP_SO_PE_ID) {
            CHECK_FAILS(set(sd, all[i].name, all[i].wrong), EINVAL);
            CHECK_IS(get(sd, all[i].name), all[i].other);
        }
    }
    CHECK_IS(rsp_close(sd), 0);
}

static void parameters_of(int sd)
{
    struct rserpool_session_parameters p = {.sp_hbinterval = 0};
    CHECK_IS(rsp_update_session_parameters(sd, &p), 0);
    CHECK(p.sp_hbinterval > 0 && p.sp_rto_max > 0 && p.sp_assoc_max_rxt > 0);
    p = (struct rserpool_session_parameters){
        .sp_hbinterval = 700, .sp_rto_max = 400, .sp_assoc_max_rxt = 2};
    CHECK_IS(rsp_update_session_parameters(sd, &p), 0);
    CHECK_IS(get(sd, RSP_SO_DETECTION_TIME), (700 + 400 + 100) * 3);
    p = (struct rserpool_session_parameters){.sp_hbinterval = 0};
    CHECK_IS(rsp_update_session_parameters(sd, &p), 0);
    CHECK_IS(p.sp_hbinterval, 700);
}

void options(void)
{
    char byte = 0;
    int v = 0;
    socklen_t len = sizeof(byte);
    documented(SOCK_STREAM);
    documented(SOCK_SEQPACKET);
    int fresh_sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK_FAILS(set(fresh_sd, 99, 1), ENOPROTOOPT);
    CHECK_FAILS(rsp_setsockopt(fresh_sd, SOL_RSP, RSP_SO_REPLAY, &byte, sizeof(byte)), EINVAL);
    CHECK_FAILS(rsp_getsockopt(fresh_sd, SOL_RSP, RSP_SO_REPLAY, &byte, &len), EINVAL);
    len = sizeof(v);
    CHECK_FAILS(rsp_getsockopt(fresh_sd, SOL_RSP, 99, &v, &len), ENOPROTOOPT);
    CHECK_FAILS(rsp_getsockopt(fresh_sd, SOL_SOCKET, SO_RCVBUF, &v, &len), ENOTCONN);
    CHECK_FAILS(rsp_setsockopt(fresh_sd, SOL_SOCKET, SO_RCVBUF, &v, len), ENOTCONN);
    parameters_of(fresh_sd);
    CHECK_IS(set(fresh_sd, RSP_SO_PE_ID, 0x1234), 0);
    CHECK_IS(rsp_register(fresh_sd, octets(pool), strlen(pool), NULL, 0, 0), 0);
    CHECK_IS(get(fresh_sd, RSP_SO_PE_ID), 0x1234);
    CHECK_FAILS(set(fresh_sd, RSP_SO_PE_ID, 5), EINVAL);
    int sd = use(SOCK_STREAM);
    int peer = take(fresh_sd);
    int all[3] = {sd, peer, fresh_sd};
    for (int i = 0; i < 3; i++) {
        CHECK_IS(rsp_getsockopt(all[i], SOL_SOCKET, SO_RCVBUF, &v, &len), 0);
        CHECK(v > 0);
        v = 1;
        CHECK_IS(rsp_setsockopt(all[i], SOL_SOCKET, SO_KEEPALIVE, &v, len), 0);
        CHECK_FAILS(rsp_setsockopt(all[i], SOL_SOCKET, -1, &v, len), ENOPROTOOPT);
        CHECK_FAILS(rsp_getsockopt(all[i], SOL_SOCKET, -1, &v, &len), ENOPROTOOPT);
    }
    parameters_of(sd);
    CHECK_FAILS(set(sd, RSP_SO_PE_ID, 5), EINVAL);
    CHECK_IS(set(sd, RSP_SO_RETRY_MAX, 5), 0);
    say(sd, "still there");
    hear(peer, "still there");
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(fresh_sd), 0);
}

void names(void)
{
    unsigned char handle[64];
    size_t size = sizeof(handle);
    uint32_t id = 0;
    uint32_t server_id = 0;
    int server = serve(SOCK_STREAM);
    CHECK_IS(rsp_getsockname(server, handle, &size, &server_id), 0);
    CHECK(size == strlen(pool) && memcmp(handle, pool, size) == 0 && server_id != 0);
    size = 1;
    CHECK_FAILS(rsp_getsockname(server, handle, &size, NULL), ENOBUFS);
    size = sizeof(handle);
    CHECK_FAILS(rsp_getsockname(server, NULL, &size, NULL), ENOBUFS);
    CHECK_FAILS(rsp_getpeername(server, handle, &size, &id), ENOTCONN);
    int sd = use(SOCK_STREAM);
    int peer = take(server);
    size = sizeof(handle);
    CHECK_IS(rsp_getpeername(sd, handle, &size, &id), 0);
    CHECK(size == strlen(pool) && memcmp(handle, pool, size) == 0);
    CHECK_IS(id, server_id);
    size = sizeof(handle);
    CHECK_IS(rsp_getpeername(peer, handle, &size, &id), 0);
    CHECK(size == 0 && id == 0);
    CHECK_FAILS(rsp_getsockname(sd, NULL, NULL, NULL), ENOTCONN);
    CHECK_FAILS(rsp_getsockname(peer, NULL, NULL, NULL), ENOTCONN);
    CHECK_FAILS(rsp_connect(sd, octets(pool), strlen(pool), 0), EISCONN);
    CHECK_FAILS(rsp_listen(sd, 1), EINVAL);
    CHECK_FAILS(rsp_bind(peer, NULL, 0), EINVAL);
    CHECK_FAILS(rsp_register(peer, octets(pool), strlen(pool), NULL, 0, 0), EINVAL);
    CHECK_FAILS(rsp_send_cookie(sd, octets("x"), 1, 0, 0), EINVAL);
    CHECK_IS(rsp_has_cookie(sd), 0);
    CHECK_FAILS(rsp_has_cookie(peer), ENOTCONN);
    CHECK_FAILS(rsp_forcefailover(peer, 0, 0), ENOTCONN);
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server), 0);
}
