#include "daemon/document_text.hpp"

#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <optional>

namespace ringlet {
namespace {

namespace json = boost::json;
using document::Edit;
using document::EditKind;
using document::Scalar;

Status wrong(const std::string& text, const std::string& why) {
  return Status(Code::invalid_argument, "edit \"" + printable(BytesView(text)) + "\": " + why);
}

std::optional<Bytes> from_hex(std::string_view digits) {
  Bytes bytes;
  if (digits.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    unsigned value = 0;
    auto read = std::from_chars(digits.data() + i, digits.data() + i + 2, value, 16);
    if (read.ec != std::errc() || read.ptr != digits.data() + i + 2) return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::optional<std::int64_t> integer_of(std::string_view text) {
  std::int64_t value = 0;
  auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

Scalar name_of_text(const std::string& text, bool escaped) {
  if (escaped) return Scalar::of_text(text);
  if (text == "[true]" || text == "[false]") return Scalar::of_boolean(text == "[true]");
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    if (auto number = integer_of(std::string_view(text).substr(1, text.size() - 2)))
      return Scalar::of_integer(*number);
  }
  if (text.starts_with("0x")) {
    if (auto bytes = from_hex(std::string_view(text).substr(2))) return Scalar::of_bytes(*bytes);
  }
  return Scalar::of_text(text);
}

std::vector<Scalar> path_of(const std::string& text) {
  std::vector<Scalar> path;
  if (text == "/") return path;
  std::string name;
  bool escaped = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      name += text[++i];
      escaped = true;
    } else if (text[i] == '/') {
      path.push_back(name_of_text(name, escaped));
      name.clear();
      escaped = false;
    } else {
      name += text[i];
    }
  }
  path.push_back(name_of_text(name, escaped));
  return path;
}

Result<Scalar> value_of(const std::string& edit, const std::string& text) {
  if (auto number = integer_of(text)) return Scalar::of_integer(*number);
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (!failed && value.is_string()) return Scalar::of_text(value.get_string());
  if (!failed && value.is_bool()) return Scalar::of_boolean(value.get_bool());
  if (!failed && value.is_null()) return Scalar();
  if (text.find_first_not_of("0123456789", text.starts_with("-")) == std::string::npos && !failed) {
    return wrong(edit, "wanted a whole number of 64 bits, got \"" + text +
                           "\"; a real number has a point or an exponent");
  }
  if (!failed && value.is_number()) return Scalar::of_real(value.to_number<double>());
  if (text.starts_with("\"")) return wrong(edit, "wanted text in quotes as JSON has it");
  if (text.starts_with("0x")) {
    if (auto bytes = from_hex(std::string_view(text).substr(2))) return Scalar::of_bytes(*bytes);
  }
  return Scalar::of_text(text);
}

std::string trimmed(const std::string& text) {
  std::size_t begin = text.find_first_not_of(" \t\n"), end = text.find_last_not_of(" \t\n");
  return begin == std::string::npos ? std::string() : text.substr(begin, end - begin + 1);
}

struct Word {
  const char* text;
  EditKind kind;
  bool value;
};
constexpr Word words[] = {
    {"+=", EditKind::increment, true},   {"-=", EditKind::increment, true},
    {"=", EditKind::set, true},          {"also", EditKind::set_all, true},
    {"add", EditKind::add, true},        {"remove", EditKind::remove, true},
    {"enable", EditKind::enable, false}, {"disable", EditKind::disable, false},
    {"erase", EditKind::erase, false},   {"discard", EditKind::discard, false},
    {"clear", EditKind::clear, false},
};

json::value json_of(const Scalar& scalar) {
  switch (scalar.kind) {
    case Scalar::Kind::text:
      return json::string(scalar.text);
    case Scalar::Kind::bytes:
      return json::string(document::printable(scalar));
    case Scalar::Kind::integer:
      return scalar.number;
    case Scalar::Kind::boolean:
      return scalar.number != 0;
    case Scalar::Kind::none:
      return nullptr;
    case Scalar::Kind::real:
      if (!std::isfinite(scalar.real())) return json::string(document::printable(scalar));
      return scalar.real();
  }
  return nullptr;
}

Result<json::value> json_of(const document::Node& node, std::vector<Scalar>& path);

Result<json::object> json_of(const document::Map& map, std::vector<Scalar>& path) {
  json::object out;
  for (const document::Field& field : map.fields) {
    std::string name =
        field.name.kind == Scalar::Kind::text ? field.name.text : document::printable(field.name);
    // Two names may be printed alike, and one name may have two types. Nothing is left out.
    while (out.contains(name)) name += std::string(" (") + document::name_of(field.type()) + ")";
    path.push_back(field.name);
    Result<json::value> value = json_of(field.node, path);
    if (!value) return value.status();
    path.pop_back();
    out[name] = std::move(*value);
  }
  return out;
}

Result<json::value> json_of(const document::Node& node, std::vector<Scalar>& path) {
  if (auto* map = std::get_if<document::Map>(&node)) {
    Result<json::object> object = json_of(*map, path);
    if (!object) return object.status();
    return json::value(std::move(*object));
  }
  if (auto* set = std::get_if<document::Set>(&node)) {
    json::array list;
    for (const document::Element& element : set->elements) list.push_back(json_of(element.value));
    return json::value(std::move(list));
  }
  if (auto* counter = std::get_if<document::Counter>(&node)) {
    document::Wide sum = document::total(*counter);
    if (document::fits(sum)) return json::value(static_cast<std::int64_t>(sum));
    return Status(Code::corrupt, "counter " + document::printable(path) +
                                     ": wanted a sum of 64 bits, got " + document::to_string(sum));
  }
  if (std::holds_alternative<document::Flag>(node)) return json::value(true);
  if (auto* value = std::get_if<document::Register>(&node))
    return json_of(document::latest(*value)->value);
  json::array all;
  for (const auto& each : std::get<document::RegisterAll>(node).values)
    all.push_back(json_of(each.value));
  return json::value(std::move(all));
}

}  // namespace

Result<document::Edit> parse_edit(const std::string& text) {
  std::string whole = trimmed(text);
  // The first blank that no backslash precedes ends the path.
  std::size_t blank = 0;
  while (blank < whole.size() && whole[blank] != ' ') blank += whole[blank] == '\\' ? 2 : 1;
  if (whole.empty() || blank >= whole.size()) {
    return wrong(text, "wanted PATH and what to do there, as in items/tea += 2");
  }
  std::string rest = trimmed(whole.substr(blank));
  std::size_t end = std::min(rest.find(' '), rest.size());
  std::string verb = rest.substr(0, end), given = trimmed(rest.substr(end));
  for (const Word& word : words) {
    if (verb != word.text) continue;
    if (word.value && given.empty())
      return wrong(text, "wanted a value behind " + verb + ", got none");
    if (!word.value && !given.empty()) {
      return wrong(text, "wanted nothing behind " + verb + ", got \"" + given + "\"");
    }
    Edit edit;
    edit.kind = word.kind;
    edit.path = path_of(whole.substr(0, blank));
    if (word.kind == EditKind::increment) {
      auto amount = integer_of(given);
      if (!amount || (verb == "-=" && *amount == INT64_MIN)) {
        return wrong(text, "wanted a whole number of 64 bits, got \"" + given + "\"");
      }
      edit.amount = verb == "-=" ? -*amount : *amount;
    } else if (word.value) {
      Result<Scalar> value = value_of(text, given);
      if (!value) return value.status();
      edit.value = std::move(*value);
    }
    if (Status s = document::check({edit}); !s) return s;
    return edit;
  }
  return wrong(text,
               "wanted +=, -=, =, also, add, remove, enable, disable, erase, discard or clear, got "
               "\"" +
                   verb + "\"");
}

Result<boost::json::object> json_of(const document::State& state) {
  std::vector<Scalar> path;
  return json_of(state.root, path);
}

}  // namespace ringlet
