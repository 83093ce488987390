/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints every size, offset and constant of the reference interface. Compiled once against the
 * reference library's headers and once against ours, it must print the same.
 */
#include <rserpool/rserpool.h>

#include <rserpool/rserpool-csp.h>
#include <rserpool/rserpool-internals.h>
#include <rserpool/rserpool-policytypes.h>
#include <rserpool/tagitem.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define SIZE(type) printf("sizeof " #type " %zu\n", sizeof(type))
#define FIELD(type, member)                                                                        \
    printf(#type "." #member " %zu %zu %d\n", offsetof(type, member), sizeof(((type *)0)->member), \
           KIND(((type *)0)->member))
#define NUMBER(name) printf(#name " %lld %zu\n", (long long)(name), sizeof(name))
/* Signedness and pointers, where the size alone does not tell. */
#define KIND(x)                                                                                    \
    _Generic((x), int : 1, unsigned int : 2, unsigned long : 3, unsigned short : 4,                \
             unsigned char : 5, const char * : 6, struct sockaddr * : 7,                           \
             struct rsp_registrar_info * : 8, struct rsp_addrinfo * : 9, default : 0)
/* The type of a function: assigned to a pointer of that type, or it does not compile. */
#define FUNCTION(result, name, ...)                                                                \
    do {                                                                                           \
        result (*f)(__VA_ARGS__) = name;                                                           \
        printf(#name " %d\n", f != NULL);                                                          \
    } while (0)

typedef const unsigned char *ph;

static void structures(void)
{
    SIZE(struct rsp_info);
    FIELD(struct rsp_info, ri_version);
    FIELD(struct rsp_info, ri_revision);
    FIELD(struct rsp_info, ri_build_date);
    FIELD(struct rsp_info, ri_build_time);
    FIELD(struct rsp_info, ri_registrars);
    FIELD(struct rsp_info, ri_disable_autoconfig);
    FIELD(struct rsp_info, ri_registrar_announce);
    FIELD(struct rsp_info, ri_registrar_announce_timeout);
    FIELD(struct rsp_info, ri_registrar_connect_timeout);
    FIELD(struct rsp_info, ri_registrar_connect_max_trials);
    FIELD(struct rsp_info, ri_registrar_request_timeout);
    FIELD(struct rsp_info, ri_registrar_response_timeout);
    FIELD(struct rsp_info, ri_registrar_request_max_trials);
    FIELD(struct rsp_info, ri_csp_identifier);
    FIELD(struct rsp_info, ri_csp_server);
    FIELD(struct rsp_info, ri_csp_interval);
    SIZE(struct rsp_registrar_info);
    FIELD(struct rsp_registrar_info, rri_next);
    FIELD(struct rsp_registrar_info, rri_addr);
    FIELD(struct rsp_registrar_info, rri_addrs);
    SIZE(struct rsp_addrinfo);
    FIELD(struct rsp_addrinfo, ai_family);
    FIELD(struct rsp_addrinfo, ai_socktype);
    FIELD(struct rsp_addrinfo, ai_protocol);
    FIELD(struct rsp_addrinfo, ai_addrlen);
    FIELD(struct rsp_addrinfo, ai_addrs);
    FIELD(struct rsp_addrinfo, ai_addr);
    FIELD(struct rsp_addrinfo, ai_next);
    FIELD(struct rsp_addrinfo, ai_pe_id);
    SIZE(struct rsp_loadinfo);
    FIELD(struct rsp_loadinfo, rli_policy);
    FIELD(struct rsp_loadinfo, rli_weight);
    FIELD(struct rsp_loadinfo, rli_weight_dpf);
    FIELD(struct rsp_loadinfo, rli_load);
    FIELD(struct rsp_loadinfo, rli_load_degradation);
    FIELD(struct rsp_loadinfo, rli_load_dpf);
    SIZE(struct rsp_sndrcvinfo);
    FIELD(struct rsp_sndrcvinfo, rinfo_session);
    FIELD(struct rsp_sndrcvinfo, rinfo_ppid);
    FIELD(struct rsp_sndrcvinfo, rinfo_pe_id);
    FIELD(struct rsp_sndrcvinfo, rinfo_timetolive);
    FIELD(struct rsp_sndrcvinfo, rinfo_stream);
    SIZE(struct rserpool_session_parameters);
    FIELD(struct rserpool_session_parameters, sp_rto_initial);
    FIELD(struct rserpool_session_parameters, sp_rto_min);
    FIELD(struct rserpool_session_parameters, sp_rto_max);
    FIELD(struct rserpool_session_parameters, sp_assoc_max_rxt);
    FIELD(struct rserpool_session_parameters, sp_path_max_rxt);
    FIELD(struct rserpool_session_parameters, sp_hbinterval);
    SIZE(struct TagItem);
    FIELD(struct TagItem, Tag);
    FIELD(struct TagItem, Data);
    SIZE(rserpool_session_t);
}

static void notifications(void)
{
    SIZE(union rserpool_notification);
    FIELD(union rserpool_notification, rn_header.rn_type);
    FIELD(union rserpool_notification, rn_header.rn_flags);
    FIELD(union rserpool_notification, rn_header.rn_length);
    FIELD(union rserpool_notification, rn_session_change);
    FIELD(union rserpool_notification, rn_failover);
    FIELD(union rserpool_notification, rn_shutdown_event);
    SIZE(struct rserpool_session_change);
    FIELD(struct rserpool_session_change, rsc_state);
    FIELD(struct rserpool_session_change, rsc_session);
    SIZE(struct rserpool_failover);
    FIELD(struct rserpool_failover, rf_state);
    FIELD(struct rserpool_failover, rf_session);
    FIELD(struct rserpool_failover, rf_has_cookie);
    SIZE(struct rserpool_shutdown_event);
    FIELD(struct rserpool_shutdown_event, rse_session);
    NUMBER(RSERPOOL_SESSION_CHANGE);
    NUMBER(RSERPOOL_FAILOVER);
    NUMBER(RSERPOOL_SHUTDOWN_EVENT);
    NUMBER(RSERPOOL_SESSION_ADD);
    NUMBER(RSERPOOL_SESSION_REMOVE);
    NUMBER(RSERPOOL_FAILOVER_NECESSARY);
    NUMBER(RSERPOOL_FAILOVER_COMPLETE);
    NUMBER(MSG_RSERPOOL_NOTIFICATION);
    NUMBER(MSG_RSERPOOL_COOKIE_ECHO);
}

static void numbers(void)
{
    NUMBER(RSPLIB_VERSION);
    NUMBER(RSPLIB_REVISION);
    NUMBER(ASAP_PORT);
    NUMBER(ENRP_PORT);
    printf("%s %s\n", ASAP_ANNOUNCE_MULTICAST_ADDRESS, ENRP_ANNOUNCE_MULTICAST_ADDRESS);
    NUMBER(SESSION_SETSIZE);
    NUMBER(REAI_NONAME);
    NUMBER(REAI_MEMORY);
    NUMBER(REAI_SYSTEM);
    NUMBER(REAI_FAMILY);
    NUMBER(RSPGETADDRS_DEFAULT);
    NUMBER(RSPGETADDRS_MIN);
    NUMBER(RSPGETADDRS_MAX);
    NUMBER(REGF_DONTWAIT);
    NUMBER(REGF_CONTROLCHANNEL);
    NUMBER(REGF_DAEMONMODE);
    NUMBER(DEREGF_DONTWAIT);
    NUMBER(FFF_NONE);
    NUMBER(FFF_UNREACHABLE);
    NUMBER(CID_GROUP_REGISTRAR);
    NUMBER(CID_GROUP_POOLELEMENT);
    NUMBER(CID_GROUP_POOLUSER);
    NUMBER(CID_COMPOUND(2, 0x12345678));
    NUMBER(CID_COMPOUND(3, 0xff123456789abcdeULL));
    NUMBER(CID_GROUP(0x0200000012345678ULL));
    NUMBER(CID_OBJECT(0x0200000012345678ULL));
}

static void tags(void)
{
    NUMBER(TAG_DONE);
    NUMBER(TAG_END);
    NUMBER(TAG_IGNORE);
    NUMBER(TAG_MORE);
    NUMBER(TAG_SKIP);
    NUMBER(TAG_USER);
    NUMBER(TAG_PoolElement_Identifier);
    NUMBER(TAG_RspSession_ConnectTimeout);
    NUMBER(TAG_RspSession_HandleResolutionRetryDelay);
    NUMBER(TAG_RspLib_CacheElementTimeout);
    NUMBER(TAG_RspLib_RegistrarAnnounceAddress);
    NUMBER(TAG_RspLib_RegistrarAnnounceTimeout);
    NUMBER(TAG_RspLib_RegistrarConnectMaxTrials);
    NUMBER(TAG_RspLib_RegistrarConnectTimeout);
    NUMBER(TAG_RspLib_RegistrarRequestMaxTrials);
    NUMBER(TAG_RspLib_RegistrarRequestTimeout);
    NUMBER(TAG_RspLib_RegistrarResponseTimeout);
    NUMBER(PPV_MIN_WEIGHT);
    NUMBER(PPV_MAX_WEIGHT);
    NUMBER(PPV_MIN_WEIGHTDPF);
    NUMBER(PPV_MAX_WEIGHTDPF);
    NUMBER(PPV_MIN_LOAD);
    NUMBER(PPV_MAX_LOAD);
    NUMBER(PPV_MIN_LOADDPF);
    NUMBER(PPV_MAX_LOADDPF);
    NUMBER(PPV_MIN_LOAD_DEGRADATION);
    NUMBER(PPV_MAX_LOAD_DEGRADATION);
}

static void policies(void)
{
    static const unsigned int TYPES[] = {
        PPT_UNDEFINED,
        PPT_ROUNDROBIN,
        PPT_WEIGHTED_ROUNDROBIN,
        PPT_RANDOM,
        PPT_WEIGHTED_RANDOM,
        PPT_PRIORITY,
        PPT_LEASTUSED,
        PPT_LEASTUSED_DEGRADATION,
        PPT_PRIORITY_LEASTUSED,
        PPT_RANDOMIZED_LEASTUSED,
        PPT_RANDOMIZED_PRIORITY_LEASTUSED,
        PPT_RANDOMIZED_LEASTUSED_DEGRADATION,
        PPT_PRIORITY_LEASTUSED_DEGRADATION,
        PPT_RANDOMIZED_PRIORITY_LEASTUSED_DEGRADATION,
        PPT_WEIGHTED_RANDOM_DPF,
        PPT_LEASTUSED_DPF,
        PPT_LEASTUSED_DEGRADATION_DPF,
        PPT_PRIORITY_LEASTUSED_DPF,
        PPT_PRIORITY_LEASTUSED_DEGRADATION_DPF,
    };
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++) {
        const char *name = rsp_getpolicybytype(TYPES[i]);
        printf("policy 0x%08x %d %s 0x%08x\n", TYPES[i], PPT_IS_ADAPTIVE(TYPES[i]) ? 1 : 0,
               name != NULL ? name : "none", name != NULL ? rsp_getpolicybyname(name) : 0);
    }
    printf("no policy 0x%x\n", rsp_getpolicybyname("no such policy"));
}

