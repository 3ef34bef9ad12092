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
