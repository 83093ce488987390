/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Enhanced mode: sessions with a pool that survive their server.
 *
 * A session socket is a descriptor of the system: poll(2), select(2) and epoll(7) take it, and it
 * is readable whenever a call on it would make progress: data, a notification, the end, or work
 * of the library's own such as the next step of a failover. After such an event call a receive
 * function with timeout 0 until it fails with EAGAIN; that does the work. Data go only through the
 * functions below, never through read(2) and write(2). A send function that failed with EAGAIN
 * makes the descriptor readable, too, as soon as there is room again.
 *
 * Every function is thread-safe; one thread may receive while another one sends. After fork(2) the
 * child has none of the parent's sockets: it gets EBADF, and the parent goes on undisturbed. The
 * library has no thread and installs no signal handler.
 *
 * Timeouts are in milliseconds; -1 waits without limit, 0 does not wait. Functions without a
 * timeout wait unless the descriptor is O_NONBLOCK (SOCK_NONBLOCK, fcntl(2)).
 */
#ifndef RSP_SESSION_H
#define RSP_SESSION_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <rsp/policy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A session of a socket; 0: the only one. */
typedef int rserpool_session_t;

/** Where a received message came from. */
struct rsp_sndrcvinfo {
    rserpool_session_t rinfo_session;
    uint32_t rinfo_ppid; /* network byte order */
    uint32_t rinfo_pe_id;
    uint32_t rinfo_timetolive;
    uint16_t rinfo_stream;
};

/** Bits in the flags word of a receive function; beside them MSG_EOR. */
#define MSG_RSERPOOL_NOTIFICATION 0x1 /* the buffer holds a union rserpool_notification */
#define MSG_RSERPOOL_COOKIE_ECHO  0x2 /* the buffer holds the state an earlier server has saved */

/** Types of notifications; bit (1 << type) in RSP_SO_NOTIFICATIONS turns one on. */
#define RSERPOOL_SESSION_CHANGE 1
#define RSERPOOL_FAILOVER       2
#define RSERPOOL_SHUTDOWN_EVENT 3
#define RSERPOOL_COOKIE_REFUSED 4

#define RSERPOOL_SESSION_ADD    1
#define RSERPOOL_SESSION_REMOVE 2

#define RSERPOOL_FAILOVER_NECESSARY 1
#define RSERPOOL_FAILOVER_COMPLETE  2

/** What every notification begins with. */
struct rserpool_notification_header {
    uint16_t rn_type;
    uint16_t rn_flags;
    uint32_t rn_length;
};
/** A session has begun or ended (servers with many sessions on one socket). */
struct rserpool_session_change {
    uint16_t rsc_type;
    uint16_t rsc_flags;
    uint32_t rsc_length;
    unsigned int rsc_state;
    rserpool_session_t rsc_session;
};
/** The server was lost, or another one has taken over. */
struct rserpool_failover {
    uint16_t rf_type;
    uint16_t rf_flags;
    uint32_t rf_length;
    unsigned int rf_state;
    rserpool_session_t rf_session;
    unsigned char rf_has_cookie;
};
/** The peer sends no more. */
struct rserpool_shutdown_event {
    uint16_t rse_type;
    uint16_t rse_flags;
    uint32_t rse_length;
    rserpool_session_t rse_session;
};
/**
 * A state cookie was refused. At a server: the session is a fresh one, what came with the cookie is
 * not shown. At a user: the server has refused it, and a fresh session has been begun.
 */
struct rserpool_cookie_refused {
    uint16_t rcr_type;
    uint16_t rcr_flags;
    uint32_t rcr_length;
    unsigned int rcr_reason; /* an errno value: EBADMSG forged or altered, ESTALE too old, ENOKEY
                                unknown key, EPERM not sealed, EPROTO not said (a user's) */
    rserpool_session_t rcr_session;
};

union rserpool_notification {
    struct rserpool_notification_header rn_header;
    struct rserpool_session_change rn_session_change;
    struct rserpool_failover rn_failover;
    struct rserpool_shutdown_event rn_shutdown_event;
    struct rserpool_cookie_refused rn_cookie_refused;
};

