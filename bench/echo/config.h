// SPDX-License-Identifier: MIT
// The configuration of the workload echo, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

inline constexpr std::size_t k_message_size_bytes = 64;

// Connections of the client, each with one message under way at a time.
inline constexpr std::uint64_t k_connections = 100;

// What a server is ready to read at once.
inline constexpr std::size_t k_buffer_size_bytes = 4096;

// The part that is not measured, and the part that is.
inline constexpr std::uint64_t k_warm_up_ms = 500;
inline constexpr std::uint64_t k_measured_ms = 3000;

// A client that has had no answer on any connection for this long gives the server up.
inline constexpr std::uint64_t k_silence_ms = 2000;

}  // namespace bench
