/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judging programs by their files; those that need a compiler are in tests/scenario. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/rspctl/rspctl.h"

static char dir[64];

static void make_dir(void)
{
    (void)strcpy(dir, "/tmp/rspctl-elf-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
    char command[96];
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

/** Writes an executable file and judges it. */
static enum elf_verdict judge(const void *octets, size_t len, mode_t mode)
{
    char path[128];
    char file[256];
    (void)snprintf(path, sizeof(path), "%s/x", dir);
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    cr_assert_eq(fwrite(octets, 1, len, out), len);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(chmod(path, mode), 0);
    return elf_examine(path, "/bin", file, sizeof(file));
}

TestSuite(elf, .init = make_dir, .fini = remove_dir);

Test(elf, looks_up_like_exec)
{
    char file[256];
    cr_assert_eq(elf_examine("cat", "/nowhere:/usr/bin:/bin", file, sizeof(file)), ELF_FITS);
    cr_assert_str_eq(file, "/usr/bin/cat");
    cr_assert_eq(elf_examine("cat", "/nowhere", file, sizeof(file)), ELF_NOT_FOUND);
    cr_assert_eq(elf_examine("./no/such", "/bin", file, sizeof(file)), ELF_NOT_FOUND);
    cr_assert_eq(elf_examine(dir, "/bin", file, sizeof(file)), ELF_NOT_EXECUTABLE);
}

Test(elf, scripts)
{
    static const char plain[] = "#!/bin/sh -e\n";
    static const char env[] = "#!/usr/bin/env -S A=1 sh\n";
    static const char gone[] = "#!/no/such/interpreter\n";
    static const char empty[] = "#!\n";
    cr_assert_eq(judge(plain, strlen(plain), 0755), ELF_FITS);
    cr_assert_eq(judge(env, strlen(env), 0755), ELF_FITS);
    cr_assert_eq(judge(gone, strlen(gone), 0755), ELF_NOT_FOUND);
    cr_assert_eq(judge(empty, strlen(empty), 0755), ELF_FITS);
    cr_assert_eq(judge(plain, strlen(plain), 0644), ELF_NOT_EXECUTABLE);
}

/** Each cut of a real program is judged, not read beyond; none crashes. */
Test(elf, cut_short)
{
    static uint8_t whole[4096];
    FILE *in = fopen("/proc/self/exe", "r");
    cr_assert_not_null(in);
    size_t len = fread(whole, 1, sizeof(whole), in);
    cr_assert_eq(fclose(in), 0);
    for (size_t n = 4; n < len; n += 7) {
        (void)judge(whole, n, 0755);
    }
    cr_assert_eq(judge(whole, 20, 0755), ELF_NOT_EXECUTABLE);
}

Test(elf, other_architecture)
{
    static uint8_t head[64];
    FILE *in = fopen("/proc/self/exe", "r");
    cr_assert_not_null(in);
    cr_assert_eq(fread(head, 1, sizeof(head), in), sizeof(head));
    cr_assert_eq(fclose(in), 0);
    head[18] ^= 0x55; /* e_machine */
    cr_assert_eq(judge(head, sizeof(head), 0755), ELF_OTHER_CLASS);
}
