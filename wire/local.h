/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The local protocol: between programs (the shim, librsp, rspctl) and the daemon of their host,
 * over a SOCK_SEQPACKET Unix socket. One packet = one message of at most 64 KiB:
 *
 *     u16 version = 1 | u16 type | u32 request id | u32 length (whole message)   host byte order
 *     then TLVs: u16 type | u16 length (header included, padding not) | value | padding to 4
 *
 * The client sends HELLO first; the daemon answers every request with exactly one reply of the same
 * request id (LIST replies may come in several, LP_T_MORE = 1 in all but the last; MONITOR is
 * followed by EVENTs with its request id). Request id 0 asks for no reply. A message that does not
 * parse is answered by RESULT -EBADMSG; after HELLO with another major version RESULT -EPROTO.
 * Unknown TLVs are ignored, unknown requests answered by RESULT -EOPNOTSUPP, so both sides may be
 * of different age.
 */
#ifndef RSP_WIRE_LOCAL_H
#define RSP_WIRE_LOCAL_H

#include "common/types.h"

#define LP_VERSION     1
#define LP_HEADER_LEN  12
#define LP_MESSAGE_MAX 65536

/** Message types. After each: TLVs of the request -> type of the reply: its TLVs. [x] optional. */
enum lp_type {
    /* CLIENT_KIND, PID, [EXE], [POOL_ENV], [PORT] (of the listener that wants to know its rule)
       -> HELLO_OK: DAEMON_VERSION(str), [SUFFIX]*, COOKIE4_NET, COOKIE6_NET, REFUSAL_WAIT_US,
          CONNECT_TIMEOUT_MS, RULE*; SCM_RIGHTS: one memfd with the load hint words (shim only),
          if the daemon has one */
    LP_HELLO = 1,
    LP_HELLO_OK = 2,
    /* reply to anything: RESULT (0 or -errno), [CAUSE], [TEXT], [PE_ID] */
    LP_RESULT = 3,

    /* NAME (a host name) | HANDLE | ADDRESS (a cookie), [JOIN]
       -> NAME_REPLY: HANDLE, COOKIE4, COOKIE6, NAME (canonical HANDLE.pool.alt), PE* (not by
       policy: whom to try if the daemon does not answer RESOLVE) or RESULT -ENOENT (never-seen
       pool), -ENAMETOOLONG, -EAGAIN (no registrar answers) */
    LP_NAME = 10,
    LP_NAME_REPLY = 11,
    /* HANDLE | ADDRESS (a cookie), [FAMILIES], [PROTOCOL], [COUNT], [TIMEOUT_MS], [AVOID]*,
       [WANT_PE (id)]  -> RESOLVED: HANDLE, POLICY, PE* (best first; with COUNT 0 as in NAME: any
       two, nobody's turn is used up), or RESULT: -ENOENT unknown
       pool, -ECONNREFUSED known but empty or all withheld, -EAFNOSUPPORT / -EPROTOTYPE no element
       fits FAMILIES / PROTOCOL, -EAGAIN no registrar, -EHOSTUNREACH timeout */
    LP_RESOLVE = 12,
    LP_RESOLVED = 13,
    /* HANDLE, PE_ID, ERRNO (why), [ADDRESS, PORT]; usually without reply */
    LP_REPORT = 14,

    /* HANDLE, PROTOCOL, PORT, [ADDRESS]* (none: wildcard), [FAMILIES] (of a wildcard), [POLICY],
       [CAPACITY], [SOCK_COOKIE], [PID], [PROBE, PROBE_MS], [ADOPT], [SLOW_START_MS], [NETNS],
       [WANT_PE (the id it shall have; else one is drawn)], [CONTROL], [LIFE_MS], [INTERVAL_MS]
       -> REGISTERED: PE_ID; SCM_RIGHTS: the life fd (unless ADOPT); sent when the registrar has
          accepted, or when the agent has stored it and no registrar is there (RESULT in it then
          -EAGAIN). Refusal: RESULT with CAUSE and TEXT. Same (protocol, port, addresses, netns):
          the same PE and another copy of its life fd. A program that finds no daemon leaves the
       message in a FIFO of the runtime directory's folder "waiting" and keeps that open as its life
       fd; the next daemon registers it from there. */
    LP_REGISTER = 20,
    LP_REGISTERED = 21,
    /* PE_ID | HANDLE [PORT] -> RESULT */
    LP_DEREGISTER = 22,
    /* PE_ID, LOAD | POLICY, [LIFE_MS], [INTERVAL_MS] -> RESULT: the program states its own load or
       policy, and how long a registration lasts */
    LP_UPDATE = 23,
    /* PE_ID, [WAIT], [TIMEOUT_MS] -> RESULT (with WAIT: when drained, see decisions.md) */
    LP_DRAIN = 24,
    LP_UNDRAIN = 25,
    /* PE_ID, OK (u32 0/1), [TEXT]: outcome of a probe the client runs itself -> RESULT */
    LP_PROBE_DONE = 26,

