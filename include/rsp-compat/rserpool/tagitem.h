/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists of tags: optional arguments of the functions in rserpool-internals.h. The functions on
 * lists are those of Debian's libtdtagitem; this library only walks lists.
 */
#ifndef RSP_COMPAT_TAGITEM_H
#define RSP_COMPAT_TAGITEM_H

#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned int tag_t;
typedef unsigned long tagdata_t;

struct TagItem {
    tag_t Tag;
    tagdata_t Data;
};

#define TAG_DONE   0 /* the list ends here */
#define TAG_END    TAG_DONE
#define TAG_IGNORE 1       /* pass over this item */
#define TAG_MORE   2       /* Data: where the list goes on */
#define TAG_SKIP   3       /* Data: so many items more to pass over */
#define TAG_USER   1000000 /* first number with a meaning of its own */

struct TagItem *tagListAllocate(const size_t items);
void tagListFree(struct TagItem *list);
size_t tagListGetSize(struct TagItem *list);
struct TagItem *tagListDuplicate(struct TagItem *list);
struct TagItem *tagListDuplicateFilter(struct TagItem *list, const tag_t *tags);
struct TagItem *tagListNext(struct TagItem *list);
struct TagItem *tagListFind(struct TagItem *list, const tag_t tag);
tagdata_t tagListGetData(struct TagItem *list, const tag_t tag, const tagdata_t fallback);
struct TagItem *tagListSetData(struct TagItem *list, const tag_t tag, const tagdata_t data);
void tagListPrint(struct TagItem *list, FILE *file);

#ifdef __cplusplus
}
#endif
#endif
