// SPDX-License-Identifier: MIT
// worker_pool: a list of tasks, and goroutines that empty it.
//
// The core is counted: the pool's handle has a reference, and each worker, so that it outlives a
// pool whose tasks still run.
//
// The list has two parts, so that who brings tasks and who takes them seldom meet: tasks come to
// the end of `incoming`, and workers take them from `outgoing`, which gets all of the other part
// when it is empty.
//
// Invariants, whenever the locks are free:
//   - While there are tasks there is a worker that will look at the list again, or one that is on
//     its way (its goroutine is being made): the last look of one that leaves, and its being
//     counted off, are under both locks.
//   - `workers` counts those of the run `run`. What an earlier run left, a list of records that are
//     unmapped by now and workers that stand still for good, is forgotten by who comes first.
#include <pirn/worker_pool.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <typeinfo>

#include <cxxabi.h>
#include <unistd.h>

#include <pirn/counted_ref.h>

#include "runtime/base/atomic.h"
#include "runtime/base/cacheline.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/lock.h"
#include "runtime/report.h"
#include "runtime/where.h"
#include "sync/thrown.h"

namespace pirn {
namespace detail {
namespace {

// A user's function that may be replaced while others are in it.
template <class F>
struct shared_hook {
    explicit shared_hook(F&& function) : f(std::move(function)) {}
    ref_count refs;
    F f;
};
template <class F>
using hook_ref = counted_ref<shared_hook<F>>;

}  // namespace

class worker_pool_core {
  public:
    worker_pool_core(std::string_view name, int cap, int threshold)
        : name_(name), threshold_(static_cast<std::size_t>(std::max(threshold, 1))), cap_(cap) {}

    ref_count refs;
    const std::string& name() const { return name_; }

    // False: closed.
    bool submit(spawn_record* r);
    void close();
    void set_cap(int n);
    void set_handler(worker_pool_handler h) { replace(handler_, std::move(h)); }
    void set_counter(worker_pool_counter h) { replace(counter_, std::move(h)); }

    struct counts {
        int workers;
        std::size_t tasks;
        std::uint64_t panics;
    };
    counts count();

    // What a worker does. With a reference that it gives back.
    void work(std::uint64_t run);
    // An exception is about to leave a task: reports it, unless there is a handler.
    void see(const std::type_info& type, void* object);
    // It has left the task.
    void handle(const void* context, std::exception_ptr thrown);

  private:
    // Counts off a worker that leaves by an exception or by goexit.
    struct leaving;

    template <class F>
    void replace(hook_ref<F>& hook, F&& f) {
        hook_ref<F> next(f ? new shared_hook<F>(std::move(f)) : nullptr);
        const rt::lock_guard hold(mu_);
        std::swap(hook, next);
    }
    void see_run();
    // The next task of a worker of this run; null: it has been counted off.
    spawn_record* next(std::uint64_t run);
    // Makes the goroutine of a worker that was counted.
    void start_worker(std::uint64_t run);

