// SPDX-License-Identifier: MIT
// Worker pool: a fixed number of goroutines, a channel of jobs, a channel of results.
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sync.h>

int main() {
    return pirn::run([] {
        constexpr int k_workers = 3, k_jobs = 9;
        struct result {
            int job;
            int answer;
        };
        const auto jobs = pirn::make_chan<int>(k_jobs);
        const auto results = pirn::make_chan<result>(k_jobs);
        pirn::wait_group workers;
        for (int w = 0; w < k_workers; ++w) {
            workers.go([=] {
                for (const int job : jobs) results.send({job, job * job});
            });
        }
        for (int job = 1; job <= k_jobs; ++job) jobs.send(job);
        jobs.close();
        workers.wait();
        results.close();
        int answers[k_jobs + 1] = {};
        for (const result r : results) answers[r.job] = r.answer;
        for (int job = 1; job <= k_jobs; ++job) std::printf("%d ", answers[job]);
        std::puts("");
    });
}
