/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program written for <rserpool/rserpool.h>: what needs neither SCTP nor a daemon. Prints a line
 * for each thing that is not as the interface has it, and nothing when all is well.
 */
#include <rserpool/rserpool-internals.h>
#include <rserpool/rserpool.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: %s (errno %d)\n", __LINE__, #condition, errno);                       \
        }                                                                                          \
    } while (0)

static void options(void)
{
    struct rsp_info info;
    rsp_initinfo(&info);
    CHECK(info.ri_registrars == NULL && info.ri_csp_interval == 0 && info.ri_csp_server == NULL);
    CHECK(rsp_initarg(&info, "-registrar=192.0.2.1:3863,[2001:db8::1]:3863") == 1);
    CHECK(rsp_initarg(&info, "-registrar=192.0.2.2!3864") == 1);
    CHECK(info.ri_registrars != NULL && info.ri_registrars->rri_addrs == 1);
    const struct rsp_registrar_info *first = info.ri_registrars->rri_next;
    CHECK(first != NULL && first->rri_addrs == 2 && first->rri_next == NULL);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)first->rri_addr;
    CHECK(v4->sin_family == AF_INET && v4->sin_port == htons(3863));
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)(v4 + 1);
    CHECK(v6->sin6_family == AF_INET6 && v6->sin6_port == htons(3863));
    CHECK(rsp_initarg(&info, "-registrar=192.0.2.1") == 0);
    CHECK(rsp_initarg(&info, "-asapannounce=239.0.0.60:3000") == 1);
    CHECK(info.ri_registrar_announce != NULL);
    CHECK(rsp_initarg(&info, "-asapannounce=off") == 1 && info.ri_disable_autoconfig == 1);
    CHECK(rsp_initarg(&info, "-cspserver=192.0.2.3") == 1);
    const struct sockaddr_in *csp = (const struct sockaddr_in *)(const void *)info.ri_csp_server;
    CHECK(csp != NULL && csp->sin_port == htons(2960));
    CHECK(rsp_initarg(&info, "-cspinterval=500") == 1 && info.ri_csp_interval == 500);
    CHECK(rsp_initarg(&info, "-registrarconnecttimeout=1234") == 1);
    CHECK(info.ri_registrar_connect_timeout == 1234);
    CHECK(rsp_initarg(&info, "-registrarrequesttimeout=soon") == 0);
    CHECK(rsp_initarg(&info, "-loglevel=3") == 1);
    CHECK(rsp_initarg(&info, "-somethingelse") == 0);
    CHECK(rsp_socket(0, SOCK_STREAM, IPPROTO_SCTP) == -1 && errno == EACCES);
    CHECK(rsp_initialize(&info) == 0 && info.ri_version == 2 && info.ri_revision == 3);
    rsp_freeinfo(&info);
    CHECK(info.ri_registrars == NULL);
}

/** What a monitor gets of a user that has not even a daemon, from its beginning to its end. */
static void reports(void)
{
    struct rsp_info info;
    struct sockaddr_in monitor = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(monitor);
    unsigned char octets[1024];
    static const unsigned char id[8] = {3, 0, 0, 0, 0, 0, 0x12, 0x34};
    char argument[64];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(fd, (struct sockaddr *)&monitor, len) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&monitor, &len) == 0);
    rsp_initinfo(&info);
    (void)snprintf(argument, sizeof(argument), "-cspserver=127.0.0.1:%u", ntohs(monitor.sin_port));
    CHECK(rsp_initarg(&info, argument) == 1 && rsp_initarg(&info, "-cspinterval=60000") == 1);
    info.ri_csp_identifier = CID_COMPOUND(CID_GROUP_POOLUSER, 0x1234);
    CHECK(rsp_initialize(&info) == 0);
    CHECK(recv(fd, octets, sizeof(octets), MSG_DONTWAIT) == -1);
    CHECK(rsp_poll(NULL, 0, 0) == 0);
    CHECK(recv(fd, octets, sizeof(octets), MSG_DONTWAIT) == 288);
    CHECK(octets[1] == 0 && memcmp(octets + 8, id, sizeof(id)) == 0);
    CHECK(strcmp((const char *)octets + 156, "Looking for Registrar ...") == 0);
    CHECK(rsp_poll(NULL, 0, 0) == 0);
    CHECK(recv(fd, octets, sizeof(octets), MSG_DONTWAIT) == -1);
    rsp_cleanup();
    CHECK(recv(fd, octets, sizeof(octets), MSG_DONTWAIT) == 288);
    CHECK(octets[1] == 1 && memcmp(octets + 8, id, sizeof(id)) == 0 && octets[156] == 0);
    (void)close(fd);
}

