/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making session sockets, their options and names. */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "librsp/card.h"

#define ALL_NOTIFICATIONS                                                                          \
    (1 << RSERPOOL_SESSION_CHANGE | 1 << RSERPOOL_FAILOVER | 1 << RSERPOOL_SHUTDOWN_EVENT |        \
     1 << RSERPOOL_COOKIE_REFUSED)

/** The options of SOL_RSP: where each is kept and what it may be. */
static const struct {
    int name;
    size_t at;
    int least, most;
} options[] = {
    {RSP_SO_AUTO_FAILOVER, offsetof(struct sd_options, auto_failover), 0, 1},
    {RSP_SO_NOTIFICATIONS, offsetof(struct sd_options, notifications), 0, ALL_NOTIFICATIONS},
    {RSP_SO_ATTEMPT_TIMEOUT, offsetof(struct sd_options, attempt_ms), 1, INT_MAX},
    {RSP_SO_CONNECT_TIMEOUT, offsetof(struct sd_options, connect_ms), 1, INT_MAX},
    {RSP_SO_DETECTION_TIME, offsetof(struct sd_options, detection_ms), 200, 3600000},
    {RSP_SO_RETRY_MIN, offsetof(struct sd_options, retry_min_ms), 1, INT_MAX},
    {RSP_SO_RETRY_MAX, offsetof(struct sd_options, retry_max_ms), 1, INT_MAX},
    {RSP_SO_GIVE_UP, offsetof(struct sd_options, give_up_ms), 0, INT_MAX},
    {RSP_SO_REPLAY, offsetof(struct sd_options, replay), 0, INT_MAX},
    {RSP_SO_MESSAGE_MAX, offsetof(struct sd_options, message_max), 1, INT_MAX},
    {RSP_SO_SEND_BUFFER, offsetof(struct sd_options, send_buffer), 1, INT_MAX},
    {RSP_SO_BUSINESS_CARD, offsetof(struct sd_options, business_card), CARD_NOT, CARD_FIRST},
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

void options_init(struct sd_options *opt, int type)
{
    bool many = type == SOCK_SEQPACKET;
    *opt = (struct sd_options){.auto_failover = 1,
                               .notifications = many ? ALL_NOTIFICATIONS : 0,
                               .attempt_ms = 1000,
                               .connect_ms = 5000,
                               .detection_ms = 2000,
                               .retry_min_ms = 50,
                               .retry_max_ms = 2000,
                               .replay = many ? 0 : 1 << 20,
                               .message_max = 64 << 20,
                               .send_buffer = 256 << 10,
                               .business_card = CARD_SPARE};
}

RSP_PUBLIC int rsp_socket(int domain, int type, int protocol)
{
    int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = 0;
    if (domain != 0 && domain != AF_INET && domain != AF_INET6) {
        return rsp_ret(-EAFNOSUPPORT);
    }
    if (kind != SOCK_STREAM && kind != SOCK_SEQPACKET) {
        return rsp_ret(-EPROTOTYPE);
    }
    if ((protocol != 0 && protocol != IPPROTO_TCP && protocol != IPPROTO_SCTP) ||
        (protocol == IPPROTO_SCTP && !sctp_available())) {
        return rsp_ret(-EPROTONOSUPPORT);
    }
    struct sd *sd = sd_new(SD_NEW, &error);
    if (sd == NULL) {
        return rsp_ret(error);
    }
    sd->domain = domain;
    sd->type = kind;
    sd->protocol = protocol;
    options_init(&sd->opt, kind);
    if ((type & SOCK_NONBLOCK) != 0) {
        (void)fcntl(sd->fd, F_SETFL, O_NONBLOCK);
    }
    int fd = sd->fd;
    sd_put(sd);
    return fd;
}

/** The socket of the system behind a descriptor; -1: there is none now. */
static int system_fd(const struct sd *sd)
{
    switch (sd->kind) {
    case SD_USER:
        return sd->user->ch.fd;
    case SD_PEER:
        return sd->peer->ch.fd;
    case SD_SERVER:
        return sd->server->listeners[0].fd;
    case SD_NEW:
    case SD_REQUEST:
    default:
        return -1;
    }
}

static int *option(struct sd *sd, int name, size_t *ret_index)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (options[i].name == name) {
            *ret_index = i;
            return (int *)(void *)((uint8_t *)&sd->opt + options[i].at);
        }
    }
    return NULL;
}

