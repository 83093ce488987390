/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who reports to a monitor of components. A line of its input ends it.
 *
 *   element POOL        an element that waits in rsp_accept(), and then for its one session to end;
 *                       told by the environment whom to report to
 *   many POOL           the same with all sessions on one socket, and in rsp_poll()
 *   user POOL ADDRESS PORT   a user that waits in rsp_poll() and tells the library itself
 *
 * Prints "registered ID", "talking", "over" where it has come to.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rsp/rsp.h>

#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            perror(#condition);                                                                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define PPID 77

static const unsigned char *octets(const char *pool)
{
    return (const unsigned char *)pool;
}

static void say(const char *what)
{
    printf("%s\n", what);
    (void)fflush(stdout);
}

static int register_at(const char *pool, int type)
{
    struct rsp_loadinfo load = {.rli_policy = PPT_LEASTUSED, .rli_load = 0x40000000};
    uint32_t id = 0;
    int sd = rsp_socket(0, type, IPPROTO_TCP);
    NEED(sd >= 0 && rsp_register(sd, octets(pool), strlen(pool), &load, 30000, 0) == 0);
    NEED(rsp_getsockname(sd, NULL, NULL, &id) == 0);
    printf("registered %u\n", id);
    (void)fflush(stdout);
    return sd;
}

static void element(const char *pool)
{
    char text[64];
    int sd = register_at(pool, SOCK_STREAM);
    int session = rsp_accept(sd, -1);
    NEED(session >= 0 && rsp_csp_setstatus(session, 0, "serving one") == 0);
    NEED(rsp_csp_setstatus(session, 0, NULL) == -1 && rsp_csp_setstatus(-1, 0, "x") == -1);
    say("talking");
    while (rsp_recv(session, text, sizeof(text), 0) > 0) {
    }
    NEED(rsp_close(session) == 0);
    say("over");
    NEED(rsp_deregister(sd, 0) == 0 && rsp_close(sd) == 0);
}

static void many(const char *pool)
{
    char text[64];
    struct rsp_sndrcvinfo info;
    int sd = register_at(pool, SOCK_SEQPACKET);
    struct pollfd fds[2] = {{.fd = sd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    while (rsp_poll(fds, 2, -1) > 0 && fds[1].revents == 0) {
        int flags = 0;
        ssize_t n = rsp_recvmsg(sd, text, sizeof(text), &info, &flags, 0);
        if (n > 0 && (flags & MSG_RSERPOOL_NOTIFICATION) == 0) {
            NEED(rsp_csp_setstatus(sd, info.rinfo_session + 1, "nobody") == -1);
            NEED(rsp_csp_setstatus(sd, info.rinfo_session, "one of many") == 0);
            say("talking");
        }
    }
    NEED(rsp_close(sd) == 0);
}

static void user(const char *pool, const char *address, const char *port)
{
    struct sockaddr_in monitor = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    struct sockaddr other = {.sa_family = AF_UNIX};
    NEED(inet_pton(AF_INET, address, &monitor.sin_addr) == 1);
    NEED(rsp_csp_configure(&other, 300, 0) == -1);
    NEED(rsp_csp_configure((const struct sockaddr *)&monitor, 300, 0) == 0);
    int sd = rsp_socket(0, SOCK_STREAM, IPPROTO_TCP);
    NEED(sd >= 0 && rsp_connect(sd, octets(pool), strlen(pool), 0) == 0);
    NEED(rsp_csp_setstatus(sd, 0, "asking") == 0);
    NEED(rsp_sendmsg(sd, "hello", 5, 0, 0, htonl(PPID), 0, 0, 0, -1) == 5);
    say("talking");
    struct pollfd fds[2] = {{.fd = sd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    NEED(rsp_poll(fds, 2, -1) == 1 && fds[1].revents != 0);
    NEED(rsp_close(sd) == 0 && rsp_csp_configure(NULL, 0, 0) == 0);
    say("over");
}

int main(int argc, char **argv)
{
    NEED(argc >= 3);
    if (strcmp(argv[1], "element") == 0) {
        element(argv[2]);
    } else if (strcmp(argv[1], "many") == 0) {
        many(argv[2]);
    } else {
        NEED(argc == 5);
        user(argv[2], argv[3], argv[4]);
    }
    return 0;
}
