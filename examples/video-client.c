/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pool user in enhanced mode: fetches a file from the pool VideoStreamingPool. There is no
 * failover code in it: when the server dies, the library goes on with another one, which is given
 * the last state cookie. What the old server sent after that cookie comes again; each message says
 * where it belongs, so that it is just written once more.
 *
 * Usage: video-client POOL NAME FILE
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <rsp/rsp.h>

#define HEAD 8 /* u64 offset in front of the data, network order; no data: the end */

static uint64_t offset_of(const unsigned char *p)
{
    uint64_t offset = 0;
    for (int i = 0; i < HEAD; i++) {
        offset = offset << 8 | p[i];
    }
    return offset;
}

int main(int argc, char **argv)
{
    static unsigned char message[65536];
    char command[1024];
    if (argc != 4) {
        fprintf(stderr, "Usage: video-client POOL NAME FILE\n");
        return 2;
    }
    FILE *file = fopen(argv[3], "wb");
    if (file == NULL) {
        perror(argv[3]);
        return 1;
    }

    int session = rsp_socket(0, SOCK_STREAM, 0);
    if (session < 0 ||
        rsp_connect(session, (const unsigned char *)argv[1], strlen(argv[1]), 0) != 0) {
        perror(argv[1]);
        return 1;
    }
    int len = snprintf(command, sizeof(command), "GET %s", argv[2]);
    rsp_write(session, command, (size_t)len);

    ssize_t got;
    while ((got = rsp_read(session, message, sizeof(message))) >= HEAD) {
        if (got == HEAD) {
            break; /* the end of the file */
        }
        if (fseeko(file, (off_t)offset_of(message), SEEK_SET) != 0 ||
            fwrite(message + HEAD, 1, (size_t)got - HEAD, file) != (size_t)got - HEAD) {
            perror(argv[3]);
            return 1;
        }
    }
    if (got != HEAD) {
        perror("video-client");
    }
    rsp_close(session);
    return fclose(file) == 0 && got == HEAD ? 0 : 1;
}
