/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table of settings. A new setting is a field in struct settings and a line here. */
#include "rspd/settings_table.h"

#define FIELD(name) offsetof(struct settings, name), sizeof(((struct settings *)0)->name)
#define POOL(name)  offsetof(struct settings_pool, name), sizeof(((struct settings_pool *)0)->name)
#define PROG(name)                                                                                 \
    offsetof(struct settings_program, name), sizeof(((struct settings_program *)0)->name)
#define ALL(v)                                                                                     \
    {                                                                                              \
        v, v, v, v                                                                                 \
    }
#define AT_START                                                                                   \
    {                                                                                              \
        NULL, NULL, NULL, NULL                                                                     \
    }
#define NO_OPTION   NULL, NULL
#define NO_RANGE    0, 0, NULL
#define RANGE(a, b) a, b, NULL
#define CHOICES(a)  0, 0, a
#define RELOAD      true
#define RESTART     false

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR   (60u * MINUTE)

static const char *const PROFILE_NAMES[] = {"rfc", "rsplib", "lan", "fast", NULL};
static const char *const ROLE_NAMES[] = {"no", "yes", "auto", NULL};
static const char *const SUGGESTION_NAMES[] = {"never", "by-id", "by-load", NULL};
static const char *const ORDER_NAMES[] = {"highest", "lowest", NULL};
static const char *const COOKIE_NAMES[] = {"sealed", "unsealed", NULL};
static const char *const TRANSPORT_NAMES[] = {"auto", "kernel", "usrsctp", "none", NULL};

