// SPDX-License-Identifier: MIT
// context, pirn: makes contexts, cancels them one by one and as a crowd, and looks values up.
#include <algorithm>
#include <array>
#include <vector>

#include <pirn/context.h>
#include <pirn/runtime.h>

#include "config.h"
#include "harness/harness.h"

namespace {

void make_and_cancel(const pirn::context& parent, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; i++) {
        const auto [ctx, cancel] = pirn::with_cancel(parent);
        cancel();
        if (!ctx.err()) bench::fail("a context was not cancelled");
    }
}

struct crowd_times {
    std::uint64_t build_ns = 0, cancel_ns = 0, drop_ns = 0;
};

// Children of one parent, cancelled by it, `rounds` times.
crowd_times crowd(std::uint64_t rounds, std::uint64_t count) {
    crowd_times sum;
    std::vector<pirn::cancelable> children;
    children.reserve(count);
    for (std::uint64_t r = 0; r < rounds; r++) {
        const auto [parent, cancel] = pirn::with_cancel(pirn::background());
        const std::uint64_t begin = bench::now_ns();
        for (std::uint64_t i = 0; i < count; i++) children.push_back(pirn::with_cancel(parent));
        const std::uint64_t built = bench::now_ns();
        cancel();
        const std::uint64_t cancelled = bench::now_ns();
        for (const auto& child : children) {
            if (!child.ctx.err()) bench::fail("a child was not cancelled");
        }
        const std::uint64_t checked = bench::now_ns();
        children.clear();
        sum.build_ns += built - begin;
        sum.cancel_ns += cancelled - built;
        sum.drop_ns += bench::now_ns() - checked;
    }
    return sum;
}

using key = pirn::context_key<std::uint64_t>;
constexpr std::array<key, bench::k_levels> k_keys;

void look_up(const pirn::context& leaf, std::uint64_t ops) {
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < ops; i++) sum += *leaf.value(k_keys[0]);
    if (sum != ops) bench::fail("a wrong value");
}

void measure(const bench::arguments& args) {
    const double alone_ns = bench::ns_per_op(
        args.ops, [](std::uint64_t ops) { make_and_cancel(pirn::background(), ops); });
    const auto [live, end] = pirn::with_cancel(pirn::background());
    const double below_ns = bench::ns_per_op(
        args.ops, [&live](std::uint64_t ops) { make_and_cancel(live, ops); });
    end();

    const std::uint64_t count = std::min(args.ops, bench::k_children);
    const std::uint64_t rounds = args.ops / count;
    crowd(1, count);
    const crowd_times times = crowd(rounds, count);
    const auto per_child = [children = static_cast<double>(rounds * count)](std::uint64_t ns) {
        return static_cast<double>(ns) / children;
    };

    pirn::context leaf = pirn::background();
    for (const key& k : k_keys) leaf = pirn::with_value(leaf, k, &k - k_keys.data() + 1);
    const double value_ns =
        bench::ns_per_op(args.ops, [&leaf](std::uint64_t ops) { look_up(leaf, ops); });

    bench::report("context", "pirn", args, alone_ns, "ns")
        .figure("ops", args.ops)
        .figure("below_ns", below_ns)
        .figure("child_build_ns", per_child(times.build_ns))
        .figure("child_cancel_ns", per_child(times.cancel_ns))
        .figure("child_drop_ns", per_child(times.drop_ns))
        .figure("value_ns", value_ns)
        .print();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run([&args] { measure(args); }, {.procs = static_cast<int>(args.procs)});
}
