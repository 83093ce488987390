/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The magic family by hand: stream and datagram, as pool user and as pool element. argv: word,
 * handle. */
#include "probe.h"
#include "rsp/sockaddr.h"

static socklen_t make(struct sockaddr_rsp *rsp, const char *handle)
{
    *rsp = (struct sockaddr_rsp){.srsp_family = AF_RSP};
    rsp->srsp_handle_len = htons((uint16_t)strlen(handle));
    memcpy(rsp->srsp_handle, handle, strlen(handle));
    return (socklen_t)(12 + strlen(handle));
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    struct sockaddr_rsp rsp;
    socklen_t len = make(&rsp, argv[2]);
    if (strcmp(argv[1], "connect") == 0) {
        int fd = socket(AF_RSP, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0);
        CHECK(connect(fd, (struct sockaddr *)&rsp, 11) == -1 && errno == EINVAL);
        CHECK(connect(fd, (struct sockaddr *)&rsp, len - 1) == -1 && errno == EINVAL);
        CHECK(connect(fd, (struct sockaddr *)&rsp, len) == 0 && greeted(fd) == 0);
        int ordinary = stream_socket(0);
        CHECK(connect(ordinary, (struct sockaddr *)&rsp, sizeof(rsp)) == 0);
        CHECK(greeted(ordinary) == 0);
    } else if (strcmp(argv[1], "listen") == 0) {
        int fd = socket(AF_RSP, SOCK_STREAM, 0);
        CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&rsp, len) == 0 && listen(fd, 5) == 0);
        struct sockaddr_in6 in6;
        socklen_t in6_len = sizeof(in6);
        CHECK(getsockname(fd, (struct sockaddr *)&in6, &in6_len) == 0);
        printf("port %d\n", ntohs(in6.sin6_port));
        say_and_wait("listening");
    } else if (strcmp(argv[1], "datagram") == 0) {
        int fd = socket(AF_RSP, SOCK_DGRAM, 0);
        char text[16];
        struct msghdr msg = {.msg_name = &rsp, .msg_namelen = len};
        char ping[] = "ping";
        struct iovec iov = {.iov_base = ping, .iov_len = 4};
        msg.msg_iov = &iov;
        msg.msg_iovlen = 1;
        CHECK(fd >= 0 && sendmsg(fd, &msg, 0) == 4);
        CHECK(recv(fd, text, sizeof(text), 0) > 0);
        CHECK(sendto(fd, "ping", 4, 0, (struct sockaddr *)&rsp, len) == 4);
        CHECK(recv(fd, text, sizeof(text), 0) > 0);
        struct mmsghdr many[2] = {{.msg_hdr = msg}, {.msg_hdr = msg}};
        CHECK(sendmmsg(fd, many, 2, 0) == 2 && many[1].msg_len == 4);
        CHECK(recv(fd, text, sizeof(text), 0) > 0 && recv(fd, text, sizeof(text), 0) > 0);
        int stream = stream_socket(0);
        CHECK(sendto(stream, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&rsp, len) == -1 &&
              errno == EOPNOTSUPP);
    }
    return 0;
}