/* clang-format off */
static const struct setting SETTINGS[] = {
    {"Daemon", "Profile", SETTING_CHOICE, FIELD(profile), ALL("lan"), CHOICES(PROFILE_NAMES), RELOAD,
     "--profile", "NAME", "all timers and units at once: rfc, rsplib, lan or fast"},
    {"Daemon", "Scope", SETTING_WORD, FIELD(scope), ALL("default"), NO_RANGE, RESTART,
     "--scope", "NAME", "operation scope, one word; sets announce groups and ports"},
    {"Daemon", "Socket", SETTING_TEXT, FIELD(socket), AT_START, NO_RANGE, RESTART,
     "--socket", "PATH", "Unix socket for the programs of this host"},
    {"Daemon", "RuntimeDirectory", SETTING_TEXT, FIELD(runtime_dir), AT_START, NO_RANGE, RESTART,
     "--runtime-dir", "DIR", "where registrations are kept over a restart"},
    {"Daemon", "StateDirectory", SETTING_TEXT, FIELD(state_dir), AT_START, NO_RANGE, RESTART,
     "--state-dir", "DIR", "where the keys of state cookies are kept"},
    {"Daemon", "LogLevel", SETTING_LOG_LEVEL, FIELD(log_level), ALL("notice"), NO_RANGE, RELOAD,
     "--log-level", "LEVEL", "err, warn, notice, info or debug"},
    {"Daemon", "ResolverThreads", SETTING_NUMBER, FIELD(resolver_threads), ALL("0"), RANGE(0, 64), RESTART,
     NO_OPTION, "threads that answer resolutions; 0: one less than there are processors, at least one"},

    {"Registrar", "Role", SETTING_CHOICE, FIELD(role), ALL("auto"), CHOICES(ROLE_NAMES), RESTART,
     "--registrar", "ROLE", "be a registrar: yes, no, or auto (while fewer than two are heard)"},
    {"Registrar", "Identifier", SETTING_NUMBER, FIELD(registrar_id), ALL("0"), RANGE(0, 0xfffffffe), RESTART,
     "--registrar-id", "ID", "this registrar's identifier; 0: drawn at start"},
    {"Registrar", "Wanted", SETTING_NUMBER, FIELD(registrars_wanted), ALL("2"), RANGE(1, 5), RELOAD,
     NO_OPTION, "auto: be a registrar while fewer than so many others are heard"},
    {"Registrar", "Most", SETTING_NUMBER, FIELD(registrars_max), ALL("5"), RANGE(1, 5), RELOAD,
     NO_OPTION, "auto: with more registrars than that the highest identifier steps down"},
    {"Registrar", "AllowFrom", SETTING_PREFIXES, FIELD(allow_from), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "prefixes whose hosts may register; empty: everybody"},
    {"Registrar", "KeepAlive", SETTING_MS, FIELD(keep_alive_ms), {"30s", "5s", "30s", "1s"}, RANGE(0, HOUR), RELOAD,
     NO_OPTION, "between two keep-alives to a host's elements, varied by half; 0ms: none"},
    {"Registrar", "KeepAliveTimeout", SETTING_MS, FIELD(keep_alive_timeout_ms), {"5s", "5s", "2s", "500ms"}, RANGE(100, 10 * MINUTE), RELOAD,
     NO_OPTION, "how long the answer to a keep-alive may take"},
    {"Registrar", "Announce", SETTING_MS, FIELD(announce_ms), {"1s", "1s", "1s", "250ms"}, RANGE(100, MINUTE), RELOAD,
     NO_OPTION, "between two announces (T6-Serverannounce)"},
    {"Registrar", "MaxBadReports", SETTING_NUMBER, FIELD(max_bad_pe_reports), ALL("3"), RANGE(0, 1000), RELOAD,
     NO_OPTION, "unreachable reports after which an element is removed (MAX-BAD-PE-REPORT)"},
    {"Registrar", "ItemsDefault", SETTING_NUMBER, FIELD(items_default), {"128", "3", "3", "3"}, RANGE(1, 128), RELOAD,
     NO_OPTION, "elements in a resolution's answer when not asked for a number"},
    {"Registrar", "HandleMax", SETTING_NUMBER, FIELD(handle_max), {"1024", "32", "32", "32"}, RANGE(1, 1024), RELOAD,
     NO_OPTION, "longest pool handle in octets; over 32 only without rsplib in the scope"},
    {"Registrar", "Update", SETTING_MS, FIELD(update_ms), {"1s", "1s", "100ms", "50ms"}, RANGE(0, MINUTE), RELOAD,
     NO_OPTION, "dynamic updates to clients are gathered that long; those of what has gone are not"},
    {"Registrar", "KeepAlivePeId", SETTING_BOOL, FIELD(keep_alive_pe_id), {"no", "yes", "yes", "yes"}, NO_RANGE, RELOAD,
     NO_OPTION, "name the element in keep-alives"},
    {"Registrar", "TellExpired", SETTING_BOOL, FIELD(tell_expired), {"yes", "no", "yes", "yes"}, NO_RANGE, RELOAD,
     NO_OPTION, "tell an element's host that its registration ran out"},
    {"Registrar", "LifeInSeconds", SETTING_BOOL, FIELD(life_in_seconds), {"yes", "no", "no", "no"}, NO_RANGE, RELOAD,
     NO_OPTION, "registration life on the wire in the RFC's seconds, not in milliseconds"},
    {"Registrar", "MaxPools", SETTING_NUMBER, FIELD(max_pools), ALL("20000"), RANGE(1, 10000000), RESTART,
     NO_OPTION, "pools in the handlespace"},
    {"Registrar", "MaxElements", SETTING_NUMBER, FIELD(max_elements), ALL("200000"), RANGE(1, 10000000), RESTART,
     NO_OPTION, "pool elements in the handlespace"},
    {"Registrar", "MaxElementsPerPool", SETTING_NUMBER, FIELD(max_elements_per_pool), ALL("200000"), RANGE(1, 10000000), RESTART,
     NO_OPTION, "elements of one pool"},
    {"Registrar", "HostAssociations", SETTING_NUMBER, FIELD(host_assocs), ALL("256"), RANGE(0, 65536), RELOAD,
     NO_OPTION, "associations of one other host; 0: no limit"},
    {"Registrar", "HostElements", SETTING_NUMBER, FIELD(host_elements), ALL("20000"), RANGE(0, 10000000), RELOAD,
     NO_OPTION, "elements of one other host; 0: no limit"},
    {"Registrar", "HostMessages", SETTING_NUMBER, FIELD(host_messages), ALL("1000"), RANGE(0, 1000000), RELOAD,
     NO_OPTION, "messages of one other host in a second, and two per element it has; 0: no limit"},
    {"Registrar", "PeerMessages", SETTING_NUMBER, FIELD(peer_messages), ALL("4000"), RANGE(0, 1000000), RELOAD,
     NO_OPTION, "changes of elements that the registrars of one other host may tell in a second, besides those of the ones they have; questions count more; 0: what they may cost is not limited"},
    {"Registrar", "PeerHeartbeat", SETTING_MS, FIELD(peer_heartbeat_ms), {"30s", "2444ms", "1s", "150ms"}, RANGE(20, 10 * MINUTE), RELOAD,
     NO_OPTION, "between two signs of life to the other registrars (PEER-HEARTBEAT-CYCLE)"},
    {"Registrar", "PeerLastHeard", SETTING_MS, FIELD(peer_last_heard_ms), {"61s", "5s", "2500ms", "400ms"}, RANGE(50, 20 * MINUTE), RELOAD,
     NO_OPTION, "silence after which another registrar is asked (MAX-TIME-LAST-HEARD)"},
    {"Registrar", "PeerNoResponse", SETTING_MS, FIELD(peer_no_response_ms), {"5s", "5s", "2s", "300ms"}, RANGE(50, 10 * MINUTE), RELOAD,
     NO_OPTION, "how long a registrar's answer may take (MAX-TIME-NO-RESPONSE)"},
    {"Registrar", "MentorDiscovery", SETTING_MS, FIELD(mentor_ms), {"5s", "5s", "1500ms", "400ms"}, RANGE(0, MINUTE), RELOAD,
     NO_OPTION, "joining: how long to listen for a registrar to learn from"},
    {"Registrar", "RetryMin", SETTING_MS, FIELD(retry_min_ms), {"2s", "2s", "300ms", "50ms"}, RANGE(10, MINUTE), RELOAD,
     NO_OPTION, "joining: shortest pause after a refusal"},
    {"Registrar", "RetryMax", SETTING_MS, FIELD(retry_max_ms), {"5s", "5s", "1s", "200ms"}, RANGE(10, MINUTE), RELOAD,
     NO_OPTION, "joining: longest pause after a refusal, and first pause for a given peer"},
    {"Registrar", "TableSession", SETTING_MS, FIELD(table_session_ms), {"10s", "10s", "5s", "1s"}, RANGE(100, 10 * MINUTE), RELOAD,
     NO_OPTION, "a download that another registrar does not go on with is dropped after that"},
    {"Registrar", "TakeoverDelay", SETTING_MS, FIELD(takeover_delay_ms), {"1s", "1s", "200ms", "30ms"}, RANGE(0, MINUTE), RELOAD,
     NO_OPTION, "a takeover begins up to that late, so that two seldom begin together"},
    {"Registrar", "TakeoverExpiry", SETTING_MS, FIELD(takeover_expiry_ms), {"5s", "5s", "2s", "300ms"}, RANGE(50, 10 * MINUTE), RELOAD,
     NO_OPTION, "how long to wait for the others' consent to a takeover"},
    {"Registrar", "TakeoverGuard", SETTING_MS, FIELD(takeover_guard_ms), {"10s", "10s", "4s", "600ms"}, RANGE(50, 20 * MINUTE), RELOAD,
     NO_OPTION, "after that a takeover by another one that was agreed to counts as failed"},
    {"Registrar", "TakeoverOrder", SETTING_CHOICE, FIELD(takeover_order), {"highest", "lowest", "lowest", "lowest"}, CHOICES(ORDER_NAMES), RELOAD,
     NO_OPTION, "whose identifier wins of two takeovers at once: highest (RFC) or lowest (rsplib)"},
    {"Registrar", "FailureIsDeath", SETTING_BOOL, FIELD(failure_is_death), {"yes", "no", "yes", "yes"}, NO_RANGE, RELOAD,
     NO_OPTION, "a registrar that is asked and cannot be reached is dead at once"},
    {"Registrar", "ResyncMax", SETTING_MS, FIELD(resync_max_ms), {"60s", "60s", "15s", "3s"}, RANGE(100, HOUR), RELOAD,
     NO_OPTION, "longest distance of table downloads that do not make checksums equal"},
    {"Registrar", "Suggestion", SETTING_CHOICE, FIELD(suggestion), {"never", "by-id", "by-load", "by-load"}, CHOICES(SUGGESTION_NAMES), RELOAD,
     NO_OPTION, "whom elements are offered to (takeover suggestion): never, by-id (rsplib) or by-load"},
    {"Registrar", "Balance", SETTING_MS, FIELD(balance_ms), {"60s", "60s", "3s", "1s"}, RANGE(100, HOUR), RELOAD,
     NO_OPTION, "by-load: between two looks at who owns how much"},
    {"Registrar", "Leave", SETTING_MS, FIELD(leave_ms), {"5s", "5s", "5s", "2s"}, RANGE(0, MINUTE), RELOAD,
     NO_OPTION, "leaving: how long elements may take to find another registrar"},
    {"Registrar", "AdoptRate", SETTING_NUMBER, FIELD(adopt_rate), {"500", "500", "500", "2000"}, RANGE(1, 100000), RELOAD,
     NO_OPTION, "elements asked per second after a takeover"},
    {"Registrar", "TableElements", SETTING_NUMBER, FIELD(table_elements), ALL("128"), RANGE(1, 1024), RELOAD,
     NO_OPTION, "elements in one message of a download"},
    {"Registrar", "TableOctets", SETTING_NUMBER, FIELD(table_octets), {"16000", "1400", "16000", "16000"}, RANGE(500, 60000), RELOAD,
     NO_OPTION, "octets in one message of a download"},
    {"Registrar", "DistanceStep", SETTING_MS, FIELD(distance_step_ms), ALL("50ms"), RANGE(1, 10000), RELOAD,
     NO_OPTION, "measured distances of elements (policies lu-dpf …) are rounded to a multiple of that"},

    {"Network", "Registrars", SETTING_REGISTRARS, FIELD(registrars), ALL(""), NO_RANGE, RESTART,
     "--registrars", "LIST", "registrars given by hand: ADDR[:PORT][/UDP-PORT], [V6ADDR]:PORT"},
    {"Network", "Peers", SETTING_REGISTRARS, FIELD(peers), ALL(""), NO_RANGE, RESTART,
     "--peers", "LIST", "a registrar's peers, ADDR[:PORT]; unset: those of --registrars"},
    {"Network", "Monitors", SETTING_REGISTRARS, FIELD(monitors), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "where a registrar reports to (component status protocol), ADDR[:PORT]"},
    {"Network", "MonitorInterval", SETTING_MS, FIELD(monitor_interval_ms), ALL("1s"), RANGE(0, MINUTE), RELOAD,
     NO_OPTION, "between two reports to the monitors, at least 250ms; 0ms: none"},
    {"Network", "Interfaces", SETTING_TEXT, FIELD(interfaces), ALL(""), NO_RANGE, RESTART,
     "--interfaces", "LIST", "network interfaces to use; empty: all"},
    {"Network", "MinimumScope", SETTING_SCOPE_RANK, FIELD(minimum_scope), ALL("sitelocal"), NO_RANGE, RESTART,
     "--min-scope", "SCOPE", "least address scope registered: loopback, sitelocal or global"},
    {"Network", "AnnounceGroups", SETTING_GROUPS, FIELD(announce_groups), AT_START, NO_RANGE, RESTART,
     "--announce-groups", "LIST", "multicast groups to listen to; none: no multicast"},
    {"Network", "AnnounceSend", SETTING_GROUPS, FIELD(announce_send), AT_START, NO_RANGE, RESTART,
     NO_OPTION, "multicast groups to announce to; unset: the first one listened to"},
    {"Network", "AnnouncePort", SETTING_PORT, FIELD(announce_port), AT_START, RANGE(1, 65535), RESTART,
     NO_OPTION, "UDP port of the announces"},
    {"Network", "EnrpGroups", SETTING_GROUPS, FIELD(enrp_groups), AT_START, NO_RANGE, RESTART,
     NO_OPTION, "multicast groups among registrars; the first is announced to; none: no multicast"},
    {"Network", "EnrpAnnouncePort", SETTING_PORT, FIELD(enrp_announce_port), AT_START, RANGE(1, 65535), RESTART,
     NO_OPTION, "UDP port of the announces among registrars"},
    {"Network", "EnrpPort", SETTING_PORT, FIELD(enrp_port), AT_START, RANGE(1, 65535), RESTART,
     "--enrp-port", "PORT", "SCTP port among registrars"},
    {"Network", "AsapPort", SETTING_PORT, FIELD(asap_port), AT_START, RANGE(1, 65535), RESTART,
     "--asap-port", "PORT", "SCTP port of the registrars"},
    {"Network", "Transport", SETTING_CHOICE, FIELD(transport), ALL("auto"), CHOICES(TRANSPORT_NAMES), RESTART,
     "--transport", "KIND", "SCTP: auto, kernel, usrsctp (userland, over UDP) or none"},
    {"Network", "UdpPort", SETTING_PORT, FIELD(udp_port), AT_START, RANGE(1, 65535), RESTART,
     "--udp-port", "PORT", "UDP port of encapsulated SCTP, the same in the whole scope"},
    {"Network", "Encapsulate", SETTING_BOOL, FIELD(encapsulate), ALL("no"), NO_RANGE, RESTART,
     NO_OPTION, "kernel SCTP: open associations over UDP"},
    {"Network", "Bind", SETTING_ADDRESS, FIELD(bind), ALL("any"), NO_RANGE, RESTART,
     "--bind", "ADDR", "address of the UDP socket of userland SCTP; any: all"},
    {"Network", "RtoInitial", SETTING_MS, FIELD(rto_initial_ms), {"3s", "2s", "200ms", "100ms"}, RANGE(10, MINUTE), RESTART,
     NO_OPTION, "SCTP: first retransmission time"},
    {"Network", "RtoMin", SETTING_MS, FIELD(rto_min_ms), {"1s", "1s", "100ms", "20ms"}, RANGE(10, MINUTE), RESTART,
     NO_OPTION, "SCTP: least retransmission time"},
    {"Network", "RtoMax", SETTING_MS, FIELD(rto_max_ms), {"60s", "5s", "200ms", "30ms"}, RANGE(10, 2 * MINUTE), RESTART,
     NO_OPTION, "SCTP: greatest retransmission time"},
    {"Network", "Heartbeat", SETTING_MS, FIELD(heartbeat_ms), {"30s", "15s", "300ms", "40ms"}, RANGE(20, HOUR), RESTART,
     NO_OPTION, "SCTP: between heartbeats on an idle path"},
    {"Network", "PathMaxRetrans", SETTING_NUMBER, FIELD(path_max_retrans), {"5", "3", "2", "1"}, RANGE(0, 20), RESTART,
     NO_OPTION, "SCTP: losses in a row until a path is down"},
    {"Network", "AssocMaxRetrans", SETTING_NUMBER, FIELD(assoc_max_retrans), {"10", "8", "3", "2"}, RANGE(1, 40), RESTART,
     NO_OPTION, "SCTP: losses in a row until an association is down; more with several paths"},
    {"Network", "MaxInitRetrans", SETTING_NUMBER, FIELD(max_init_retrans), {"8", "3", "3", "3"}, RANGE(1, 20), RESTART,
     NO_OPTION, "SCTP: attempts to open an association"},
    {"Network", "MaxInitTimeout", SETTING_MS, FIELD(max_init_timeout_ms), {"60s", "5s", "1s", "500ms"}, RANGE(10, 2 * MINUTE), RESTART,
     NO_OPTION, "SCTP: greatest time between two attempts to open"},

    {"Agent", "Request", SETTING_MS, FIELD(t1_request_ms), {"15s", "3s", "1s", "300ms"}, RANGE(50, 10 * MINUTE), RELOAD,
     NO_OPTION, "a resolution's answer may take that long (T1-ENRPrequest)"},
    {"Agent", "Registration", SETTING_MS, FIELD(t2_registration_ms), {"30s", "3s", "2s", "500ms"}, RANGE(50, 10 * MINUTE), RELOAD,
     NO_OPTION, "a registration's answer may take that long (T2-registration)"},
    {"Agent", "Deregistration", SETTING_MS, FIELD(t3_deregistration_ms), {"30s", "3s", "2s", "500ms"}, RANGE(50, 10 * MINUTE), RELOAD,
     NO_OPTION, "a deregistration's answer may take that long (T3-deregistration)"},
    {"Agent", "RegistrationLife", SETTING_MS, FIELD(registration_life_ms), {"10min", "90s", "3min", "10s"}, RANGE(1000, 24 * HOUR), RELOAD,
     NO_OPTION, "life asked for when registering"},
    {"Agent", "Reregistration", SETTING_MS, FIELD(reregistration_ms), {"0ms", "30s", "1min", "3s"}, RANGE(0, 24 * HOUR), RELOAD,
     NO_OPTION, "between registrations of an element (T4-reregistration); 0ms: RFC's rule from the life"},
    {"Agent", "Hunt", SETTING_MS, FIELD(t5_hunt_ms), {"10s", "7500ms", "1s", "300ms"}, RANGE(50, 10 * MINUTE), RELOAD,
     NO_OPTION, "first round of the search for a registrar (T5-Serverhunt), doubled each round"},
    {"Agent", "HuntMax", SETTING_MS, FIELD(hunt_max_ms), {"60s", "7500ms", "8s", "2s"}, RANGE(50, HOUR), RELOAD,
     NO_OPTION, "longest round of the search for a registrar (RETRAN.max)"},
    {"Agent", "RegistrarOutdate", SETTING_MS, FIELD(t7_outdate_ms), {"5s", "5s", "5s", "1500ms"}, RANGE(300, HOUR), RELOAD,
     NO_OPTION, "a registrar not heard that long is forgotten (T7-ENRPoutdate)"},
    {"Agent", "StaleCache", SETTING_MS, FIELD(stale_cache_ms), {"30s", "5s", "2s", "500ms"}, RANGE(0, HOUR), RELOAD,
     NO_OPTION, "a resolved pool is asked for again after that (stale.cache.value)"},
    {"Agent", "MaxRegistrationAttempts", SETTING_NUMBER, FIELD(max_registration_attempts), {"2", "1", "2", "2"}, RANGE(1, 100), RELOAD,
     NO_OPTION, "failed attempts before the program is told (MAX-REG-ATTEMPT)"},
    {"Agent", "MaxRequestRetransmits", SETTING_NUMBER, FIELD(max_request_retransmits), {"2", "1", "2", "2"}, RANGE(0, 100), RELOAD,
     NO_OPTION, "repetitions of a resolution (MAX-REQUEST-RETRANSMIT)"},
    {"Agent", "ResolveItems", SETTING_NUMBER, FIELD(resolve_items), {"128", "3", "32", "32"}, RANGE(1, 128), RELOAD,
     NO_OPTION, "elements asked for per resolution"},
    {"Agent", "QuarantineFirst", SETTING_MS, FIELD(quarantine_first_ms), ALL("1s"), RANGE(10, MINUTE), RELOAD,
     NO_OPTION, "an element that failed is tried again after that, doubled each time"},
    {"Agent", "QuarantineMax", SETTING_MS, FIELD(quarantine_max_ms), ALL("30s"), RANGE(10, HOUR), RELOAD,
     NO_OPTION, "longest time between two such tries"},
    {"Agent", "HangAfter", SETTING_MS, FIELD(hang_after_ms), ALL("10s"), RANGE(0, HOUR), RELOAD,
     NO_OPTION, "a server that runs but accepts nobody is withheld after that; 0ms: only one that is stopped"},
    {"Agent", "ReportRate", SETTING_MS, FIELD(report_rate_ms), ALL("1s"), RANGE(0, HOUR), RELOAD,
     NO_OPTION, "at most one unreachable report per element and that long"},
    {"Agent", "DynamicUpdates", SETTING_BOOL, FIELD(dynamic_updates), {"no", "no", "yes", "yes"}, NO_RANGE, RELOAD,
     NO_OPTION, "ask the registrar to send changes of pools in use"},

    {"Clients", "Suffixes", SETTING_SUFFIXES, FIELD(suffixes), ALL(".pool.alt"), NO_RANGE, RELOAD,
     "--suffixes", "LIST", "ends of host names that mean a pool"},
    {"Clients", "CookieNet4", SETTING_PREFIX4, FIELD(cookie_net4), AT_START, NO_RANGE, RESTART,
     NO_OPTION, "IPv4 cookie addresses of pools are taken from here"},
    {"Clients", "CookieNet6", SETTING_PREFIX6, FIELD(cookie_net6), ALL("fd52:5350:0:a1::/64"), NO_RANGE, RESTART,
     NO_OPTION, "IPv6 cookie addresses of pools are taken from here"},
    {"Clients", "RefusalWait", SETTING_US, FIELD(refusal_wait_us), ALL("2ms"), RANGE(0, 1000000), RELOAD,
     NO_OPTION, "a non-blocking connect waits that long for a refusal; 0ms: not at all"},
    {"Clients", "ConnectTimeout", SETTING_MS, FIELD(connect_timeout_ms), {"10s", "5s", "3s", "1s"}, RANGE(50, 10 * MINUTE), RELOAD,
     NO_OPTION, "a blocking connect gives an element up after that"},
    {"Clients", "RegisterWait", SETTING_MS, FIELD(register_wait_ms), ALL("500ms"), RANGE(0, MINUTE), RELOAD,
     NO_OPTION, "a registering program waits that long for a registrar's answer"},
    {"Clients", "ConnectionsPerUser", SETTING_NUMBER, FIELD(connections_per_user), ALL("16384"), RANGE(16, 1000000), RELOAD,
     NO_OPTION, "connections to the Unix socket per user"},
};