static void functions(void)
{
    FUNCTION(void, rsp_initinfo, struct rsp_info *);
    FUNCTION(void, rsp_freeinfo, struct rsp_info *);
    FUNCTION(int, rsp_initarg, struct rsp_info *, const char *);
    FUNCTION(int, rsp_initialize, struct rsp_info *);
    FUNCTION(void, rsp_cleanup, void);
    FUNCTION(unsigned int, rsp_pe_registration, ph, size_t, struct rsp_addrinfo *,
             const struct rsp_loadinfo *, unsigned int, int);
    FUNCTION(unsigned int, rsp_pe_deregistration, ph, size_t, uint32_t, int);
    FUNCTION(unsigned int, rsp_pe_failure, ph, size_t, uint32_t);
    FUNCTION(int, rsp_getaddrinfo, ph, size_t, struct rsp_addrinfo **, size_t, unsigned int);
    FUNCTION(void, rsp_freeaddrinfo, struct rsp_addrinfo *);
    FUNCTION(int, rsp_socket, int, int, int);
    FUNCTION(int, rsp_update_session_parameters, int, struct rserpool_session_parameters *);
    FUNCTION(int, rsp_bind, int, const struct sockaddr *, int);
    FUNCTION(int, rsp_listen, int, int);
    FUNCTION(int, rsp_getsockname, int, unsigned char *, size_t *, uint32_t *);
    FUNCTION(int, rsp_getpeername, int, unsigned char *, size_t *, uint32_t *);
    FUNCTION(int, rsp_close, int);
    FUNCTION(int, rsp_poll, struct pollfd *, unsigned int, int);
    FUNCTION(int, rsp_select, int, fd_set *, fd_set *, fd_set *, struct timeval *);
    FUNCTION(int, rsp_getsockopt, int, int, int, void *, socklen_t *);
    FUNCTION(int, rsp_setsockopt, int, int, int, const void *, socklen_t);
    FUNCTION(int, rsp_mapsocket, int, int);
    FUNCTION(int, rsp_unmapsocket, int);
    FUNCTION(int, rsp_register, int, ph, size_t, const struct rsp_loadinfo *, unsigned int, int);
    FUNCTION(int, rsp_deregister, int, int);
    FUNCTION(int, rsp_accept, int, int);
    FUNCTION(int, rsp_connect, int, ph, size_t, unsigned int);
    FUNCTION(int, rsp_has_cookie, int);
    FUNCTION(int, rsp_forcefailover, int, unsigned int, unsigned int);
    FUNCTION(ssize_t, rsp_sendmsg, int, const void *, size_t, unsigned int, rserpool_session_t,
             uint32_t, uint16_t, uint32_t, uint16_t, int);
    FUNCTION(ssize_t, rsp_send_cookie, int, ph, size_t, rserpool_session_t, int);
    FUNCTION(ssize_t, rsp_recvmsg, int, void *, size_t, struct rsp_sndrcvinfo *, int *, int);
    FUNCTION(ssize_t, rsp_recvfullmsg, int, void *, size_t, struct rsp_sndrcvinfo *, int *, int);
    FUNCTION(ssize_t, rsp_read, int, void *, size_t);
    FUNCTION(ssize_t, rsp_recv, int, void *, size_t, int);
    FUNCTION(ssize_t, rsp_write, int, const char *, size_t);
    FUNCTION(ssize_t, rsp_send, int, const void *, size_t, int);
    FUNCTION(void, rsp_print_notification, const union rserpool_notification *, FILE *);
    FUNCTION(const char *, rsp_getpolicybytype, unsigned int);
    FUNCTION(unsigned int, rsp_getpolicybyname, const char *);
    FUNCTION(int, rsp_csp_setstatus, int, rserpool_session_t, const char *);
}

