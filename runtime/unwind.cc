// SPDX-License-Identifier: MIT
// How a goroutine ends by unwinding: an exception that nobody catches, and goexit.
//
// An uncaught exception is seen by the personality of the goroutine's first frame in the search
// phase, when the thrower's frames still stand: it is reported there, and the process ends.
//
// goexit is a forced unwind: destructors run frame by frame, and when the first frame is reached
// the goroutine ends from inside the unwinder, which is never returned to. A catch (...) that
// swallows the forced unwind deletes the exception object, which is how it is noticed; a noexcept
// function on the way ends in the terminate handler.
#include "runtime/unwind.h"

#include <exception>
#include <typeinfo>

#include <cstdlib>
#include <cxxabi.h>
#include <unistd.h>
#include <unwind.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/dump.h"
#include "runtime/sched.h"
#include "runtime/self.h"

namespace pirn::rt {
namespace {

std::terminate_handler terminate_before = nullptr;

// Prints what() of the exception being handled, or its type's name.
void print_current_exception(const char* prefix) {
    try {
        throw;
    } catch (const std::exception& e) {
        base::report("%s%s\n", prefix, e.what());
    } catch (...) {
        const std::type_info* type = abi::__cxa_current_exception_type();
        int status = -1;
        char* name = type != nullptr
                         ? abi::__cxa_demangle(type->name(), nullptr, nullptr, &status)
                         : nullptr;
        base::report("%sexception of type %s\n", prefix, status == 0 ? name : "unknown");
        std::free(name);
    }
}

[[noreturn]] void report_and_die(m* mp) {
    base::report("\n");
    print_goroutine_header(STDERR_FILENO, mp->cur(), "running");
    print_own_frames(STDERR_FILENO, 0);
    print_created_by(STDERR_FILENO, mp->cur());
    base::die();
}

void on_uncaught(_Unwind_Exception* exception) {
    m* mp = self();
    if (mp == nullptr || mp->cur() == nullptr) return;
    abi::__cxa_begin_catch(exception);
    print_current_exception("panic: ");
    report_and_die(mp);
}

// std::terminate on a goroutine: an exception out of a noexcept function or out of a destructor
// that runs because of another one.
void on_terminate() {
    m* mp = self();
    if (mp != nullptr && mp->cur() != nullptr) {
        if (mp->cur()->ending)
            base::fatal("goexit: a noexcept function is in the way of the unwind");
        if (abi::__cxa_current_exception_type() != nullptr) {
            print_current_exception("panic: ");
            base::report("\t(thrown through a noexcept function, or while unwinding)\n");
            report_and_die(mp);
        }
    }
    if (terminate_before != nullptr) terminate_before();
    std::abort();
}

void on_swallowed(_Unwind_Reason_Code, _Unwind_Exception*) {
    base::fatal("goexit: a catch (...) did not rethrow");
}

// The end of goexit, on the upper end of the goroutine's own stack.
void end_unwound(void* exception) {
    m* mp = self();
    g* gp = mp->cur();
    // Segments that it leaves from: what runs from here on runs on the block.
    while (gp->hops != nullptr) arch::leave_hop(*gp, *mp);
    arch::set_limit(gp->limit);
    base::destroy(static_cast<_Unwind_Exception*>(exception));
    gp->ending = false;
    goroutine_end();
}

// Called by the unwinder, which may run on a segment that the goroutine has left by now.
_Unwind_Reason_Code stop_at_first_frame(int, _Unwind_Action actions, _Unwind_Exception_Class,
                                        _Unwind_Exception* exception, _Unwind_Context*, void*) {
    PIRN_PLAIN();
    if ((actions & _UA_END_OF_STACK) == 0) return _URC_NO_REASON;
    arch::set_limit(0);
    g* gp = self()->cur();
    base::san_forget_frames(gp->lo, static_cast<std::size_t>(gp->hi() - gp->lo));
    arch::__pirn_restart_on(gp->hi(), end_unwound, exception);
}

}  // namespace

void install_unwind_hooks() {
    arch::set_uncaught_hook(on_uncaught);
    // It is there already in the child of a fork.
    if (std::get_terminate() != on_terminate) terminate_before = std::set_terminate(on_terminate);
}

void restore_unwind_hooks() {
    if (std::get_terminate() == on_terminate) std::set_terminate(terminate_before);
}

}  // namespace pirn::rt

namespace pirn {

using namespace rt;

void goexit() {
    m* mp = self();
    if (mp == nullptr || mp->cur() == nullptr) throw panic("goexit outside a goroutine");
    mp->cur()->ending = true;
    if (mp->cur()->is_main) mp->owner->main_exited.store(true, std::memory_order_relaxed);
    // On the heap: destructors run on the stack below the frames that are left, over this one.
    auto* exception = base::make<_Unwind_Exception>();
    exception->exception_class = 0;
    exception->exception_cleanup = on_swallowed;
    _Unwind_ForcedUnwind(exception, stop_at_first_frame, nullptr);
    base::fatal("goexit: the stack could not be unwound");
}

}  // namespace pirn
