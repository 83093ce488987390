/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shim's settings; see config.h. */
#include "preload/config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/names.h"
#include "preload/fdtable.h"
#include "preload/guard.h"
#include "preload/real.h"
#include "wire/hints.h"

static struct pre_config config;
static atomic_int config_state; /* 0: not read, 1: being read, 2: read */
static atomic_int log_fd = -1;
static atomic_uint log_inode;

/* --- the environment ----------------------------------------------------------------------------
 */

static void copy_text(char *out, size_t size, const char *name)
{
    const char *value = secure_getenv(name);
    size_t len = value != NULL ? strlen(value) : 0;
    if (len >= size) {
        len = 0; /* cut text would mean something else */
    }
    if (len > 0) {
        memcpy(out, value, len);
    }
    out[len] = '\0';
}

static uint32_t number(const char *name, uint32_t max)
{
    const char *value = secure_getenv(name);
    if (value == NULL || value[0] < '0' || value[0] > '9') {
        return 0;
    }
    unsigned long n = strtoul(value, NULL, 10);
    return n < max ? (uint32_t)n : max;
}

static enum transport_protocol protocol_of(const char *text)
{
    if (strcasecmp(text, "udp") == 0) {
        return TRANSPORT_UDP;
    }
    if (strcasecmp(text, "sctp") == 0) {
        return TRANSPORT_SCTP;
    }
    return strcasecmp(text, "tcp") == 0 ? TRANSPORT_TCP : TRANSPORT_NONE;
}

static void open_log(const char *where)
{
    if (where == NULL || where[0] == '\0') {
        return;
    }
    if (strcmp(where, "stderr") == 0) {
        atomic_store(&log_fd, 2);
        return;
    }
    int fd = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd >= 0) {
        fd = pre_fd_move_high(fd, true);
    }
    if (fd >= 0) {
        atomic_store(&log_inode, pre_fd_inode(fd));
        atomic_store(&log_fd, fd);
        pre_fd_set(fd, &(struct pre_fd){.kind = PRE_FD_PRIVATE});
    }
}

static void load(void)
{
    char text[PRE_TEXT_MAX];
    lp_socket_path(secure_getenv("RSP_SOCKET"), secure_getenv("XDG_RUNTIME_DIR"),
                   config.socket_path);
    copy_text(config.pool, sizeof(config.pool), "RSP_POOL");
    copy_text(config.bind, sizeof(config.bind), "RSP_BIND");
    copy_text(config.probe, sizeof(config.probe), "RSP_PROBE");
    copy_text(text, sizeof(text), "RSP_POLICY");
    if (text[0] != '\0' && !pre_policy_parse(text, &config.policy, &config.slow_start_ms)) {
        config.policy.type = POLICY_NONE;
    }
    copy_text(text, sizeof(text), "RSP_PROTO");
    config.protocol = protocol_of(text);
    config.capacity = number("RSP_CAPACITY", UINT32_MAX);
    config.probe_ms = number("RSP_PROBE_MS", UINT32_MAX);
    uint32_t slow_start_ms = number("RSP_SLOW_START_MS", UINT32_MAX);
    config.slow_start_ms = slow_start_ms != 0 ? slow_start_ms : config.slow_start_ms;
    config.sticky_ms = number("RSP_STICKY", 86400) * 1000;
    copy_text(text, sizeof(text), "RSP_PEERNAME");
    config.peername_cookie = strcmp(text, "cookie") == 0;
    config.strict = number("RSP_STRICT", 1) != 0;
    config.server = config.pool[0] != '\0' || config.bind[0] != '\0';
    open_log(secure_getenv("RSP_LOG"));
}

const struct pre_config *pre_config(void)
{
    int state = atomic_load_explicit(&config_state, memory_order_acquire);
    if (state == 2) {
        return &config;
    }
    int fresh = 0;
    if (atomic_compare_exchange_strong(&config_state, &fresh, 1)) {
        int saved = errno;
        load();
        errno = saved;
        atomic_store_explicit(&config_state, 2, memory_order_release);
    }
    return &config; /* while another thread reads it: zeroes, that is, no rules and no path */
}

/* --- what the daemon said ------------------------------------------------------------------------
 */

static pthread_mutex_t state_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool learnt;
static atomic_uint refusal_wait_us = 2000;
static atomic_uint connect_timeout_ms = 5000;

/* Cookie nets: by default the system's and an unprivileged daemon's. Prefix 255: none. */
static atomic_uint net4[2] = {0x7f2a0000, 0x7f2b0000};
static atomic_uint mask4[2] = {0xffff0000, 0xffff0000};
static _Atomic uint64_t net6[2] = {0xfd525350000000a1, 0};
static _Atomic uint64_t mask6[2] = {0xffffffffffffffff, 0};

