// SPDX-License-Identifier: MIT
// A place in memory in which an object lives for a while, to see that nobody touches it afterwards.
#pragma once

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace pirn::test {

template <class T>
class place {
  public:
    template <class... A>
    T* make(A&&... args) {
        return ::new (bytes_.data()) T(std::forward<A>(args)...);
    }
    void destroy(T* object) {
        object->~T();
        bytes_.fill(k_gone);
    }
    // Since it was destroyed.
    bool untouched() const {
        return std::ranges::all_of(bytes_, [](unsigned char b) { return b == k_gone; });
    }

  private:
    static constexpr unsigned char k_gone = 0xEE;
    alignas(T) std::array<unsigned char, sizeof(T)> bytes_;
};

}  // namespace pirn::test
