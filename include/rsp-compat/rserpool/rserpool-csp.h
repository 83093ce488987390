/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Identifiers of components, as the component status protocol has them: group and object. */
#ifndef RSP_COMPAT_RSERPOOL_CSP_H
#define RSP_COMPAT_RSERPOOL_CSP_H

#include <stdint.h>

#define CID_GROUP_REGISTRAR   0x0001
#define CID_GROUP_POOLELEMENT 0x0002
#define CID_GROUP_POOLUSER    0x0003

#define CID_GROUP(id)  (((uint64_t)(id) >> 56) & 0xffffULL)
#define CID_OBJECT(id) ((uint64_t)(id)&0xffffffffffffffULL)
#define CID_COMPOUND(group, object)                                                                \
    (((uint64_t)((group)&0xffff) << 56) | CID_OBJECT((uint64_t)(object)))

#endif
