// The shortest correct engine: ordered maps under one mutex. Nothing survives close().
#pragma once

#include <memory>

#include "storage/storage_engine.hpp"

namespace ringlet {

std::unique_ptr<StorageEngine> make_memory_engine();

}  // namespace ringlet
