// SPDX-License-Identifier: MIT
// Gates of calls that wait for a process, and of the name service.
#include "test/runtime/gates_test.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

namespace {

// A child that ends with status 7 when it is released.
struct child {
    pair p;
    pid_t pid = ::fork();
    child() {
        if (pid != 0) return;
        char c;
        ::_exit(::read(p.in, &c, 1) == 1 ? 7 : 8);
    }
};

void try_child(const char* name, const std::function<bool(pid_t, int*)>& wait) {
    child c;
    REQUIRE(c.pid > 0);
    try_call({name, [&] {
        int status = 0;
        return wait(c.pid, &status) && WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }, [&] { c.p.put(); }});
}

}  // namespace

TEST_CASE("waiting for a child lets others run") {
    const auto ended = [](int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 3; };
    try_all({
        {"system", [&] { return ended(::system("sleep 0.3; exit 3")); }, nothing},
        {"pclose", [&] {
            FILE* from = ::popen("sleep 0.3; exit 3", "r");
            return from != nullptr && ended(::pclose(from));
        }, nothing},
    });
    try_child("wait", [](pid_t pid, int* status) { return ::wait(status) == pid; });
    try_child("waitpid", [](pid_t pid, int* status) { return ::waitpid(pid, status, 0) == pid; });
    try_child("wait3", [](pid_t pid, int* status) { return ::wait3(status, 0, nullptr) == pid; });
    try_child("wait4", [](pid_t pid, int* status) {
        return ::wait4(pid, status, 0, nullptr) == pid;
    });
    try_child("waitid", [](pid_t pid, int* status) {
        siginfo_t info{};
        const bool ended = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) == 0;
        *status = info.si_status << 8;
        return ended;
    });
}

TEST_CASE("a look for children does not give the P away") {
    try_prompt_calls({
        {"waitpid", [] { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }, false},
        {"wait3", [] {
            return ::wait3(nullptr, WNOHANG, nullptr) == -1 && errno == ECHILD;
        }, false},
        {"wait4", [] {
            return ::wait4(-1, nullptr, WNOHANG, nullptr) == -1 && errno == ECHILD;
        }, false},
        {"waitid", [] {
            siginfo_t info;
            return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == -1 && errno == ECHILD;
        }, false},
    });
}

// Numbers and the name of this host, which need no server.
TEST_CASE("the name service is called as one that may block") {
    sockaddr_in home{};
    home.sin_family = AF_INET;
    home.sin_port = htons(80);
    home.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto is_home = [&](const hostent* found) {
        return found != nullptr && found->h_length == 4 &&
               std::memcmp(found->h_addr_list[0], &home.sin_addr, 4) == 0;
    };
    try_prompt_calls({
        {"getaddrinfo", [&] {
            addrinfo hints{}, *found = nullptr;
            hints.ai_flags = AI_NUMERICHOST;
            const bool right =
                ::getaddrinfo("127.0.0.1", "80", &hints, &found) == 0 &&
                std::memcmp(found->ai_addr, &home, offsetof(sockaddr_in, sin_zero)) == 0;
            if (found != nullptr) ::freeaddrinfo(found);
            return right;
        }},
        {"getnameinfo", [&] {
            char host[64], service[64];
            return ::getnameinfo(reinterpret_cast<sockaddr*>(&home), sizeof home, host,
                                 sizeof host, service, sizeof service,
                                 NI_NUMERICHOST | NI_NUMERICSERV) == 0 &&
                   std::string(host) == "127.0.0.1" && std::string(service) == "80";
        }},
        {"gethostbyname", [&] { return is_home(::gethostbyname("127.0.0.1")); }},
        {"gethostbyname2", [&] { return is_home(::gethostbyname2("127.0.0.1", AF_INET)); }},
        {"gethostbyname_r", [&] {
            hostent entry;
            hostent* found = nullptr;
            char room[1024];
            int error = 0;
            return ::gethostbyname_r("127.0.0.1", &entry, room, sizeof room, &found, &error) == 0 &&
                   found == &entry && is_home(found);
        }},
        {"gethostbyaddr", [&] {
            // Of an address of two bytes there is no name, and nobody is asked for one.
            return ::gethostbyaddr(&home.sin_addr, 2, AF_INET) == nullptr;
        }},
    });
}

#endif