static void wrong_descriptors(void)
{
    char octets[64];
    uint32_t id;
    int flags = 0;
    struct rsp_sndrcvinfo info;
    const unsigned char *pool = (const unsigned char *)"pool";
    CHECK(rsp_socket(0, SOCK_STREAM, IPPROTO_TCP) == -1 && errno == EPROTONOSUPPORT);
    CHECK(rsp_recvmsg(999, octets, sizeof(octets), &info, &flags, 0) == -1 && errno == EBADF);
    CHECK(rsp_sendmsg(999, "x", 1, 0, 0, 0, 0, 0, 0, 0) == -1 && errno == EBADF);
    CHECK(rsp_connect(999, pool, 4, 0) == -1 && errno == EBADF);
    CHECK(rsp_forcefailover(999, FFF_NONE, 0) == -1 && errno == EBADF);
    CHECK(rsp_register(999, pool, 4, NULL, 30000, 0) == -1 && errno == EBADF);
    CHECK(rsp_accept(999, 0) == -1 && errno == EBADF);
    CHECK(rsp_getsockname(999, NULL, NULL, &id) == -1 && errno == EBADF);
    CHECK(rsp_close(999) == -1 && errno == EBADF);
    CHECK(rsp_unmapsocket(999) == -1 && errno == EBADF);
    CHECK(rsp_csp_setstatus(999, 0, "busy") == -1 && errno == EBADF);
    CHECK(rsp_has_cookie(999) == 0);
}

static void mapped_descriptors(void)
{
    int ends[2];
    char octets[8] = "";
    fd_set in;
    struct timeval now = {0, 0};
    CHECK(pipe(ends) == 0);
    CHECK(rsp_mapsocket(ends[0], -1) == ends[0]);
    CHECK(rsp_mapsocket(ends[1], 700) == 700);
    CHECK(rsp_mapsocket(ends[1], ends[0]) == -1 && errno == EBUSY);
    CHECK(rsp_mapsocket(998, -1) == -1 && errno == EBADF);
    struct pollfd fds = {ends[0], POLLIN, 0};
    CHECK(rsp_poll(&fds, 1, 0) == 0);
    CHECK(rsp_write(700, "abc", 3) == 3);
    CHECK(rsp_poll(&fds, 1, -1) == 1 && fds.revents == POLLIN);
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    CHECK(rsp_select(ends[0] + 1, &in, NULL, NULL, NULL) == 1 && FD_ISSET(ends[0], &in));
    CHECK(rsp_read(ends[0], octets, sizeof(octets)) == 3 && memcmp(octets, "abc", 3) == 0);
    CHECK(rsp_select(ends[0] + 1, &in, NULL, NULL, &now) == 0 && !FD_ISSET(ends[0], &in));
    CHECK(rsp_poll(&fds, FD_SETSIZE + 1, 0) == -1 && errno == EINVAL);
    CHECK(rsp_unmapsocket(700) == 0 && rsp_unmapsocket(700) == -1);
    CHECK(write(ends[1], "d", 1) == 1);
    CHECK(rsp_unmapsocket(ends[0]) == 0);
    CHECK(read(ends[0], octets, sizeof(octets)) == 1);
    CHECK(write(STDERR_FILENO, "", 0) == 0);
}

/** What needs no daemon of the functions with tags: the list is read, the descriptor is none. */
static void tags(void)
{
    struct TagItem more[] = {
        {TAG_RspSession_ConnectTimeout, 1000}, {TAG_PoolElement_Identifier, 7}, {TAG_DONE, 0}};
    struct TagItem list[] = {
        {TAG_IGNORE, 0}, {TAG_SKIP, 1}, {TAG_USER + 1, 1}, {TAG_MORE, (tagdata_t)more}};
    const unsigned char *pool = (const unsigned char *)"pool";
    CHECK(rsp_connect_tags(999, pool, 4, 0, list) == -1 && errno == EBADF);
    CHECK(rsp_forcefailover_tags(999, FFF_NONE, 0, list) == -1 && errno == EBADF);
    CHECK(rsp_register_tags(999, pool, 4, NULL, 30000, 0, list) == -1 && errno == EBADF);
    CHECK(rsp_deregister_tags(999, 0, NULL) == -1 && errno == EBADF);
    CHECK(rsp_accept_tags(999, 0, NULL) == -1 && errno == EBADF);
}

