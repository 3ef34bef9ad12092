// Documents: lists of edits, the edit as a call, and what a document holds.
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "client/document_edit.hpp"
#include "client_handle.hpp"
#include "document/edits.hpp"
#include "reply.hpp"
#include "request.hpp"

using namespace ringlet;
using namespace ringlet::capi;

namespace {

using document::Edit;
using document::EditKind;
using document::Scalar;
using document::Type;

Result<Scalar> read_scalar(const char* what, const ringlet_scalar& given) {
  auto wrong = [&](const std::string& why) {
    return Status(Code::invalid_argument, std::string(what) + ": " + why);
  };
  if (given.reserved != 0) {
    return Status(Code::unsupported, std::string(what) + ".reserved: wanted 0");
  }
  if (Status s = check_bytes(what, given.text, max_value_bytes()); !s) return s;
  switch (given.kind) {
    case RINGLET_TEXT:
      return Scalar::of_text(view(given.text));
    case RINGLET_BYTES:
      return Scalar::of_bytes(view(given.text));
    case RINGLET_INTEGER:
      return Scalar::of_integer(given.integer);
    case RINGLET_BOOLEAN:
      if (given.integer != 0 && given.integer != 1) {
        return wrong("wanted a boolean of 0 or 1, got " + std::to_string(given.integer));
      }
      return Scalar::of_boolean(given.integer != 0);
    case RINGLET_NOTHING:
      return Scalar();
    case RINGLET_REAL:
      return Scalar::of_real(given.real);
    default:
      return wrong("kind: wanted 0 to 5, got " + std::to_string(given.kind));
  }
}

// Points into `scalar`.
ringlet_scalar shown(const Scalar& scalar) {
  ringlet_scalar out{};
  out.kind = static_cast<std::uint32_t>(scalar.kind);
  out.text = bytes_of(scalar.text);
  if (scalar.kind == Scalar::Kind::real) {
    out.real = scalar.real();
  } else {
    out.integer = scalar.number;
  }
  return out;
}

bool takes_value(std::uint32_t kind) {
  return kind == RINGLET_EDIT_ADD || kind == RINGLET_EDIT_REMOVE || kind == RINGLET_EDIT_SET ||
         kind == RINGLET_EDIT_SET_ALL;
}

}  // namespace

struct ringlet_edits {
  document::Edits edits;
  Bytes bytes;  // of the edits; empty: to be made anew
  Counted counted;
};

struct ringlet_document {
  document::State state;
  std::vector<ringlet_item> items;  // point into `state`
  Counted counted;
};

namespace {

// The document as a list, each thing behind the one that holds it. A counter beyond 64 bits has no value.
class Lister {
 public:
  explicit Lister(std::vector<ringlet_item>& items) : items_(items) {}

  Status map(const document::Map& map, std::uint32_t depth, std::vector<Scalar>& path) {
    for (const document::Field& field : map.fields) {
      path.push_back(field.name);
      ringlet_item item{};
      item.depth = depth;
      item.type = static_cast<std::uint32_t>(field.type()) + 1;
      item.name = ::shown(field.name);
      item.value.kind = RINGLET_NOTHING;
      if (auto* counter = std::get_if<document::Counter>(&field.node)) {
        document::Wide sum = document::total(*counter);
        if (!document::fits(sum)) {
          return Status(Code::corrupt, "counter " + document::printable(path) +
                                           ": wanted a sum of 64 bits, got " +
                                           document::to_string(sum));
        }
        item.value.kind = RINGLET_INTEGER;
        item.value.integer = static_cast<std::int64_t>(sum);
      } else if (field.type() == Type::flag) {
        item.value = {RINGLET_BOOLEAN, 0, 1, 0, {nullptr, 0}};
      } else if (field.type() == Type::register_latest) {
        item.value = ::shown(document::latest(std::get<document::Register>(field.node))->value);
      }
      items_.push_back(item);
      if (auto* inner = std::get_if<document::Map>(&field.node)) {
        if (Status s = this->map(*inner, depth + 1, path); !s) return s;
      }
      if (auto* set = std::get_if<document::Set>(&field.node)) {
        for (const document::Element& element : set->elements) value(element.value, depth + 1);
      }
      if (auto* all = std::get_if<document::RegisterAll>(&field.node)) {
        for (const auto& each : all->values) value(each.value, depth + 1);
      }
      path.pop_back();
    }
    return Status::ok();
  }

 private:
  void value(const Scalar& scalar, std::uint32_t depth) {
    ringlet_item item{};
    item.depth = depth;
    item.type = RINGLET_ELEMENT;
    item.name.kind = RINGLET_NOTHING;
    item.value = ::shown(scalar);
    items_.push_back(item);
  }
  std::vector<ringlet_item>& items_;
};

}  // namespace

