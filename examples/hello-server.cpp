/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server of hello-server.c in C++, once with an object and a thread for each session, once with
 * one object for all.
 *
 * Usage: hello-server POOL [udp]
 */
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include <rsp/rsp.hpp>

static std::string answer(unsigned long count, const char *buffer, std::size_t size)
{
    return std::to_string(count) + ": hello, " + std::string(buffer, size);
}

class Hello : public TCPLikeServer
{
  public:
    explicit Hello(int sd) : TCPLikeServer(sd)
    {
    }
    static TCPLikeServer *make(int sd, void *, std::uint32_t)
    {
        return new Hello(sd);
    }

  protected:
    EventHandlingResult initializeSession() override
    {
        setLoad(0.01);
        return EHR_Okay;
    }
    EventHandlingResult handleMessage(const char *buffer, std::size_t size, std::uint32_t ppid,
                                      std::uint16_t stream) override
    {
        std::string text = answer(++count, buffer, size);
        return send(text.data(), text.size(), ppid, stream) && sendCookie(&count, sizeof(count))
                   ? EHR_Okay
                   : EHR_Abort;
    }
    EventHandlingResult handleCookieEcho(const char *buffer, std::size_t size) override
    {
        std::memcpy(&count, buffer, size < sizeof(count) ? size : sizeof(count));
        return EHR_Okay;
    }

  private:
    unsigned long count = 0;
};

class HelloToAll : public UDPLikeServer
{
  protected:
    EventHandlingResult handleMessage(rserpool_session_t session, const char *buffer,
                                      std::size_t size, std::uint32_t ppid,
                                      std::uint16_t stream) override
    {
        unsigned long &count = counts[session];
        std::string text = answer(++count, buffer, size);
        return send(session, text.data(), text.size(), ppid, stream) &&
                       sendCookie(session, &count, sizeof(count))
                   ? EHR_Okay
                   : EHR_Abort;
    }
    EventHandlingResult handleCookieEcho(rserpool_session_t session, const char *buffer,
                                         std::size_t size) override
    {
        std::memcpy(&counts[session], buffer, size < sizeof(long) ? size : sizeof(long));
        return EHR_Okay;
    }
    void handleNotification(const union rserpool_notification *n) override
    {
        if (n->rn_header.rn_type == RSERPOOL_SHUTDOWN_EVENT) {
            counts.erase(n->rn_shutdown_event.rse_session);
        }
    }

  private:
    std::map<rserpool_session_t, unsigned long> counts;
};

int main(int argc, char **argv)
{
    const char *pool = argc > 1 ? argv[1] : "hello";
    rsp_loadinfo load{};
    load.rli_policy = PPT_LEASTUSED;
    std::signal(SIGTERM, [](int) { rsp::stop(); });
    bool ran;
    if (argc > 2) {
        HelloToAll server;
        ran = server.poolElement("hello", pool, nullptr, &load, nullptr, 0, 30000, 0, true, true);
    } else {
        ran = TCPLikeServer::poolElement("hello", pool, nullptr, &load, 1000, Hello::make, nullptr,
                                         nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 0,
                                         30000, 0, true, true);
    }
    if (!ran) {
        std::perror("hello-server");
    }
    return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}