/** Monitoring of a session's connection; times in milliseconds, 0: keep. */
struct rserpool_session_parameters {
    uint32_t sp_rto_initial;
    uint32_t sp_rto_min;
    uint32_t sp_rto_max;
    uint32_t sp_assoc_max_rxt;
    uint32_t sp_path_max_rxt;
    uint32_t sp_hbinterval;
};

/** Level of the socket options below; every value is an int. */
#define SOL_RSP 0x5250

#define RSP_SO_AUTO_FAILOVER   1 /* 1 (default): another server is found unasked */
#define RSP_SO_NOTIFICATIONS   2 /* bits (1 << type); default: all on SOCK_SEQPACKET, none else */
#define RSP_SO_ATTEMPT_TIMEOUT 3 /* ms for one server to accept a connection; 1000 */
#define RSP_SO_CONNECT_TIMEOUT 4 /* ms for rsp_connect() and rsp_forcefailover(); 5000 */
/* ms after which a silent host is given up; 2000. Over TCP also who reads nothing for so long while
 * more waits for him than the network has room for. */
#define RSP_SO_DETECTION_TIME 5
#define RSP_SO_RETRY_MIN      6 /* ms before the pool is asked again, doubled … ; 50 */
#define RSP_SO_RETRY_MAX      7 /* … up to this; 2000 */
#define RSP_SO_GIVE_UP        8 /* ms without any server until the session fails; 0: never */
/* Bytes of what was sent since the last cookie that are kept and sent again to the next server;
 * default 1 MiB on SOCK_STREAM, 0 (none) on SOCK_SEQPACKET. */
#define RSP_SO_REPLAY      9
#define RSP_SO_MESSAGE_MAX 12 /* bytes of the longest message; 64 MiB */
#define RSP_SO_SEND_BUFFER 13 /* bytes that wait for the network before EAGAIN; 256 KiB */
#define RSP_SO_PE_ID       14 /* before rsp_register(): the id wanted; after it: the id */
/* A server names others of its pool at the start of a session: 0: no, and a user takes no notice;
 * 1 (default): over TCP, for users that cannot ask for the pool; 2: over SCTP, too (rsplib's
 * programs expect none), and before what the pool's policy says. */
#define RSP_SO_BUSINESS_CARD 15

/** Flags of rsp_forcefailover(). */
#define FFF_NONE        0x0
#define FFF_UNREACHABLE 0x1 /* report the present server first */

/** Flags of rsp_sendmsg(), with no data: the session ends in order, or at once. */
#define RSP_SEND_EOF       0x0200
#define RSP_SEND_ABORT     0x0004
#define RSP_SEND_UNORDERED 0x0001

/**
 * Create a session socket.
 *
 * Protocol 0 uses SCTP where both ends have it and TCP with framing otherwise: a server then has
 * an element in the pool over SCTP and one in the pool HANDLE.tcp over TCP (see rsp(7)).
 * IPPROTO_SCTP or IPPROTO_TCP use that protocol alone, under the handle itself.
 * @param domain   AF_INET, AF_INET6 or 0: whatever the host has
 * @param type     SOCK_STREAM: one session per socket; SOCK_SEQPACKET: a server has all sessions on
 *                 one socket, and notifications are on. SOCK_NONBLOCK and SOCK_CLOEXEC may be added
 *                 (the descriptor is close-on-exec in any case)
 * @param protocol 0, IPPROTO_SCTP or IPPROTO_TCP
 * @return a descriptor, or -1 with errno: EAFNOSUPPORT, EPROTOTYPE, EPROTONOSUPPORT the host has no
 *         such protocol, EMFILE, ENFILE, ENOMEM
 */
int rsp_socket(int domain, int type, int protocol);

