// SPDX-License-Identifier: MIT
// sync, pirn: a wait group, a once and a pool of objects that nobody has to wait for.
#include <cstdint>
#include <memory>

#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "config.h"
#include "harness/harness.h"

namespace {

void count(std::uint64_t ops) {
    pirn::wait_group group;
    for (std::uint64_t i = 0; i < ops; i++) {
        group.add(1);
        group.done();
        group.wait();
    }
}

void call(std::uint64_t ops) {
    pirn::once o;
    std::uint64_t calls = 0;
    o.call([&] { calls++; });
    for (std::uint64_t i = 0; i < ops; i++) o.call([&] { calls++; });
    if (calls != 1) bench::fail("it was not once");
}

struct object {
    std::uint64_t mark = bench::k_mark;
    std::uint64_t uses = 0;
};

// One goroutine on each P takes an object, uses it and puts it back.
void recycle(std::uint64_t ops, std::uint64_t procs) {
    pirn::pool<std::unique_ptr<object>> objects([] { return std::make_unique<object>(); });
    pirn::wait_group all;
    for (std::uint64_t k = 0; k < procs; k++) {
        all.go([&objects, each = ops / procs] {
            for (std::uint64_t i = 0; i < each; i++) {
                std::unique_ptr<object> mine = objects.get();
                if (mine->mark != bench::k_mark) bench::fail("an object was lost");
                mine->uses++;
                objects.put(std::move(mine));
            }
        });
    }
    all.wait();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run(
        [&args] {
            const double ns = bench::ns_per_op(args.ops, count);
            const double once_ns = bench::ns_per_op(args.ops, call);
            const double pool_ns = bench::ns_per_op(
                args.ops, [&args](std::uint64_t ops) { recycle(ops, args.procs); });
            bench::report("sync", "pirn", args, ns, "ns")
                .figure("ops", args.ops)
                .figure("once_ns", once_ns)
                .figure("pool_ns", pool_ns)
                .print();
        },
        {.procs = static_cast<int>(args.procs)});
}
