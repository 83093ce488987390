/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sentence of an element that came or changed, by registration or by a handle update. */
#ifndef RSP_RSPD_REGISTRAR_TELL_H
#define RSP_RSPD_REGISTRAR_TELL_H

#include "rspd/outbox.h"

/**
 * The event that `pe` joined the pool (EVENT_PE_ADDED) or changed in it, with its address and
 * policy, goes to `out`; `source` ends the sentence: who told of it. Dropped when memory is out.
 */
void tell_element(struct outbox *out, enum event_kind kind, struct pool_handle handle,
                  const struct pool_element *pe, uint32_t registrar_id, const char *source);

#endif