static const struct setting POOL_SETTINGS[] = {
    {"Pool NAME", "RegisterUsers", SETTING_USERS, POOL(register_users), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "who may register, by user; unset: who made the pool on this host, and root"},
    {"Pool NAME", "RegisterGroups", SETTING_GROUP_IDS, POOL(register_groups), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "who may register, by group"},
    {"Pool NAME", "RegisterFrom", SETTING_PREFIXES, POOL(register_from), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "at the registrar: prefixes whose hosts may register"},
    {"Pool NAME", "ResolveUsers", SETTING_USERS, POOL(resolve_users), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "who may resolve, by user; unset: everybody"},
    {"Pool NAME", "ResolveGroups", SETTING_GROUP_IDS, POOL(resolve_groups), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "who may resolve, by group"},
    {"Pool NAME", "Cookies", SETTING_CHOICE, POOL(cookies), ALL("sealed"), CHOICES(COOKIE_NAMES), RELOAD,
     NO_OPTION, "state cookies: sealed; or unsealed, for pools with elements of rsplib"},
    {"Pool NAME", "CookieLife", SETTING_MS, POOL(cookie_life_ms), ALL("24h"), RANGE(1000, 30 * 24 * HOUR), RELOAD,
     NO_OPTION, "a sealed cookie older than that is refused"},
};

