/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An element that sends blocks of characters as fast as each of its sessions takes them, written
 * for <rserpool/rserpool.h>: what Debian's rspserver should be with -chargen, and refuses to be.
 * Usage: compat_chargen -identifier=NUMBER
 */
#include <rserpool/rserpool-internals.h>
#include <rserpool/rserpool.h>
#include <rserpool/tagitem.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 1024
#define POOL  "CharGenPool"
/* Without a timeout nothing is waited for. */
#define PATIENCE_MS 60000

static void *serve(void *arg)
{
    unsigned char block[BLOCK];
    int sd = *(int *)arg;
    free(arg);
    for (int i = 0; i < BLOCK; i++) {
        block[i] = (unsigned char)(' ' + i % 95);
    }
    while (rsp_sendmsg(sd, block, sizeof(block), 0, 0, 0, 0, 0, 0, PATIENCE_MS) > 0) {
    }
    (void)rsp_close(sd);
    return NULL;
}

static int accept_one(int sd)
{
    pthread_t thread;
    int *session = (int *)malloc(sizeof(*session));
    if (session == NULL) {
        return -1;
    }
    *session = rsp_accept(sd, 1000);
    if (*session < 0) {
        free(session);
        return 0;
    }
    return pthread_create(&thread, NULL, serve, session) == 0 ? pthread_detach(thread) : -1;
}

int main(int argc, char **argv)
{
    struct rsp_info info;
    struct rsp_loadinfo load;
    struct TagItem tags[] = {{TAG_PoolElement_Identifier, 0}, {TAG_DONE, 0}};
    const char *id = argc > 1 ? strchr(argv[1], '=') : NULL;
    if (id == NULL) {
        return 2;
    }
    tags[0].Data = (tagdata_t)strtoul(id + 1, NULL, 0);
    rsp_initinfo(&info);
    memset(&load, 0, sizeof(load));
    load.rli_policy = PPT_ROUNDROBIN;
    if (rsp_initialize(&info) < 0) {
        return 1;
    }
    int sd = rsp_socket(0, SOCK_STREAM, IPPROTO_SCTP);
    if (sd < 0 || rsp_bind(sd, NULL, 0) < 0 || rsp_listen(sd, 10) < 0 ||
        rsp_register_tags(sd, (const unsigned char *)POOL, strlen(POOL), &load, 30000, 0, tags) !=
            0) {
        perror("the element");
        return 1;
    }
    while (accept_one(sd) == 0) {
    }
    return 1;
}
