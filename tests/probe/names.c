/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: the ways to ask for a name: hints NULL, AI_CANONNAME, AI_NUMERICHOST, families, the
 * gethostbyname family with a short buffer, and the way back (L-20 … L-25). argv: name, IPv4
 * cookie, IPv6 cookie. */
#include "probe.h"

static void forward(const char *name, const char *cookie4, const char *cookie6)
{
    struct addrinfo *list;
    char text[INET6_ADDRSTRLEN];
    CHECK(getaddrinfo(name, "80", NULL, &list) == 0);
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)list->ai_addr;
    CHECK(list->ai_family == AF_INET);
    CHECK(inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)) != NULL);
    CHECK(strcmp(text, cookie4) == 0 && ntohs(in->sin_port) == 80);
    int last = AF_UNSPEC;
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        CHECK(a->ai_family == AF_INET || a->ai_family == AF_INET6);
        CHECK(last != AF_INET6 || a->ai_family == AF_INET6);
        last = a->ai_family;
    }
    CHECK(last == AF_INET6);
    freeaddrinfo(list);
    struct addrinfo hints = {.ai_family = AF_INET6,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_CANONNAME | AI_ADDRCONFIG};
    CHECK(getaddrinfo(name, "http", &hints, &list) == 0);
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)list->ai_addr;
    CHECK(list->ai_next == NULL && list->ai_family == AF_INET6);
    CHECK(inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)) != NULL);
    CHECK(strcmp(text, cookie6) == 0 && strcasecmp(list->ai_canonname, "web.pool.alt") == 0);
    freeaddrinfo(list);
    hints = (struct addrinfo){.ai_flags = AI_NUMERICHOST};
    CHECK(getaddrinfo(name, "80", &hints, &list) == EAI_NONAME);
    hints = (struct addrinfo){.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    CHECK(getaddrinfo(name, "80", &hints, &list) == 0);
    CHECK(list->ai_family == AF_INET && list->ai_next == NULL);
    freeaddrinfo(list);
    CHECK(getaddrinfo("nobody.pool.alt", "80", NULL, &list) == EAI_NONAME);
    CHECK(getaddrinfo("127.0.0.1", "80", NULL, &list) == 0);
    freeaddrinfo(list);
}

static void old_style(const char *name, const char *cookie4)
{
    struct in_addr want;
    CHECK(inet_pton(AF_INET, cookie4, &want) == 1);
    struct hostent *entry = gethostbyname(name);
    CHECK(entry != NULL && memcmp(entry->h_addr_list[0], &want, 4) == 0);
    CHECK(strcasecmp(entry->h_name, "web.pool.alt") == 0);
    struct hostent room;
    struct hostent *found;
    char buf[1024];
    int herr = 0;
    CHECK(gethostbyname_r(name, &room, buf, 4, &found, &herr) == ERANGE);
    CHECK(gethostbyname_r(name, &room, buf, sizeof(buf), &found, &herr) == 0 && found == &room);
    CHECK(memcmp(room.h_addr_list[0], &want, 4) == 0);
    CHECK(gethostbyname2_r(name, AF_INET6, &room, buf, sizeof(buf), &found, &herr) == 0 &&
          room.h_length == 16);
    CHECK(gethostbyname_r("nobody.pool.alt", &room, buf, sizeof(buf), &found, &herr) == 0 &&
          found == NULL && herr == HOST_NOT_FOUND);
    CHECK(gethostbyname("nobody.pool.alt") == NULL && h_errno == HOST_NOT_FOUND);
    entry = gethostbyaddr(&want, 4, AF_INET);
    CHECK(entry != NULL && strcasecmp(entry->h_name, "web.pool.alt") == 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = want};
    char host[64];
    char serv[16];
    CHECK(getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), serv, sizeof(serv),
                      0) == 0);
    CHECK(strcasecmp(host, "web.pool.alt") == 0 && strcmp(serv, "http") == 0);
    CHECK(getnameinfo((struct sockaddr *)&in, sizeof(in), host, 5, NULL, 0, 0) == EAI_OVERFLOW);
    CHECK(getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), NULL, 0,
                      NI_NUMERICHOST) == 0 &&
          strcmp(host, cookie4) == 0);
}

static void asynchronous(const char *name)
{
    struct gaicb item = {.ar_name = name, .ar_service = "80"};
    struct gaicb *list[] = {&item};
    CHECK(getaddrinfo_a(GAI_WAIT, list, 1, NULL) == 0 && gai_error(&item) == 0);
    freeaddrinfo(item.ar_result);
}

int main(int argc, char **argv)
{
    CHECK(argc == 4);
    forward(argv[1], argv[2], argv[3]);
    old_style(argv[1], argv[2]);
    asynchronous(argv[1]);
    return 0;
}
