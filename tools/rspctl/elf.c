/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the dynamic loader would put the shim into a program: read from its file, before it runs.
 */
#include "tools/rspctl/rspctl.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_DEPTH_MAX 4
#define PHDRS_MAX        64
#define NOTES_MAX        4096

/** Looks a command up as execvp() does. */
static enum elf_verdict look_up(const char *command, const char *path, char *out, size_t size)
{
    if (strchr(command, '/') != NULL) {
        (void)snprintf(out, size, "%s", command);
        return access(out, F_OK) == 0 ? ELF_FITS : ELF_NOT_FOUND;
    }
    bool found = false;
    for (const char *p = path != NULL ? path : "/usr/local/bin:/bin:/usr/bin"; p != NULL;) {
        size_t len = strcspn(p, ":");
        struct stat st;
        if (snprintf(out, size, "%.*s%s%s", (int)len, p, len > 0 ? "/" : "./", command) <
                (int)size &&
            stat(out, &st) == 0 && S_ISREG(st.st_mode)) {
            if (access(out, X_OK) == 0) {
                return ELF_FITS;
            }
            found = true;
        }
        p = p[len] == ':' ? p + len + 1 : NULL;
    }
    (void)snprintf(out, size, "%s", command);
    return found ? ELF_NOT_EXECUTABLE : ELF_NOT_FOUND;
}

/** Setuid and file capabilities make the loader ignore LD_PRELOAD (AT_SECURE). */
static bool privileged(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return false;
    }
    if (((st.st_mode & S_ISUID) != 0 && st.st_uid != getuid()) ||
        ((st.st_mode & S_ISGID) != 0 && st.st_gid != getgid())) {
        return true;
    }
    return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/** Whether a PT_NOTE segment holds Go's build id. */
static bool has_go_note(int fd, const ElfW(Phdr) * ph)
{
    uint8_t notes[NOTES_MAX];
    ssize_t n = pread(fd, notes, ph->p_filesz < sizeof(notes) ? ph->p_filesz : sizeof(notes),
                      (off_t)ph->p_offset);
    size_t at = 0;
    ElfW(Nhdr) note;
    while (n > 0 && at + sizeof(note) <= (size_t)n) {
        memcpy(&note, notes + at, sizeof(note));
        at += sizeof(note);
        if (note.n_namesz > NOTES_MAX || note.n_descsz > NOTES_MAX) {
            return false;
        }
        if (note.n_type == 4 && note.n_namesz == 4 && at + 4 <= (size_t)n &&
            memcmp(notes + at, "Go\0", 4) == 0) {
            return true;
        }
        at += ((size_t)note.n_namesz + 3) / 4 * 4 + ((size_t)note.n_descsz + 3) / 4 * 4;
    }
    return false;
}

/** The loader our own build asks for; a program with another one has another C library. */
static enum elf_verdict judge_interpreter(int fd, const ElfW(Phdr) * ph)
{
    char name[256] = "";
    size_t len = ph->p_filesz < sizeof(name) ? ph->p_filesz : sizeof(name) - 1;
    if (pread(fd, name, len, (off_t)ph->p_offset) != (ssize_t)len) {
        return ELF_OTHER_LIBC;
    }
    const char *base = strrchr(name, '/');
    base = base != NULL ? base + 1 : name;
    return strncmp(base, "ld-linux", 8) == 0 || strncmp(base, "ld64.so", 7) == 0 ||
                   strncmp(base, "ld.so", 5) == 0
               ? ELF_FITS
               : ELF_OTHER_LIBC;
}

static enum elf_verdict judge_elf(int fd)
{
    ElfW(Ehdr) self;
    ElfW(Ehdr) head;
    int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool read_own = own >= 0 && pread(own, &self, sizeof(self), 0) == (ssize_t)sizeof(self);
    if (own >= 0) {
        (void)close(own);
    }
    if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head)) {
        return ELF_NOT_EXECUTABLE;
    }
    if (read_own &&
        (head.e_ident[EI_CLASS] != self.e_ident[EI_CLASS] || head.e_machine != self.e_machine)) {
        return ELF_OTHER_CLASS;
    }
    enum elf_verdict verdict = ELF_STATIC;
    for (size_t i = 0; i < head.e_phnum && i < PHDRS_MAX; i++) {
        ElfW(Phdr) ph;
        off_t at = (off_t)(head.e_phoff + i * head.e_phentsize);
        if (pread(fd, &ph, sizeof(ph), at) != (ssize_t)sizeof(ph)) {
            return ELF_NOT_EXECUTABLE;
        }
        if (ph.p_type == PT_NOTE && has_go_note(fd, &ph)) {
            return ELF_GO;
        }
        if (ph.p_type == PT_INTERP) {
            verdict = judge_interpreter(fd, &ph);
        }
    }
    return verdict;
}

/** The program a "#!" line names: the interpreter, or what env is to find. False: none. */
static bool script_interpreter(char *line, char *out, size_t size)
{
    line[strcspn(line, "\n")] = '\0';
    char *save = NULL;
    char *word = strtok_r(line + 2, " \t", &save);
    if (word == NULL) {
        return false;
    }
    const char *base = strrchr(word, '/');
    if (strcmp(base != NULL ? base + 1 : word, "env") == 0) {
        char *next = strtok_r(NULL, " \t", &save);
        while (next != NULL && (next[0] == '-' || strchr(next, '=') != NULL)) {
            next = strtok_r(NULL, " \t", &save);
        }
        word = next != NULL ? next : word;
    }
    (void)snprintf(out, size, "%s", word);
    return true;
}

enum elf_verdict elf_examine(const char *command, const char *path, char *ret_file, size_t size)
{
    char name[4096];
    (void)snprintf(name, sizeof(name), "%s", command);
    for (int depth = 0; depth < SCRIPT_DEPTH_MAX; depth++) {
        enum elf_verdict verdict = look_up(name, path, ret_file, size);
        if (verdict != ELF_FITS) {
            return verdict;
        }
        struct stat st;
        if (access(ret_file, X_OK) != 0 || stat(ret_file, &st) != 0 || S_ISDIR(st.st_mode)) {
            return ELF_NOT_EXECUTABLE;
        }
        int fd = open(ret_file, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return ELF_FITS; /* may be run but not read: the loader decides */
        }
        char head[256];
        ssize_t n = pread(fd, head, sizeof(head) - 1, 0);
        head[n > 0 ? n : 0] = '\0';
        bool script = n > 2 && head[0] == '#' && head[1] == '!';
        verdict = ELF_FITS;
        if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0) {
            verdict = privileged(fd) ? ELF_PRIVILEGED : judge_elf(fd);
        }
        (void)close(fd);
        if (!script || !script_interpreter(head, name, sizeof(name))) {
            return verdict;
        }
    }
    return ELF_FITS;
}

const char *elf_verdict_text(enum elf_verdict verdict)
{
    switch (verdict) {
    case ELF_FITS:
        return "can be run with pools";
    case ELF_NOT_FOUND:
        return "is not found";
    case ELF_NOT_EXECUTABLE:
        return "cannot be executed";
    case ELF_STATIC:
        return "is linked statically: there is no loader that would take the shim in";
    case ELF_OTHER_CLASS:
        return "is made for another architecture than the shim";
    case ELF_OTHER_LIBC:
        return "uses another C library (musl, perhaps) than the shim";
    case ELF_GO:
        return "is a Go program: it makes its system calls without the C library";
    case ELF_PRIVILEGED:
        return "gains privileges when started (setuid, setgid or file capabilities): the loader "
               "ignores the shim";
    }
    return "";
}