    /* [HANDLE] -> LIST: POOL* */
    LP_POOL_LIST = 30,
    /* [HANDLE] [LOCAL = 1: only this host's] -> LIST: PE* */
    LP_PE_LIST = 31,
    /* -> LIST: REGISTRAR* */
    LP_REGISTRAR_LIST = 32,
    LP_LIST = 33,
    /* -> STATUS_REPLY: DAEMON_VERSION, ROLE(str), BACKEND(str), HOME_ID, UPTIME_MS, POOLS, PES,
          LOCAL_PES, CLIENTS, REGISTRARS, STATE(str), [TEXT]* (what is worth knowing) */
    LP_STATUS = 34,
    LP_STATUS_REPLY = 35,
    /* [HANDLE] -> RESULT 0, then EVENT* */
    LP_MONITOR = 36,
    LP_EVENT = 37,
    /* -> RESULT: this host's registrar hands over what it owns and stops being one; for root and
       the daemon's user. -ENOENT: it is none; -EHOSTUNREACH: there is no other one */
    LP_REGISTRAR_LEAVE = 40,

    /* State cookies, of a PE for its PU and back (security.md section 7). Only the owner of a PE of
       this host that is in the pool may ask.
       HANDLE, COOKIE (the state), [PE_ID] -> COOKIE_REPLY: COOKIE, SEALED, PE_ID (who seals); or
       RESULT -EPERM, -EMSGSIZE, -ENOPKG (no libsodium), -EUCLEAN (damaged key file) */
    LP_COOKIE_SEAL = 50,
    /* HANDLE, COOKIE (as the PU sent it) -> COOKIE_REPLY: COOKIE (the state), SEALED, and of a
       sealed one PE_ID (who sealed it), AGE_MS; or RESULT -EKEYREJECTED with FAULT and TEXT:
       refused and reported; the session begins anew */
    LP_COOKIE_OPEN = 51,
    LP_COOKIE_REPLY = 52,
    /* Root and the pool's owner. KEY_ACTION, and of all but "list" HANDLE; "rotate": [DELAY_MS];
       "drop": KEY_ID; "import": KEYS -> COOKIE_KEYS_REPLY: COOKIE_KEY*, "export": KEYS; or RESULT
     */
    LP_COOKIE_KEYS = 53,
    LP_COOKIE_KEYS_REPLY = 54
};

