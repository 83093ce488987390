/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Basic mode: a program registers and resolves, and does its own connecting. Nothing has to be
 * initialised. Every function is thread-safe. The daemon rspd(8) of the host does the work; a
 * function that cannot reach it fails with ENOTCONN.
 */
#ifndef RSP_BASIC_H
#define RSP_BASIC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <rsp/policy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One element: `ai_addr` holds `ai_addrs` socket addresses one behind the other, each as long as
    its family needs (packed). */
struct rsp_addrinfo {
    int ai_family;     /* AF_INET6 if any of the addresses is, else AF_INET */
    int ai_socktype;   /* SOCK_STREAM (SCTP, TCP) or SOCK_DGRAM */
    int ai_protocol;   /* IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP … */
    size_t ai_addrlen; /* room a single address may need */
    size_t ai_addrs;
    struct sockaddr *ai_addr;
    struct rsp_addrinfo *ai_next;
    uint32_t ai_pe_id;
};

/** Outcomes of a resolution. */
#define REAI_NONAME (-1) /* no such pool */
#define REAI_MEMORY (-2)
#define REAI_SYSTEM (-3) /* errno says more */
#define REAI_FAMILY (-4) /* no element has a usable address */

#define RSPGETADDRS_DEFAULT 0U          /* as many as one attempt needs: 1 */
#define RSPGETADDRS_MAX     0xffffffffU /* as many as there are, at most 16 */

/** Flags of a registration and of a deregistration. */
#define REGF_DONTWAIT       0x1 /* do not wait for the registrar's word */
#define REGF_CONTROLCHANNEL 0x2 /* the element speaks ASAP's control channel (SCTP only) */
#define REGF_DAEMONMODE     0x4 /* no registrar yet: kept, and registered as soon as one is there */
#define DEREGF_DONTWAIT     0x1

/** Codes the registration functions return; 0: done. */
#define RSPERR_OKAY             0x0000U
#define RSPERR_OUT_OF_RESOURCES 0x0006U
#define RSPERR_NOT_FOUND        0x0009U
#define RSPERR_INVALID_VALUES   0x0011U
#define RSPERR_IO               0x1004U
#define RSPERR_NO_DAEMON        0x1006U /* rspd(8) cannot be reached */
#define RSPERR_NO_REGISTRAR     0x1007U
#define RSPERR_TIMEOUT          0x1008U
#define RSPERR_NOT_ALLOWED      0x2001U /* the daemon's rules forbid it */
/* others: the error cause of the registrar's refusal */

/**
 * Register a pool element, or renew what is known of it.
 *
 * The element's addresses are those of `info`; with none (ai_addrs 0) or the wildcard address it
 * has all addresses of the host. All share the port of the first. Registration, renewal in time and
 * the registrar's keep-alives are the daemon's business afterwards; the element lives until it is
 * deregistered or the process ends.
 *
 * A second call with the same handle and ai_pe_id changes policy, load and addresses of the
 * element.
 * @param handle   the pool handle, 1 to 1024 octets; 32 where rsplib takes part
 * @param size     its length
 * @param info     the element; ai_pe_id 0: an id is chosen and written back
 * @param loadinfo policy and load; NULL: round robin
 * @param life_ms  registration life, 1 s to 24 h; 0: the daemon's setting. Renewed in time
 * @param flags    REGF_DONTWAIT, REGF_CONTROLCHANNEL, REGF_DAEMONMODE
 * @return 0 or one of the RSPERR_ codes; errno says more
 */
unsigned int rsp_pe_registration(const unsigned char *handle, size_t size,
                                 struct rsp_addrinfo *info, const struct rsp_loadinfo *loadinfo,
                                 unsigned int life_ms, int flags);

/**
 * Take a pool element out of its pool.
 *
 * @param handle the pool handle
 * @param size   its length
 * @param pe_id  the element, which this process has registered
 * @param flags  DEREGF_DONTWAIT: do not wait for the daemon's word
 * @return 0 or one of the RSPERR_ codes
 */
