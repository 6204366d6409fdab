// SPDX-License-Identifier: MIT
// A case that is switched off: a select passes over nil channels, so a loop takes from a source
// only while it has room, and gives only while it has something.
#include <cstddef>
#include <cstdio>
#include <deque>
#include <optional>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/select.h>

namespace {

// Between the two, a queue that holds `most` values.
void queue(pirn::recv_chan<int> in, const pirn::send_chan<int>& out, std::size_t most) {
    std::deque<int> held;
    while (in || !held.empty()) {
        const pirn::recv_chan<int> take = held.size() < most ? in : nullptr;
        const pirn::send_chan<int> give = held.empty() ? nullptr : out;
        const auto keep = [&](std::optional<int> n) {
            if (n)
                held.push_back(*n);
            else
                in = nullptr;
        };
        pirn::select(pirn::on_recv(take, keep),
                     pirn::on_send(give, held.empty() ? 0 : held.front(),
                                   [&] { held.pop_front(); }));
    }
    out.close();
}

}  // namespace

int main() {
    return pirn::run([] {
        const auto in = pirn::make_chan<int>(), out = pirn::make_chan<int>();
        pirn::go([=] { queue(in, out, 3); });
        pirn::go([=] {
            for (int i = 0; i < 10; ++i) in.send(i);
            in.close();
        });
        for (const int n : out) std::printf("%d ", n);
        std::puts("");
    });
}
