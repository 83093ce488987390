/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registrations over a restart. */
#include "rspd/local/records.h"

#include "local_test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static struct record sample(uint32_t pe_id)
{
    struct record r = {.pe_id = pe_id,
                       .handle_len = 4,
                       .handle = {'w', '\n', 0, 0xff},
                       .protocol = TRANSPORT_TCP,
                       .port = 8080,
                       .families = 3,
                       .address_count = 2,
                       .policy = {.type = POLICY_LU, .word_count = 1, .words = {7}},
                       .capacity = 100,
                       .uid = 1000,
                       .gid = 1001,
                       .pid = 4711,
                       .pool_uid = 1002,
                       .sock_cookie = UINT64_MAX,
                       .netns = 4026531840u,
                       .probe = "http:/a\nb",
                       .probe_ms = 500,
                       .slow_start_ms = 9,
                       .life_ms = 20000,
                       .interval_ms = 7000,
                       .since_us = 123456789012345,
                       .use = 1,
                       .adopted = true,
                       .drained = true,
                       .program = "/usr/sbin/nginx"};
    (void)ip_address_parse("10.0.0.1", &r.addresses[0]);
    (void)ip_address_parse("fd00::1", &r.addresses[1]);
    return r;
}

static void assert_same(const struct record *a, const struct record *b)
{
    char x[8192];
    char y[8192];
    cr_assert_gt(record_format(a, "", x, sizeof(x)), 0);
    cr_assert_gt(record_format(b, "", y, sizeof(y)), 0);
    cr_assert_str_eq(x, y);
}

Test(record, text_round_trips)
{
    char text[8192];
    char error[128] = "";
    struct record in = sample(0xfffffffe);
    struct record out;
    int len = record_format(&in, "boot-1", text, sizeof(text));
    cr_assert_gt(len, 0);
    cr_assert_eq(record_parse(text, (size_t)len, "boot-1", &out, error, sizeof(error)), 0, "%s",
                 error);
    assert_same(&in, &out);
    cr_assert_eq(memcmp(in.handle, out.handle, 4), 0);
    cr_assert_str_eq(out.probe, in.probe);
    cr_assert_eq(out.use, in.use);
    cr_assert_eq(out.life_ms, in.life_ms);
    cr_assert_eq(out.interval_ms, in.interval_ms);
    cr_assert_eq(record_parse(text, (size_t)len, "boot-2", &out, error, sizeof(error)), -ESTALE);
}

Test(record, longest_handle_fits)
{
    char text[8192];
    char error[128] = "";
    struct record in = sample(1);
    struct record out;
    memset(in.handle, 0xee, sizeof(in.handle));
    in.handle_len = POOL_HANDLE_MAX;
    int len = record_format(&in, "b", text, sizeof(text));
    cr_assert_gt(len, 0);
    cr_assert_eq(record_parse(text, (size_t)len, "b", &out, error, sizeof(error)), 0, "%s", error);
    assert_same(&in, &out);
    cr_assert_eq(record_format(&in, "b", text, 100), -ENOSPC);
}

Test(record, every_cut_is_noticed)
{
    char text[8192];
    char error[128];
    struct record in = sample(1);
    struct record out;
    int len = record_format(&in, "b", text, sizeof(text));
    for (int cut = 0; cut < len; cut++) {
        cr_assert_eq(record_parse(text, (size_t)cut, "b", &out, error, sizeof(error)), -EBADMSG,
                     "%d", cut);
    }
}

Test(record, unknown_keys_are_tolerated_bad_values_are_not)
{
    char error[128];
    struct record out;
    const char *good = "rspd-pe 1\nboot=b\nid=1\nhandle=77\nprotocol=5\nport=1\nnew=x\nend\n";
    cr_assert_eq(record_parse(good, strlen(good), "b", &out, error, sizeof(error)), 0);
    cr_assert_eq(out.policy.type, POLICY_NONE);
    const char *bad[] = {
        "rspd-pe 2\nboot=b\nid=1\nhandle=77\nprotocol=5\nport=1\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=7\nprotocol=5\nport=1\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=7g\nprotocol=5\nport=1\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=\nprotocol=5\nport=1\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=77\nprotocol=5\nport=65536\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=77\nprotocol=5\nport=-1\nend\n",
        "rspd-pe 1\nboot=b\nid=0\nhandle=77\nprotocol=5\nport=1\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=77\nprotocol=99\nport=1\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=77\nprotocol=5\nport=1\npolicy=1 2 3 4 5 6\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=77\nprotocol=5\nport=1\naddress=1.2.3\nend\n",
        "rspd-pe 1\nboot=b\nid=1\nhandle=77\nprotocol=5\nport=1\nprobe=00\nend\n",
        "rspd-pe 1\nboot=b\nnonsense\nend\n",
        "",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(record_parse(bad[i], strlen(bad[i]), "b", &out, error, sizeof(error)),
                     -EBADMSG, "%zu", i);
    }
}

static struct records *records;
static struct record loaded[8];
static int bad_count;

static void on_record(void *ctx, const struct record *record)
{
    int *n = (int *)ctx;
    loaded[(*n)++] = *record;
    cr_assert_eq(records_remove(records, record->pe_id), 0);
    cr_assert_eq(records_save(records, record), 0);
}

static void on_bad(void *ctx, const char *name, const char *why)
{
    (void)ctx;
    cr_assert_gt(strlen(why), 0);
    cr_assert_gt(strlen(name), 0);
    bad_count++;
}

static void put_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/pe/%s", test_dir, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fclose(f), 0);
}

Test(records, one_bad_file_spares_the_others)
{
    cr_assert_eq(records_new(test_dir_make(), &records), 0);
    struct record a = sample(0x11);
    struct record b = sample(0x22);
    cr_assert_eq(records_save(records, &a), 0);
    cr_assert_eq(records_save(records, &b), 0);
    b.drained = false;
    cr_assert_eq(records_save(records, &b), 0);
    put_file("00000033", "rspd-pe 1\nid=");
    put_file("00000044", "rspd-pe 1\nboot=other\nid=68\nhandle=77\nprotocol=5\nport=1\nend\n");
    put_file("readme", "not ours");
    put_file("00000055.new", "a write that was interrupted");
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/pe/00000066", test_dir);
    cr_assert_eq(mkfifo(path, 0600), 0);
    int n = 0;
    cr_assert_eq(records_load(records, on_record, on_bad, &n), 2);
    cr_assert_eq(n, 2);
    cr_assert_eq(bad_count, 2);
    assert_same(loaded[0].pe_id == 0x11 ? &loaded[0] : &loaded[1], &a);
    assert_same(loaded[0].pe_id == 0x22 ? &loaded[0] : &loaded[1], &b);
    (void)snprintf(path, sizeof(path), "%s/pe/00000033.bad", test_dir);
    cr_assert_eq(access(path, F_OK), 0);
    (void)snprintf(path, sizeof(path), "%s/pe/00000044", test_dir);
    cr_assert_neq(access(path, F_OK), 0);
    n = 0;
    bad_count = 0;
    cr_assert_eq(records_remove(records, 0x11), 0);
    cr_assert_eq(records_remove(records, 0x11), 0);
    cr_assert_eq(records_load(records, on_record, on_bad, &n), 1);
    cr_assert_eq(bad_count, 0);
    a.handle_len = 0;
    cr_assert_eq(records_save(records, &a), -EINVAL);
    records_free(records);
    test_dir_remove();
}