static char suffixes[PRE_SUFFIXES_MAX][NAME_SUFFIX_TEXT_MAX] = {NAME_SUFFIX_DEFAULT};
static struct pre_rule rules[PRE_RULES_MAX];
static unsigned rule_count;
static struct hint_page *_Atomic hints;

void pre_state_lock(void)
{
    (void)pthread_mutex_lock(&state_mutex);
}

void pre_state_unlock(void)
{
    (void)pthread_mutex_unlock(&state_mutex);
}

static uint32_t load32(const uint8_t *o)
{
    return (uint32_t)o[0] << 24 | (uint32_t)o[1] << 16 | (uint32_t)o[2] << 8 | o[3];
}

static uint64_t load64(const uint8_t *o)
{
    return (uint64_t)load32(o) << 32 | load32(o + 4);
}

static uint64_t mask_of(unsigned bits, unsigned width)
{
    if (bits == 0) {
        return 0;
    }
    return ~UINT64_C(0) << (64 - (bits < width ? bits : width));
}

static void learn_net(const struct lp_each *it)
{
    if (it->type == LP_T_COOKIE4_NET && it->len == 5 && it->value[4] >= 8 && it->value[4] <= 32) {
        uint32_t mask = (uint32_t)(mask_of(it->value[4], 32) >> 32);
        for (int i = 0; i < 2; i++) {
            atomic_store(&net4[i], load32(it->value) & mask);
            atomic_store(&mask4[i], mask);
        }
    } else if (it->type == LP_T_COOKIE6_NET && it->len == 17 && it->value[16] >= 16 &&
               it->value[16] <= 128) {
        unsigned bits = it->value[16];
        uint64_t high = mask_of(bits, 64);
        uint64_t low = bits > 64 ? mask_of(bits - 64, 64) : 0;
        atomic_store(&net6[0], load64(it->value) & high);
        atomic_store(&net6[1], load64(it->value + 8) & low);
        atomic_store(&mask6[0], high);
        atomic_store(&mask6[1], low);
    }
}

static void learn_rule(const struct lp_each *outer)
{
    if (rule_count >= PRE_RULES_MAX) {
        return;
    }
    struct pre_rule *r = &rules[rule_count];
    *r = (struct pre_rule){.protocol = TRANSPORT_NONE};
    struct pool_handle handle = {0};
    struct lp_each it;
    lp_nested(&it, outer);
    while (lp_next(&it)) {
        uint32_t value = lp_u32(&it, 0);
        switch (it.type) {
        case LP_T_HANDLE:
            (void)lp_handle(&it, &handle);
            break;
        case LP_T_PORT:
            r->port = (uint16_t)value;
            break;
        case LP_T_PROTOCOL:
            r->protocol = (enum transport_protocol)value;
            break;
        case LP_T_POLICY:
            (void)lp_policy(&it, &r->policy);
            break;
        case LP_T_CAPACITY:
            r->capacity = value;
            break;
        case LP_T_PROBE:
            (void)lp_str(&it, r->probe, sizeof(r->probe));
            break;
        case LP_T_PROBE_MS:
            r->probe_ms = value;
            break;
        case LP_T_SLOW_START_MS:
            r->slow_start_ms = value;
            break;
        default:
            break;
        }
    }
    if (handle.len > 0 && handle.len <= sizeof(r->handle)) {
        memcpy(r->handle, handle.octets, handle.len);
        r->handle_len = handle.len;
        rule_count++;
    }
}

