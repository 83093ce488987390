/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection to rspd by the library path that rspctl uses (librsp/lp_client.h). */
#ifndef RSP_TESTS_BENCH_LOCAL_H
#define RSP_TESTS_BENCH_LOCAL_H

#include "bench.h"
#include "librsp/lp_client.h"

#define LOCAL_TIMEOUT_MS 10000

struct local {
    int fd;
    uint32_t request;
    struct rhythm rhythm;
    uint8_t out[1024];
    uint8_t in[LP_MESSAGE_MAX];
};

/** Sends what was put into `w` and waits for the reply; its RESULT. */
static inline int local_call(struct local *l, struct lp_writer *w, struct lp_message *ret,
                             int *ret_fd)
{
    NEED(lp_finish(w) > 0);
    int err = lp_call(&lp_calls_libc, l->fd, &l->rhythm, w, l->in, sizeof(l->in), ret, ret_fd,
                      LOCAL_TIMEOUT_MS);
    return err != 0 ? err : lp_result(ret);
}

static inline void local_begin(struct local *l, struct lp_writer *w, enum lp_type type)
{
    lp_begin(w, l->out, sizeof(l->out), type, ++l->request);
}

static inline void local_open(struct local *l, const char *path)
{
    struct lp_writer w;
    struct lp_message reply;
    l->fd = lp_connect(&lp_calls_libc, path);
    NEED(l->fd >= 0);
    local_begin(l, &w, LP_HELLO);
    lp_put_u32(&w, LP_T_CLIENT_KIND, LP_CLIENT_LIBRSP);
    lp_put_u32(&w, LP_T_PID, (uint32_t)getpid());
    NEED(local_call(l, &w, &reply, NULL) == 0 && reply.type == LP_HELLO_OK);
}

static inline struct pool_handle handle_of(const char *text)
{
    return (struct pool_handle){.octets = (const uint8_t *)text, .len = (uint16_t)strlen(text)};
}

/** One element of a pool for a protocol; 0 or -errno. */
static inline int local_resolve(struct local *l, const char *pool, enum transport_protocol protocol,
                                struct lp_pe *ret)
{
    struct lp_writer w;
    struct lp_message reply;
    struct lp_each it;
    local_begin(l, &w, LP_RESOLVE);
    lp_put_handle(&w, handle_of(pool));
    lp_put_u32(&w, LP_T_FAMILIES, LP_FAMILY_V4);
    lp_put_u32(&w, LP_T_PROTOCOL, protocol);
    lp_put_u32(&w, LP_T_COUNT, 1);
    int err = local_call(l, &w, &reply, NULL);
    if (err != 0) {
        return err;
    }
    return lp_find(&reply, LP_T_PE, &it) && lp_read_pe(&it, ret) ? 0 : -EBADMSG;
}

#endif
