/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: connect() again on a socket whose connect is under way or done (hiredis, haproxy): the
 * kernel's answers, and no second selection (L-29). The last element refuses where told to. */
#include "probe.h"

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    bool refused = strcmp(argv[2], "refused") == 0;
    struct sockaddr_in in = pool_address(argv[1]);
    int fd = stream_socket(SOCK_NONBLOCK);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == -1 && errno == EINPROGRESS);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&p, 1, 5000) == 1);
    if (refused) {
        CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == -1 && errno == ECONNREFUSED);
        return 0;
    }
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == -1 && errno == EISCONN);
    CHECK(greeted(fd) == 0);
    return 0;
}
