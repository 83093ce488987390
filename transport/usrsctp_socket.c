/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets of the SCTP stack in user space (transport.md §2.6, §4.6): the options they get, the port
 * they are bound to, and what is asked of them. */
#include "transport/usrsctp_socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "transport/tp_internal.h"

#define PATH_MTU      1400
#define PORT_ATTEMPTS 64

static_assert(sizeof(struct sctp_udpencaps) == 136, "transport.md §4.6");
static_assert(sizeof(struct sctp_rtoinfo) == 16, "transport.md §2.6");
static_assert(sizeof(struct sctp_assocparams) == 20, "transport.md §2.6");
static_assert(SCTP_NODELAY == 4 && SCTP_RTOINFO == 1 && SCTP_ASSOCINFO == 2 && SCTP_EVENT == 0x1e &&
                  SCTP_RECVRCVINFO == 0x1f,
              "transport.md §4.6");

static int set(struct socket *sock, int option, const void *value, socklen_t len)
{
    return usrsctp_setsockopt(sock, IPPROTO_SCTP, option, value, len) < 0 ? -errno : 0;
}

static int set_events(struct socket *sock)
{
    static const uint16_t types[] = {SCTP_ASSOC_CHANGE, SCTP_PARTIAL_DELIVERY_EVENT,
                                     SCTP_SEND_FAILED_EVENT};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(types) / sizeof(types[0]); i++) {
        struct sctp_event event = {
            .se_assoc_id = SCTP_FUTURE_ASSOC, .se_type = types[i], .se_on = 1};
        r = set(sock, SCTP_EVENT, &event, sizeof(event));
    }
    return r;
}

static int set_options(struct socket *sock, const struct tp_config *c)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0}; /* close() means ABORT */
    const int on = 1;
    const uint32_t interleave = 1;
    const uint32_t partial = TP_MESSAGE_MAX;
    const struct sctp_sack_info sack = {.sack_delay = 0, .sack_freq = 1};
    const struct sctp_initmsg init = {.sinit_num_ostreams = 2,
                                      .sinit_max_instreams = 2,
                                      .sinit_max_attempts = (uint16_t)c->max_init_retrans,
                                      .sinit_max_init_timeo = (uint16_t)c->max_init_timeout_ms};
    const struct sctp_rtoinfo rto = {
        .srto_initial = c->rto_initial_ms, .srto_min = c->rto_min_ms, .srto_max = c->rto_max_ms};
    const struct sctp_assocparams assoc = {.sasoc_asocmaxrxt = (uint16_t)c->assoc_max_retrans};
    const struct sctp_paddrparams path = {.spp_hbinterval = c->heartbeat_ms,
                                          .spp_pathmtu = PATH_MTU,
                                          .spp_flags = SPP_HB_ENABLE | SPP_PMTUD_DISABLE,
                                          .spp_pathmaxrxt = (uint16_t)c->path_max_retrans};
    int r = usrsctp_set_non_blocking(sock, 1) < 0 ? -errno : 0;
    if (r == 0 && usrsctp_setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0) {
        r = -errno;
    }
    r = r < 0 ? r : set(sock, SCTP_RECVRCVINFO, &on, sizeof(on));
    r = r < 0 ? r : set(sock, SCTP_NODELAY, &on, sizeof(on));
    r = r < 0 ? r : set(sock, SCTP_DELAYED_SACK, &sack, sizeof(sack));
    r = r < 0 ? r : set(sock, SCTP_FRAGMENT_INTERLEAVE, &interleave, sizeof(interleave));
    r = r < 0 ? r : set(sock, SCTP_PARTIAL_DELIVERY_POINT, &partial, sizeof(partial));
    r = r < 0 ? r : set(sock, SCTP_INITMSG, &init, sizeof(init));
    r = r < 0 ? r : set(sock, SCTP_RTOINFO, &rto, sizeof(rto));
    r = r < 0 ? r : set(sock, SCTP_ASSOCINFO, &assoc, sizeof(assoc));
    r = r < 0 ? r : set(sock, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path));
    return r < 0 ? r : set_events(sock);
}

/*
 * Port 0: one of the dynamic ports (RFC 6335 §6) that is free. The library would choose too, but
 * does not tell which before there is an address.
 */
static int bind_port(struct socket *sock, uint16_t *port)
{
    int r = -EADDRINUSE;
    for (int i = 0; r == -EADDRINUSE && i < PORT_ATTEMPTS; i++) {
        uint16_t random = 0;
        if (*port == 0 && getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
            return -errno;
        }
        uint16_t chosen = *port != 0 ? *port : (uint16_t)(random | 0xc000);
        struct sockaddr_conn at = {.sconn_family = AF_CONN, .sconn_port = htons(chosen)};
        r = usrsctp_bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
        if (r == 0 || *port != 0) {
            *port = chosen;
            break;
        }
    }
    return r;
}

int usr_socket_new(const struct tp_config *config, uint16_t *port, struct socket **ret)
{
    struct socket *sock =
        usrsctp_socket(AF_CONN, SOCK_SEQPACKET, IPPROTO_SCTP, NULL, NULL, 0, NULL);
    if (sock == NULL) {
        return -errno;
    }
    int r = set_options(sock, config);
    r = r < 0 ? r : bind_port(sock, port);
    if (r == 0 && usrsctp_listen(sock, 1) < 0) {
        r = -errno;
    }
    if (r < 0) {
        usrsctp_close(sock);
        return r;
    }
    *ret = sock;
    return 0;
}

int usr_socket_srtt(struct socket *sock, sctp_assoc_t id, uint32_t *ret)
{
    struct sctp_status status = {.sstat_assoc_id = id};
    socklen_t len = sizeof(status);
    if (usrsctp_getsockopt(sock, IPPROTO_SCTP, SCTP_STATUS, &status, &len) < 0) {
        return -ENOTCONN;
    }
    *ret = status.sstat_primary.spinfo_srtt;
    return 0;
}
