/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library whose constructor and destructor use sockets. */
#include "probe.h"

static int result = -1;

int early_result(void);

static int use_sockets(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) {
        return 1;
    }
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(1)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != -1 || errno != ECONNREFUSED) {
        return 2;
    }
    return dup2(fd, fd) == fd && close(fd) == 0 ? 0 : 3;
}

__attribute__((constructor)) static void begin(void)
{
    result = use_sockets();
}

__attribute__((destructor)) static void end(void)
{
    if (use_sockets() != 0) {
        _exit(1);
    }
}

int early_result(void)
{
    return result;
}
