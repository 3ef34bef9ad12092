// How large a message is, as far as that decides how it travels and how long its answer may take.
#pragma once

#include <cstddef>

#include "protocol/messages.hpp"

namespace ringlet {

// Messages with values of so many bytes are carried beside the others: nothing small waits behind them.
inline constexpr std::size_t bulk_bytes = 64 * 1024;

// Bytes of the values in it; 0 for messages that have none.
std::size_t payload_bytes(const Message& message);
std::size_t payload_bytes(const Object& object);

// How much longer than a small message so many bytes may take to be carried, stored and answered for: at
// 16 MiB/s, which a loaded machine or a line of 200 Mbit/s still does. Nothing for less than bulk_bytes.
Duration carrying_time(std::size_t bytes);

}  // namespace ringlet
