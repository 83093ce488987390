/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazards of a pool element's life, by word: argv: word, further words.
 *   plain      listen, then close
 *   twice      listen() called again, also with another backlog
 *   dup        the listener is copied and the original closed
 *   fork       the child keeps the listener, the parent leaves
 *   daemon     double fork and setsid, everything else closed from 3 up but the listener
 *   worker     the parent's listener closed by a worker that goes on
 *   exec       the listener is inherited over exec by `serve inherited`
 *   cloexec    a child that was executed holds nothing once the listener is close-on-exec
 *   dups       1000 copies, closed again
 *   range      close_range() over listener and life fd; and over the rest
 */
#include <sys/ioctl.h>

#include "probe.h"

static void dup_away(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 50);
    CHECK(copy >= 50);
    CHECK(close(fd) == 0);
    say_and_wait("one copy");
    int second = dup2(copy, 60);
    CHECK(second == 60 && close(copy) == 0);
    say_and_wait("another copy");
    CHECK(dup3(0, 60, O_CLOEXEC) == 60);
    say_and_wait("gone");
}

static void daemonise(int fd)
{
    if (fork() != 0) {
        _exit(0);
    }
    CHECK(setsid() > 0);
    if (fork() != 0) {
        _exit(0);
    }
    CHECK(dup2(fd, 3) == 3);
    closefrom(4);
    say_and_wait("daemon");
    CHECK(close(3) == 0);
    say_and_wait("gone");
}

static void worker(int fd)
{
    int gate[2];
    CHECK(pipe(gate) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(close(fd) == 0 && close(gate[1]) == 0);
        char c;
        (void)!read(gate[0], &c, 1);
        _exit(0);
    }
    CHECK(close(gate[0]) == 0);
    say_and_wait("two processes");
    CHECK(close(fd) == 0);
    say_and_wait("gone");
}

static void exec_child(int fd, bool keep)
{
    CHECK(ioctl(fd, keep ? FIONCLEX : FIOCLEX) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)execl("/bin/sleep", "sleep", "1000", NULL);
        _exit(1);
    }
    CHECK(close(fd) == 0);
    say_and_wait(keep ? "child holds" : "child holds nothing");
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    say_and_wait("gone");
}

static void many_dups(int fd)
{
    int copies[200];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 200; i++) {
            copies[i] = dup(fd);
            CHECK(copies[i] >= 0);
        }
        for (int i = 0; i < 200; i++) {
            CHECK(close(copies[i]) == 0);
        }
    }
    say_and_wait("copied");
    CHECK(close(fd) == 0);
    say_and_wait("gone");
}

static void ranges(int fd)
{
    CHECK(dup2(fd, 5) == 5 && (fd == 5 || close(fd) == 0));
    CHECK(close_range(6, ~0U, 0) == 0);
    say_and_wait("rest closed");
    CHECK(close_range(3, 100, 0) == 0);
    say_and_wait("gone");
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    const char *word = argv[1];
    uint16_t port;
    if (strcmp(word, "inherited") == 0) {
        printf("port %s\n", argv[2]);
        CHECK(accept(3, NULL, NULL) >= 0);
        say_and_wait("accepted");
        CHECK(close(3) == 0);
        say_and_wait("gone");
        return 0;
    }
    int fd = listener(&port, 0);
    printf("port %d\n", port);
    CHECK(fflush(stdout) == 0);
    if (strcmp(word, "plain") == 0) {
        say_and_wait("listening");
        CHECK(close(fd) == 0);
        say_and_wait("gone");
    } else if (strcmp(word, "twice") == 0) {
        CHECK(listen(fd, 100) == 0 && listen(fd, 5) == 0);
        say_and_wait("listening");
    } else if (strcmp(word, "dup") == 0) {
        dup_away(fd);
    } else if (strcmp(word, "fork") == 0) {
        if (fork() != 0) {
            _exit(0);
        }
        say_and_wait("child");
    } else if (strcmp(word, "daemon") == 0) {
        daemonise(fd);
    } else if (strcmp(word, "worker") == 0) {
        worker(fd);
    } else if (strcmp(word, "keep") == 0 || strcmp(word, "cloexec") == 0) {
        exec_child(fd, word[0] == 'k');
    } else if (strcmp(word, "exec") == 0) {
        CHECK(fd == 3 ? fcntl(3, F_SETFD, 0) == 0 : dup2(fd, 3) == 3);
        char text[8];
        (void)snprintf(text, sizeof(text), "%d", port);
        (void)execl("/proc/self/exe", "serve", "inherited", text, NULL);
        return 1;
    } else if (strcmp(word, "dups") == 0) {
        many_dups(fd);
    } else if (strcmp(word, "range") == 0) {
        ranges(fd);
    } else {
        return 2;
    }
    return 0;
}
