// SPDX-License-Identifier: MIT
// goroutine_scope: joins at the end of the scope, however it is left.
#include <pirn/goroutine_scope.h>

#include <memory>
#include <stdexcept>
#include <type_traits>

#include "test/chan/verdict.h"

using namespace pirn::test;

static_assert(!std::is_copy_constructible_v<pirn::goroutine_scope>);

TEST_CASE("a goroutine_scope ends when its goroutines have") {
    in_run([](verdict& v) {
        for (int round = 0; round < 50; ++round) {
            std::atomic<int> ended{0};
            {
                pirn::goroutine_scope scope;
                for (int i = 0; i < 5; ++i)
                    scope.go([&, p = std::make_unique<int>(i)] {
                        // Started by one of them.
                        scope.go([&] {
                            pirn::yield();
                            ++ended;
                        });
                        pirn::yield();
                        ended += *p >= 0;
                    });
                scope.join();
                EXPECT(ended == 10);
                scope.go([&] {
                    ++ended;
                    pirn::goexit();
                });
            }
            EXPECT(ended == 11);
        }
        pirn::goroutine_scope empty;
        empty.join();
    });
}

TEST_CASE("a goroutine_scope joins while an exception passes, and a goexit") {
    in_run([](verdict& v) {
        for (int round = 0; round < 50; ++round) {
            std::atomic<int> ended{0};
            bool caught = false;
            try {
                pirn::goroutine_scope scope;
                for (int i = 0; i < 3; ++i)
                    scope.go([&] {
                        pirn::yield();
                        ++ended;
                    });
                throw std::runtime_error("past the scope");
            } catch (const std::runtime_error&) {
                caught = true;
                EXPECT(ended == 3);
            }
            EXPECT(caught);

            std::atomic<bool> left{false};
            pirn::go([&] {
                pirn::defer mark([&] { left = true; });
                pirn::goroutine_scope scope;
                for (int i = 0; i < 3; ++i)
                    scope.go([&] {
                        pirn::yield();
                        ++ended;
                    });
                pirn::goexit();
            });
            UNTIL(left.load());
            EXPECT(ended == 6);
        }
    });
}
