/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The baseline of a registrar over kernel SCTP: one thread and one one-to-many socket, non-blocking
 * under epoll, that sends each message back on its association. argv: address and port.
 */
#include <sys/epoll.h>

#include "sctp.h"

static bool answer(int fd)
{
    static char octets[65536];
    union {
        struct cmsghdr align;
        char octets[CMSG_SPACE(sizeof(struct sctp_rcvinfo))];
    } control;
    struct iovec iov = {.iov_base = octets, .iov_len = sizeof(octets)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.octets,
                         .msg_controllen = sizeof(control.octets)};
    ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (n < 0) {
        return false;
    }
    if (c == NULL) {
        return true;
    }
    struct sctp_rcvinfo from;
    memcpy(&from, CMSG_DATA(c), sizeof(from));
    struct sctp_sndinfo to = {.snd_ppid = from.rcv_ppid, .snd_assoc_id = from.rcv_assoc_id};
    union {
        struct cmsghdr align;
        char octets[CMSG_SPACE(sizeof(struct sctp_sndinfo))];
    } out = {.align = {.cmsg_level = IPPROTO_SCTP,
                       .cmsg_type = SCTP_SNDINFO,
                       .cmsg_len = CMSG_LEN(sizeof(to))}};
    memcpy(CMSG_DATA(&out.align), &to, sizeof(to));
    iov.iov_len = (size_t)n;
    msg = (struct msghdr){.msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = out.octets,
                          .msg_controllen = sizeof(out.octets)};
    (void)sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    return true;
}

int main(int argc, char **argv)
{
    NEED(argc == 3);
    struct sockaddr_in in = ipv4(argv[1], argv[2]);
    int fd = sctp_open();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    NEED(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0 && listen(fd, 64) == 0);
    NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    printf("ready\n");
    (void)fflush(stdout);
    while (epoll_wait(epoll, &event, 1, -1) >= 0 || errno == EINTR) {
        for (int i = 0; i < 64 && answer(fd); i++) {
        }
    }
    return 1;
}
