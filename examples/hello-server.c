/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pool element in 30 lines: each session counts its messages, and goes on counting elsewhere. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <rsp/rsp.h>

static enum rsp_server_result restore(struct rsp_server_session *session, const void *state,
                                      size_t size)
{
    uintptr_t count = 0;
    memcpy(&count, state, size < sizeof(count) ? size : sizeof(count));
    rsp_session_set_data(session, (void *)count);
    return RSP_SERVER_GO_ON;
}

static enum rsp_server_result answer(struct rsp_server_session *session, const void *data,
                                     size_t size, uint32_t ppid, uint16_t stream)
{
    uintptr_t count = (uintptr_t)rsp_session_data(session) + 1;
    char text[256];
    int len = snprintf(text, sizeof(text), "%lu: hello, %.*s", (unsigned long)count, (int)size,
                       (const char *)data);
    rsp_session_set_data(session, (void *)count);
    (void)rsp_session_send(session, text, (size_t)len, ppid, stream);
    (void)rsp_session_cookie(session, &count, sizeof(count));
    return RSP_SERVER_GO_ON;
}

int main(int argc, char **argv)
{
    struct rsp_server_config config = {.handle = argc > 1 ? argv[1] : "hello",
                                       .model = argc > 2 ? RSP_SERVER_THREADS : RSP_SERVER_LOOP,
                                       .load = {.rli_policy = PPT_LEASTUSED},
                                       .register_flags = REGF_DAEMONMODE,
                                       .on_message = answer,
                                       .on_cookie = restore};
    struct rsp_server *server = rsp_server_new(&config);
    return server != NULL && rsp_server_run(server) == 0 ? 0 : (perror("hello-server"), 1);
}
