// What a peer may ask us to hold. Checked before memory is taken, so that a peer costs no more than
// the bytes it really sent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringlet::wire {

// Versions of the protocol that this build speaks. A frame carries the one that was agreed on.
inline constexpr std::uint8_t min_version = 1;
inline constexpr std::uint8_t max_version = 1;

// Optional abilities; those that both sides name are on. None yet.
inline constexpr std::uint64_t features = 0;

inline constexpr std::size_t default_max_frame_bytes = 64 * 1024 * 1024;
inline constexpr std::size_t max_handshake_bytes = 4096;  // of a frame before the handshake is done
inline constexpr std::size_t max_name_bytes = 255;        // cluster, member, zone
inline constexpr std::size_t max_members = 4096;          // of a routing table
inline constexpr std::size_t max_partitions = 65536;
inline constexpr std::size_t max_arguments = 64;        // of a cluster command, of 255 bytes each
inline constexpr std::size_t max_page_objects = 65536;  // of a transfer or a segment
inline constexpr std::size_t max_tree_nodes = 65536;    // of one comparison
inline constexpr std::size_t max_segment_keys = 1 << 20;
inline constexpr std::size_t max_reaped = 4096;            // keys of one question
inline constexpr std::size_t max_held = 1024;              // keys of one question
inline constexpr std::size_t max_held_bytes = 256 * 1024;  // of those keys
inline constexpr std::size_t max_what_bytes = 255;         // of a status query
inline constexpr std::size_t max_counted = max_members;    // of a strict request

}  // namespace ringlet::wire
