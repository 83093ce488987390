/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pool element in enhanced mode: streams files to users of a pool, one thread for each session.
 * The state of a session is the file's name and the position. It goes to the user as a cookie every
 * few messages; a session that begins with a cookie goes on from there.
 *
 * Usage: video-server POOL FOLDER [BYTES_PER_SECOND]
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rsp/rsp.h>

#define HEAD        8
#define PIECE       4096
#define COOKIE_EACH 8 /* messages */

struct state {
    uint64_t position;
    char name[256];
};

static const char *folder;
static long bytes_per_second;

static void put_offset(unsigned char *p, uint64_t offset)
{
    for (int i = HEAD - 1; i >= 0; i--) {
        p[i] = (unsigned char)offset;
        offset >>= 8;
    }
}

/** As a film is shown: not faster than so many bytes a second. */
static void pace(void)
{
    if (bytes_per_second > 0) {
        long ns = (long)(1e9 * PIECE / (double)bytes_per_second);
        nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
    }
}

static int save(int session, const struct state *state)
{
    return rsp_send_cookie(session, (const unsigned char *)state, sizeof(*state), 0, -1) > 0;
}

/** Streams from the position in `state` to the end. */
static void stream(int session, struct state *state)
{
    unsigned char message[HEAD + PIECE];
    char path[4096];
    size_t len;
    snprintf(path, sizeof(path), "%s/%s", folder, state->name);
    FILE *file = strchr(state->name, '/') == NULL ? fopen(path, "rb") : NULL;
    if (file == NULL || fseeko(file, (off_t)state->position, SEEK_SET) != 0) {
        if (file != NULL) {
            fclose(file);
        }
        return;
    }
    for (unsigned n = 0; (len = fread(message + HEAD, 1, PIECE, file)) > 0; n++) {
        put_offset(message, state->position);
        if (rsp_send(session, message, HEAD + len, 0) < 0) {
            break;
        }
        state->position += len;
        if (n % COOKIE_EACH == 0 && !save(session, state)) {
            break;
        }
        pace();
    }
    if (feof(file)) {
        put_offset(message, state->position);
        (void)rsp_send(session, message, HEAD, 0);
    }
    fclose(file);
}

static void *serve(void *arg)
{
    int session = (int)(intptr_t)arg;
    struct state state;
    char buffer[1024];
    int flags = 0;
    ssize_t got = rsp_recvfullmsg(session, buffer, sizeof(buffer) - 1, NULL, &flags, -1);
    while (got > 0) {
        buffer[got] = '\0';
        memset(&state, 0, sizeof(state));
        if ((flags & MSG_RSERPOOL_COOKIE_ECHO) != 0 && got == sizeof(state)) {
            memcpy(&state, buffer, sizeof(state)); /* another server has begun this */
            stream(session, &state);
        } else if (strncmp(buffer, "GET ", 4) == 0) {
            snprintf(state.name, sizeof(state.name), "%.255s", buffer + 4);
            if (save(session, &state)) {
                stream(session, &state);
            }
        }
        flags = 0;
        got = rsp_recvfullmsg(session, buffer, sizeof(buffer) - 1, NULL, &flags, -1);
    }
    rsp_close(session);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "Usage: video-server POOL FOLDER [BYTES_PER_SECOND]\n");
        return 2;
    }
    folder = argv[2];
    bytes_per_second = argc > 3 ? atol(argv[3]) : 0;

    int element = rsp_socket(0, SOCK_STREAM, 0);
    if (element < 0 || rsp_register(element, (const unsigned char *)argv[1], strlen(argv[1]), NULL,
                                    0, REGF_DAEMONMODE) != 0) {
        perror(argv[1]);
        return 1;
    }
    for (;;) {
        int session = rsp_accept(element, -1);
        pthread_t thread;
        if (session < 0) {
            perror("rsp_accept");
            break;
        }
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)session) != 0) {
            rsp_abandon(session); /* its user goes to another server */
        } else {
            pthread_detach(thread);
        }
    }
    rsp_deregister(element, 0);
    rsp_close(element);
    return 1;
}