static void learn_hints(int fd)
{
    struct stat st;
    if (atomic_load(&hints) == NULL && fstat(fd, &st) == 0 &&
        st.st_size >= (off_t)sizeof(struct hint_page) && (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK)) {
        void *m = mmap(NULL, sizeof(struct hint_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        struct hint_page *page = (struct hint_page *)m;
        if (m != MAP_FAILED) {
            if (page->magic == HINT_MAGIC && page->version == HINT_VERSION &&
                page->words == HINT_WORDS) {
                atomic_store(&hints, page);
            } else {
                (void)munmap(m, sizeof(struct hint_page));
            }
        }
    }
    (void)pre_real()->close(fd);
}

void pre_config_learn(const struct lp_message *hello_ok, int hints_fd)
{
    unsigned suffix_count = 0;
    struct lp_each it;
    pre_state_lock();
    rule_count = 0;
    lp_each_init(&it, hello_ok);
    while (lp_next(&it)) {
        switch (it.type) {
        case LP_T_SUFFIX: {
            char text[NAME_SUFFIX_TEXT_MAX];
            if (suffix_count < PRE_SUFFIXES_MAX &&
                name_suffix_valid(lp_str(&it, text, sizeof(text)))) {
                memcpy(suffixes[suffix_count++], text, sizeof(text));
            }
            break;
        }
        case LP_T_COOKIE4_NET:
        case LP_T_COOKIE6_NET:
            learn_net(&it);
            break;
        case LP_T_REFUSAL_WAIT_US:
            atomic_store(&refusal_wait_us, lp_u32(&it, 2000));
            break;
        case LP_T_CONNECT_TIMEOUT_MS:
            atomic_store(&connect_timeout_ms, lp_u32(&it, 5000));
            break;
        case LP_T_RULE:
            learn_rule(&it);
            break;
        default:
            break;
        }
    }
    for (unsigned i = suffix_count; suffix_count > 0 && i < PRE_SUFFIXES_MAX; i++) {
        suffixes[i][0] = '\0';
    }
    pre_state_unlock();
    if (hints_fd >= 0) {
        learn_hints(hints_fd);
    }
    atomic_store(&learnt, true);
}

bool pre_config_learnt(void)
{
    return atomic_load(&learnt);
}

uint32_t pre_refusal_wait_us(void)
{
    return atomic_load_explicit(&refusal_wait_us, memory_order_relaxed);
}

uint32_t pre_connect_timeout_ms(void)
{
    return atomic_load_explicit(&connect_timeout_ms, memory_order_relaxed);
}

bool pre_is_cookie(const struct ip_address *address)
{
    if (address->family == IP_V4) {
        uint32_t a = load32(address->octets);
        return (a & atomic_load_explicit(&mask4[0], memory_order_relaxed)) ==
                   atomic_load_explicit(&net4[0], memory_order_relaxed) ||
               (a & atomic_load_explicit(&mask4[1], memory_order_relaxed)) ==
                   atomic_load_explicit(&net4[1], memory_order_relaxed);
    }
    if (address->family == IP_V6) {
        return (load64(address->octets) & atomic_load_explicit(&mask6[0], memory_order_relaxed)) ==
                   atomic_load_explicit(&net6[0], memory_order_relaxed) &&
               (load64(address->octets + 8) &
                atomic_load_explicit(&mask6[1], memory_order_relaxed)) ==
                   atomic_load_explicit(&net6[1], memory_order_relaxed);
    }
    return false;
}

bool pre_may_be_cookie(const struct ip_address *address)
{
    if (atomic_load_explicit(&learnt, memory_order_relaxed)) {
        return false;
    }
    if (address->family == IP_V4) {
        return address->octets[0] == 127 && address->octets[1] != 0;
    }
    return address->family == IP_V6 && address->octets[0] == 0xfd;
}

bool pre_is_pool_name(const char *name)
{
    struct pre_guard guard;
    bool ours = false;
    pre_enter(&guard);
    pre_state_lock();
    for (int i = 0; i < PRE_SUFFIXES_MAX && !ours; i++) {
        ours = suffixes[i][0] != '\0' && name_has_suffix(name, suffixes[i]);
    }
    pre_state_unlock();
    pre_leave(&guard);
    return ours;
}

bool pre_daemon_rule(unsigned i, struct pre_rule *ret)
{
    pre_state_lock();
    bool found = i < rule_count;
    if (found) {
        *ret = rules[i];
    }
    pre_state_unlock();
    return found;
}

void pre_hint(uint32_t pe_id)
{
    struct hint_page *page = atomic_load_explicit(&hints, memory_order_acquire);
    if (page != NULL) {
        hint_touch(page, pe_id);
    }
}

void pre_log(const char *format, ...)
{
    int fd = atomic_load_explicit(&log_fd, memory_order_relaxed);
    if (fd < 0) {
        return;
    }
    int saved = errno;
    if (fd > 2 && pre_fd_inode(fd) != atomic_load(&log_inode)) {
        return; /* closed behind our back, perhaps the program's own file by now */
    }
    char line[400];
    int used = snprintf(line, sizeof(line), "librsp_preload[%d]: ", (int)getpid());
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, args);
    va_end(args);
    size_t room = sizeof(line) - (size_t)used - 2;
    size_t len = (size_t)used + (n < 0 ? 0 : (size_t)n < room ? (size_t)n : room);
    line[len++] = '\n';
    ssize_t written = write(fd, line, len);
    (void)written;
    errno = saved;
}
