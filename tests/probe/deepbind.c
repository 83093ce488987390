/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: a plug-in opened with RTLD_DEEPBIND finds libc before us. Its calls pass us by; nothing
 * else may change: what it opened the program can close, and the program itself reaches the pool.
 */
#include <dlfcn.h>

#include "probe.h"

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    void *plugin = dlopen(argv[2], RTLD_NOW | RTLD_DEEPBIND);
    CHECK(plugin != NULL);
    int (*plugin_socket)(void);
    void *symbol = dlsym(plugin, "plugin_socket");
    CHECK(symbol != NULL);
    memcpy(&plugin_socket, &symbol, sizeof(plugin_socket));
    int fd = plugin_socket();
    CHECK(fd >= 0);
    struct sockaddr_in in = pool_address(argv[1]);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0 && greeted(fd) == 0);
    CHECK(close(fd) == 0);
    meet(argv[1]);
    return 0;
}