static const struct setting PROGRAM_SETTINGS[] = {
    {"Program /PATH", "Pool", SETTING_HANDLE, PROG(pool), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "pool its listening sockets join, at most 255 octets"},
    {"Program /PATH", "Port", SETTING_PORT, PROG(port), ALL("0"), RANGE(0, 65535), RELOAD,
     NO_OPTION, "only the socket on that port; 0: all"},
    {"Program /PATH", "Protocol", SETTING_PROTOCOL, PROG(protocol), ALL("any"), NO_RANGE, RELOAD,
     NO_OPTION, "tcp, udp, sctp or any"},
    {"Program /PATH", "Policy", SETTING_POLICY, PROG(policy), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "pool member selection policy, such as rr or lu"},
    {"Program /PATH", "Capacity", SETTING_NUMBER, PROG(capacity), ALL("0"), RANGE(0, 10000000), RELOAD,
     NO_OPTION, "connections that mean full load; 0: not stated"},
    {"Program /PATH", "Probe", SETTING_TEXT, PROG(probe), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "how to see whether it serves: tcp or http:/PATH"},
    {"Program /PATH", "ProbeInterval", SETTING_MS, PROG(probe_ms), ALL("1s"), RANGE(50, HOUR), RELOAD,
     NO_OPTION, "between two probes"},
    {"Program /PATH", "SlowStart", SETTING_MS, PROG(slow_start_ms), ALL("0"), RANGE(0, HOUR), RELOAD,
     NO_OPTION, "until a new element has its full share, with a policy such as lu; 0: at once"},
    {"Program /PATH", "Bind", SETTING_TEXT, PROG(bind), ALL(""), NO_RANGE, RELOAD,
     NO_OPTION, "several sockets at once: PORT=POOL,PORT=POOL"},
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct setting *setting_at(size_t i)
{
    return i < COUNT(SETTINGS) ? &SETTINGS[i] : NULL;
}

const struct setting *setting_pool_at(size_t i)
{
    return i < COUNT(POOL_SETTINGS) ? &POOL_SETTINGS[i] : NULL;
}

const struct setting *setting_program_at(size_t i)
{
    return i < COUNT(PROGRAM_SETTINGS) ? &PROGRAM_SETTINGS[i] : NULL;
}
