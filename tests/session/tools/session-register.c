/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers an element of a pool at port 4711, and once more for each line of its input; says
 * "registered ID" or the error each time. argv: POOL; a line: LIFE_MS ADDRESS...
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <rsp/rsp.h>

#define ADDRESSES 8

int main(int argc, char **argv)
{
    char line[256];
    struct sockaddr_in addrs[ADDRESSES];
    struct rsp_addrinfo info = {.ai_family = AF_INET,
                                .ai_socktype = SOCK_STREAM,
                                .ai_protocol = IPPROTO_TCP,
                                .ai_addr = (struct sockaddr *)addrs,
                                .ai_addrlen = sizeof(addrs[0])};
    while (argc == 2 && fgets(line, sizeof(line), stdin) != NULL) {
        char *rest = NULL;
        const char *life = strtok_r(line, " \n", &rest);
        const char *text;
        info.ai_addrs = 0;
        memset(addrs, 0, sizeof(addrs));
        while (info.ai_addrs < ADDRESSES && (text = strtok_r(NULL, " \n", &rest)) != NULL) {
            addrs[info.ai_addrs].sin_family = AF_INET;
            addrs[info.ai_addrs].sin_port = htons(4711);
            if (inet_pton(AF_INET, text, &addrs[info.ai_addrs++].sin_addr) != 1) {
                return 2;
            }
        }
        unsigned r =
            rsp_pe_registration((const unsigned char *)argv[1], strlen(argv[1]), &info, NULL,
                                life != NULL ? (unsigned)strtoul(life, NULL, 10) : 0, 0);
        if (r == RSPERR_OKAY) {
            printf("registered 0x%08x\n", info.ai_pe_id);
        } else {
            printf("%u: %s\n", r, strerror(errno));
        }
        (void)fflush(stdout);
    }
    return 0;
}
