// SPDX-License-Identifier: MIT
// on_large_stack: room for code that no check sees, with results and exceptions coming back.
#include <memory>
#include <stdexcept>
#include <string>

#include <pirn/chan.h>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_each_depth;
using growth::ballast;

namespace {

// Writes to the stack below its caller's frame, unseen by any check. A neighbour sees it where this
// was somebody else's memory.
GROWTH_OPAQUE int writes_below(std::size_t bytes) {
    auto* const here = static_cast<volatile char*>(__builtin_frame_address(0));
    std::ptrdiff_t at = -512;
    for (; at > -static_cast<std::ptrdiff_t>(bytes); at -= 64) here[at] = 1;
    return here[at + 64];
}

GROWTH_SUBJECT("large: at least 64 KB are there") {
    auto calls = [&] {
        EXPECT(pirn::on_large_stack([] { return writes_below(64'000); }) == 1);
        EXPECT(pirn::on_large_stack([] {
            return pirn::on_large_stack([] { return writes_below(64'000); });
        }) == 1);
    };
    at_each_depth(calls);
    for (int deep = 0; deep < 3000; deep += 97) {
        growth::at_depth(deep, [&] {
            EXPECT(pirn::on_large_stack([] { return foreign::wide(1); }) == 2);
        });
    }
}

GROWTH_SUBJECT("large: what the function returns and throws") {
    auto calls = [&] {
        int written = 0;
        pirn::on_large_stack([&] { written = 1; });
        EXPECT(written == 1);
        int& same = pirn::on_large_stack([&]() -> int& { return written; });
        EXPECT(&same == &written);
        const std::unique_ptr<int> moved =
            pirn::on_large_stack([] { return std::make_unique<int>(7); });
        EXPECT(*moved == 7);
        std::string what;
        try {
            pirn::on_large_stack([] {
                ballast<700> room;
                if (room.damage() == 0) throw std::runtime_error("from there");
            });
        } catch (const std::runtime_error& e) {
            what = e.what();
        }
        EXPECT(what == "from there");
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("large: parking there, and leaving from there") {
    const auto numbers = pirn::make_chan<int>();
    const auto sums = pirn::make_chan<int>();
    for (int i = 0; i < 8; ++i) {
        growth::start([=] {
            sums.send(pirn::on_large_stack([&] {
                int sum = 0;
                for (int n = 0; n < 10; ++n) {
                    sum += numbers.recv().value_or(-1000) + writes_below(60'000) - 1;
                    pirn::yield();
                }
                return sum;
            }));
        });
    }
    for (int i = 0; i < 80; ++i) numbers.send(1);
    for (int i = 0; i < 8; ++i) EXPECT(sums.recv() == 10);
    const auto gone = pirn::make_chan<void>();
    growth::start([gone] {
        const pirn::defer tell{[&] { gone.close(); }};
        pirn::on_large_stack([] { pirn::goexit(); });
    });
    (void)gone.recv();
}

}  // namespace
