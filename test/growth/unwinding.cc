// SPDX-License-Identifier: MIT
// Exceptions, forced unwinding and backtraces through stacks that have grown.
#include <unwind.h>

#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include <pirn/chan.h>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_depth;
using growth::at_each_depth;
using growth::ballast;

namespace {

GROWTH_OPAQUE int needs_room(int x) {
    ballast<20'000> room;
    return x + room.damage();
}

// Counts how often it was destroyed, from a frame that does not fit either.
class counted {
  public:
    explicit counted(int& n) : n_(n) {}
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { n_ += needs_room(1); }

  private:
    int& n_;
};

GROWTH_OPAQUE void throw_deep(int frames, int& destroyed) {
    const counted c(destroyed);
    ballast<700> room;
    if (frames == 0) throw std::runtime_error("from the bottom");
    throw_deep(frames - 1, destroyed);
    destroyed += 1000 + room.damage();   // Not reached.
}

GROWTH_OPAQUE std::string caught(int frames, int& destroyed) {
    try {
        throw_deep(frames, destroyed);
    } catch (const std::runtime_error& e) {
        ballast<900> room;
        return e.what() + std::string(room.damage() != 0 ? "!" : "");
    }
    return "nothing";
}

// Each level catches, needs room and throws on.
GROWTH_OPAQUE int rethrown(int frames) {
    ballast<500> room;
    if (frames == 0) throw 1;
    try {
        return rethrown(frames - 1) + 1000;
    } catch (int& level) {
        level += needs_room(1);
        if (frames % 2 == 0) throw level + room.damage();
        throw;
    }
}

GROWTH_OPAQUE void throw_int(int x) {
    ballast<700> room;
    throw x + room.damage();
}
GROWTH_OPAQUE void do_not_throw(int) {
    ballast<700> room;
    if (room.damage() != 0) throw 0;
}

// Throws while another exception is on its way, and catches its own.
class throws_inside {
  public:
    explicit throws_inside(int& sum) : sum_(sum) {}
    throws_inside(const throws_inside&) = delete;
    throws_inside& operator=(const throws_inside&) = delete;
    ~throws_inside() {
        try {
            throw_int(10);
        } catch (int e) {
            sum_ += e + std::uncaught_exceptions();
        }
    }

