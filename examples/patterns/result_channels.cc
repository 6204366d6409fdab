// SPDX-License-Identifier: MIT
// Worker pool with result channels: each job brings the channel on which its answer is awaited.
#include <cstdio>
#include <string>
#include <utility>

#include <pirn/chan.h>
#include <pirn/runtime.h>

namespace {

struct request {
    std::string text;
    pirn::send_chan<std::string> reply;
};

}  // namespace

int main() {
    return pirn::run([] {
        const auto requests = pirn::make_chan<request>();
        for (int w = 0; w < 2; ++w) {
            pirn::go([=] {
                for (request& r : requests) r.reply.send({r.text.rbegin(), r.text.rend()});
            });
        }
        const auto ask = [&](std::string text) {
            const auto reply = pirn::make_chan<std::string>(1);
            requests.send({std::move(text), reply});
            return *reply.recv();
        };
        std::puts(ask("nrip").c_str());
        std::puts(ask("level").c_str());
        requests.close();
    });
}
