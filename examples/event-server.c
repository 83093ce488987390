/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pool element in an event loop of its own, to show what a program with any loop does: the socket
 * is a descriptor for epoll; when it is readable, messages are taken until EAGAIN. Beside it stand
 * descriptors of other kinds: here one for signals and one for the time. Echoes what it gets.
 *
 * Usage: event-server POOL
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <rsp/rsp.h>

static unsigned long messages;
static unsigned int sessions;

static void notified(const union rserpool_notification *n)
{
    if (n->rn_header.rn_type == RSERPOOL_SESSION_CHANGE) {
        sessions += n->rn_session_change.rsc_state == RSERPOOL_SESSION_ADD ? 1U : -1U;
    }
}

/** All that is there now; 0, or -1 when the socket is of no use any more. */
static int serve(int element)
{
    static char buffer[65536];
    struct rsp_sndrcvinfo info;
    for (;;) {
        int flags = 0;
        ssize_t n = rsp_recvmsg(element, buffer, sizeof(buffer), &info, &flags, 0);
        if (n < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        if ((flags & MSG_RSERPOOL_NOTIFICATION) != 0) {
            union rserpool_notification notification;
            memcpy(&notification, buffer, sizeof(notification));
            notified(&notification);
        } else if ((flags & MSG_RSERPOOL_COOKIE_ECHO) == 0) {
            messages++;
            /* A user that does not read what it has asked for loses its session. */
            if (rsp_sendmsg(element, buffer, (size_t)n, 0, info.rinfo_session, info.rinfo_ppid,
                            info.rinfo_stream, 0, 0, 0) < 0) {
                (void)rsp_sendmsg(element, NULL, 0, 0, info.rinfo_session, 0, 0, 0, RSP_SEND_ABORT,
                                  0);
            }
        }
    }
}

int main(int argc, char **argv)
{
    const char *pool = argc > 1 ? argv[1] : "echo";
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);

    int element = rsp_socket(0, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    int signals = signalfd(-1, &stop, SFD_CLOEXEC);
    int ticks = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct itimerspec second = {.it_value = {.tv_sec = 1}, .it_interval = {.tv_sec = 1}};
    int fds[] = {element, signals, ticks};
    if (element < 0 || timerfd_settime(ticks, 0, &second, NULL) != 0 ||
        rsp_register(element, (const unsigned char *)pool, strlen(pool), NULL, 0,
                     REGF_DAEMONMODE) != 0) {
        perror(pool);
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
        epoll_ctl(loop, EPOLL_CTL_ADD, fds[i], &event);
    }

    for (bool running = true; running;) {
        struct epoll_event event;
        if (epoll_wait(loop, &event, 1, -1) != 1) {
            continue;
        }
        if (event.data.fd == element) {
            running = serve(element) == 0;
        } else if (event.data.fd == ticks) {
            uint64_t expired;
            if (read(ticks, &expired, sizeof(expired)) > 0) {
                printf("%u sessions, %lu messages\n", sessions, messages);
                fflush(stdout);
            }
        } else {
            running = false;
        }
    }
    rsp_close(element);
    return 0;
}
