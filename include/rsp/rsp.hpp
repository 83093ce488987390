/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Servers in C++, header only: TCPLikeServer (an object and a thread for each session) and
 * UDPLikeServer (one object and one thread for all), with the names and hooks that programs for the
 * reference implementation's C++ library use. They stand on rsp/server.h.
 *
 * Nothing is printed, except by what the program passes for it; no signal is handled: call
 * rsp::stop() from a handler of your own.
 */
#ifndef RSP_RSP_HPP
#define RSP_RSP_HPP

#include <arpa/inet.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>

#include <rsp/rsp.h>

/** What a hook wants done with its session. */
enum EventHandlingResult { EHR_Okay = 0, EHR_Shutdown = 1, EHR_Abort = 2 };

namespace rsp
{
/** Microseconds of the clock that the timers below use. */
inline unsigned long long now()
{
    using std::chrono::duration_cast;
    using std::chrono::microseconds;
    return static_cast<unsigned long long>(
        duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

inline rsp_server_result result(EventHandlingResult r)
{
    return static_cast<rsp_server_result>(r);
}

/** Milliseconds until a time of now(); -1: 0, which stands for none. */
inline int until(unsigned long long at)
{
    unsigned long long time = now();
    if (at == 0) {
        return -1;
    }
    unsigned long long ms = at > time ? (at - time + 999) / 1000 : 0;
    return ms < 0x7fffffffULL ? static_cast<int>(ms) : 0x7fffffff;
}

/** The server that poolElement() runs in this process last; for stop(). */
inline rsp_server *&running()
{
    static rsp_server *server = nullptr;
    return server;
}

/** Ends poolElement(); may be called from a signal handler. */
inline void stop()
{
    if (running() != nullptr) {
        rsp_server_stop(running());
    }
}
} // namespace rsp

class TCPLikeServer;

/** The sessions of a server. */
class TCPLikeServerList
{
  public:
    TCPLikeServerList(std::size_t max) : maxThreads(max)
    {
    }

    std::size_t getThreads()
    {
        std::lock_guard<std::recursive_mutex> guard(mutex);
        return threads.size();
    }
    std::size_t getMaxThreads() const
    {
        return maxThreads;
    }
    bool hasCapacity()
    {
        return maxThreads == 0 || getThreads() < maxThreads;
    }
    inline double getTotalLoad();

  private:
    friend class TCPLikeServer;
    std::recursive_mutex mutex;
    std::condition_variable_any asyncDone;
    std::set<TCPLikeServer *> threads;
    std::size_t maxThreads;
};

/** A session with a thread of its own. Derive from it, and pass a factory to poolElement(). */
class TCPLikeServer
{
  public:
    typedef TCPLikeServer *(*ThreadFactory)(int sd, void *userData, std::uint32_t peID);

    explicit TCPLikeServer(int descriptor) : RSerPoolSocketDescriptor(descriptor)
    {
    }
    virtual ~TCPLikeServer()
    {
    }
    TCPLikeServer(const TCPLikeServer &) = delete;
    TCPLikeServer &operator=(const TCPLikeServer &) = delete;

    TCPLikeServerList *getServerList() const
    {
        return list;
    }
    double getLoad() const
    {
        return load;
    }
    void setLoad(double newLoad)
    {
        load = newLoad;
        rsp_session_load(session, newLoad);
    }
    bool isShuttingDown() const
    {
        return shuttingDown;
    }
    /** The session ends with the event in hand. */
    void shutdown()
    {
        shuttingDown = true;
    }
    void lock()
    {
        mutex.lock();
    }
    void unlock()
    {
        mutex.unlock();
    }
    /** A time of rsp::now() at which syncTimerEvent() is called; 0: none. */
    void setSyncTimer(unsigned long long timeStamp)
    {
        rsp_session_timer(session, rsp::until(timeStamp));
    }
    /**
     * A time of rsp::now() at which the thread of poolElement() calls asyncTimerEvent(), and again
     * at every turn of it, 2.5 s apart at most, until another time is set; 0: none.
     */
    inline void setAsyncTimer(unsigned long long timeStamp);

    /** Runs a whole pool element until rsp::stop(). True if it ran; else errno says why not. */
    static bool poolElement(const char *programTitle, const char *poolHandle, void *info,
                            rsp_loadinfo *loadinfo, std::size_t maxThreads,
                            ThreadFactory threadFactory, void (*printParameters)(const void *),
                            void (*rejectNewSession)(int), bool (*initializeService)(void *),
                            void (*finishService)(void *), double (*loadUpdateHook)(double),
                            void *userData, const sockaddr *localAddressSet = nullptr,
                            std::size_t localAddresses = 0, unsigned int reregInterval = 30000,
                            unsigned int runtimeLimit = 0, bool quiet = false,
                            bool daemonMode = false)
    {
        Service service(maxThreads);
        service.factory = threadFactory;
        service.reject = rejectNewSession;
        service.initialize = initializeService;
        service.finish = finishService;
        service.hook = loadUpdateHook;
        service.user = userData;
        service.limitAt = runtimeLimit > 0 ? rsp::now() + runtimeLimit * 1000ULL : 0;
        rsp_server_config config{};
        (void)programTitle;
        (void)info;
        if (printParameters != nullptr && !quiet) {
            printParameters(userData);
        }
        config.handle = poolHandle;
        config.model = RSP_SERVER_THREADS;
        config.address = localAddressSet;
        config.addresses = static_cast<int>(localAddresses);
        if (loadinfo != nullptr) {
            config.load = *loadinfo;
        }
        config.max_sessions = static_cast<unsigned int>(maxThreads);
        config.reregister_ms = reregInterval;
        config.register_flags = daemonMode ? REGF_DAEMONMODE : 0;
        config.user = &service;
        config.init = Service::init;
        config.fini = Service::fini;
        config.load_hook = loadUpdateHook != nullptr ? Service::loadHook : nullptr;
        config.rejected = Service::rejected;
        config.on_timer = Service::timer;
        config.session_init = begin;
        config.session_fini = end;
        config.on_message = message;
        config.on_cookie = cookie;
        config.on_notification = notification;
        config.on_session_timer = timer;
        rsp_server *server = rsp_server_new(&config);
        if (server == nullptr) {
            return false;
        }
        rsp::running() = server;
        bool ran = rsp_server_run(server) == 0;
        rsp::running() = nullptr;
        int error = errno;
        rsp_server_free(server);
        errno = error;
        return ran;
    }

  protected:
    virtual EventHandlingResult initializeSession()
    {
        return EHR_Okay;
    }
    virtual void finishSession(EventHandlingResult result)
    {
        (void)result;
    }
    virtual EventHandlingResult handleMessage(const char *buffer, std::size_t bufferSize,
                                              std::uint32_t ppid, std::uint16_t streamID)
    {
        (void)buffer;
        (void)bufferSize;
        (void)ppid;
        (void)streamID;
        return EHR_Abort;
    }
    virtual EventHandlingResult handleCookieEcho(const char *buffer, std::size_t bufferSize)
    {
        (void)buffer;
        (void)bufferSize;
        return EHR_Abort;
    }
    virtual EventHandlingResult handleNotification(const union rserpool_notification *n)
    {
        (void)n;
        return EHR_Okay;
    }
    virtual EventHandlingResult syncTimerEvent(unsigned long long now)
    {
        (void)now;
        return EHR_Okay;
    }
    /** By the thread of poolElement(), with the session locked. */
    virtual void asyncTimerEvent(unsigned long long now)
    {
        (void)now;
    }

    /** Sends on this session; false with errno. */
    bool send(const void *data, std::size_t size, std::uint32_t ppid = 0, std::uint16_t stream = 0)
    {
        return rsp_session_send(session, data, size, ppid, stream) == 0;
    }
    bool sendCookie(const void *state, std::size_t size)
    {
        return rsp_session_cookie(session, state, size) == 0;
    }

    int RSerPoolSocketDescriptor; /* for rsp_send() and the like */

  private:
    friend class TCPLikeServerList;

    struct Service {
        explicit Service(std::size_t maxThreads) : list(maxThreads)
        {
        }

        ThreadFactory factory = nullptr;
        void (*reject)(int) = nullptr;
        bool (*initialize)(void *) = nullptr;
        void (*finish)(void *) = nullptr;
        double (*hook)(double) = nullptr;
        void *user = nullptr;
        unsigned long long limitAt = 0;
        TCPLikeServerList list;

        static Service *of(const rsp_server *server)
        {
            return static_cast<Service *>(rsp_server_user(server));
        }
        static int init(rsp_server *server)
        {
            Service *s = of(server);
            s->arm(server, 0);
            return s->initialize == nullptr || s->initialize(s->user) ? 0 : -1;
        }
        static void fini(rsp_server *server)
        {
            if (of(server)->finish != nullptr) {
                of(server)->finish(of(server)->user);
            }
        }
        static double loadHook(rsp_server *server, double load)
        {
            return of(server)->hook(load);
        }
        static void rejected(rsp_server *server)
        {
            if (of(server)->reject != nullptr) {
                of(server)->reject(-1);
            }
        }
        static void timer(rsp_server *server)
        {
            Service *s = of(server);
            unsigned long long turn = rsp::now();
            if (s->limitAt != 0 && turn >= s->limitAt) {
                rsp_server_stop(server);
                return;
            }
            while (TCPLikeServer *session = s->takeDue(turn)) {
                {
                    std::lock_guard<std::recursive_mutex> guard(session->mutex);
                    session->asyncTimerEvent(rsp::now());
                }
                std::lock_guard<std::recursive_mutex> guard(s->list.mutex);
                session->asyncBusy = false;
                s->list.asyncDone.notify_all();
            }
            s->arm(server, turn);
        }

        /** A session whose time has come and that has not had its turn; it stays until it has. */
        TCPLikeServer *takeDue(unsigned long long turn)
        {
            std::lock_guard<std::recursive_mutex> guard(list.mutex);
            for (TCPLikeServer *session : list.threads) {
                if (session->asyncAt != 0 && session->asyncAt <= turn &&
                    session->asyncTurn != turn && !session->ending) {
                    session->asyncTurn = turn;
                    session->asyncBusy = true;
                    return session;
                }
            }
            return nullptr;
        }
        /** Sets the server's timer to what comes first; `turn`: who was due then has been called.
         */
        void arm(rsp_server *server, unsigned long long turn)
        {
            std::lock_guard<std::recursive_mutex> guard(list.mutex);
            unsigned long long first = limitAt;
            for (TCPLikeServer *session : list.threads) {
                unsigned long long at = session->asyncAt;
                if (at != 0 && at <= turn) {
                    at = turn + 2500000;
                }
                first = at != 0 && (first == 0 || at < first) ? at : first;
            }
            rsp_server_timer(server, rsp::until(first));
        }
    };

    static TCPLikeServer *of(rsp_server_session *session)
    {
        return static_cast<TCPLikeServer *>(rsp_session_data(session));
    }
    /** Calls a hook; shutdown() inside it counts. */
    template <typename Hook> static rsp_server_result call(rsp_server_session *session, Hook hook)
    {
        TCPLikeServer *self = of(session);
        std::lock_guard<std::recursive_mutex> guard(self->mutex);
        EventHandlingResult r = hook(self);
        r = r == EHR_Okay && self->shuttingDown ? EHR_Shutdown : r;
        self->last = r;
        return rsp::result(r);
    }
    static rsp_server_result begin(rsp_server_session *session)
    {
        rsp_server *server = rsp_session_server(session);
        Service *service = Service::of(server);
        std::uint32_t id = 0;
        (void)rsp_getsockname(rsp_server_socket(server), nullptr, nullptr, &id);
        TCPLikeServer *self = service->factory(rsp_session_socket(session), service->user, id);
        if (self == nullptr) {
            return RSP_SERVER_ABORT;
        }
        self->session = session;
        self->server = server;
        self->list = &service->list;
        rsp_session_set_data(session, self);
        {
            std::lock_guard<std::recursive_mutex> guard(service->list.mutex);
            service->list.threads.insert(self);
        }
        return call(session, [](TCPLikeServer *s) { return s->initializeSession(); });
    }
    static void end(rsp_server_session *session)
    {
        TCPLikeServer *self = of(session);
        if (self != nullptr) {
            {
                std::unique_lock<std::recursive_mutex> guard(self->list->mutex);
                self->ending = true;
                self->list->asyncDone.wait(guard, [self] { return !self->asyncBusy; });
            }
            self->finishSession(self->last);
            {
                std::lock_guard<std::recursive_mutex> guard(self->list->mutex);
                self->list->threads.erase(self);
            }
            delete self;
        }
    }
    static rsp_server_result message(rsp_server_session *session, const void *data,
                                     std::size_t size, std::uint32_t ppid, std::uint16_t stream)
    {
        return call(session, [=](TCPLikeServer *s) {
            s->started = true;
            return s->handleMessage(static_cast<const char *>(data), size, ppid, stream);
        });
    }
    static rsp_server_result cookie(rsp_server_session *session, const void *state,
                                    std::size_t size)
    {
        return call(session, [=](TCPLikeServer *s) {
            return s->started ? EHR_Abort
                              : s->handleCookieEcho(static_cast<const char *>(state), size);
        });
    }
    static rsp_server_result notification(rsp_server_session *session,
                                          const union rserpool_notification *n)
    {
        return call(session, [=](TCPLikeServer *s) { return s->handleNotification(n); });
    }
    static rsp_server_result timer(rsp_server_session *session)
    {
        return call(session, [](TCPLikeServer *s) { return s->syncTimerEvent(rsp::now()); });
    }

    rsp_server_session *session = nullptr;
    rsp_server *server = nullptr;
    TCPLikeServerList *list = nullptr;
    std::recursive_mutex mutex;
    std::atomic<double> load{0};
    bool shuttingDown = false;
    bool started = false;
    /* under the list's mutex */
    unsigned long long asyncAt = 0;
    unsigned long long asyncTurn = 0; /* the turn in which it was called last */
    bool asyncBusy = false;
    bool ending = false;
    EventHandlingResult last = EHR_Okay;
};

inline void TCPLikeServer::setAsyncTimer(unsigned long long timeStamp)
{
    std::lock_guard<std::recursive_mutex> guard(list->mutex);
    asyncAt = timeStamp;
    Service::of(server)->arm(server, asyncTurn);
}

inline double TCPLikeServerList::getTotalLoad()
{
    std::lock_guard<std::recursive_mutex> guard(mutex);
    double sum = 0;
    for (TCPLikeServer *server : threads) {
        sum += server->load;
    }
    return sum;
}

/** All sessions by one thread and one object. */
class UDPLikeServer
{
  public:
    UDPLikeServer()
    {
    }
    virtual ~UDPLikeServer()
    {
    }
    UDPLikeServer(const UDPLikeServer &) = delete;
    UDPLikeServer &operator=(const UDPLikeServer &) = delete;

    double getLoad() const
    {
        return load;
    }
    void setLoad(double newLoad)
    {
        load = newLoad;
    }
    /** A time of rsp::now() at which handleTimer() is called. */
    void startTimer(unsigned long long timeStamp)
    {
        timerAt = timeStamp;
        arm();
    }
    void stopTimer()
    {
        startTimer(0);
    }

    /** As TCPLikeServer::poolElement(). */
    virtual bool poolElement(const char *programTitle, const char *poolHandle, void *info,
                             rsp_loadinfo *loadinfo, const sockaddr *localAddressSet = nullptr,
                             std::size_t localAddresses = 0, unsigned int reregInterval = 30000,
                             unsigned int runtimeLimit = 0, bool quiet = false,
                             bool daemonMode = false)
    {
        rsp_server_config config{};
        (void)programTitle;
        (void)info;
        if (!quiet) {
            printParameters();
        }
        limitAt = runtimeLimit > 0 ? rsp::now() + runtimeLimit * 1000ULL : 0;
        config.handle = poolHandle;
        config.model = RSP_SERVER_LOOP;
        config.address = localAddressSet;
        config.addresses = static_cast<int>(localAddresses);
        if (loadinfo != nullptr) {
            config.load = *loadinfo;
        }
        config.reregister_ms = reregInterval;
        config.register_flags = daemonMode ? REGF_DAEMONMODE : 0;
        config.user = this;
        config.init = init;
        config.fini = [](rsp_server *s) { of(s)->finishService(rsp_server_socket(s), EHR_Okay); };
        config.load_hook = [](rsp_server *s, double) { return of(s)->getLoad(); };
        config.on_timer = [](rsp_server *s) { of(s)->timer(); };
        config.wait = wait;
        config.on_message = message;
        config.on_cookie = cookie;
        config.on_notification = notification;
        server = rsp_server_new(&config);
        if (server == nullptr) {
            return false;
        }
        rsp::running() = server;
        bool ran = rsp_server_run(server) == 0;
        rsp::running() = nullptr;
        int error = errno;
        rsp_server_free(server);
        server = nullptr;
        errno = error;
        return ran;
    }

  protected:
    virtual EventHandlingResult initializeService(int sd, std::uint32_t peID)
    {
        (void)sd;
        (void)peID;
        return EHR_Okay;
    }
    virtual void finishService(int sd, EventHandlingResult result)
    {
        (void)sd;
        (void)result;
    }
    virtual void printParameters()
    {
    }
    virtual EventHandlingResult handleMessage(rserpool_session_t sessionID, const char *buffer,
                                              std::size_t bufferSize, std::uint32_t ppid,
                                              std::uint16_t streamID) = 0;
    virtual EventHandlingResult handleCookieEcho(rserpool_session_t sessionID, const char *buffer,
                                                 std::size_t bufferSize)
    {
        (void)sessionID;
        (void)buffer;
        (void)bufferSize;
        return EHR_Abort;
    }
    virtual void handleNotification(const union rserpool_notification *n)
    {
        (void)n;
    }
    virtual void handleTimer()
    {
    }
    /**
     * Waits until a session has something or so many microseconds are over; false: they are. A
     * program that waits for more than the service's socket has its own.
     */
    virtual bool waitForAction(unsigned long long timeout)
    {
        return rsp_server_wait(server, static_cast<int>((timeout + 999) / 1000)) > 0;
    }
    /** The service's socket, for a waitForAction() of the program's. */
    int getSocket() const
    {
        return rsp_server_socket(server);
    }

    /** Sends on a session; false with errno. */
    bool send(rserpool_session_t session, const void *data, std::size_t size,
              std::uint32_t ppid = 0, std::uint16_t stream = 0)
    {
        return rsp_sendmsg(rsp_server_socket(server), data, size, 0, session, ppid, stream, 0, 0,
                           0) >= 0;
    }
    bool sendCookie(rserpool_session_t session, const void *state, std::size_t size)
    {
        return rsp_send_cookie(rsp_server_socket(server), static_cast<const unsigned char *>(state),
                               size, session, 0) >= 0;
    }

  private:
    static UDPLikeServer *of(const rsp_server *s)
    {
        return static_cast<UDPLikeServer *>(rsp_server_user(s));
    }
    void arm()
    {
        bool limitFirst = limitAt != 0 && (timerAt == 0 || limitAt < timerAt);
        rsp_server_timer(server, rsp::until(limitFirst ? limitAt : timerAt));
    }
    void timer()
    {
        if (limitAt != 0 && rsp::now() >= limitAt) {
            rsp_server_stop(server);
            return;
        }
        if (timerAt != 0 && rsp::now() >= timerAt) {
            timerAt = 0;
            handleTimer();
        }
        arm();
    }
    static void wait(rsp_server *s, int timeout_ms)
    {
        (void)of(s)->waitForAction(timeout_ms > 0 ? timeout_ms * 1000ULL : 0);
    }
    static int init(rsp_server *s)
    {
        std::uint32_t id = 0;
        (void)rsp_getsockname(rsp_server_socket(s), nullptr, nullptr, &id);
        of(s)->arm();
        return of(s)->initializeService(rsp_server_socket(s), id) == EHR_Okay ? 0 : -1;
    }
    static rsp_server_result message(rsp_server_session *session, const void *data,
                                     std::size_t size, std::uint32_t ppid, std::uint16_t stream)
    {
        return rsp::result(of(rsp_session_server(session))
                               ->handleMessage(rsp_session_id(session),
                                               static_cast<const char *>(data), size, ppid,
                                               stream));
    }
    static rsp_server_result cookie(rsp_server_session *session, const void *state,
                                    std::size_t size)
    {
        return rsp::result(of(rsp_session_server(session))
                               ->handleCookieEcho(rsp_session_id(session),
                                                  static_cast<const char *>(state), size));
    }
    static rsp_server_result notification(rsp_server_session *session,
                                          const union rserpool_notification *n)
    {
        of(rsp_session_server(session))->handleNotification(n);
        return RSP_SERVER_GO_ON;
    }

    rsp_server *server = nullptr;
    double load = 0;
    unsigned long long timerAt = 0;
    unsigned long long limitAt = 0;
};

#endif