ringlet_status ringlet_edits_new(ringlet_edits** edits, ringlet_error** error) {
  if (edits != nullptr) *edits = nullptr;
  return guarded(error, [&]() -> Failure {
    if (edits == nullptr) return missing("edits");
    *edits = new ringlet_edits();
    return {};
  });
}

ringlet_status ringlet_edits_append(ringlet_edits* edits, uint32_t kind, const ringlet_scalar* path,
                                    size_t names, const ringlet_scalar* value, int64_t amount,
                                    ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (edits == nullptr) return missing("edits");
    if (names > 0 && path == nullptr) return missing("path");
    if (kind < RINGLET_EDIT_ADD || kind > RINGLET_EDIT_CLEAR) {
      return Status(Code::invalid_argument, "kind: wanted 1 to 10, got " + std::to_string(kind));
    }
    if (names > document::max_depth) {
      return Status(Code::invalid_argument, "names: wanted at most " +
                                                std::to_string(document::max_depth) + ", got " +
                                                std::to_string(names));
    }
    if (edits->edits.size() == document::max_edits) {
      return Status(Code::too_large, "edits: wanted at most " +
                                         std::to_string(document::max_edits) +
                                         " in one call, got one more");
    }
    Edit edit;
    edit.kind = static_cast<EditKind>(kind);
    for (size_t i = 0; i < names; ++i) {
      Result<Scalar> name = read_scalar("path", path[i]);
      if (!name) return name.status();
      edit.path.push_back(std::move(*name));
    }
    if (takes_value(kind)) {
      if (value == nullptr) return missing("value");
      Result<Scalar> scalar = read_scalar("value", *value);
      if (!scalar) return scalar.status();
      edit.value = std::move(*scalar);
    }
    if (kind == RINGLET_EDIT_INCREMENT) edit.amount = amount;
    if (Status s = document::check({edit}); !s) return s;
    edits->edits.push_back(std::move(edit));
    edits->bytes.clear();
    return {};
  });
}

size_t ringlet_edits_count(const ringlet_edits* edits) {
  return edits == nullptr ? 0 : edits->edits.size();
}

ringlet_bytes ringlet_edits_bytes(ringlet_edits* edits) {
  if (edits == nullptr) return {nullptr, 0};
  try {
    if (edits->bytes.empty()) edits->bytes = document::encode(edits->edits);
  } catch (...) {
    return {nullptr, 0};
  }
  return bytes_of(edits->bytes);
}

void ringlet_edits_release(ringlet_edits* edits) {
  delete edits;
}

namespace {

Failure list(document::State state, ringlet_document** read) {
  auto made = std::make_unique<ringlet_document>();
  made->state = std::move(state);
  std::vector<Scalar> path;
  if (Status s = Lister(made->items).map(made->state.root, 0, path); !s) return s;
  *read = made.release();
  return {};
}

}  // namespace

ringlet_status ringlet_document_read(const ringlet_reply* reply, ringlet_document** read,
                                     ringlet_error** error) {
  if (read != nullptr) *read = nullptr;
  return guarded(error, [&]() -> Failure {
    if (reply == nullptr) return missing("reply");
    if (read == nullptr) return missing("document");
    auto state = document::read(reply->outcome.reply.object, reply->deletes);
    if (!state) return state.status();
    return list(std::move(*state), read);
  });
}

ringlet_status ringlet_document_parse(ringlet_bytes bytes, ringlet_document** read,
                                      ringlet_error** error) {
  if (read != nullptr) *read = nullptr;
  return guarded(error, [&]() -> Failure {
    if (read == nullptr) return missing("document");
    if (Status s = check_bytes("bytes", bytes, max_value_bytes()); !s) return s;
    auto decoded = document::decode(view(bytes));
    if (!decoded) return decoded.status();
    return list(document::resolve(std::move(*decoded), {Actor{NodeId{1}, 1}, 1}, {}), read);
  });
}

size_t ringlet_document_count(const ringlet_document* read) {
  return read == nullptr ? 0 : read->items.size();
}

ringlet_status ringlet_document_item(const ringlet_document* read, size_t index, ringlet_item* item,
                                     size_t item_size) {
  if (item == nullptr || item_size < sizeof(ringlet_item) || item_size > max_struct_bytes) {
    return RINGLET_INVALID_ARGUMENT;
  }
  // What a later program knows of an item and this library does not is nothing.
  std::memset(static_cast<void*>(item), 0, item_size);
  if (read == nullptr || index >= read->items.size()) return RINGLET_INVALID_ARGUMENT;
  *item = read->items[index];
  return RINGLET_OK;
}

void ringlet_document_release(ringlet_document* read) {
  delete read;
}

