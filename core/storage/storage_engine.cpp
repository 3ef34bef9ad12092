#include "storage/storage_engine.hpp"

namespace ringlet {

const char* name_of(Table table) {
  switch (table) {
    case Table::objects:
      return "objects";
    case Table::hints:
      return "hints";
    case Table::state:
      return "state";
  }
  return "unknown";
}

Status check_row(BytesView key, BytesView value) {
  auto too_large = [](const char* what, std::size_t most, std::size_t got) {
    return Status(Code::too_large, std::string(what) + " of a row: wanted at most " +
                                       std::to_string(most) + " bytes, got " + std::to_string(got));
  };
  if (key.size() > max_row_key_bytes) return too_large("key", max_row_key_bytes, key.size());
  if (value.size() > max_row_value_bytes) {
    return too_large("value", max_row_value_bytes, value.size());
  }
  return Status::ok();
}

const char* name_of(Durability durability) {
  switch (durability) {
    case Durability::buffer:
      return "buffer";
    case Durability::log:
      return "log";
    case Durability::disk:
      return "disk";
  }
  return "unknown";
}

}  // namespace ringlet
