// SPDX-License-Identifier: MIT
// Timeout: select between an answer and pirn::after.
#include <chrono>
#include <cstdio>
#include <optional>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/select.h>
#include <pirn/time.h>

using namespace std::chrono_literals;

namespace {

pirn::recv_chan<int> answer_in(std::chrono::milliseconds time) {
    // Room for the answer, so that who is late does not wait for ever.
    const auto answer = pirn::make_chan<int>(1);
    pirn::go([=] {
        pirn::sleep_for(time);
        answer.send(42);
    });
    return answer;
}

void ask(std::chrono::milliseconds time) {
    std::optional<int> answer;
    if (pirn::select(pirn::on_recv(answer_in(time), answer), pirn::on_recv(pirn::after(2s))) == 0)
        std::printf("answer %d\n", *answer);
    else
        std::puts("too late");
}

}  // namespace

int main() {
    return pirn::run([] {
        ask(1ms);
        ask(1h);
    });
}