namespace {

Result<document::Edits> edits_in(const char* what, ringlet_bytes edits) {
  if (edits.size == 0) return document::Edits();
  if (Status s = check_bytes(what, edits, max_value_bytes()); !s) return s;
  return document::decode_edits(view(edits));
}

Failure write(const ringlet_reply& siblings, ringlet_bytes edits, const document::TakeOver& take,
              ringlet_text** value) {
  Result<document::Edits> list = edits_in("edits", edits);
  if (!list) return list.status();
  UpdateQuestion question;
  question.read.reply.object = siblings.outcome.reply.object;
  using namespace std::chrono;
  auto wall_us = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
  UpdateAnswer answer = answer_edit(question, *list, siblings.deletes, wall_us, take);
  if (answer.kind != UpdateAnswer::Kind::value) return Status(answer.code, answer.reason);
  *value = make_text(std::move(answer.value));
  return {};
}

// What the caller says of the siblings that are no documents, by the dots of their versions.
using TakenEdits = std::map<Dot, std::vector<document::Edits>>;

Result<TakenEdits> taken_edits(const ringlet_reply& siblings, const ringlet_taken* taken,
                               size_t count) {
  TakenEdits all;
  for (size_t i = 0; i < count; ++i) {
    auto wrong = [&](const std::string& why) {
      return Status(Code::invalid_argument, "taken " + std::to_string(i) + ": " + why);
    };
    if (taken[i].sibling >= siblings.shown.size()) {
      return wrong("wanted one of " + std::to_string(siblings.shown.size()) +
                   " siblings, got number " + std::to_string(taken[i].sibling));
    }
    const Version& version = *siblings.shown[taken[i].sibling];
    if (version.tombstone || version.content_type == document_content_type) {
      return wrong("wanted a value that is no document, got sibling " +
                   std::to_string(taken[i].sibling) + ", " +
                   (version.tombstone ? "a delete" : "a document"));
    }
    Result<document::Edits> list = edits_in("taken.edits", taken[i].edits);
    if (!list) return list.status();
    all[version.dot].push_back(std::move(*list));
  }
  return all;
}

}  // namespace

ringlet_status ringlet_document_write(const ringlet_reply* siblings, ringlet_bytes edits,
                                      uint32_t flags, ringlet_text** value, ringlet_error** error) {
  if (value != nullptr) *value = nullptr;
  return guarded(error, [&]() -> Failure {
    if (siblings == nullptr) return missing("siblings");
    if (value == nullptr) return missing("value");
    if ((flags & ~RINGLET_TAKES_OVER) != 0) {
      return Status(Code::unsupported, "flags: wanted 0 or RINGLET_TAKES_OVER");
    }
    document::TakeOver take;
    if ((flags & RINGLET_TAKES_OVER) != 0) {
      take = [](const Version&) { return std::optional<document::Document>(); };
    }
    return write(*siblings, edits, take, value);
  });
}

ringlet_status ringlet_document_take_over(const ringlet_reply* siblings, const ringlet_taken* taken,
                                          size_t count, ringlet_bytes edits, ringlet_text** value,
                                          ringlet_error** error) {
  if (value != nullptr) *value = nullptr;
  return guarded(error, [&]() -> Failure {
    if (siblings == nullptr) return missing("siblings");
    if (value == nullptr) return missing("value");
    if (count > 0 && taken == nullptr) return missing("taken");
    Result<TakenEdits> all = taken_edits(*siblings, taken, count);
    if (!all) return all.status();
    auto take = [&](const Version& version) -> Result<std::optional<document::Document>> {
      auto at = all->find(version.dot);
      if (at == all->end()) return std::optional<document::Document>();
      auto made = document::taken_over(at->second, version.written_us);
      if (!made) return made.status();
      return std::optional<document::Document>(std::move(*made));
    };
    return write(*siblings, edits, take, value);
  });
}

ringlet_status ringlet_edit(ringlet_client* client, ringlet_key key, ringlet_bytes edits,
                            const ringlet_call* call, ringlet_reply** reply,
                            ringlet_error** error) {
  if (reply != nullptr) *reply = nullptr;
  return guarded(error, [&]() -> Failure {
    if (Status s = check_client(client); !s) return s;
    Showing show;
    Result<Client::Request> request = read_write(RINGLET_EDIT, key, {}, edits, call, &show);
    if (!request) return request.status();
    Result<ClientCore::Edit> edit = edit_of(*client->state, std::move(*request), show);
    if (!edit) return edit.status();
    std::shared_ptr<ClientState> state = client->state;
    Outcome outcome = state->client->edit(std::move(*edit));
    if (Failure failure = failure_of(outcome); !failure.status.is_ok()) return failure;
    if (reply == nullptr) return {};
    try {
      *reply = new ringlet_reply(std::move(outcome), "edit", show.versions, show.deletes);
    } catch (const std::bad_alloc&) {
      return Status(Code::no_memory, {}, true);  // it was written
    }
    return {};
  });
}
