/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names this library gives to the dynamic linker, each a jump to its inner function; and the
 * constructor. Only this file is not linked into the unit tests. No destructor: nothing is freed at
 * exit, and programs go on calling us after destructors have run (L-3).
 */
#include <stdarg.h>

#include "preload/config.h"
#include "preload/guard.h"
#include "preload/listen.h"
#include "preload/real.h"
#include "preload/rpc.h"

#define PRE_EXPORT __attribute__((visibility("default")))

/* The C library's own prototypes are attributed in ways ours need not repeat; hence the asm names.
 */
#define PRE_DEFINE(result, name, params, args)                                                     \
    PRE_EXPORT result export_##name params __asm__(#name);                                         \
    result export_##name params                                                                    \
    {                                                                                              \
        return hook_##name args;                                                                   \
    }
PRE_HOOKS_FIXED(PRE_DEFINE)

PRE_EXPORT int export_fcntl(int fd, int cmd, ...) __asm__("fcntl");
int export_fcntl(int fd, int cmd, ...)
{
    va_list args;
    va_start(args, cmd);
    long arg = va_arg(args, long);
    va_end(args);
    return hook_fcntl(fd, cmd, arg);
}

PRE_EXPORT int export_fcntl64(int fd, int cmd, ...) __asm__("fcntl64");
int export_fcntl64(int fd, int cmd, ...)
{
    va_list args;
    va_start(args, cmd);
    long arg = va_arg(args, long);
    va_end(args);
    return hook_fcntl64(fd, cmd, arg);
}

PRE_EXPORT int export_ioctl(int fd, unsigned long request, ...) __asm__("ioctl");
int export_ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    long arg = va_arg(args, long);
    va_end(args);
    return hook_ioctl(fd, request, arg);
}

PRE_EXPORT void export_closefrom(int first) __asm__("closefrom");
void export_closefrom(int first)
{
    hook_closefrom(first);
}

/**
 * Originals and environment are looked up before the program can change either; a program that is
 * meant to be a pool element meets the daemon now, before it drops privileges or enters a sandbox
 * (L-57), and registers what it inherited.
 */
__attribute__((constructor)) static void start(void)
{
    (void)pre_real();
    pre_rpc_start();
    if (!pre_config()->server || !pre_real_complete()) {
        return;
    }
    struct pre_guard guard;
    pre_enter(&guard);
    (void)pre_rpc_hello(0, PRE_QUICK_MS);
    pre_leave(&guard);
    pre_listen_inherited();
}
