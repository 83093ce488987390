/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which checkers this is built with, whichever compiler: gcc's UBSan alone cannot be told. */
#ifndef RSP_COMMON_SANITIZERS_H
#define RSP_COMMON_SANITIZERS_H

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define RSP_ASAN 1
#endif
#if __has_feature(undefined_behavior_sanitizer)
#define RSP_UBSAN 1
#endif
#if __has_feature(thread_sanitizer)
#define RSP_TSAN 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#define RSP_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define RSP_TSAN 1
#endif

#endif