unsigned int rsp_pe_deregistration(const unsigned char *handle, size_t size, uint32_t pe_id,
                                   int flags);

/**
 * Report an element that did not answer.
 *
 * The daemon keeps it from this host's users for a while and tells the registrar.
 * @param handle the pool handle
 * @param size   its length
 * @param pe_id  the element
 * @return 0 or one of the RSPERR_ codes
 */
unsigned int rsp_pe_failure(const unsigned char *handle, size_t size, uint32_t pe_id);

/**
 * Resolve a pool handle to elements.
 *
 * The elements come in the order of preference that the pool's policy gives. The call waits at most
 * 5 seconds.
 * @param handle         the pool handle
 * @param size           its length
 * @param result         gets a list, which rsp_freeaddrinfo() frees; NULL after a failure
 * @param items          how many elements are wanted
 * @param stale_cache_ms an answer that the daemon has had for no longer than that will do; 0: the
 *                       registrar is asked
 * @return the number of elements, or REAI_NONAME, REAI_MEMORY, REAI_SYSTEM, REAI_FAMILY
 */
int rsp_getaddrinfo(const unsigned char *handle, size_t size, struct rsp_addrinfo **result,
                    size_t items, unsigned int stale_cache_ms);

/**
 * Free a list of elements.
 *
 * @param list what rsp_getaddrinfo() or rsp_finish() returned; NULL does nothing
 */
void rsp_freeaddrinfo(struct rsp_addrinfo *list);

/**
 * Begin to resolve a pool handle.
 *
 * The returned descriptor is readable for poll(2) and epoll(7) when rsp_finish() will not wait.
 * @param handle         the pool handle
 * @param size           its length
 * @param items          as for rsp_getaddrinfo()
 * @param stale_cache_ms as for rsp_getaddrinfo()
 * @return a descriptor for rsp_finish(), or -1 with errno
 */
int rsp_getaddrinfo_start(const unsigned char *handle, size_t size, size_t items,
                          unsigned int stale_cache_ms);

/**
 * Begin to register a pool element.
 *
 * As rsp_pe_registration(), in the form of rsp_getaddrinfo_start().
 * @param handle   the pool handle
 * @param size     its length
 * @param info     the element
 * @param loadinfo policy and load; NULL: round robin
 * @param life_ms  as for rsp_pe_registration()
 * @param flags    REGF_CONTROLCHANNEL, REGF_DAEMONMODE
 * @return a descriptor for rsp_finish(), or -1 with errno
 */
int rsp_pe_registration_start(const unsigned char *handle, size_t size,
                              const struct rsp_addrinfo *info, const struct rsp_loadinfo *loadinfo,
                              unsigned int life_ms, int flags);

/**
 * Begin to deregister a pool element.
 *
 * As rsp_pe_deregistration(), in the form of rsp_getaddrinfo_start().
 * @param handle the pool handle
 * @param size   its length
 * @param pe_id  the element
 * @return a descriptor for rsp_finish(), or -1 with errno
 */
int rsp_pe_deregistration_start(const unsigned char *handle, size_t size, uint32_t pe_id);

/**
 * Fetch the outcome of a request that was begun.
 *
 * Unless the outcome is still missing (EAGAIN), the descriptor is closed. Closing it with
 * rsp_cancel() gives the request up.
 * @param request what a _start function returned
 * @param result  of a resolution: gets the list of elements; may be NULL for the others
 * @param pe_id   of a registration: gets the element's id; may be NULL
 * @return a resolution: number of elements; others: 0. -1 with errno: EAGAIN not there yet, ENOENT
 *         no such pool or element, ECONNREFUSED the pool is empty or the registrar refuses,
 * ENOTCONN the daemon has gone, EBADF not a request of this process
 */
int rsp_finish(int request, struct rsp_addrinfo **result, uint32_t *pe_id);

/**
 * Give up a request that was begun.
 *
 * @param request what a _start function returned
 * @return 0, or -1 with errno EBADF
 */
int rsp_cancel(int request);

#ifdef __cplusplus
}
#endif
#endif