  private:
    int& sum_;
};

GROWTH_OPAQUE void nested_throws(int frames, int& sum) {
    ballast<600> room;
    const throws_inside t(sum);
    if (frames == 0) throw_int(1 + room.damage());
    nested_throws(frames - 1, sum);
    sum += 100'000;
}

GROWTH_SUBJECT("unwinding: a throw through many hops") {
    auto calls = [&] {
        int destroyed = 0;
        EXPECT(caught(10, destroyed) == "from the bottom" && destroyed == 11);
        destroyed = 0;
        EXPECT(caught(0, destroyed) == "from the bottom" && destroyed == 1);
    };
    at_each_depth(calls, 24);
    int destroyed = 0;
    EXPECT(caught(2000, destroyed) == "from the bottom" && destroyed == 2001);
    EXPECT(at_depth(300, [] {}) == 300);
}

GROWTH_SUBJECT("unwinding: a thousand throws") {
    int destroyed = 0;
    for (int i = 0; i < 1000; ++i) EXPECT(caught(3, destroyed) == "from the bottom");
    EXPECT(destroyed == 4000);
}

GROWTH_SUBJECT("unwinding: rethrow at every level") {
    auto calls = [&] {
        int got = 0;
        try {
            rethrown(20);
        } catch (int e) {
            got = e;
        }
        EXPECT(got == 21);
    };
    at_each_depth(calls, 24);
}

GROWTH_SUBJECT("unwinding: throws inside destructors that unwinding runs") {
    int sum = 0, got = 0;
    try {
        nested_throws(20, sum);
    } catch (int e) {
        got = e;
    }
    EXPECT(got == 1 && sum == 21 * 11);
}

GROWTH_SUBJECT("unwinding: exception_ptr, also into another goroutine") {
    std::exception_ptr held;
    at_depth(30, [&] {
        try {
            int destroyed = 0;
            throw_deep(5, destroyed);
        } catch (...) {
            held = std::current_exception();
        }
    });
    const auto heard = pirn::make_chan<std::string>();
    growth::start([held, heard] {
        std::string text = "nothing";
        try {
            at_depth(40, [&] { std::rethrow_exception(held); });
        } catch (const std::runtime_error& e) {
            text = e.what();
        }
        heard.send(text);
    });
    EXPECT(heard.recv() == "from the bottom");
    try {
        std::rethrow_exception(held);
    } catch (const std::exception& e) {
        EXPECT(std::strcmp(e.what(), "from the bottom") == 0);
    }
}

GROWTH_SUBJECT("unwinding: foreign code throws, catches, and is thrown through") {
    auto calls = [&] {
        int got = 0, destroyed = 0;
        try {
            foreign::raise(5);
        } catch (int e) {
            got = e;
        }
        EXPECT(got == 5);
        try {
            foreign::call_guarded(&throw_int, 9, &destroyed);
        } catch (int e) {
            got = e;
        }
        EXPECT(got == 9 && destroyed == 1);
        EXPECT(foreign::call_guarded(&do_not_throw, 9, &destroyed) == 0 && destroyed == 2);
        EXPECT(foreign::catch_from(&throw_int, 4) == 4);
        EXPECT(foreign::catch_from(&do_not_throw, 4) == -1);
        try {
            foreign::call_guarded(&foreign::raise, 7, &destroyed);
        } catch (int e) {
            got = e;
        }
        EXPECT(got == 7 && destroyed == 3);
    };
    at_each_depth(calls, 24);
    EXPECT(at_depth(300, [] {}) == 300);
}

// A handler runs below the exception that it handles; parking there takes the exception along.
GROWTH_OPAQUE int park_in_handlers(int nested, const pirn::chan<int>& from) {
    ballast<300> room;
    try {
        throw nested;
    } catch (const int& mine) {
        pirn::yield();
        int sum = from.recv().value_or(-1000) + room.damage();
        if (nested > 0) sum += at_depth(5, [&] { sum += park_in_handlers(nested - 1, from); }) - 5;
        pirn::yield();
        try {
            throw;
        } catch (const int& again) {
            return &again == &mine && mine == nested ? sum + 1 : -1000;
        }
    }
}

GROWTH_SUBJECT("unwinding: handlers that park, nested") {
    const auto numbers = pirn::make_chan<int>();
    const auto sums = pirn::make_chan<int>();
    for (int i = 0; i < 8; ++i) {
        growth::start([numbers, sums] {
            sums.send(park_in_handlers(10, numbers));
        });
    }
    for (int i = 0; i < 8 * 11; ++i) numbers.send(100);
    for (int i = 0; i < 8; ++i) EXPECT(sums.recv() == 11 * 101);
}

GROWTH_OPAQUE void leave_from(int frames, int& destroyed) {
    const counted c(destroyed);
    ballast<200> room;
    if (frames == 0) pirn::goexit();
    leave_from(frames - 1, destroyed);
    destroyed += 1000 + room.damage();
}

// For foreign code to call: takes no context.
int* destroyed_by_exit = nullptr;
GROWTH_OPAQUE void leave(int frames) { leave_from(frames, *destroyed_by_exit); }

GROWTH_SUBJECT("unwinding: goexit from a depth of 100") {
    for (int i = 0; i < 50; ++i) {
        int destroyed = 0;
        const auto gone = pirn::make_chan<void>();
        growth::start([&] {
            const pirn::defer tell{[&] { gone.close(); }};
            leave_from(100, destroyed);
        });
        (void)gone.recv();
        EXPECT(destroyed == 101);
    }
}

GROWTH_SUBJECT("unwinding: goexit through foreign frames") {
    int destroyed = 0, foreign_destroyed = 0;
    destroyed_by_exit = &destroyed;
    const auto gone = pirn::make_chan<void>();
    growth::start([&] {
        const pirn::defer tell{[&] { gone.close(); }};
        at_depth(20, [&] { foreign::call_guarded(&leave, 20, &foreign_destroyed); });
    });
    (void)gone.recv();
    EXPECT(destroyed == 21 && foreign_destroyed == 1);
}

struct frames_seen {
    const void* function = nullptr;   // looked for
    int found = 0;
    int count = 0;   // of all frames
};

_Unwind_Reason_Code see_frame(_Unwind_Context* context, void* arg) {
    auto& seen = *static_cast<frames_seen*>(arg);
    ++seen.count;
    // Takes a return address, and looks at what comes before it.
    void* const pc = reinterpret_cast<void*>(_Unwind_GetIP(context));
    if (_Unwind_FindEnclosingFunction(pc) == seen.function) ++seen.found;
    return _URC_NO_REASON;
}

GROWTH_OPAQUE int backtrace_from(int frames, frames_seen& seen, _Unwind_Reason_Code& end) {
    ballast<600> room;
    if (frames > 0) return backtrace_from(frames - 1, seen, end) + room.damage();
    end = _Unwind_Backtrace(see_frame, &seen);
    return seen.count + room.damage();
}

GROWTH_SUBJECT("unwinding: a backtrace through hops names each frame") {
    for (const int frames : {0, 1, 8, 100}) {
        frames_seen seen;
        seen.function = reinterpret_cast<const void*>(&backtrace_from);
        _Unwind_Reason_Code end = _URC_NO_REASON;
        EXPECT(backtrace_from(frames, seen, end) > frames);
        EXPECT(seen.found == frames + 1);
        EXPECT(end == _URC_END_OF_STACK);
    }
}

}  // namespace
