/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Talking to the daemon: connection, requests, and what its refusals mean to people. */
#include "tools/rspctl/rspctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/names.h"
#include "wire/asap.h"

#define TEXT_MAX 512

static uint8_t request_octets[LP_MESSAGE_MAX];
static uint8_t reply_octets[LP_MESSAGE_MAX];

int client_status(int err)
{
    switch (err) {
    case 0:
        return CTL_OK;
    case -ENOENT:
    case -ECONNREFUSED:
        return CTL_NOT_FOUND;
    case -EPERM:
    case -EACCES:
        return CTL_NOT_PERMITTED;
    case -ETIMEDOUT:
        return CTL_TIMED_OUT;
    case -EPIPE:
    case -ESHUTDOWN:
        return CTL_NO_DAEMON;
    case -EPROTO:
        return CTL_INCOMPATIBLE;
    default:
        return CTL_FAILED;
    }
}

struct lp_writer *client_begin(struct ctl *ctl, enum lp_type type)
{
    ctl->request++;
    lp_begin(&ctl->writer, request_octets, sizeof(request_octets), type, ctl->request);
    return &ctl->writer;
}

static int ask(struct ctl *ctl, struct lp_message *ret)
{
    int err = lp_finish(&ctl->writer);
    if (err >= 0) {
        err = lp_call(&lp_calls_libc, ctl->fd, NULL, &ctl->writer, reply_octets,
                      sizeof(reply_octets), ret, NULL, ctl->timeout_ms);
    }
    return err < 0 ? err : 0;
}

int client_ask(struct ctl *ctl, struct lp_message *ret)
{
    int err = ask(ctl, ret);
    return err != 0 ? err : lp_result(ret);
}

/** Connects and greets; 0 or -errno. */
static int greet(struct ctl *ctl)
{
    const char *path = ctl->opt[OPT_SOCKET];
    if (path != NULL) {
        (void)snprintf(ctl->socket, sizeof(ctl->socket), "%s", path);
        if (strlen(path) >= sizeof(ctl->socket)) {
            return -ENAMETOOLONG;
        }
    } else {
        lp_socket_path(getenv("RSP_SOCKET"), getenv("XDG_RUNTIME_DIR"), ctl->socket);
    }
    ctl->fd = lp_connect(&lp_calls_libc, ctl->socket);
    if (ctl->fd < 0) {
        return ctl->fd;
    }
    struct lp_writer *w = client_begin(ctl, LP_HELLO);
    lp_put_u32(w, LP_T_CLIENT_KIND, LP_CLIENT_TOOL);
    lp_put_u32(w, LP_T_PID, (uint32_t)getpid());
    struct lp_message reply;
    int err = client_ask(ctl, &reply);
    if (err != 0) {
        (void)close(ctl->fd);
        ctl->fd = -1;
        return err;
    }
    struct lp_each it;
    lp_each_init(&it, &reply);
    while (lp_next(&it)) {
        if (it.type == LP_T_SUFFIX &&
            ctl->suffix_count < (int)(sizeof(ctl->suffixes) / sizeof(ctl->suffixes[0]))) {
            (void)lp_str(&it, ctl->suffixes[ctl->suffix_count++], sizeof(ctl->suffixes[0]));
        }
    }
    return 0;
}

bool client_try(struct ctl *ctl)
{
    return ctl->fd >= 0 || greet(ctl) == 0;
}

int client_open(struct ctl *ctl)
{
    int err = ctl->fd >= 0 ? 0 : greet(ctl);
    switch (err) {
    case 0:
        return CTL_OK;
    case -EACCES:
    case -EPERM:
        return ctl_fail(CTL_NOT_PERMITTED, "cannot talk to rspd on %s: %s", ctl->socket,
                        strerror(-err));
    case -EPROTO:
        return ctl_fail(CTL_INCOMPATIBLE,
                        "cannot talk to rspd on %s: it speaks another version of the local "
                        "protocol than ours (%d) - install rspd and rspctl of the same release",
                        ctl->socket, LP_VERSION);
    case -ENAMETOOLONG:
        return ctl_fail(CTL_USAGE, "cannot talk to rspd: the path of its socket is longer than %d",
                        LP_PATH_MAX - 1);
    case -ETIMEDOUT:
        return ctl_fail(CTL_TIMED_OUT, "rspd on %s does not answer", ctl->socket);
    default:
        return ctl_fail(CTL_NO_DAEMON,
                        "no rspd on %s: %s - start it (\"systemctl start rspd\", or \"rspd\") or "
                        "name its socket with --socket",
                        ctl->socket, strerror(-err));
    }
}