/**
 * Bind a server's socket to addresses.
 *
 * @param sd      a session socket
 * @param addrs   socket addresses one behind the other (packed), all with the same port; several
 *                ones need SCTP
 * @param addrcnt how many; less than 1: all addresses of the host, a free port
 * @return 0, or -1 with errno: EBADF, EINVAL, EADDRINUSE, EADDRNOTAVAIL, EACCES
 */
int rsp_bind(int sd, const struct sockaddr *addrs, int addrcnt);

/**
 * Listen for sessions.
 *
 * @param sd      a session socket; bound to a free port if it is not bound
 * @param backlog as for listen(2)
 * @return 0, or -1 with errno: EBADF, EINVAL, EADDRINUSE
 */
int rsp_listen(int sd, int backlog);

/**
 * Close a session socket.
 *
 * A session's peer is told that the session is over. A server is deregistered first; its sessions
 * that are still open on a SOCK_SEQPACKET socket are closed, too.
 * @param sd a session socket
 * @return 0, or -1 with errno EBADF
 */
int rsp_close(int sd);

/**
 * Hand a session over.
 *
 * Closes the socket as a crash would: a user whose server does that goes on with another server.
 * @param sd a session socket
 * @return 0, or -1 with errno EBADF
 */
int rsp_abandon(int sd);

/**
 * Pool and element of a server's socket.
 *
 * @param sd     a registered socket
 * @param handle gets the pool handle
 * @param size   in: room, out: length; NULL: the handle is not wanted
 * @param pe_id  gets the element's id; may be NULL
 * @return 0, or -1 with errno: EBADF, ENOTCONN not registered, ENOBUFS not enough room
 */
int rsp_getsockname(int sd, unsigned char *handle, size_t *size, uint32_t *pe_id);

/**
 * Pool and element at the other end of a session.
 *
 * @param sd     a connected or accepted socket; for an accepted one the handle is empty, the id 0
 * @param handle gets the pool handle
 * @param size   in: room, out: length; NULL: the handle is not wanted
 * @param pe_id  gets the id of the present server; 0 while there is none
 * @return 0, or -1 with errno: EBADF, ENOTCONN, ENOBUFS not enough room
 */
int rsp_getpeername(int sd, unsigned char *handle, size_t *size, uint32_t *pe_id);

/**
 * Wait for events of session sockets and other descriptors.
 *
 * As poll(2), but POLLOUT on a session socket means that a message can be sent, and POLLIN that
 * something is there for the caller: the library's own work is done inside the call.
 * @param fds     as for poll(2)
 * @param nfds    as for poll(2)
 * @param timeout milliseconds; -1 without limit
 * @return number of descriptors with events, 0 when time is up, -1 with errno
 */
int rsp_poll(struct pollfd *fds, unsigned int nfds, int timeout);

/**
 * Wait for events, in the form of select(2).
 *
 * @param n         highest descriptor plus one
 * @param readfds   as for select(2)
 * @param writefds  as for select(2)
 * @param exceptfds as for select(2)
 * @param timeout   NULL: without limit; not changed
 * @return number of bits in the sets, 0 when time is up, -1 with errno
 */
int rsp_select(int n, fd_set *readfds, fd_set *writefds, fd_set *exceptfds,
               struct timeval *timeout);

/**
 * Read a socket option.
 *
 * @param sd    a session socket
 * @param level SOL_RSP, or a level of the system: asked of the present connection
 * @param name  RSP_SO_..., or the system's
 * @param value gets the value
 * @param len   in: room, out: length
 * @return 0, or -1 with errno: EBADF, ENOPROTOOPT, EINVAL, ENOTCONN
 */
int rsp_getsockopt(int sd, int level, int name, void *value, socklen_t *len);

/**
 * Set a socket option.
 *
 * @param sd    a session socket
 * @param level SOL_RSP, or a level of the system: set on the present connection
 * @param name  RSP_SO_..., or the system's
 * @param value the value
 * @param len   its length
 * @return 0, or -1 with errno: EBADF, ENOPROTOOPT, EINVAL, ENOTCONN
 */
int rsp_setsockopt(int sd, int level, int name, const void *value, socklen_t len);

