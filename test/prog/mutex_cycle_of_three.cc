// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT env: PIRN_DEBUG=deadlock=1
// EXPECT stderr: fatal error: goroutines wait for each other's mutexes - deadlock!
// EXPECT stderr like: goroutine \d+ \("\w+"\) waits for the mutex at \S+, which goroutine \d+ holds
// EXPECT stderr like: goroutine \d+ \("\w+"\) waits for the mutex at \S+, which goroutine \d+ holds
// EXPECT stderr like: goroutine \d+ \("\w+"\) waits for the mutex at \S+, which goroutine \d+ holds
// EXPECT stderr: sync.Mutex.Lock
// K09: each of three goroutines waits for the next one's mutex while a fourth runs on.
#include "test/prog/mutex_circle.h"

int main() { return pirn::run([] { circle(3, {"first", "second", "third"}); }); }