static int get_option(struct sd *sd, int name, void *value, socklen_t *len)
{
    size_t index;
    int id = (int)sd->pe_id;
    const int *at = name == RSP_SO_PE_ID ? &id : option(sd, name, &index);
    if (at == NULL || *len < sizeof(int)) {
        return at == NULL ? -ENOPROTOOPT : -EINVAL;
    }
    memcpy(value, at, sizeof(int));
    *len = sizeof(int);
    return 0;
}

RSP_PUBLIC int rsp_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct sd *sd = value != NULL && len != NULL ? sd_get(fd) : NULL;
    if (sd == NULL) {
        return rsp_ret(value == NULL || len == NULL ? -EINVAL : -EBADF);
    }
    int r;
    if (level == SOL_RSP) {
        r = get_option(sd, name, value, len);
    } else {
        int system = system_fd(sd);
        r = system < 0 ? -ENOTCONN : getsockopt(system, level, name, value, len) != 0 ? -errno : 0;
    }
    sd_put(sd);
    return rsp_ret(r);
}

static int set_option(struct sd *sd, int name, const void *value, socklen_t len)
{
    size_t index;
    int v;
    int *at = name == RSP_SO_PE_ID ? (int *)(void *)&sd->pe_id : option(sd, name, &index);
    if (at == NULL) {
        return -ENOPROTOOPT;
    }
    if (len != sizeof(v)) {
        return -EINVAL;
    }
    memcpy(&v, value, sizeof(v));
    if (name == RSP_SO_PE_ID) {
        if ((sd->kind != SD_NEW && sd->kind != SD_SERVER) || sd->handle_len > 0) {
            return -EINVAL; /* it has one already, or will never have one */
        }
        *at = v;
        return 0;
    }
    if (v < options[index].least || v > options[index].most) {
        return -EINVAL;
    }
    *at = v;
    if (sd->kind == SD_USER) {
        user_options(sd);
    }
    return 0;
}

RSP_PUBLIC int rsp_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    struct sd *sd = value != NULL ? sd_get(fd) : NULL;
    if (sd == NULL) {
        return rsp_ret(value == NULL ? -EINVAL : -EBADF);
    }
    int r;
    if (level == SOL_RSP) {
        r = set_option(sd, name, value, len);
    } else {
        int system = system_fd(sd);
        r = system < 0 ? -ENOTCONN : setsockopt(system, level, name, value, len) != 0 ? -errno : 0;
    }
    sd_put(sd);
    return rsp_ret(r);
}

/** Fields that are 0 keep what was there. */
static void merge(struct rserpool_session_parameters *to,
                  const struct rserpool_session_parameters *from)
{
    to->sp_rto_initial = from->sp_rto_initial != 0 ? from->sp_rto_initial : to->sp_rto_initial;
    to->sp_rto_min = from->sp_rto_min != 0 ? from->sp_rto_min : to->sp_rto_min;
    to->sp_rto_max = from->sp_rto_max != 0 ? from->sp_rto_max : to->sp_rto_max;
    to->sp_assoc_max_rxt =
        from->sp_assoc_max_rxt != 0 ? from->sp_assoc_max_rxt : to->sp_assoc_max_rxt;
    to->sp_path_max_rxt = from->sp_path_max_rxt != 0 ? from->sp_path_max_rxt : to->sp_path_max_rxt;
    to->sp_hbinterval = from->sp_hbinterval != 0 ? from->sp_hbinterval : to->sp_hbinterval;
}