/**
 * Set and read how a session's connections are monitored.
 *
 * Over SCTP the values are the association's, of which one with several paths bears more losses
 * unless sp_assoc_max_rxt says otherwise; over TCP the time after which a silent host is given up
 * is worked out of them. They apply to the present connection and to later ones. Where answers of
 * the network itself take longer than 200 ms, a longer RSP_SO_DETECTION_TIME or sp_rto_max saves
 * retransmissions.
 * @param sd         a session socket
 * @param parameters 0: keep; the values in force are written back
 * @return 0, or -1 with errno: EBADF, EINVAL
 */
int rsp_update_session_parameters(int sd, struct rserpool_session_parameters *parameters);

/**
 * Register a server's socket in a pool, or change what it says of itself.
 *
 * Binds and listens first if that has not been done. Waits for the registrar's word. The daemon
 * keeps the element registered as long as the socket is open. Further calls change policy and
 * load.
 * @param sd       a session socket
 * @param handle   the pool handle; later calls: the same
 * @param size     its length
 * @param loadinfo policy and load; NULL: round robin, or as before
 * @param interval_ms how often to renew the registration, which lasts three times as long; at least
 *                 500; 0: by the daemon's settings
 * @param flags    REGF_DAEMONMODE: no registrar is no error, REGF_DONTWAIT: nor is one that has not
 *                 answered yet
 * @return 0, or -1 with errno: EBADF, EINVAL, ENAMETOOLONG, ENOTCONN no daemon, EAGAIN no
 *         registrar, ECONNREFUSED refused by the registrar, EPERM by the daemon
 */
int rsp_register(int sd, const unsigned char *handle, size_t size,
                 const struct rsp_loadinfo *loadinfo, unsigned int interval_ms, int flags);

/**
 * Take a server's socket out of its pool.
 *
 * Its sessions go on, and it goes on listening.
 * @param sd    a registered socket
 * @param flags DEREGF_DONTWAIT: do not wait for the daemon's word
 * @return 0, or -1 with errno: EBADF, ENOTCONN not registered
 */
int rsp_deregister(int sd, int flags);

/**
 * Accept a session.
 *
 * @param sd      a listening SOCK_STREAM socket
 * @param timeout milliseconds
 * @return the session's socket, or -1 with errno: EAGAIN time is up, EBADF, EINVAL, EMFILE
 */
int rsp_accept(int sd, int timeout);

/**
 * Begin a session with a pool.
 *
 * Waits until a server has accepted. On an O_NONBLOCK socket it returns at once, with EINPROGRESS
 * unless one has, and the descriptor is readable when there is news: the outcome is what the next
 * call returns.
 * @param sd             a session socket
 * @param handle         the pool handle
 * @param size           its length
 * @param stale_cache_ms an answer that the daemon has had for no longer than that will do, now and
 * at each failover; 0: the registrar is asked
 * @return 0, or -1 with errno: ENOENT no such pool, ECONNREFUSED no server accepts, ETIMEDOUT,
 *         EINPROGRESS, EISCONN, EBADF, EINVAL, ENAMETOOLONG, ENOTCONN no daemon
 */
int rsp_connect(int sd, const unsigned char *handle, size_t size, unsigned int stale_cache_ms);

/**
 * Go on with another server.
 *
 * The present connection is cut, another server is chosen and gets the stored cookie. Waits like
 * rsp_connect().
 * @param sd             a connected session socket
 * @param flags          FFF_UNREACHABLE: the present server is reported as failed
 * @param stale_cache_ms as for rsp_connect()
 * @return 0, or -1 with errno: EBADF, ENOTCONN no session, and those of rsp_connect()
 */
int rsp_forcefailover(int sd, unsigned int flags, unsigned int stale_cache_ms);

/**
 * Whether a session has a state cookie.
 *
 * @param sd a connected session socket
 * @return 1 or 0, or -1 with errno: EBADF, ENOTCONN
 */
int rsp_has_cookie(int sd);

