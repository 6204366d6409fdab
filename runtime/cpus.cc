// SPDX-License-Identifier: MIT
// CPU counts: affinity, cgroup quotas, PIRN_MAXPROCS.
#include "runtime/cpus.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sched.h>

#include "runtime/base/check.h"
#include "runtime/sched.h"

namespace pirn::rt {
namespace {

constexpr int k_no_quota = 1 << 20;

bool read_line(const char* path, char* line, std::size_t size) {
    std::FILE* f = std::fopen(path, "re");
    if (f == nullptr) return false;
    const bool ok = std::fgets(line, static_cast<int>(size), f) != nullptr;
    std::fclose(f);
    return ok;
}

int rounded_up(long quota, long period) {
    if (quota <= 0 || period <= 0) return k_no_quota;
    return static_cast<int>(std::min<long>((quota + period - 1) / period, k_no_quota));
}

// Version 2: "QUOTA PERIOD" or "max PERIOD" in cpu.max of the group.
int quota_v2(const char* group) {
    char path[1024], line[128];
    std::snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    long quota = 0, period = 0;
    if (!read_line(path, line, sizeof line) ||
        std::sscanf(line, "%ld %ld", &quota, &period) != 2)
        return k_no_quota;
    return rounded_up(quota, period);
}

int quota_v1(const char* group) {
    char path[1024], line[128];
    std::snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", group);
    if (!read_line(path, line, sizeof line)) return k_no_quota;
    const long quota = std::atol(line);
    std::snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", group);
    if (!read_line(path, line, sizeof line)) return k_no_quota;
    return rounded_up(quota, std::atol(line));
}

// The smallest quota of a group and all its ancestors.
int smallest_quota(char* group, int (*quota)(const char*)) {
    int least = k_no_quota;
    for (;;) {
        const bool root = std::strcmp(group, "/") == 0 || group[0] == '\0';
        least = std::min(least, quota(root ? "" : group));
        if (root) return least;
        *std::strrchr(group, '/') = '\0';
    }
}

int cgroup_cpus() {
    std::FILE* f = std::fopen("/proc/self/cgroup", "re");
    if (f == nullptr) return k_no_quota;
    int least = k_no_quota;
    char line[1024];
    while (std::fgets(line, sizeof line, f) != nullptr) {
        line[std::strcspn(line, "\n")] = '\0';
        char* controllers = std::strchr(line, ':');
        char* group = controllers != nullptr ? std::strchr(controllers + 1, ':') : nullptr;
        if (group == nullptr || group[1] != '/') continue;
        *group++ = '\0';
        ++controllers;
        if (*controllers == '\0')
            least = std::min(least, smallest_quota(group, quota_v2));
        else if (std::strstr(controllers, "cpu") != nullptr &&
                 std::strstr(controllers, "cpuset") == nullptr)
            least = std::min(least, smallest_quota(group, quota_v1));
    }
    std::fclose(f);
    return least;
}

}  // namespace

int affinity_cpus() {
    static const int count = [] {
        cpu_set_t set;
        return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    }();
    return count;
}

int default_procs() {
    constexpr int k_most = static_cast<int>(k_max_procs);
    if (const char* v = std::getenv("PIRN_MAXPROCS"); v != nullptr && *v != '\0') {
        char* end = nullptr;
        const long n = std::strtol(v, &end, 10);
        if (*end != '\0' || n < 1 || n > k_most)
            base::fatalf("PIRN_MAXPROCS=%s: a number from 1 to %d is wanted", v, k_most);
        return static_cast<int>(n);
    }
    return std::clamp(std::min(affinity_cpus(), cgroup_cpus()), 1, k_most);
}

}  // namespace pirn::rt
