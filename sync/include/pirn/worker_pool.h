// SPDX-License-Identifier: MIT
// worker_pool: tasks that a bounded number of goroutines take in turn (bytedance's gopool).
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <pirn/runtime.h>

namespace pirn {

// <pirn/context.h>, for the forms with a context: who uses these has included it.
class context;
context background();

struct worker_pool_options {
    // Another worker is started for a task if so many are queued, and there are fewer than the cap.
    int scale_threshold = 1;
};

namespace detail {
class worker_pool_core;
using worker_pool_handler = std::move_only_function<void(const void* context, std::exception_ptr)>;
using worker_pool_counter = std::move_only_function<void(std::string_view name, std::uint64_t n)>;

// In a task: calls call(arg), and tells the pool's handler of what it throws with this context.
void call_in_pool(const void* context, void (*call)(void* arg), void* arg);

// A task with a context, which the handler is given.
template <class Context, class F>
struct context_task {
    Context context;
    F f;
    void operator()() {
        call_in_pool(
            &context, [](void* arg) { std::invoke(std::move(*static_cast<F*>(arg))); }, &f);
    }
};
}  // namespace detail

// A worker is a goroutine that takes tasks from the front of the list and ends when there are none:
// a pool that has nothing to do has no goroutine. A task that blocks keeps its worker; one that
// calls goexit ends it, and another takes its place.
//
// Every function may be called from anywhere at the same time. The destructor closes the pool and
// does not wait: tasks that are queued still run, as goroutines do. At the end of a run what is
// queued is dropped where it is; a pool may be used in the next one.
class worker_pool {
  public:
    // `cap` workers at the most; at least one is there while there are tasks.
    worker_pool(std::string_view name, int cap, worker_pool_options options = {});
    ~worker_pool();
    worker_pool(const worker_pool&) = delete;
    worker_pool& operator=(const worker_pool&) = delete;

    // Queues f, to be called with nothing by a worker. Does not block. Throws panic "use closed
    // pool" where it is closed, and outside any runtime.
    template <class F>
    void go(F&& f) {
        static_assert(std::is_invocable_v<std::decay_t<F>>, "pirn::worker_pool::go: f() is called");
        submit<detail::bound_call<std::decay_t<F>>>(std::forward<F>(f));
    }
    // The same, with a context for the panic handler.
    template <class Context, class F>
        requires std::is_same_v<std::remove_cvref_t<Context>, context>
    void go(Context&& ctx, F&& f) {
        static_assert(std::is_invocable_v<std::decay_t<F>>, "pirn::worker_pool::go: f() is called");
        submit<detail::context_task<std::decay_t<Context>, std::decay_t<F>>>(
            std::forward<Context>(ctx), std::forward<F>(f));
    }

    // Tasks that are queued still run; go panics from now on.
    void close();

    // How many workers may be there from now on. What is above leaves after its task; where there
    // is room, and there are tasks, others are started.
    void set_cap(int n);
    // What is called, on the worker, with an exception that leaves a task: h(std::exception_ptr),
    // or h(context, std::exception_ptr), the context being background() for tasks without. It may
    // be called by several at a time. Without it, the exception is reported on standard error, with
    // the pool's name and the stack. An exception that leaves h ends the process.
    template <class H>
    void set_panic_handler(H h) {
        if constexpr (std::is_invocable_v<H&, std::exception_ptr>) {
            set_handler([h = std::move(h)](const void*, std::exception_ptr thrown) mutable {
                std::invoke(h, std::move(thrown));
            });
        } else {
            // Dependent, as it is not complete here.
            using given = std::conditional_t<true, context, H>;
            set_handler([h = std::move(h)](const void* of_task, std::exception_ptr thrown) mutable {
                std::invoke(h,
                            of_task != nullptr ? *static_cast<const given*>(of_task)
                                               : static_cast<given (*)()>(&background)(),
                            std::move(thrown));
            });
        }
    }
    // What is called, on the worker, for each of these exceptions, before the handler, with the
    // pool's name and how many there have been: for metrics.
    template <class H>
    void set_panic_counter(H h) {
        set_counter(std::move(h));
    }

    std::string_view name() const noexcept;
    // Workers that exist, and tasks that no worker has taken yet.
    int worker_count() const;
    std::size_t task_count() const;
    // Exceptions that have left tasks.
    std::uint64_t panic_count() const;

  private:
    // A task on its way into the pool: a record as go's, recycled as these are.
    class task {
      public:
        task(std::size_t bytes, std::size_t align) : r_(detail::new_record(bytes, align)) {}
        ~task() {
            if (r_ == nullptr) return;
            if (destroy_ != nullptr) destroy_(r_->closure);
            detail::free_record(r_);
        }
        task(const task&) = delete;
        task& operator=(const task&) = delete;

        void* closure() const { return r_->closure; }
        template <class Closure>
        void made() {
            r_->invoke = &detail::invoke_closure<Closure>;
            destroy_ = [](void* closure) { static_cast<Closure*>(closure)->~Closure(); };
        }
        detail::spawn_record* record() const { return r_; }
        void taken() { r_ = nullptr; }

      private:
        detail::spawn_record* r_;
        void (*destroy_)(void* closure) = nullptr;
    };

    template <class Closure, class... Init>
    void submit(Init&&... init) {
        task t(sizeof(Closure), alignof(Closure));
        ::new (t.closure()) Closure{std::forward<Init>(init)...};
        t.made<Closure>();
        submit(t);
    }
    void submit(task& t);
    void set_handler(detail::worker_pool_handler h);
    void set_counter(detail::worker_pool_counter h);

    detail::worker_pool_core* core_;
};

// The pool of those who need none of their own: "gopool.DefaultPool", without a limit.
namespace gopool {

worker_pool& default_pool();

template <class F>
void go(F&& f) {
    default_pool().go(std::forward<F>(f));
}
template <class Context, class F>
void go(Context&& ctx, F&& f) {
    default_pool().go(std::forward<Context>(ctx), std::forward<F>(f));
}
template <class H>
void set_panic_handler(H h) {
    default_pool().set_panic_handler(std::move(h));
}
inline void set_cap(int n) { default_pool().set_cap(n); }
inline int worker_count() { return default_pool().worker_count(); }
inline std::size_t task_count() { return default_pool().task_count(); }

}  // namespace gopool

}  // namespace pirn