/** There is no daemon, and each function says so. */
static void basic_mode(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7009)};
    struct rsp_addrinfo info = {.ai_family = AF_INET,
                                .ai_socktype = SOCK_STREAM,
                                .ai_protocol = IPPROTO_TCP,
                                .ai_addrlen = sizeof(at),
                                .ai_addrs = 1,
                                .ai_addr = (struct sockaddr *)&at};
    struct rsp_loadinfo load = {.rli_policy = PPT_ROUNDROBIN};
    struct rsp_addrinfo *found = NULL;
    const unsigned char *pool = (const unsigned char *)"pool";
    CHECK(rsp_pe_registration(pool, 4, &info, &load, 30000, 0) != 0);
    CHECK(rsp_pe_registration_tags(pool, 4, &info, &load, 30000, 0, NULL) != 0);
    CHECK(rsp_pe_deregistration(pool, 4, 7, 0) != 0);
    CHECK(rsp_pe_deregistration_tags(pool, 4, 7, 0, NULL) != 0);
    CHECK(rsp_pe_failure(pool, 4, 7) != 0 && rsp_pe_failure_tags(pool, 4, 7, NULL) != 0);
    CHECK(rsp_getaddrinfo(pool, 4, &found, 1, 0) < 0 && found == NULL);
    CHECK(rsp_getaddrinfo_tags(pool, 4, &found, 1, 0, NULL) < 0 && found == NULL);
    rsp_freeaddrinfo(found);
    CHECK(rsp_getpolicybyname(rsp_getpolicybytype(PPT_ROUNDROBIN)) == PPT_ROUNDROBIN);
}

/** Descriptors that are not sessions are the system's. */
static void system_sockets(void)
{
    int ends[2];
    int type = 0;
    int size = 4096;
    socklen_t len = sizeof(type);
    char octet = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(rsp_getsockopt(ends[0], SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM);
    CHECK(rsp_setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
    CHECK(rsp_send(ends[0], "x", 1, 0) == 1);
    CHECK(rsp_recv(ends[1], &octet, 1, 0) == 1 && octet == 'x');
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void says(union rserpool_notification *n, unsigned type, const char *expected)
{
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    CHECK(out != NULL);
    n->rn_header.rn_type = (uint16_t)type;
    if (out != NULL) {
        rsp_print_notification(n, out);
        (void)fclose(out);
    }
    CHECK(strcmp(text, expected) == 0);
}

static void notifications(void)
{
    union rserpool_notification n;
    memset(&n, 0, sizeof(n));
    n.rn_failover.rf_state = RSERPOOL_FAILOVER_NECESSARY;
    n.rn_failover.rf_session = 1;
    says(&n, RSERPOOL_FAILOVER,
         "RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=no");
    memset(&n, 0, sizeof(n));
    n.rn_session_change.rsc_session = 2;
    n.rn_session_change.rsc_state = RSERPOOL_SESSION_ADD;
    says(&n, RSERPOOL_SESSION_CHANGE,
         "RSERPOOL_SESSION_CHANGE for session 2, state=RSERPOOL_SESSION_ADD");
    memset(&n, 0, sizeof(n));
    n.rn_shutdown_event.rse_session = 3;
    says(&n, RSERPOOL_SHUTDOWN_EVENT, "RSERPOOL_SHUTDOWN_EVENT for session 3");
    says(&n, 77, "notification of type 77");
}

int main(void)
{
    CHECK(setenv("RSP_SOCKET", "/nonexistent/rspd.sock", 1) == 0);
    reports();
    options();
    wrong_descriptors();
    tags();
    basic_mode();
    mapped_descriptors();
    system_sockets();
    notifications();
    rsp_cleanup();
    CHECK(rsp_socket(0, SOCK_STREAM, IPPROTO_SCTP) == -1 && errno == EACCES);
    return 0;
}
