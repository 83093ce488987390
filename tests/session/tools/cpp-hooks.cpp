/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks of the C++ classes: a session's timer that the main thread serves, and a service that waits
 * for a descriptor of its own.
 *
 * Usage: cpp-hooks POOL timer|late|input
 *   timer   answers a message by three ticks from the main thread
 *   late    leaves the time where it is: called again at the main thread's turns
 *   input   sends each line of its input to every session
 */
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <thread>

#include <rsp/rsp.hpp>

static std::thread::id mainThread;
static bool late;

class Ticker : public TCPLikeServer
{
  public:
    explicit Ticker(int sd) : TCPLikeServer(sd)
    {
    }
    static TCPLikeServer *make(int sd, void *, std::uint32_t)
    {
        return new Ticker(sd);
    }

  protected:
    EventHandlingResult handleMessage(const char *, std::size_t, std::uint32_t,
                                      std::uint16_t) override
    {
        ticks = 0;
        setLoad(0.01);
        setAsyncTimer(rsp::now() + 20000);
        return std::this_thread::get_id() != mainThread ? EHR_Okay : EHR_Abort;
    }
    EventHandlingResult handleCookieEcho(const char *, std::size_t) override
    {
        return EHR_Okay;
    }
    void asyncTimerEvent(unsigned long long now) override
    {
        std::string text = "tick " + std::to_string(++ticks);
        text += std::this_thread::get_id() == mainThread ? "" : " in another thread";
        text += getServerList()->getTotalLoad() > 0 ? "" : " without load";
        (void)send(text.data(), text.size());
        if (ticks == 3) {
            setAsyncTimer(0);
        } else if (!late) {
            setAsyncTimer(now + 20000);
        }
    }

  private:
    int ticks = 0;
};

class Reader : public UDPLikeServer
{
  protected:
    bool waitForAction(unsigned long long timeout) override
    {
        struct pollfd p[2] = {{getSocket(), POLLIN, 0}, {ended ? -1 : STDIN_FILENO, POLLIN, 0}};
        char line[64];
        int n = poll(p, 2, static_cast<int>(timeout / 1000));
        if (p[1].revents != 0) {
            ssize_t size = read(STDIN_FILENO, line, sizeof(line));
            ended = size <= 0;
            for (rserpool_session_t session : sessions) {
                (void)(size > 1 && send(session, line, static_cast<std::size_t>(size) - 1));
            }
        }
        return n > 0;
    }
    void handleNotification(const union rserpool_notification *n) override
    {
        if (n->rn_header.rn_type == RSERPOOL_SHUTDOWN_EVENT) {
            sessions.erase(n->rn_shutdown_event.rse_session);
        }
    }
    EventHandlingResult handleMessage(rserpool_session_t session, const char *, std::size_t,
                                      std::uint32_t, std::uint16_t) override
    {
        sessions.insert(session);
        startTimer(rsp::now() + 20000);
        return EHR_Okay;
    }
    void handleTimer() override
    {
        for (rserpool_session_t session : sessions) {
            (void)send(session, "timer", 5);
        }
    }

  private:
    std::set<rserpool_session_t> sessions;
    bool ended = false;
};

int main(int argc, char **argv)
{
    mainThread = std::this_thread::get_id();
    std::signal(SIGTERM, [](int) { rsp::stop(); });
    if (argc != 3) {
        return 2;
    }
    late = std::strcmp(argv[2], "late") == 0;
    bool ran;
    if (std::strcmp(argv[2], "input") == 0) {
        Reader server;
        ran = server.poolElement("hooks", argv[1], nullptr, nullptr);
    } else {
        ran = TCPLikeServer::poolElement("hooks", argv[1], nullptr, nullptr, 10, Ticker::make,
                                         nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    }
    if (!ran) {
        std::perror("cpp-hooks");
    }
    return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}
