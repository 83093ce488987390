/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Beginning and end of the drop-in, and the options that programs for rsplib hand on from their
 * command lines. What the reference library does in the process itself, hunting for a registrar,
 * keeping registrations up, is the daemon's business here; so its timers are stored and say
 * nothing.
 */
#include "librsp/compat/compat.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "librsp/sockaddr.h"

#define CSP_PORT            2960
#define CSP_INTERVAL_MIN_MS 250
#define ADDRESSES_TEXT_MAX  1024
#define ADDRESSES_MAX       32

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool initialized;
static struct sockaddr_storage csp_server;
static struct sockaddr_storage announce_group;

/*
 * Of libtdloglevel, which the programs of rsplib bring along. They count upon the library to begin
 * logging: until then its output file is NULL.
 */
extern unsigned int initLogging(const char *parameter) __attribute__((weak));
extern void beginLogging(void) __attribute__((weak));
extern void finishLogging(void) __attribute__((weak));

bool compat_ready(void)
{
    (void)pthread_mutex_lock(&mutex);
    bool ready = initialized;
    (void)pthread_mutex_unlock(&mutex);
    if (!ready) {
        errno = EACCES;
    }
    return ready;
}

/* --- addresses ----------------------------------------------------------------------------------
 */

/**
 * Reads "host:port", "host!port", "[v6]:port", "[v6]!port"; `port` 0: one must be given, else it is
 * what counts without. False: not an address.
 */
static bool read_address(const char *text, unsigned port, struct sockaddr_storage *ret)
{
    char host[256];
    char service[16];
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char *begin = text[0] == '[' ? text + 1 : text;
    size_t len = text[0] == '[' ? strcspn(begin, "]") : strcspn(begin, ":!");
    const char *rest = begin + len + (text[0] == '[' && begin[len] == ']' ? 1 : 0);
    if (len == 0 || len >= sizeof(host) || (text[0] == '[' && begin[len] != ']')) {
        return false;
    }
    memcpy(host, begin, len);
    host[len] = '\0';
    if (*rest == '\0' && port != 0) {
        (void)snprintf(service, sizeof(service), "%u", port);
    } else if ((*rest == ':' || *rest == '!') && rest[1] != '\0' &&
               strspn(rest + 1, "0123456789") == strlen(rest + 1) && strlen(rest + 1) < 6) {
        (void)snprintf(service, sizeof(service), "%s", rest + 1);
    } else {
        return false;
    }
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        return false;
    }
    bool fits = found->ai_addrlen <= sizeof(*ret);
    if (fits) {
        memset(ret, 0, sizeof(*ret));
        memcpy(ret, found->ai_addr, found->ai_addrlen);
    }
    freeaddrinfo(found);
    return fits;
}

/** Reads a list of addresses of one registrar and puts it in front. */
static bool add_registrar(struct rsp_info *info, const char *text)
{
    char copy[ADDRESSES_TEXT_MAX];
    uint8_t packed[ADDRESSES_MAX * sizeof(struct sockaddr_in6)];
    size_t used = 0;
    size_t count = 0;
    char *save = NULL;
    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy)) {
        return false;
    }
    for (char *one = strtok_r(copy, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save)) {
        struct sockaddr_storage address;
        if (count == ADDRESSES_MAX || !read_address(one, 0, &address)) {
            return false;
        }
        size_t len = sockaddr_len((const struct sockaddr *)&address);
        memcpy(packed + used, &address, len);
        used += len;
        count++;
    }
    struct rsp_registrar_info *registrar =
        count > 0 ? (struct rsp_registrar_info *)calloc(1, sizeof(*registrar)) : NULL;
    struct sockaddr *addresses = registrar != NULL ? (struct sockaddr *)malloc(used) : NULL;
    if (addresses == NULL) {
        free(registrar);
        return false;
    }
    memcpy(addresses, packed, used);
    registrar->rri_addr = addresses;
    registrar->rri_addrs = count;
    registrar->rri_next = info->ri_registrars;
    info->ri_registrars = registrar;
    return true;
}

/* --- options ------------------------------------------------------------------------------------
 */

static const char *value_of(const char *arg, const char *name)
{
    size_t len = strlen(name);
    return strncmp(arg, name, len) == 0 ? arg + len : NULL;
}

static bool read_number(const char *text, unsigned long long max, unsigned long long *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (end == text || *end != '\0' || errno != 0 || v > max || text[0] == '-') {
        return false;
    }
    *ret = v;
    return true;
}

static int wrong(const char *arg)
{
    (void)fprintf(stderr, "ERROR: wrong value in argument %s\n", arg);
    return 0;
}

static int read_announce(struct rsp_info *info, const char *arg, const char *value)
{
    if (strcmp(value, "off") == 0) {
        info->ri_disable_autoconfig = 1;
        return 1;
    }
    if (strcmp(value, "auto") == 0) {
        info->ri_disable_autoconfig = 0;
        info->ri_registrar_announce = NULL;
        return 1;
    }
    if (!read_address(value, ASAP_PORT, &announce_group)) {
        return wrong(arg);
    }
    info->ri_disable_autoconfig = 0;
    info->ri_registrar_announce = (struct sockaddr *)&announce_group;
    return 1;
}

