/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registrations on disk: the files; the text inside is record_text.c's. */
#include "rspd/local/records.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rspd/local/rundir.h"

#define BOOT_ID_MAX     64
#define RECORD_FILE_MAX 8192
#define RECORD_NAME_LEN 8

struct records {
    int dir_fd;
    char boot_id[BOOT_ID_MAX];
};

static bool same_addresses(const struct record *a, const struct record *b)
{
    if (a->address_count != b->address_count) {
        return false;
    }
    for (uint8_t i = 0; i < a->address_count; i++) {
        bool found = false;
        for (uint8_t k = 0; k < b->address_count && !found; k++) {
            found = ip_address_equal(&a->addresses[i], &b->addresses[k]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

bool record_same_place(const struct record *a, const struct record *b)
{
    return a->port == b->port && a->protocol == b->protocol && a->netns == b->netns &&
           a->adopted == b->adopted && a->families == b->families &&
           pool_handle_equal(record_handle(a), record_handle(b)) && same_addresses(a, b);
}

static void read_boot_id(char *out, size_t size)
{
    out[0] = '\0';
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t n = read(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    (void)close(fd);
}

int records_new(const char *runtime_dir, struct records **ret)
{
    struct records *records = (struct records *)calloc(1, sizeof(*records));
    if (records == NULL) {
        return -ENOMEM;
    }
    records->dir_fd = rundir_open(runtime_dir, "pe");
    if (records->dir_fd < 0) {
        int r = records->dir_fd;
        free(records);
        return r;
    }
    read_boot_id(records->boot_id, sizeof(records->boot_id));
    *ret = records;
    return 0;
}

void records_free(struct records *records)
{
    if (records != NULL) {
        (void)close(records->dir_fd);
        free(records);
    }
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

int records_save(struct records *records, const struct record *record)
{
    char text[RECORD_FILE_MAX];
    int len = record_format(record, records->boot_id, text, sizeof(text));
    if (len < 0) {
        return len;
    }
    char name[RECORD_NAME_LEN + 1];
    char temp[RECORD_NAME_LEN + 8];
    (void)snprintf(name, sizeof(name), "%08x", record->pe_id);
    (void)snprintf(temp, sizeof(temp), "%08x.new", record->pe_id);
    int fd =
        openat(records->dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    int r = write_all(fd, text, (size_t)len);
    if (close(fd) < 0 && r == 0) {
        r = -errno;
    }
    if (r == 0 && renameat(records->dir_fd, temp, records->dir_fd, name) < 0) {
        r = -errno;
    }
    if (r < 0) {
        (void)unlinkat(records->dir_fd, temp, 0);
    }
    return r;
}

int records_remove(struct records *records, uint32_t pe_id)
{
    char name[RECORD_NAME_LEN + 1];
    (void)snprintf(name, sizeof(name), "%08x", pe_id);
    return unlinkat(records->dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static ssize_t read_file(int dir_fd, const char *name, char *out, size_t size)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    size_t used = 0;
    ssize_t n = 0;
    while (used < size && (n = read(fd, out + used, size - used)) > 0) {
        used += (size_t)n;
    }
    ssize_t r = n < 0 ? -errno : used == size ? -EFBIG : (ssize_t)used;
    (void)close(fd);
    return r;
}

static void move_aside(struct records *records, const char *name)
{
    char bad[RECORD_NAME_LEN + 8];
    (void)snprintf(bad, sizeof(bad), "%.8s.bad", name);
    if (renameat(records->dir_fd, name, records->dir_fd, bad) < 0) {
        (void)unlinkat(records->dir_fd, name, 0);
    }
}

/** One file: 1 a good record, 0 skipped. */
static int load_one(struct records *records, const char *name, record_fn fn, record_bad_fn bad,
                    void *ctx)
{
    char text[RECORD_FILE_MAX];
    char why[160];
    struct record record;
    ssize_t len = read_file(records->dir_fd, name, text, sizeof(text));
    if (len < 0) {
        (void)snprintf(why, sizeof(why), "cannot be read: %s", strerrordesc_np((int)-len));
        move_aside(records, name);
        bad(ctx, name, why);
        return 0;
    }
    int r = record_parse(text, (size_t)len, records->boot_id, &record, why, sizeof(why));
    if (r == 0 && record.pe_id != strtoul(name, NULL, 16)) {
        (void)snprintf(why, sizeof(why), "says it is PE %08x", record.pe_id);
        r = -EBADMSG;
    }
    if (r == -ESTALE) {
        (void)unlinkat(records->dir_fd, name, 0);
        return 0;
    }
    if (r < 0) {
        move_aside(records, name);
        bad(ctx, name, why);
        return 0;
    }
    fn(ctx, &record);
    return 1;
}

static bool is_record_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == RECORD_NAME_LEN && name[RECORD_NAME_LEN] == '\0';
}

/** Names first: callbacks may change the folder, and readdir() must not see their work. */
static int list_names(int dir_fd, char (**ret)[RECORD_NAME_LEN + 1], size_t *ret_count)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    char(*names)[RECORD_NAME_LEN + 1] = NULL;
    size_t count = 0;
    size_t room = 0;
    int r = 0;
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        if (!is_record_name(entry->d_name)) {
            continue;
        }
        if (count == room) {
            room = room > 0 ? room * 2 : 64;
            void *grown = reallocarray(names, room, sizeof(*names));
            if (grown == NULL) {
                r = -ENOMEM;
                break;
            }
            names = (char(*)[RECORD_NAME_LEN + 1]) grown;
        }
        memcpy(names[count++], entry->d_name, sizeof(*names));
    }
    (void)closedir(dir);
    if (r < 0) {
        free(names);
        return r;
    }
    *ret = names;
    *ret_count = count;
    return 0;
}

int records_load(struct records *records, record_fn fn, record_bad_fn bad, void *ctx)
{
    char(*names)[RECORD_NAME_LEN + 1] = NULL;
    size_t count = 0;
    int r = list_names(records->dir_fd, &names, &count);
    if (r < 0) {
        return r;
    }
    int good = 0;
    for (size_t i = 0; i < count; i++) {
        good += load_one(records, names[i], fn, bad, ctx);
    }
    free(names);
    return good;
}
