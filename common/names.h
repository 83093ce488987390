/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Host names and pool handles (decisions.md "host names", issue A): `LABEL.pool.alt` stands for
 * the pool LABEL wherever a program takes a host name.
 *
 * - The suffix matches without regard to ASCII case, at a label boundary, with or without the
 *   final dot of an absolute name. "pool.alt" itself and "xpool.alt" are not ours.
 * - The rest of the name is the handle, its ASCII letters folded to lower case; several labels
 *   ("a.b.pool.alt") keep their dots. '_' is taken as it is, although a handle with it is written
 *   in the escaped form.
 * - A handle that is not made of a-z 0-9 '-' in labels of 1 to 63 octets joined by dots, or that
 *   begins with "x--", is written "x--HEX": two hexadecimal digits per octet; when they do not fit
 *   one label, digits go on in further labels ("x--HEX.HEX"), so every name has one meaning.
 * - A label has at most 63 octets, a name at most 253 (RFC 1035 §3.1, less the root); handles that
 *   do not fit can be reached through AF_RSP only.
 *
 * Pure, no allocation, async-signal-safe: the shim uses it too.
 */
#ifndef RSP_COMMON_NAMES_H
#define RSP_COMMON_NAMES_H

#include "common/types.h"

#define NAME_TEXT_MAX        254 /* longest host name and its terminator */
#define NAME_LABEL_MAX       63
#define NAME_SUFFIX_DEFAULT  ".pool.alt"
#define NAME_SUFFIX_TEXT_MAX 64
#define NAME_HANDLE_MAX      253 /* octets of the longest handle a name can stand for */

/**
 * Whether `name` ends in `suffix` (".pool.alt"; the leading dot may be missing) at a label
 * boundary with at least one octet before it: then the name is ours and must never reach the DNS,
 * even when it is not a valid pool name.
 */
bool name_has_suffix(const char *name, const char *suffix);

/** Whether a suffix can be used: 1 to 62 octets of letters, digits and '-' in non-empty labels. */
bool name_suffix_valid(const char *suffix);

/**
 * The handle a host name stands for, written to `out` (NAME_HANDLE_MAX octets are always enough).
 * Returns its length ≥ 1; -ENOENT: the name has not this suffix; -EINVAL: it has, but is not the
 * name of any handle (empty label, other octets, bad hexadecimal); -ENAMETOOLONG: a label, the
 * name or the handle is too long.
 */
int name_to_handle(const char *name, const char *suffix, uint8_t *out, size_t size);

/**
 * The canonical host name of a handle. Returns its length without terminator, or -ENAMETOOLONG
 * (no name can carry it, or `size` is too small; NAME_TEXT_MAX is always enough), or -EINVAL for
 * the empty handle. `out` is terminated in every case.
 */
int name_from_handle(struct pool_handle handle, const char *suffix, char *out, size_t size);

#endif
