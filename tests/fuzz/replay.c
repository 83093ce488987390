/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target over all files of the folders (or the files) given, without libFuzzer. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (1 << 20)

/* Returns 1, or -1 after saying what is wrong. */
static int replay_file(const char *path)
{
    FILE *f = fopen(path, "re");
    uint8_t *all = malloc(INPUT_MAX);
    uint8_t *exact = NULL;
    int result = -1;
    if (f == NULL || all == NULL) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        goto out;
    }
    size_t len = fread(all, 1, INPUT_MAX, f);
    /* Of exact size, so that a sanitizer sees a read beyond the end. */
    exact = malloc(len > 0 ? len : 1);
    if (ferror(f) || exact == NULL) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        goto out;
    }
    memcpy(exact, all, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    result = 1;
out:
    free(exact);
    free(all);
    if (f != NULL) {
        (void)fclose(f);
    }
    return result;
}

/* Returns the number of files, or -1. */
static int replay_folder(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        (void)fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return -1;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL && count >= 0) {
        char path[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        count = replay_file(path) < 0 ? -1 : count + 1;
    }
    (void)closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        bool folder = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
        int n = folder ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (n < 0) {
            return EXIT_FAILURE;
        }
        total += n;
    }
    (void)printf("%d inputs\n", total);
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
