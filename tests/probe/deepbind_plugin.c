/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plug-in of deepbind.c. */
#include <sys/socket.h>

int plugin_socket(void);

int plugin_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}