static int read_csp(struct rsp_info *info, const char *arg)
{
    unsigned long long number = 0;
    const char *value = value_of(arg, "-cspserver=");
    if (value != NULL) {
        if (!read_address(value, CSP_PORT, &csp_server)) {
            return wrong(arg);
        }
        info->ri_csp_server = (struct sockaddr *)&csp_server;
        return 1;
    }
    value = value_of(arg, "-cspinterval=");
    if (value != NULL) {
        if (!read_number(value, UINT32_MAX, &number)) {
            return wrong(arg);
        }
        info->ri_csp_interval = (unsigned int)number;
        return 1;
    }
    value = value_of(arg, "-cspidentifier=");
    if (value != NULL && read_number(value, UINT64_MAX, &number)) {
        info->ri_csp_identifier = CID_COMPOUND(CID_GROUP_POOLELEMENT, number);
        return 1;
    }
    return wrong(arg);
}

/** The six numbers about registrars. -1: not one of them. */
static int read_registrar_number(struct rsp_info *info, const char *arg)
{
    const struct {
        const char *name;
        unsigned int *field;
    } numbers[] = {
        {"-registrarannouncetimeout=", &info->ri_registrar_announce_timeout},
        {"-registrarconnecttimeout=", &info->ri_registrar_connect_timeout},
        {"-registrarconnectmaxtrials=", &info->ri_registrar_connect_max_trials},
        {"-registrarrequesttimeout=", &info->ri_registrar_request_timeout},
        {"-registrarresponsetimeout=", &info->ri_registrar_response_timeout},
        {"-registrarrequestmaxtrials=", &info->ri_registrar_request_max_trials},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        unsigned long long number = 0;
        const char *value = value_of(arg, numbers[i].name);
        if (value != NULL && !read_number(value, UINT32_MAX, &number)) {
            return wrong(arg);
        }
        if (value != NULL) {
            *numbers[i].field = (unsigned int)number;
            return 1;
        }
    }
    return -1;
}

/** Once: a program must not lead the hunt, which is for the whole host. */
static void say_registrars_are_the_daemons(void)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&said)) {
        (void)fprintf(stderr, "WARNING: -registrar= has no effect: registrars are a setting of "
                              "rspd, Network.Registrars\n");
    }
}

COMPAT_PUBLIC int rsp_initarg(struct rsp_info *info, const char *arg)
{
    const char *value;
    if (strncmp(arg, "-log", 4) == 0) {
        return initLogging != NULL ? (initLogging(arg) != 0 ? 1 : 0) : 1;
    }
    if (strncmp(arg, "-csp", 4) == 0) {
        return read_csp(info, arg);
    }
    if ((value = value_of(arg, "-registrar=")) != NULL) {
        if (!add_registrar(info, value)) {
            return wrong(arg);
        }
        say_registrars_are_the_daemons();
        return 1;
    }
    if ((value = value_of(arg, "-asapannounce=")) != NULL) {
        return read_announce(info, arg, value);
    }
    int r = read_registrar_number(info, arg);
    return r < 0 ? 0 : r;
}

/* --- beginning and end --------------------------------------------------------------------------
 */

COMPAT_PUBLIC void rsp_initinfo(struct rsp_info *info)
{
    unsigned long long interval = 0;
    const char *server = getenv("CSP_SERVER");
    const char *text = getenv("CSP_INTERVAL");
    memset(info, 0, sizeof(*info));
    if (server != NULL && read_address(server, 0, &csp_server)) {
        info->ri_csp_server = (struct sockaddr *)&csp_server;
    }
    if (text != NULL && read_number(text, UINT32_MAX, &interval)) {
        info->ri_csp_interval =
            interval > CSP_INTERVAL_MIN_MS ? (unsigned int)interval : CSP_INTERVAL_MIN_MS;
    }
}

COMPAT_PUBLIC void rsp_freeinfo(struct rsp_info *info)
{
    while (info->ri_registrars != NULL) {
        struct rsp_registrar_info *registrar = info->ri_registrars;
        info->ri_registrars = registrar->rri_next;
        free(registrar->rri_addr);
        free(registrar);
    }
}

COMPAT_PUBLIC int rsp_initialize(struct rsp_info *info)
{
    if (info != NULL) {
        info->ri_version = RSPLIB_VERSION;
        info->ri_revision = RSPLIB_REVISION;
        info->ri_build_date = NULL;
        info->ri_build_time = NULL;
    }
    (void)pthread_mutex_lock(&mutex);
    bool was = initialized;
    initialized = true;
    (void)pthread_mutex_unlock(&mutex);
    if (!was && beginLogging != NULL) {
        beginLogging();
    }
    if (!was) {
        struct rsp_info defaults;
        rsp_initinfo(&defaults);
        const struct rsp_info *csp = info != NULL ? info : &defaults;
        (void)rspcore_csp_configure(csp->ri_csp_server, csp->ri_csp_interval,
                                    csp->ri_csp_identifier);
    }
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && !was; fd++) {
        (void)rsp_mapsocket(fd, fd); /* a closed one stays unmapped */
    }
    return 0;
}

COMPAT_PUBLIC void rsp_cleanup(void)
{
    int fd;
    while ((fd = compat_first(COMPAT_SOCKET)) >= 0) {
        (void)rsp_close(fd);
    }
    while ((fd = compat_first(COMPAT_DUPLICATED)) >= 0 || (fd = compat_first(COMPAT_MAPPED)) >= 0) {
        (void)rsp_unmapsocket(fd);
    }
    (void)pthread_mutex_lock(&mutex);
    bool was = initialized;
    initialized = false;
    (void)pthread_mutex_unlock(&mutex);
    (void)rspcore_csp_configure(NULL, 0, 0);
    if (was && finishLogging != NULL) {
        finishLogging();
    }
}
