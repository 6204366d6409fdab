// SPDX-License-Identifier: MIT
// A future through two channels: one for the value, one for the error; select takes whichever came.
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/select.h>

namespace {

struct outcome {
    pirn::chan<int> value = pirn::make_chan<int>(1);
    pirn::chan<std::string> error = pirn::make_chan<std::string>(1);
};

outcome parse(std::string text) {
    outcome o;
    pirn::go([=] {
        try {
            o.value.send(std::stoi(text));
        } catch (const std::exception& e) {
            o.error.send(e.what());
        }
    });
    return o;
}

void print(const outcome& o) {
    pirn::select(
        pirn::on_recv(o.value, [](std::optional<int> v) { std::printf("value %d\n", *v); }),
        pirn::on_recv(o.error,
                      [](std::optional<std::string> e) { std::printf("error %s\n", e->c_str()); }));
}

}  // namespace

int main() {
    return pirn::run([] {
        print(parse("42"));
        print(parse("forty-two"));
    });
}