RSP_PUBLIC int rsp_update_session_parameters(int fd, struct rserpool_session_parameters *parameters)
{
    struct sd *sd = parameters != NULL ? sd_get(fd) : NULL;
    if (sd == NULL) {
        return rsp_ret(parameters == NULL ? -EINVAL : -EBADF);
    }
    struct rserpool_session_parameters *p = &sd->opt.sctp;
    merge(p, parameters);
    if (parameters->sp_rto_max != 0 || parameters->sp_assoc_max_rxt != 0 ||
        parameters->sp_hbinterval != 0) {
        /* What the values amount to: so many heartbeats; the defaults give the default. */
        uint64_t rto = p->sp_rto_max != 0 ? p->sp_rto_max : SCTP_RTO_MAX_MS;
        uint64_t rxt = p->sp_assoc_max_rxt != 0 ? p->sp_assoc_max_rxt : SCTP_ASSOC_MAX_RXT;
        uint64_t heartbeat = p->sp_hbinterval != 0 ? p->sp_hbinterval : SCTP_HEARTBEAT_MS;
        uint64_t ms = (heartbeat + rto + rto / 4) * (rxt + 1);
        sd->opt.detection_ms = ms < 200 ? 200 : ms < 3600000 ? (int)ms : 3600000;
    }
    int system = system_fd(sd);
    struct channel_setup setup = sd_setup(sd);
    struct rserpool_session_parameters now = {.sp_rto_initial = SCTP_RTO_INITIAL_MS,
                                              .sp_rto_min = SCTP_RTO_MIN_MS,
                                              .sp_rto_max = SCTP_RTO_MAX_MS,
                                              .sp_assoc_max_rxt = SCTP_ASSOC_MAX_RXT,
                                              .sp_path_max_rxt = SCTP_PATH_MAX_RXT,
                                              .sp_hbinterval = SCTP_HEARTBEAT_MS};
    merge(&now, p);
    int r = 0;
    if (system >= 0) {
        int protocol = 0;
        socklen_t len = sizeof(protocol);
        (void)getsockopt(system, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
        r = channel_tune(system, protocol == IPPROTO_SCTP ? TRANSPORT_SCTP : TRANSPORT_TCP, &setup);
        if (protocol == IPPROTO_SCTP) {
            sctp_parameters(system, &now);
        }
    }
    *parameters = now;
    sd_put(sd);
    return rsp_ret(r);
}

/** Copies a handle out as the interface wants it. */
static int give_handle(const struct sd *sd, bool has, unsigned char *handle, size_t *size)
{
    size_t len = has ? sd->handle_len : 0;
    if (size == NULL) {
        return 0;
    }
    if (*size < len || (handle == NULL && len > 0)) {
        return -ENOBUFS;
    }
    if (len > 0) {
        memcpy(handle, sd->handle, len);
    }
    *size = len;
    return 0;
}

RSP_PUBLIC int rsp_getsockname(int fd, unsigned char *handle, size_t *size, uint32_t *pe_id)
{
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = sd->kind == SD_SERVER && sd->server->registered ? 0 : -ENOTCONN;
    r = r == 0 ? give_handle(sd, true, handle, size) : r;
    if (r == 0 && pe_id != NULL) {
        *pe_id = sd->pe_id;
    }
    sd_put(sd);
    return rsp_ret(r);
}

RSP_PUBLIC int rsp_getpeername(int fd, unsigned char *handle, size_t *size, uint32_t *pe_id)
{
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = sd->kind == SD_USER || sd->kind == SD_PEER ? 0 : -ENOTCONN;
    r = r == 0 ? give_handle(sd, sd->kind == SD_USER, handle, size) : r;
    if (r == 0 && pe_id != NULL) {
        *pe_id = sd->kind == SD_USER ? user_pe_id(sd) : 0;
    }
    sd_put(sd);
    return rsp_ret(r);
}