/** TLV types. u32 unless another type is named; str: UTF-8 without terminator; oct: octets. */
enum lp_tlv {
    LP_T_RESULT = 1,  /* i32 */
    LP_T_CAUSE,       /* u32, RFC 5354 error cause */
    LP_T_TEXT,        /* str */
    LP_T_CLIENT_KIND, /* u32 enum lp_client_kind */
    LP_T_PID,
    LP_T_EXE,            /* str, /proc/self/exe */
    LP_T_POOL_ENV,       /* str, $RSP_POOL, for the log only */
    LP_T_DAEMON_VERSION, /* str */
    LP_T_SUFFIX,         /* str, ".pool.alt" */
    LP_T_COOKIE4_NET,    /* oct: 4 octets + u8 prefix length */
    LP_T_COOKIE6_NET,    /* oct: 16 octets + u8 prefix length */
    LP_T_REFUSAL_WAIT_US,
    LP_T_CONNECT_TIMEOUT_MS,
    LP_T_RULE,    /* nested: HANDLE, [PORT], [PROTOCOL], [POLICY], [CAPACITY], [PROBE, PROBE_MS],
                     [SLOW_START_MS] */
    LP_T_NAME,    /* str */
    LP_T_HANDLE,  /* oct */
    LP_T_COOKIE4, /* oct, 4 */
    LP_T_COOKIE6, /* oct, 16 */
    LP_T_ADDRESS, /* oct, 4 or 16 */
    LP_T_PORT,
    LP_T_PROTOCOL, /* enum transport_protocol */
    LP_T_FAMILIES, /* bit 0: IPv4, bit 1: IPv6 */
    LP_T_COUNT,
    LP_T_TIMEOUT_MS,
    LP_T_AVOID, /* a PE id */
    LP_T_PE_ID,
    LP_T_ERRNO,
    LP_T_POLICY, /* oct: u32 type, then its words */
    LP_T_CAPACITY,
    LP_T_SOCK_COOKIE, /* u64 */
    LP_T_PROBE,       /* str: "tcp", "http:/PATH", "exec" */
    LP_T_PROBE_MS,
    LP_T_ADOPT,
    LP_T_NETNS, /* u64, inode of the network namespace */
    LP_T_LOAD,
    LP_T_WAIT,
    LP_T_OK,
    LP_T_LOCAL,
    LP_T_MORE,
    /* nested items of LIST and RESOLVED */
    LP_T_POOL, /* HANDLE, POLICY, PROTOCOL, PES, [COOKIE4], [OWNER_UID] */
    LP_T_PE,   /* HANDLE, PE_ID, PROTOCOL, PORT, ADDRESS*, POLICY, HOME_ID, STATE, LOAD, AGE_MS, and
                  for   local ones LOCAL, PID, OWNER_UID, CAPACITY, CONNECTIONS, [REASON] */
    LP_T_REGISTRAR, /* HOME_ID, ADDRESS*, PORT, STATE, AGE_MS, [LOCAL], [PEER] */
    LP_T_HOME_ID,
    LP_T_STATE,  /* str: "up", "withheld", "draining", "quarantined" … */
    LP_T_REASON, /* str */
    LP_T_AGE_MS, /* u64 */
    LP_T_OWNER_UID,
    LP_T_CONNECTIONS,
    LP_T_PES,
    LP_T_POOLS,
    LP_T_LOCAL_PES,
    LP_T_CLIENTS,
    LP_T_REGISTRARS,
    LP_T_ROLE,        /* str: "agent", "agent+registrar" */
    LP_T_BACKEND,     /* str: "kernel", "usrsctp", "none" */
    LP_T_UPTIME_MS,   /* u64 */
    LP_T_EVENT_ID,    /* u64 */
    LP_T_EVENT_CAUSE, /* u64: id of the event that led to this one; absent: none */
    LP_T_EVENT_KIND,  /* str: "pe-added" … (rspd/event.h) */
    LP_T_TIME_US,     /* u64, wall clock, microseconds since 1970 */
    LP_T_SLOW_START_MS,
    LP_T_SNAPSHOT, /* reserved: a shared-memory snapshot of a pool goes with the message */
    LP_T_SCOPE,    /* str */
    LP_T_PROGRAM,  /* str: what runs under PID */
    LP_T_WANT_PE,  /* the id of the one element that will do */
    LP_T_JOIN,     /* 1: the asker will register there; a cookie for a never-seen pool too */
    LP_T_PEER,     /* in REGISTRAR, from a registrar: STATE, PORT (ENRP's), AGE_MS (heard), PES (it
                      owns), CHECKSUM (of these), [CHECKSUM_TOLD] (by itself), CONNECTED,
                      CONFIGURED, RESYNC; of itself: STATE, PES, CHECKSUM */
    LP_T_CHECKSUM, /* 16 bits */
    LP_T_CHECKSUM_TOLD,
    LP_T_CONNECTED,  /* 0, 1 */
    LP_T_CONFIGURED, /* 0, 1: a peer given by hand */
    LP_T_RESYNC,     /* 0, 1: its table is being asked for */
    LP_T_COOKIE,     /* oct: a state cookie, or the state itself */
    LP_T_SEALED,     /* 0: as it is, the pool's settings say so */
    LP_T_FAULT,      /* enum seal_fault: why a cookie is refused */
    LP_T_KEY_ACTION, /* str: "list", "rotate", "drop", "export", "import" */
    LP_T_COOKIE_KEY, /* nested: HANDLE, KEY_ID, STATE, AGE_MS, [DELAY_MS] (until it seals) */
    LP_T_KEY_ID,
    LP_T_KEYS,       /* str: a key ring as text */
    LP_T_DELAY_MS,   /* u64 */
    LP_T_CONTROL,    /* 1: the element speaks ASAP's control channel (SCTP only) */
    LP_T_STALE_MS,   /* an answer from the cache may be so old; 0: the registrar is asked */
    LP_T_LIFE_MS,    /* how long a registration lasts; 0 or absent: as set */
    LP_T_INTERVAL_MS /* when it is renewed; 0 or absent: as set, or as LIFE_MS wants it */
};

