// SPDX-License-Identifier: MIT
// The type that looks at exceptions.
#include "sync/thrown.h"

#include <exception>

#include <cxxabi.h>

namespace pirn::detail {

// Of a name that others could use, as its object must be.
class looking final : public std::type_info {
  public:
    explicit looking(const char* name) : type_info(name) {}
    // As libstdc++'s personality calls it, while it searches for a handler; for goexit's unwinding,
    // frame by frame, too.
    bool __do_catch(const type_info* thrown, void** object, unsigned) const override {
        if (*thrown == typeid(abi::__forced_unwind)) return false;
        const thrown_look own = own_thrown_look();
        if (own.look != nullptr) own.look(own.arg, *thrown, *object);
        return false;
    }
};

// In the place of the compiler's, which it makes only where the destructor is defined. Before other
// globals, which may throw in goroutines already.
extern const looking type_of_looked_at asm("_ZTIN4pirn6detail9looked_atE");
[[gnu::init_priority(101)]] const looking type_of_looked_at("N4pirn6detail9looked_atE");

thrown_look& own_thrown_look() {
    // Never destroyed: workers may outlive main's return.
    static auto* const looks = new goroutine_local<thrown_look>;
    return looks->get();
}

const char* what_of(const std::type_info& type, void* object) {
    if (!typeid(std::exception).__do_catch(&type, &object, 1)) return nullptr;
    return static_cast<const std::exception*>(object)->what();
}

}  // namespace pirn::detail
