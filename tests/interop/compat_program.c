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

static void notifications(void)
{
    char text[256] = "";
    union rserpool_notification n;
    FILE *out = fmemopen(text, sizeof(text), "w");
    CHECK(out != NULL);
    memset(&n, 0, sizeof(n));
    n.rn_failover.rf_type = RSERPOOL_FAILOVER;
    n.rn_failover.rf_state = RSERPOOL_FAILOVER_NECESSARY;
    n.rn_failover.rf_session = 1;
    if (out != NULL) {
        rsp_print_notification(&n, out);
        (void)fclose(out);
    }
    CHECK(strcmp(text, "RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, "
                       "cookie=no") == 0);
}

int main(void)
{
    options();
    wrong_descriptors();
    mapped_descriptors();
    notifications();
    rsp_cleanup();
    CHECK(rsp_socket(0, SOCK_STREAM, IPPROTO_SCTP) == -1 && errno == EACCES);
    return 0;
}
