/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The things RSerPool talks about, as plain values. Nothing here owns memory: pointers borrow from
 * whoever made the value (a decoder's message, the handlespace, a test's array).
 */
#ifndef RSP_COMMON_TYPES_H
#define RSP_COMMON_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest pool handle in a scope of ours, in octets; 32 while rsplib registrars take part. */
#define POOL_HANDLE_MAX         1024
#define POOL_HANDLE_MAX_INTEROP 32

/** A pool handle: octets of any value, compared by length and content (RFC 5354 §3.9). Borrowed. */
struct pool_handle {
    const uint8_t *octets;
    uint16_t len;
};

bool pool_handle_equal(struct pool_handle a, struct pool_handle b);
/** Orders two `struct pool_handle` for tsearch() and qsort(): the shorter first. */
int pool_handle_compare(const void *a, const void *b);
/** A handle that borrows the octets of a C string. */
struct pool_handle pool_handle_of(const char *text);
/**
 * The handle as text for people: printable ASCII as it is, everything else as \xHH.
 * Always terminates `out`; returns `out`, so that it can stand in a printf argument list.
 */
const char *pool_handle_format(struct pool_handle handle, char *out, size_t size);
#define POOL_HANDLE_TEXT_MAX 132 /* enough for a log line; longer handles are cut with "..." */

/** An IP address without port: family 4 or 6 (0: none), octets in network order. */
struct ip_address {
    uint8_t family;
    uint8_t octets[16];
};

enum { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);
/** IPv4-mapped IPv6 becomes IPv4; anything else stays. */
struct ip_address ip_address_unmap(struct ip_address a);
/** Text form ("10.0.0.1", "fd00::1"); returns `out`. */
const char *ip_address_format(const struct ip_address *a, char *out, size_t size);
#define IP_ADDRESS_TEXT_MAX 46
/** Parses the text form; returns 0 or -EINVAL. */
int ip_address_parse(const char *text, struct ip_address *ret);

/** Scope rank, identical to rsplib's (transport.md §7.2). */
enum ip_scope {
    IP_SCOPE_UNSPECIFIED = 0,
    IP_SCOPE_LOOPBACK = 2,
    IP_SCOPE_LINK_LOCAL = 4,
    IP_SCOPE_SITE_LOCAL = 6,
    IP_SCOPE_MULTICAST = 8,
    IP_SCOPE_GLOBAL = 10
};
enum ip_scope ip_address_scope(const struct ip_address *a);

/** Transport protocols; the values are the parameter types of RFC 5354 §3.3-3.7 and 3.16. */
enum transport_protocol {
    TRANSPORT_NONE = 0,
    TRANSPORT_DCCP = 0x0003,
    TRANSPORT_SCTP = 0x0004,
    TRANSPORT_TCP = 0x0005,
    TRANSPORT_UDP = 0x0006,
    TRANSPORT_UDPLITE = 0x0007,
    TRANSPORT_OPAQUE = 0x0010
};
const char *transport_protocol_name(enum transport_protocol p);

enum transport_use { TRANSPORT_USE_DATA = 0, TRANSPORT_USE_DATA_AND_CONTROL = 1 };

/** A transport address of RFC 5354 §3.3-3.7. `addresses` is borrowed. */
struct transport {
    enum transport_protocol protocol;
    uint16_t port;         /* host order */
    uint16_t use;          /* SCTP only: enum transport_use */
    uint32_t service_code; /* DCCP only */
    uint16_t address_count;
    uint16_t opaque_len; /* TRANSPORT_OPAQUE only */
    const struct ip_address *addresses;
    const uint8_t *opaque; /* TRANSPORT_OPAQUE only */
};

/** Policy types of RFC 5356; the full list, private numbers included, is in handlespace/policy.h.
 */
enum policy_type {
    POLICY_NONE = 0,
    POLICY_RR = 0x00000001,
    POLICY_WRR = 0x00000002,
    POLICY_RAND = 0x00000003,
    POLICY_WRAND = 0x00000004,
    POLICY_PRIO = 0x00000005,
    POLICY_LU = 0x40000001,
    POLICY_LUD = 0x40000002,
    POLICY_PLU = 0x40000003,
    POLICY_RLU = 0x40000004
};
/* Private numbers of deployed software (policies.md §5); above what an enum may hold. */
#define POLICY_RPLU      0xb0001001u
#define POLICY_RLUD      0xb0001002u
#define POLICY_PLUD      0xb0001003u
#define POLICY_RPLUD     0xb0001004u
#define POLICY_WRAND_DPF 0xb0002001u
#define POLICY_LU_DPF    0xb0002002u
#define POLICY_LUD_DPF   0xb0002003u
#define POLICY_WORDS_MAX 4

/** A member selection policy and the words after its type (RFC 5354 §3.8). Load: words[0] for LU.
 */
struct policy {
    uint32_t type;
    uint8_t word_count;
    uint32_t words[POLICY_WORDS_MAX];
};

/** A load or degradation: 0 = 0 %, 0xffffffff = 100 % (RFC 5356 §3.1). */
#define LOAD_FULL 0xffffffffu

/** A pool element (RFC 5354 §3.10). Registration life as it stands on the wire, unit by setting. */
struct pool_element {
    uint32_t pe_id;
    uint32_t home_id; /* 0 = undetermined */
    uint32_t registration_life;
    struct transport user;
    struct policy policy;
    struct transport asap; /* protocol TRANSPORT_NONE: absent */
};
#define REGISTRATION_LIFE_INFINITE 0xffffffffu

#endif
