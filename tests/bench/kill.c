/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From kill -9 of a registered server to its element being gone from the handlespace.
 *
 *   watch PATH POOL SHIM MIB ROUNDS   starts this program as victim under the shim, kills it when
 * it is registered, and notes when rspd tells those who monitor the pool; a resolution must then be
 * refused victim MIB                        fills that much memory, listens, and waits
 *
 * The baseline comes from the same death: when the kernel closed a pipe that the victim held. It
 * frees the memory of a process before it closes its files, so both grow with the size.
 */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench.h"
#include "local.h"

#define ROUNDS_MAX 1000
#define WAIT_MS    30000

struct watch {
    struct local monitor;
    struct local ask;
    const char *pool;
    uint32_t gone[ROUNDS_MAX];
    uint32_t closed[ROUNDS_MAX];
};

static int victim(long mib)
{
    size_t size = (size_t)mib << 20;
    char *memory = mmap(NULL, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    memset(memory, 1, size);
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0 && listen(fd, 16) == 0);
    for (;;) {
        (void)pause();
    }
}

/** Starts a victim; the read end of the pipe that it holds is *ret_pipe. */
static pid_t start_victim(const char *shim, const char *pool, const char *mib, int *ret_pipe)
{
    int ends[2];
    NEED(pipe(ends) == 0);
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(ends[0]);
        NEED(setenv("LD_PRELOAD", shim, 1) == 0 && setenv("RSP_POOL", pool, 1) == 0);
        (void)execl("/proc/self/exe", "victim", "victim", mib, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    *ret_pipe = ends[0];
    return pid;
}

static bool is_event(const struct lp_message *msg, const char *kind)
{
    struct lp_each it;
    char text[64];
    return msg->type == LP_EVENT && lp_find(msg, LP_T_EVENT_KIND, &it) &&
           strcmp(lp_str(&it, text, sizeof(text)), kind) == 0;
}

static void wait_event(struct local *l, const char *kind)
{
    struct lp_message msg;
    do {
        NEED(lp_receive(&lp_calls_libc, l->fd, l->in, sizeof(l->in), &msg, NULL, WAIT_MS) == 0);
    } while (!is_event(&msg, kind));
}

/** Notes when the pipe is closed and when the removal is told, in whatever order they come. */
static void wait_death(struct watch *w, int pipe_end, int64_t begin, long round)
{
    int64_t closed = 0;
    int64_t gone = 0;
    while (closed == 0 || gone == 0) {
        struct pollfd p[2] = {{.fd = closed == 0 ? pipe_end : -1, .events = POLLIN},
                              {.fd = gone == 0 ? w->monitor.fd : -1, .events = POLLIN}};
        NEED(poll(p, 2, WAIT_MS) > 0);
        int64_t now = now_ns();
        if (p[0].revents != 0) {
            closed = now;
        }
        if (p[1].revents != 0) {
            struct lp_message msg;
            NEED(lp_receive(&lp_calls_libc, w->monitor.fd, w->monitor.in, sizeof(w->monitor.in),
                            &msg, NULL, WAIT_MS) == 0);
            gone = is_event(&msg, "pe-removed") ? now : 0;
        }
    }
    w->closed[round] = sample(closed - begin);
    w->gone[round] = sample(gone - begin);
}

static void one_round(struct watch *w, char **argv, long round)
{
    struct lp_pe pe;
    int pipe_end;
    int status;
    pid_t pid = start_victim(argv[4], w->pool, argv[5], &pipe_end);
    wait_event(&w->monitor, "pe-added");
    NEED(local_resolve(&w->ask, w->pool, TRANSPORT_TCP, &pe) == 0);
    int64_t begin = now_ns();
    NEED(kill(pid, SIGKILL) == 0);
    wait_death(w, pipe_end, begin, round);
    NEED(local_resolve(&w->ask, w->pool, TRANSPORT_TCP, &pe) == -ECONNREFUSED);
    NEED(waitpid(pid, &status, 0) == pid);
    (void)close(pipe_end);
}

int main(int argc, char **argv)
{
    static struct watch w;
    struct lp_writer writer;
    struct lp_message reply;
    if (argc == 3 && strcmp(argv[1], "victim") == 0) {
        return victim(number(argv[2]));
    }
    NEED(argc == 7 && strcmp(argv[1], "watch") == 0);
    long rounds = number(argv[6]);
    NEED(rounds > 0 && rounds <= ROUNDS_MAX);
    w.pool = argv[3];
    local_open(&w.monitor, argv[2]);
    local_open(&w.ask, argv[2]);
    local_begin(&w.monitor, &writer, LP_MONITOR);
    lp_put_handle(&writer, handle_of(w.pool));
    NEED(local_call(&w.monitor, &writer, &reply, NULL) == 0);
    for (long i = 0; i < rounds; i++) {
        one_round(&w, argv, i);
    }
    qsort(w.gone, (size_t)rounds, sizeof(w.gone[0]), compare_ns);
    qsort(w.closed, (size_t)rounds, sizeof(w.closed[0]), compare_ns);
    printf("{\"rounds\": %ld, \"gone\": %u, \"gone_longest\": %u, \"closed\": %u}\n", rounds,
           percentile(w.gone, (size_t)rounds, 50), percentile(w.gone, (size_t)rounds, 100),
           percentile(w.closed, (size_t)rounds, 50));
    return 0;
}
