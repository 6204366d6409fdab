// SPDX-License-Identifier: MIT
// chan_pingpong, pthread: a number goes to another thread and back through a mutex and a condition
// variable for each direction.
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "config.h"
#include "harness/harness.h"

namespace {

// One direction. There is never more than one value on the way, so a sender finds the slot empty.
class slot {
  public:
    void send(std::uint64_t value) {
        {
            const std::lock_guard lock(mutex_);
            value_ = value;
        }
        filled_.notify_one();
    }

    std::uint64_t recv() {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [this] { return value_.has_value(); });
        const std::uint64_t value = *value_;
        value_.reset();
        return value;
    }

  private:
    std::mutex mutex_;
    std::condition_variable filled_;
    std::optional<std::uint64_t> value_;
};

void round_trips(std::uint64_t ops) {
    slot ping;
    slot pong;
    std::thread other([&] {
        for (std::uint64_t i = 0; i < ops; i++) pong.send(ping.recv());
    });
    for (std::uint64_t i = 0; i < ops; i++) {
        ping.send(i);
        if (pong.recv() != i) bench::fail("the wrong value came back");
    }
    other.join();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops_pthread});
    const double ns = bench::ns_per_op(args.ops, round_trips);
    bench::report("chan_pingpong", "pthread", args, ns, "ns").figure("ops", args.ops).print();
}
