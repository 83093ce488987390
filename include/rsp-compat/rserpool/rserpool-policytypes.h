/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Member selection policies by number, and the bounds of what they are given. */
#ifndef RSP_COMPAT_RSERPOOL_POLICYTYPES_H
#define RSP_COMPAT_RSERPOOL_POLICYTYPES_H

#define PPT_UNDEFINED 0x00000000

/* of RFC 5356 */
#define PPT_ROUNDROBIN            0x00000001
#define PPT_WEIGHTED_ROUNDROBIN   0x00000002
#define PPT_RANDOM                0x00000003
#define PPT_WEIGHTED_RANDOM       0x00000004
#define PPT_PRIORITY              0x00000005
#define PPT_LEASTUSED             0x40000001
#define PPT_LEASTUSED_DEGRADATION 0x40000002
#define PPT_PRIORITY_LEASTUSED    0x40000003
#define PPT_RANDOMIZED_LEASTUSED  0x40000004

/* of the private range */
#define PPT_RANDOMIZED_PRIORITY_LEASTUSED             0xb0001001
#define PPT_RANDOMIZED_LEASTUSED_DEGRADATION          0xb0001002
#define PPT_PRIORITY_LEASTUSED_DEGRADATION            0xb0001003
#define PPT_RANDOMIZED_PRIORITY_LEASTUSED_DEGRADATION 0xb0001004
#define PPT_WEIGHTED_RANDOM_DPF                       0xb0002001
#define PPT_LEASTUSED_DPF                             0xb0002002
#define PPT_LEASTUSED_DEGRADATION_DPF                 0xb0002003
#define PPT_PRIORITY_LEASTUSED_DPF                    0xb0002004
#define PPT_PRIORITY_LEASTUSED_DEGRADATION_DPF        0xb0002005

/** Whether a policy goes by the load its elements state: all variants of Least Used do. */
#define PPT_IS_ADAPTIVE(p)                                                                         \
    (((unsigned int)(p) >= PPT_LEASTUSED && (unsigned int)(p) <= PPT_RANDOMIZED_LEASTUSED) ||      \
     ((unsigned int)(p) >= PPT_RANDOMIZED_PRIORITY_LEASTUSED &&                                    \
      (unsigned int)(p) <= PPT_RANDOMIZED_PRIORITY_LEASTUSED_DEGRADATION) ||                       \
     ((unsigned int)(p) >= PPT_LEASTUSED_DPF &&                                                    \
      (unsigned int)(p) <= PPT_PRIORITY_LEASTUSED_DEGRADATION_DPF))

#define PPV_MIN_WEIGHT           0
#define PPV_MAX_WEIGHT           0xffffffff
#define PPV_MIN_WEIGHTDPF        0
#define PPV_MAX_WEIGHTDPF        0xffffffff
#define PPV_MIN_LOAD             0
#define PPV_MAX_LOAD             0xffffffff
#define PPV_MIN_LOADDPF          0
#define PPV_MAX_LOADDPF          0xffffffff
#define PPV_MIN_LOAD_DEGRADATION 0
#define PPV_MAX_LOAD_DEGRADATION 0xffffffff

#endif
