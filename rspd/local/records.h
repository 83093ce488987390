/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon must know about its local PEs after a restart: one small text file each,
 * RUNTIME_DIR/pe/PE-ID, replaced atomically. "key=value" lines between "rspd-pe 1" and "end";
 * unknown keys are tolerated, so daemons of different age read each other's files. A file that does
 * not make sense is moved to PE-ID.bad and reported; the others are unaffected. Records of an
 * earlier boot are void and removed.
 *
 * Blocking file I/O on a tmpfs, loop thread only.
 */
#ifndef RSP_RSPD_LOCAL_RECORDS_H
#define RSP_RSPD_LOCAL_RECORDS_H

#include "common/types.h"

#define RECORD_ADDRESSES_MAX 8
#define RECORD_PROBE_MAX     256
#define RECORD_EXE_MAX       256

/** One registration. All values, nothing borrowed. */
struct record {
    uint32_t pe_id;
    uint16_t handle_len;
    uint8_t handle[POOL_HANDLE_MAX];
    enum transport_protocol protocol;
    uint16_t port;
    uint16_t use;          /* transport use: 1 with ASAP's control channel (SCTP) */
    uint8_t families;      /* of a wildcard listener: LP_FAMILY_* */
    uint8_t address_count; /* 0: wildcard */
    struct ip_address addresses[RECORD_ADDRESSES_MAX];
    struct policy policy; /* type POLICY_NONE: the pool's */
    uint32_t capacity;    /* 0: load is not measured */
    uint32_t uid, gid, pid;
    uint32_t pool_uid;    /* who created the pool on this host (authority.h) */
    uint64_t sock_cookie; /* of the listening socket; 0: not told */
    uint64_t netns;       /* inode of its network namespace; 0: not told */
    char probe[RECORD_PROBE_MAX];
    uint32_t probe_ms;
    uint32_t slow_start_ms;
    uint32_t life_ms, interval_ms; /* of registrations; 0: as set */
    uint64_t
        since_us; /* first accepted, monotonic clock; told with slow_start_ms only; 0: not yet */
    bool adopted; /* lives with its listening socket, not with a life fd */
    bool drained;
    char program[RECORD_EXE_MAX]; /* for people */
};

static inline struct pool_handle record_handle(const struct record *r)
{
    return (struct pool_handle){.octets = r->handle, .len = r->handle_len};
}

/** The same listener: pool, protocol, port, addresses, namespace and way of being kept. */
bool record_same_place(const struct record *a, const struct record *b);

/** Where the daemon itself reaches the server. */
static inline struct ip_address record_address(const struct record *r)
{
    if (r->address_count > 0) {
        return r->addresses[0];
    }
    return r->families == 2 /* LP_FAMILY_V6 alone */
               ? (struct ip_address){.family = IP_V6, .octets = {[15] = 1}}
               : (struct ip_address){.family = IP_V4, .octets = {127, 0, 0, 1}};
}

struct records;

/** Makes RUNTIME_DIR/pe (mode 0700) when it is missing. */
int records_new(const char *runtime_dir, struct records **ret);
void records_free(struct records *records);

/** Writes or replaces. 0, -EINVAL for a record that could not be read back, or -errno. */
int records_save(struct records *records, const struct record *record);
/** 0, also when there is none. */
int records_remove(struct records *records, uint32_t pe_id);

/** A record read back. It may save or remove records. */
typedef void (*record_fn)(void *ctx, const struct record *record);
/** A file that was moved aside (or could not be read), and why; for the log. */
typedef void (*record_bad_fn)(void *ctx, const char *name, const char *why);
/** Reads all. Returns the number of good ones, or -errno when the folder cannot be read. */
int records_load(struct records *records, record_fn fn, record_bad_fn bad, void *ctx);

/** The text of a record, as it stands in its file; length, or -ENOSPC / -EINVAL. For tests too. */
int record_format(const struct record *record, const char *boot_id, char *out, size_t size);
/**
 * Reads such a text (need not be terminated). 0; -EBADMSG, and why in `error`; -ESTALE: of another
 * boot than `boot_id`.
 */
int record_parse(const char *text, size_t len, const char *boot_id, struct record *ret, char *error,
                 size_t error_size);

#endif