enum lp_client_kind { LP_CLIENT_SHIM = 1, LP_CLIENT_LIBRSP = 2, LP_CLIENT_TOOL = 3 };
enum { LP_FAMILY_V4 = 1, LP_FAMILY_V6 = 2 };

/** A message being built; `octets` has room for LP_MESSAGE_MAX unless said otherwise. */
struct lp_writer {
    uint8_t *octets;
    size_t size;
    size_t used;
    bool err; /* it did not fit; lp_finish() says so */
};

/**
 * Starts a message in `octets`, which the caller owns and keeps until it is sent. `size` beyond
 * LP_MESSAGE_MAX is not used. What does not fit sets err, and nothing more is written.
 * Everything in this header is thread-safe for distinct writers and messages.
 */
void lp_begin(struct lp_writer *w, void *octets, size_t size, enum lp_type type, uint32_t request);
void lp_put_u32(struct lp_writer *w, enum lp_tlv type, uint32_t value);
void lp_put_i32(struct lp_writer *w, enum lp_tlv type, int32_t value);
void lp_put_u64(struct lp_writer *w, enum lp_tlv type, uint64_t value);
void lp_put_octets(struct lp_writer *w, enum lp_tlv type, const void *octets, size_t len);
void lp_put_str(struct lp_writer *w, enum lp_tlv type, const char *text);
void lp_put_handle(struct lp_writer *w, struct pool_handle handle);
/** An address without family puts nothing. */
void lp_put_address(struct lp_writer *w, enum lp_tlv type, const struct ip_address *address);
void lp_put_policy(struct lp_writer *w, const struct policy *policy);
/** A nested TLV: everything put between goes inside. The mark is passed back. */
size_t lp_nest(struct lp_writer *w, enum lp_tlv type);
void lp_unnest(struct lp_writer *w, size_t mark);
/** Bytes still free; a list ends its message when an item would not fit. */
size_t lp_left(const struct lp_writer *w);
/** Undoes all after `used` (a former w->used), an overrun too: for an item that did not fit. */
void lp_rewind(struct lp_writer *w, size_t used);
/** Fills in the length. Returns it, or -EMSGSIZE. */
int lp_finish(struct lp_writer *w);

/** A received message; borrows the octets. */
struct lp_message {
    uint16_t version;
    uint16_t type;
    uint32_t request;
    const uint8_t *body;
    size_t body_len;
};
/**
 * Checks the header and every TLV length, nested ones excepted; 0 or -EBADMSG. A message of another
 * version parses with an empty body, so that it can be answered: only its sender knows its layout.
 */
int lp_parse(const void *octets, size_t len, struct lp_message *ret);

/** Walks TLVs: of a message (lp_each_init) or inside a nested TLV (lp_nested). */
struct lp_each {
    const uint8_t *pos;
    const uint8_t *end;
    uint16_t type;
    uint16_t len;
    const uint8_t *value;
};
void lp_each_init(struct lp_each *it, const struct lp_message *msg);
/** `outer` stands on the TLV to look into (after lp_next() or lp_find()). */
void lp_nested(struct lp_each *it, const struct lp_each *outer);
/** False at the end, or at the first malformed TLV. */
bool lp_next(struct lp_each *it);

/** Values of the current TLV; a wrong length gives the fallback / false. */
uint32_t lp_u32(const struct lp_each *it, uint32_t fallback);
int32_t lp_i32(const struct lp_each *it, int32_t fallback);
uint64_t lp_u64(const struct lp_each *it, uint64_t fallback);
bool lp_handle(const struct lp_each *it, struct pool_handle *ret);
bool lp_address(const struct lp_each *it, struct ip_address *ret);
bool lp_policy(const struct lp_each *it, struct policy *ret);
/**
 * Copies a string, cut to fit (not inside a UTF-8 sequence) and terminated; embedded NULs become
 * '?'. Returns `out`.
 */
const char *lp_str(const struct lp_each *it, char *out, size_t size);

/** First TLV of a type in the message; false when it has none. */
bool lp_find(const struct lp_message *msg, enum lp_tlv type, struct lp_each *ret);

#endif
