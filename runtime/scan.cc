// SPDX-License-Identifier: MIT
// Scans of goroutines' stacks, out of the way of those who run them.
#include "runtime/scan.h"

#include <ctime>

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pirn::rt {
namespace {

base::atomic<bool> taken{false};
base::atomic<const g*> claimed{nullptr};

// Every thread of the process has passed a full barrier when this returns.
void barrier_everywhere() {
    static const bool registered =
        ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    if (registered && ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return;
    // No such call (an emulator, a filter): a store is seen long before this is over.
    const timespec while_stores_drain{0, 1'000'000};
    ::nanosleep(&while_stores_drain, nullptr);
}

}  // namespace

namespace detail_scan {

void wait_until_scanned(const g* gp) {
    // ORD(scan): seq_cst fence; the status is visible before the claim is read. Pairs with the
    // fence in claim.
    base::fence(std::memory_order_seq_cst);
    // ORD(scan): acquire; pairs with the release in release().
    while (claimed.load(std::memory_order_acquire) == gp) ::sched_yield();
}

}  // namespace detail_scan

// ORD(scans): acquire; one scan comes after another. Pairs with the release below.
scan::scan() : mine_(!taken.exchange(true, std::memory_order_acquire)) {
    if (!mine_) return;
    detail_scan::on.store(true, std::memory_order_relaxed);
    barrier_everywhere();
}

scan::~scan() {
    if (!mine_) return;
    release();
    detail_scan::on.store(false, std::memory_order_relaxed);
    // ORD(scans): release; pairs with the acquire above.
    taken.store(false, std::memory_order_release);
}

bool scan::claim(const g* gp) {
    if (!mine_) return false;
    claimed.store(gp, std::memory_order_relaxed);
    // ORD(scan): seq_cst fence; the claim is visible before the status is read. Pairs with the
    // fence in wait_until_scanned.
    base::fence(std::memory_order_seq_cst);
    // ORD(parked): acquire; its stack is as the switch has left it. Pairs with the release in
    // status.h.
    const g_status status = gp->status.load(std::memory_order_acquire);
    if (status == g_status::waiting || status == g_status::runnable) return true;
    release();
    return false;
}

void scan::release() {
    if (!mine_) return;
    // ORD(scan): release; the walk is over. Pairs with the acquire in wait_until_scanned.
    claimed.store(nullptr, std::memory_order_release);
}

}  // namespace pirn::rt