/**
 * Send a message.
 *
 * The message is taken whole or not at all. On a user's session without a server the call waits for
 * one. Over SCTP a message is no longer than the kernel's send buffer, which is made larger as far
 * as the system allows it: for root without bound, else to twice net.core.wmem_max. Over TCP
 * RSP_SO_MESSAGE_MAX alone counts.
 * @param sd         a session socket
 * @param data       the message; NULL with size 0 and RSP_SEND_EOF or RSP_SEND_ABORT
 * @param size       its length, 1 to RSP_SO_MESSAGE_MAX
 * @param msg_flags  MSG_DONTWAIT or 0
 * @param session    0, or the session on a SOCK_SEQPACKET server
 * @param ppid       payload protocol identifier, network byte order; 11 is reserved
 * @param stream     stream
 * @param ttl        lifetime of the message in ms (SCTP); 0: reliable
 * @param sctp_flags RSP_SEND_EOF, RSP_SEND_ABORT, RSP_SEND_UNORDERED or 0
 * @param timeout    milliseconds
 * @return size, or -1 with errno: EAGAIN time is up, EBADF, ENOTCONN, EPIPE the session has ended,
 *         EMSGSIZE, ESTALE the session's state was lost (said once; see rsp_recvmsg()), and those
 * of rsp_connect()
 */
ssize_t rsp_sendmsg(int sd, const void *data, size_t size, unsigned int msg_flags,
                    rserpool_session_t session, uint32_t ppid, uint16_t stream, uint32_t ttl,
                    uint16_t sctp_flags, int timeout);

/**
 * Receive a message, a cookie or a notification.
 *
 * What does not fit into the buffer follows with the next call; MSG_EOR marks the end. Over TCP a
 * call that may wait looks for the next message for up to 30 us before it sleeps, when the answers
 * before came as soon; and of many small messages in a row, none of them answered, it lets some
 * gather for about 70 us.
 * @param sd        a session socket
 * @param buffer    for a notification at least sizeof(union rserpool_notification)
 * @param size      its length
 * @param info      gets session, PPID, stream and server; may be NULL
 * @param msg_flags in: MSG_DONTWAIT or 0; out: MSG_EOR, MSG_RSERPOOL_NOTIFICATION,
 *                  MSG_RSERPOOL_COOKIE_ECHO
 * @param timeout   milliseconds
 * @return length; 0: the session has ended in order; -1 with errno: EAGAIN time is up, EBADF, EINTR
 *         a signal handler has run during the wait (if it was set with SA_RESTART the wait may go
 *         on instead), or the process was stopped and goes on (signal(7)), ENOTCONN, ECONNRESET the
 *         connection was lost (no failover), ESTALE the session's state was lost: the cookie was
 *         refused or more was sent since the last one than is kept; said once, then the session
 *         goes on as a fresh one, and those of rsp_connect()
 */
ssize_t rsp_recvmsg(int sd, void *buffer, size_t size, struct rsp_sndrcvinfo *info, int *msg_flags,
                    int timeout);

/**
 * Receive a whole message.
 *
 * As rsp_recvmsg(), but puts the parts together. On a SOCK_SEQPACKET server the other sessions wait
 * until a message has come whole. A message that is cut off, because its session has ended or has
 * gone to another server, is dropped; time that is up in the middle gives what has come, without
 * MSG_EOR, and the rest follows.
 * @param sd        a session socket
 * @param buffer    room for the whole message
 * @param size      its length
 * @param info      as for rsp_recvmsg()
 * @param msg_flags as for rsp_recvmsg()
 * @param timeout   milliseconds
 * @return as rsp_recvmsg(); the message is longer than the buffer: size, without MSG_EOR
 */
ssize_t rsp_recvfullmsg(int sd, void *buffer, size_t size, struct rsp_sndrcvinfo *info,
                        int *msg_flags, int timeout);