    // With mu_ held. Tasks that are just being taken may be counted.
    std::size_t queued() const {
        return incoming_.size() + outgoing_count_.load(std::memory_order_relaxed);
    }
    bool wants_worker() const {
        const int workers = workers_.load(std::memory_order_relaxed);
        if (workers == 0) return queued() != 0;
        return workers < cap_.load(std::memory_order_relaxed) && queued() >= threshold_;
    }
    void count_workers(int n) {
        workers_.store(workers_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    // A look without the lock is enough to look again with it.
    bool too_many() const {
        return workers_.load(std::memory_order_relaxed) >
               std::max(cap_.load(std::memory_order_relaxed), 1);
    }
    // With both held.
    bool remove(const spawn_record* r);

    const std::string name_;
    const std::size_t threshold_;
    // Written under both locks.
    base::atomic<std::uint64_t> run_{0};

    // Protects what follows. While it is held: nothing but that.
    alignas(base::k_cache_line_bytes) rt::lock mu_{rt::lock_rank::leaf};
    base::fifo<qnode> incoming_;
    base::atomic<int> workers_{0};
    base::atomic<int> cap_;
    bool closed_ = false;
    std::uint64_t panics_ = 0;
    hook_ref<worker_pool_handler> handler_;
    hook_ref<worker_pool_counter> counter_;

    // Protects what follows. While it is held: that, and mu_.
    alignas(base::k_cache_line_bytes) rt::lock take_mu_{rt::lock_rank::tasks};
    base::fifo<qnode> outgoing_;
    // How many; grows under both locks only.
    base::atomic<std::size_t> outgoing_count_{0};
};

namespace {

// What a worker's goroutine holds.
struct worker {
    counted_ref<worker_pool_core> core;
    std::uint64_t run;
    void operator()() { core->work(run); }
};

}  // namespace

void worker_pool_core::see_run() {
    const std::uint64_t now = rt::run_number();
    // Relaxed: who is in a run sees what others of that run have written, or looks again below.
    if (run_.load(std::memory_order_relaxed) == now) return;
    const rt::lock_guard hold_taking(take_mu_);
    const rt::lock_guard hold(mu_);
    if (run_.load(std::memory_order_relaxed) == now) return;
    run_.store(now, std::memory_order_relaxed);
    incoming_ = {};
    outgoing_ = {};
    outgoing_count_.store(0, std::memory_order_relaxed);
    workers_.store(0, std::memory_order_relaxed);
}

bool worker_pool_core::remove(const spawn_record* r) {
    for (base::fifo<qnode>* list : {&incoming_, &outgoing_}) {
        bool found = false;
        base::fifo<qnode> others;
        while (qnode* n = list->pop_front()) {
            if (n == r)
                found = true;
            else
                others.push_back(n);
        }
        *list = others;
        if (found) {
            outgoing_count_.store(outgoing_.size(), std::memory_order_relaxed);
            return true;
        }
    }
    return false;
}

bool worker_pool_core::submit(spawn_record* r) {
    see_run();
    bool start = false;
    std::uint64_t run = 0;
    {
        const rt::lock_guard hold(mu_);
        if (closed_) return false;
        run = run_.load(std::memory_order_relaxed);
        incoming_.push_back(r);
        start = wants_worker();
        if (start) count_workers(1);
    }
    if (!start) return true;
    try {
        start_worker(run);
    } catch (...) {
        const rt::lock_guard hold_taking(take_mu_);
        const rt::lock_guard hold(mu_);
        count_workers(-1);
        // Another worker may have it already.
        if (remove(r)) throw;
    }
    return true;
}

void worker_pool_core::start_worker(std::uint64_t run) {
    refs.retain();
    pirn::go(go_options{.name = name_}, worker{counted_ref<worker_pool_core>(this), run});
}

void worker_pool_core::close() {
    const rt::lock_guard hold(mu_);
    closed_ = true;
}

void worker_pool_core::set_cap(int n) {
    see_run();
    std::uint64_t run = 0;
    int start = 0;
    {
        const rt::lock_guard hold(mu_);
        run = run_.load(std::memory_order_relaxed);
        cap_.store(n, std::memory_order_relaxed);
        // Each of them for a task that is there.
        const int room = n - workers_.load(std::memory_order_relaxed);
        if (wants_worker() && room > 0)
            start = static_cast<int>(std::min(queued(), static_cast<std::size_t>(room)));
        count_workers(start);
    }
    int started = 0;
    try {
        for (; started < start; ++started) start_worker(run);
    } catch (...) {
        const rt::lock_guard hold(mu_);
        count_workers(started - start);
        throw;
    }
}

worker_pool_core::counts worker_pool_core::count() {
    see_run();
    const rt::lock_guard hold_taking(take_mu_);
    const rt::lock_guard hold(mu_);
    return {workers_.load(std::memory_order_relaxed), queued(), panics_};
}

spawn_record* worker_pool_core::next(std::uint64_t run) {
    const rt::lock_guard hold_taking(take_mu_);
    // One that its run has left behind touches nothing of the next one's.
    if (run_.load(std::memory_order_relaxed) != run) return nullptr;
    if (outgoing_.empty() || too_many()) {
        const rt::lock_guard hold(mu_);
        if (too_many()) {
            count_workers(-1);
            return nullptr;
        }
        outgoing_.append(std::move(incoming_));
        outgoing_count_.store(outgoing_.size(), std::memory_order_relaxed);
        if (outgoing_.empty()) {
            count_workers(-1);
            return nullptr;
        }
    }
    auto* r = static_cast<spawn_record*>(outgoing_.pop_front());
    outgoing_count_.store(outgoing_.size(), std::memory_order_relaxed);
    // The one after it was written on another CPU, perhaps long ago.
    if (const qnode* after = outgoing_.front()) {
        __builtin_prefetch(after, 1);
        __builtin_prefetch(static_cast<const spawn_record*>(after) + 1, 1);
    }
    return r;
}

struct worker_pool_core::leaving {
    worker_pool_core* core;
    std::uint64_t run;
    ~leaving() {
        if (core == nullptr) return;
        bool start = false;
        {
            const rt::lock_guard hold(core->mu_);
            if (core->run_.load(std::memory_order_relaxed) != run) return;
            core->count_workers(-1);
            start = core->wants_worker();
            if (start) core->count_workers(1);
        }
        if (start) core->start_worker(run);
    }
};

void worker_pool_core::work(std::uint64_t run) {
    leaving unless_done{this, run};
    own_thrown_look() = {[](void* core, const std::type_info& type, void* object) {
                             static_cast<worker_pool_core*>(core)->see(type, object);
                         },
                         this};
    while (spawn_record* r = next(run)) {
        try {
            r->invoke(r);
        } catch (abi::__forced_unwind&) {
            throw;
        } catch (looked_at&) {
            // Nothing is.
        } catch (...) {
            handle(nullptr, std::current_exception());
        }
        checkpoint();
    }
    unless_done.core = nullptr;
}

void worker_pool_core::see(const std::type_info& type, void* object) {
    {
        const rt::lock_guard hold(mu_);
        if (handler_) return;
    }
    if (const char* what = what_of(type, object)) {
        base::report("GOPOOL: panic in pool: %s: %s\n", name_.c_str(), what);
    } else {
        int status = -1;
        char* name = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
        base::report("GOPOOL: panic in pool: %s: exception of type %s\n", name_.c_str(),
                     status == 0 ? name : type.name());
        std::free(name);
    }
    rt::print_caller(STDERR_FILENO, 0);
}

void worker_pool_core::handle(const void* context, std::exception_ptr thrown) {
    hook_ref<worker_pool_handler> handler;
    hook_ref<worker_pool_counter> counter;
    std::uint64_t n = 0;
    {
        const rt::lock_guard hold(mu_);
        n = ++panics_;
        handler = handler_;
        counter = counter_;
    }
    if (counter) counter->f(name_, n);
    if (handler) handler->f(context, std::move(thrown));
}

void call_in_pool(const void* context, void (*call)(void*), void* arg) {
    try {
        call(arg);
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (looked_at&) {
        // Nothing is.
    } catch (...) {
        static_cast<worker_pool_core*>(own_thrown_look().arg)
            ->handle(context, std::current_exception());
    }
}

}  // namespace detail

worker_pool::worker_pool(std::string_view name, int cap, worker_pool_options options)
    : core_(new detail::worker_pool_core(name, cap, options.scale_threshold)) {}

worker_pool::~worker_pool() {
    core_->close();
    detail::counted_ref<detail::worker_pool_core>{core_};
}

void worker_pool::submit(task& t) {
    if (!core_->submit(t.record())) throw panic("use closed pool");
    t.taken();
}

void worker_pool::close() { core_->close(); }
void worker_pool::set_cap(int n) { core_->set_cap(n); }
void worker_pool::set_handler(detail::worker_pool_handler h) { core_->set_handler(std::move(h)); }
void worker_pool::set_counter(detail::worker_pool_counter h) { core_->set_counter(std::move(h)); }
std::string_view worker_pool::name() const noexcept { return core_->name(); }
int worker_pool::worker_count() const { return core_->count().workers; }
std::size_t worker_pool::task_count() const { return core_->count().tasks; }
std::uint64_t worker_pool::panic_count() const { return core_->count().panics; }

namespace gopool {

worker_pool& default_pool() {
    // Never destroyed: goroutines of a run that was left behind may still use it.
    static auto* const pool =
        new worker_pool("gopool.DefaultPool", std::numeric_limits<int>::max());
    return *pool;
}

}  // namespace gopool

}  // namespace pirn
