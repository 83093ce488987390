/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 *   rspd PATH POOL tcp|udp PORT COUNT   registers COUNT elements, at PORT, PORT + 1 ..., one after
 *                                       another, says how long it took and keeps them until its
 *                                       standard input ends
 *   files DIR COUNT                     the baseline: makes, one after another, the files that a
 *                                       registration which survives the daemon cannot do without: a
 *                                       FIFO, open at both ends, and a record, renamed into place
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "bench.h"
#include "local.h"

#define RECORD_LEN 200

static void register_one(struct local *l, const char *pool, enum transport_protocol protocol,
                         uint32_t port)
{
    struct lp_writer w;
    struct lp_message reply;
    int life = -1;
    local_begin(l, &w, LP_REGISTER);
    lp_put_handle(&w, handle_of(pool));
    lp_put_u32(&w, LP_T_PROTOCOL, protocol);
    lp_put_u32(&w, LP_T_PORT, port);
    lp_put_u32(&w, LP_T_FAMILIES, LP_FAMILY_V4);
    int err = local_call(l, &w, &reply, &life);
    errno = -err;
    NEED(err == 0 && reply.type == LP_REGISTERED && life >= 0);
}

static void make_files(int dir, long i)
{
    char fifo[32];
    char record[32];
    char octets[RECORD_LEN] = {0};
    (void)snprintf(fifo, sizeof(fifo), "life-%ld", i);
    (void)snprintf(record, sizeof(record), "record-%ld", i);
    NEED(mkfifoat(dir, fifo, 0600) == 0);
    NEED(openat(dir, fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC) >= 0);
    NEED(openat(dir, fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC) >= 0);
    int fd = openat(dir, ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    NEED(fd >= 0 && write(fd, octets, sizeof(octets)) == RECORD_LEN && close(fd) == 0);
    NEED(renameat(dir, ".new", dir, record) == 0);
}

int main(int argc, char **argv)
{
    static struct local l;
    char end;
    struct rlimit limit;
    NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    bool files = argc == 4 && strcmp(argv[1], "files") == 0;
    NEED(files || (argc == 7 && strcmp(argv[1], "rspd") == 0));
    long count = number(argv[argc - 1]);
    int dir = files ? open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    NEED(!files || dir >= 0);
    if (!files) {
        local_open(&l, argv[2]);
    }
    int64_t begin = now_ns();
    for (long i = 0; i < count; i++) {
        if (files) {
            make_files(dir, i);
        } else {
            register_one(&l, argv[3], strcmp(argv[4], "udp") == 0 ? TRANSPORT_UDP : TRANSPORT_TCP,
                         (uint32_t)(number(argv[5]) + i));
        }
    }
    printf("{\"operations\": %ld, \"ns\": %lld}\n", count, (long long)(now_ns() - begin));
    (void)fflush(stdout);
    while (!files && read(STDIN_FILENO, &end, 1) > 0) {
    }
    return 0;
}
