// SPDX-License-Identifier: MIT
// Gates of calls on message queues and semaphores of System V and POSIX.
#include "test/runtime/gates_test.h"

#include <string>

#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

TEST_CASE("queues of System V let others run") {
    struct message {
        long type;
        char text[1024];
    };
    const int queue = ::msgget(IPC_PRIVATE, 0600);
    const int count = ::semget(IPC_PRIVATE, 1, 0600);
    if (queue < 0 || count < 0) return;  // this kernel has none
    message m{1, "x"};
    message got{};
    sembuf take{0, -1, 0};
    sembuf give{0, 1, 0};
    const timespec most{20, 0};
    const auto post = [&] { ::semop(count, &give, 1); };
    try_all({
        {"msgrcv", [&] { return ::msgrcv(queue, &got, 8, 0, 0) == 2 && got.text[0] == 'x'; },
         [&] { ::msgsnd(queue, &m, 2, 0); }},
        {"semop", [&] { return ::semop(count, &take, 1) == 0; }, post},
        {"semtimedop", [&] { return ::semtimedop(count, &take, 1, &most) == 0; }, post},
    });
    while (::msgsnd(queue, &m, sizeof m.text, IPC_NOWAIT) == 0) {}
    try_call({"msgsnd", [&] { return ::msgsnd(queue, &m, sizeof m.text, 0) == 0; },
              [&] { ::msgrcv(queue, &got, sizeof got.text, 0, 0); }});
    ::msgctl(queue, IPC_RMID, nullptr);
    ::semctl(count, 0, IPC_RMID);
}

TEST_CASE("queues of POSIX let others run") {
    const std::string name = "/pirn-gates-" + std::to_string(::getpid());
    mq_attr attributes{};
    attributes.mq_maxmsg = 1;
    attributes.mq_msgsize = 8;
    const mqd_t q = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600, &attributes);
    if (q == static_cast<mqd_t>(-1)) return;  // this kernel has none
    ::mq_unlink(name.c_str());
    char text[8];
    const auto put = [&] { ::mq_send(q, "x", 1, 0); };
    const auto get = [&] { ::mq_receive(q, text, sizeof text, nullptr); };
    try_all({
        {"mq_receive", [&] { return ::mq_receive(q, text, sizeof text, nullptr) == 1; }, put},
        {"mq_timedreceive", [&] {
            const timespec until = after(20s);
            return ::mq_timedreceive(q, text, sizeof text, nullptr, &until) == 1;
        }, put},
    });
    put();
    try_all({
        {"mq_send", [&] { return ::mq_send(q, "x", 1, 0) == 0; }, get},
        {"mq_timedsend", [&] {
            const timespec until = after(20s);
            return ::mq_timedsend(q, "x", 1, 0, &until) == 0;
        }, get},
    });
    ::mq_close(q);
}

#endif