/** The daemon's words for a refusal: TEXT and CAUSE of the reply. */
static void refusal_text(const struct lp_message *reply, int err, char *out, size_t size)
{
    struct lp_each it;
    char text[TEXT_MAX];
    if (lp_find(reply, LP_T_TEXT, &it)) {
        (void)lp_str(&it, text, sizeof(text));
    } else {
        (void)snprintf(text, sizeof(text), "%s", strerror(-err));
    }
    if (lp_find(reply, LP_T_CAUSE, &it)) {
        uint32_t cause = lp_u32(&it, 0);
        const char *name = rsp_cause_name((uint16_t)cause);
        (void)snprintf(out, size, "%s: %s (0x%x)", text, name != NULL ? name : "cause", cause);
    } else {
        (void)snprintf(out, size, "%s", text);
    }
}

static int complain(struct ctl *ctl, const char *what, const char *advice, int err,
                    const struct lp_message *reply)
{
    char why[TEXT_MAX + 64];
    if (reply != NULL) {
        refusal_text(reply, err, why, sizeof(why));
    } else if (err == -ETIMEDOUT) {
        char bound[32];
        (void)snprintf(why, sizeof(why), "no answer within %s",
                       out_duration((uint64_t)ctl->timeout_ms, bound, sizeof(bound)));
    } else if (err == -EPIPE) {
        (void)snprintf(why, sizeof(why), "rspd has closed the connection");
    } else {
        (void)snprintf(why, sizeof(why), "%s", strerror(-err));
    }
    return ctl_fail(client_status(err), "cannot %s: %s%s%s", what, why, advice != NULL ? " - " : "",
                    advice != NULL ? advice : "");
}

int client_call(struct ctl *ctl, const char *what, const char *advice, struct lp_message *ret)
{
    int err = ask(ctl, ret);
    if (err != 0) {
        return complain(ctl, what, NULL, err, NULL);
    }
    err = lp_result(ret);
    return err != 0 && ret->type == LP_RESULT ? complain(ctl, what, advice, err, ret) : CTL_OK;
}

int client_next(struct ctl *ctl, int timeout_ms, struct lp_message *ret)
{
    for (;;) {
        int err = lp_receive(&lp_calls_libc, ctl->fd, reply_octets, sizeof(reply_octets), ret, NULL,
                             timeout_ms);
        if (err == -ETIMEDOUT) {
            return CTL_TIMED_OUT;
        }
        if (err != 0) {
            return complain(ctl, "go on", NULL, err, NULL);
        }
        if (ret->request == ctl->request) {
            return CTL_OK;
        }
    }
}