/**
 * Send a state cookie.
 *
 * A server saves a session's state with the user, who gives it to the next server. The daemon seals
 * it with the pool's key.
 * @param sd      an accepted socket, or a SOCK_SEQPACKET server
 * @param cookie  the state
 * @param size    its length, 1 to 60000
 * @param session 0, or the session on a SOCK_SEQPACKET server
 * @param timeout milliseconds
 * @return size, or -1 with errno: EAGAIN time is up, EBADF, EINVAL, EMSGSIZE, EPIPE the session has
 *         ended, ENOTCONN no daemon, ENOKEY the pool has no key, EPERM
 */
ssize_t rsp_send_cookie(int sd, const unsigned char *cookie, size_t size,
                        rserpool_session_t session, int timeout);

/**
 * Send data, in the form of send(2).
 *
 * PPID 0, stream 0.
 * @param sd    a session socket with one session
 * @param data  the message
 * @param size  its length
 * @param flags MSG_DONTWAIT or 0
 * @return as rsp_sendmsg()
 */
ssize_t rsp_send(int sd, const void *data, size_t size, int flags);

/**
 * Receive data, in the form of recv(2).
 *
 * Cookies and notifications are passed over. A call that may wait gives a whole message, or as much
 * of it as the buffer holds; one that may not gives what is there.
 * @param sd     a session socket with one session
 * @param buffer where to
 * @param size   its length
 * @param flags  MSG_DONTWAIT or 0
 * @return as rsp_recvmsg()
 */
ssize_t rsp_recv(int sd, void *buffer, size_t size, int flags);

/**
 * Send data, in the form of write(2).
 *
 * @param sd   a session socket with one session
 * @param data the message
 * @param size its length
 * @return as rsp_sendmsg()
 */
ssize_t rsp_write(int sd, const char *data, size_t size);

/**
 * Receive data, in the form of read(2).
 *
 * @param sd     a session socket with one session
 * @param buffer where to
 * @param size   its length
 * @return as rsp_recv()
 */
ssize_t rsp_read(int sd, void *buffer, size_t size);

/**
 * Begin or end to report to a monitor of components.
 *
 * The process is one component of the Component Status Protocol: a pool element, or a user of
 * pools. A report goes out at once, and then in every interval from within this library: whenever
 * one of rsp_accept(), rsp_recvmsg(), rsp_sendmsg(), rsp_poll(), rsp_server_wait() and the like is
 * called or waits. A program that waits elsewhere (epoll(7)) may call rsp_poll(NULL, 0, 0) now and
 * then. It tells where the process is, what it says by rsp_csp_setstatus(), the load of an element
 * with an adaptive policy, the registrar of rspd(8), and the servers of its sessions.
 *
 * Without this call the variables CSP_SERVER ("address:port") and CSP_INTERVAL (milliseconds, at
 * least 250) count, which are read with the first socket; without them nothing is reported. A child
 * of fork(2) does not report until it calls this. The end of it sends a final report.
 * @param server      the monitor's address and UDP port; NULL: reports end
 * @param interval_ms milliseconds between two reports; 0: reports end
 * @param id          the component: group (2 element, 3 user) in the top 8 bits, then its number.
 *                    Number 0: that of the element once it is registered, a random one for a user;
 *                    group 0: an element if it has registered, else a user
 * @return 0, or -1 with errno: EAFNOSUPPORT neither IPv4 nor IPv6
 */
int rsp_csp_configure(const struct sockaddr *server, unsigned int interval_ms, uint64_t id);

/**
 * Set what the monitor is told of a session.
 *
 * It appears while the process has exactly one session; their number stands in its place else.
 * @param sd      a session socket
 * @param session the session at a SOCK_SEQPACKET element; else 0
 * @param text    the first 127 octets of it count
 * @return 0, or -1 with errno: EBADF no such socket or session, EINVAL no text, ENOMEM
 */
int rsp_csp_setstatus(int sd, rserpool_session_t session, const char *text);

/**
 * Print a notification for people.
 *
 * @param notification what a receive function has delivered
 * @param file         where to
 */
void rsp_print_notification(const union rserpool_notification *notification, FILE *file);

#ifdef __cplusplus
}
#endif
#endif
