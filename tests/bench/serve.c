/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TCP server that swallows what it is sent, one connection after another, and says one octet when
 * the client has ended. argv: the port, on every address.
 */
#include "bench.h"

int main(int argc, char **argv)
{
    static char octets[1 << 18];
    const int on = 1;
    NEED(argc == 2);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(argv[1]))};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    NEED(bind(listener, (struct sockaddr *)&in, sizeof(in)) == 0 && listen(listener, 1024) == 0);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        ssize_t n;
        do {
            n = read(fd, octets, sizeof(octets));
        } while (n > 0);
        if (n == 0) {
            (void)send(fd, "", 1, MSG_NOSIGNAL);
        }
        (void)close(fd);
    }
}