int client_list(struct ctl *ctl, const char *what, enum lp_tlv item,
                void (*each)(const struct lp_each *it, void *arg), void *arg)
{
    struct lp_message reply;
    int status = client_call(ctl, what, "\"rspctl pool list\" shows what there is", &reply);
    while (status == CTL_OK) {
        bool more = false;
        struct lp_each it;
        lp_each_init(&it, &reply);
        while (lp_next(&it)) {
            if (it.type == item) {
                each(&it, arg);
            } else if (it.type == LP_T_MORE) {
                more = lp_u32(&it, 0) != 0;
            }
        }
        if (!more) {
            return CTL_OK;
        }
        status = client_next(ctl, ctl->timeout_ms, &reply);
        if (status == CTL_TIMED_OUT) {
            return complain(ctl, what, NULL, -ETIMEDOUT, NULL);
        }
    }
    return status;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** Two hexadecimal digits; -1: they are not. */
static int hex_octet(const char *text)
{
    int high = hex_digit(text[0]);
    int low = high >= 0 ? hex_digit(text[1]) : -1;
    return low >= 0 ? high * 16 + low : -1;
}

/** A handle as it is, with \xHH for octets that cannot be typed. */
static bool read_plain(const char *text, struct handle_text *ret)
{
    for (const char *p = text; *p != '\0'; p++) {
        int octet = (uint8_t)*p;
        if (ret->len == sizeof(ret->octets)) {
            return false;
        }
        if (p[0] == '\\' && p[1] == 'x') {
            octet = hex_octet(p + 2);
            if (octet < 0) {
                return false;
            }
            p += 3;
        }
        ret->octets[ret->len++] = (uint8_t)octet;
    }
    return true;
}

int handle_read(const struct ctl *ctl, const char *text, struct handle_text *ret)
{
    memset(ret, 0, sizeof(*ret));
    bool ok = true;
    bool done = false;
    if (strncmp(text, "rsp://", 6) == 0) {
        ok = read_plain(text + 6, ret);
        done = true;
    }
    for (int i = 0; !done && i < ctl->suffix_count; i++) {
        if (name_has_suffix(text, ctl->suffixes[i])) {
            int len = name_to_handle(text, ctl->suffixes[i], ret->octets, sizeof(ret->octets));
            ok = len > 0;
            ret->len = ok ? (uint16_t)len : 0;
            done = true;
        }
    }
    if (!done) {
        ok = read_plain(text, ret);
    }
    if (!ok || ret->len == 0) {
        return ctl_fail(CTL_USAGE,
                        "\"%.80s\" is no pool handle: 1 to %d octets, \\xHH for those that cannot "
                        "be typed",
                        text, POOL_HANDLE_MAX);
    }
    return CTL_OK;
}

/** What pe_read looks for among the elements. */
struct pe_search {
    const char *prefix; /* of the id, in hexadecimal; or NULL */
    uint32_t port;      /* else: the port */
    uint32_t found;
    int count;
};

static void pe_compare(const struct lp_each *it, void *arg)
{
    struct pe_search *s = arg;
    uint32_t id = 0;
    uint32_t port = 0;
    struct lp_each in;
    lp_nested(&in, it);
    while (lp_next(&in)) {
        if (in.type == LP_T_PE_ID) {
            id = lp_u32(&in, 0);
        } else if (in.type == LP_T_PORT) {
            port = lp_u32(&in, 0);
        }
    }
    char text[16];
    (void)snprintf(text, sizeof(text), "%08x", id);
    if (s->prefix != NULL ? strncasecmp(text, s->prefix, strlen(s->prefix)) == 0
                          : port == s->port) {
        s->count += id != s->found || s->count == 0;
        s->found = id;
    }
}

int pe_read(struct ctl *ctl, const char *text, uint32_t *ret_id)
{
    struct pe_search search = {.prefix = NULL};
    struct handle_text handle = {.len = 0};
    const char *colon = strrchr(text, ':');
    const char *hex = text[0] == '0' && text[1] == 'x' ? &text[2] : "";
    bool is_id = hex[0] != '\0' && hex[strspn(hex, "0123456789abcdefABCDEF")] == '\0';
    if (is_id && strlen(hex) == 8) {
        *ret_id = (uint32_t)strtoul(hex, NULL, 16);
        return CTL_OK;
    }
    if (is_id) {
        search.prefix = hex;
    } else if (colon != NULL && ctl_number(colon + 1, 1, 65535, &search.port)) {
        char name[POOL_HANDLE_MAX * 4 + 8];
        (void)snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
        int status = handle_read(ctl, name, &handle);
        if (status != CTL_OK) {
            return status;
        }
    } else {
        return ctl_fail(CTL_USAGE,
                        "\"%.80s\" names no element: write its id (0x1a2b3c4d) or HANDLE:PORT",
                        text);
    }
    struct lp_writer *w = client_begin(ctl, LP_PE_LIST);
    if (handle.len > 0) {
        lp_put_handle(w, handle_of(&handle));
        lp_put_u32(w, LP_T_LOCAL, 1);
    }
    int status = client_list(ctl, "look for the element", LP_T_PE, pe_compare, &search);
    if (status == CTL_OK && search.count != 1) {
        return ctl_fail(CTL_NOT_FOUND, "%s element is \"%.80s\" - see \"rspctl pe list\"",
                        search.count == 0 ? "no" : "more than one", text);
    }
    *ret_id = search.found;
    return status;
}