static void functions_with_tags(void)
{
    FUNCTION(unsigned int, rsp_pe_registration_tags, ph, size_t, struct rsp_addrinfo *,
             const struct rsp_loadinfo *, unsigned int, int, struct TagItem *);
    FUNCTION(unsigned int, rsp_pe_deregistration_tags, ph, size_t, uint32_t, int, struct TagItem *);
    FUNCTION(unsigned int, rsp_pe_failure_tags, ph, size_t, uint32_t, struct TagItem *);
    FUNCTION(int, rsp_getaddrinfo_tags, ph, size_t, struct rsp_addrinfo **, size_t, unsigned int,
             struct TagItem *);
    FUNCTION(int, rsp_register_tags, int, ph, size_t, const struct rsp_loadinfo *, unsigned int,
             int, struct TagItem *);
    FUNCTION(int, rsp_deregister_tags, int, int, struct TagItem *);
    FUNCTION(int, rsp_accept_tags, int, int, struct TagItem *);
    FUNCTION(int, rsp_connect_tags, int, ph, size_t, unsigned int, struct TagItem *);
    FUNCTION(int, rsp_forcefailover_tags, int, unsigned int, unsigned int, struct TagItem *);
}

int main(void)
{
    structures();
    notifications();
    numbers();
    tags();
    policies();
    functions();
    functions_with_tags();
    return 0;
}
