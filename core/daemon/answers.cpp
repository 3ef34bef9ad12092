#include "daemon/answers.hpp"

#include <algorithm>

#include "base/bytes.hpp"

namespace ringlet {
namespace json = boost::json;

NodeAnswer NodeAnswer::operator[](const char* name) const {
  const json::object* object = value_ == nullptr ? nullptr : value_->if_object();
  const json::value* field = object == nullptr ? nullptr : object->if_contains(name);
  return field == nullptr ? NodeAnswer() : NodeAnswer(*field);
}

std::string NodeAnswer::text() const {
  if (value_ == nullptr) return "?";
  if (const json::string* string = value_->if_string())
    return printable({string->data(), string->size()}, 4096);
  if (value_->is_number() || value_->is_bool()) return json::serialize(*value_);
  return "?";
}

std::string NodeAnswer::text_or(const std::string& otherwise) const {
  return value_ != nullptr && value_->is_string() ? text() : otherwise;
}

std::optional<std::int64_t> NodeAnswer::number() const {
  if (value_ == nullptr || !value_->is_number()) return std::nullopt;
  json::error_code error;
  auto number = value_->to_number<std::int64_t>(error);
  if (error) return std::nullopt;
  return number;
}

std::optional<bool> NodeAnswer::flag() const {
  if (value_ == nullptr || !value_->is_bool()) return std::nullopt;
  return value_->get_bool();
}

std::vector<NodeAnswer> NodeAnswer::items() const {
  std::vector<NodeAnswer> out;
  const json::array* array = value_ == nullptr ? nullptr : value_->if_array();
  if (array == nullptr) return out;
  for (const json::value& item : *array) out.emplace_back(item);
  return out;
}

Result<json::value> parse_answer(const std::string& node, const std::string& text) {
  json::error_code error;
  json::value value = json::parse(text, error);
  if (!error && value.is_object()) return value;
  return Status(Code::internal, (node.empty() ? "the node that was asked" : node) +
                                    ": wanted a JSON object as its answer, got \"" +
                                    printable(text, 80) + "\"");
}

std::string why_it_serves_nobody(const NodeAnswer& answer) {
  if (std::string why = answer["out"].text_or(""); !why.empty()) return why;
  std::string name = answer["node"]["name"].text_or(answer["node"].text_or("this node"));
  if (answer["joined"].flag() == false)
    return "node " + name + " serves nobody: it waits to be joined to a cluster";
  if (answer["serves"].flag() == false) return "node " + name + " serves nobody";
  std::string state = answer["node"]["state"].text_or("in");
  if (state != "in" && state != "leaving")
    return "node " + name + " serves nobody: its state is \"" + state + "\"";
  return "";
}

std::string status_line(const std::string& name, const std::string& address,
                        const NodeAnswer& answer) {
  std::string line = name + "  " + address;
  for (const char* what : {"hints", "gets", "puts", "failed"})
    line += std::string("  ") + what + " " + answer[what].text();
  std::string down;
  for (const NodeAnswer& each : answer["down"].items())
    down += (down.empty() ? "" : ",") + each.text();
  line += "  down [" + (answer["down"] ? down : "?") + "]";
  if (NodeAnswer memory = answer["memory"]) {
    auto mib = [&](const char* what) {
      auto bytes = memory[what].number();
      return bytes ? std::to_string(*bytes >> 20) : std::string("?");
    };
    line += "  memory " + mib("resident") +
            (memory["limit"].number() == 0 ? "" : " of " + mib("limit")) + " MiB";
  }
  if (answer["degraded"].flag() == true) line += "  degraded: fewer members than replicas";
  std::string out = why_it_serves_nobody(answer);
  return out.empty() ? line : line + "  " + out;
}

namespace {

// What the node that was asked is doing in the background.
std::string upkeep_text(const NodeAnswer& upkeep) {
  std::string out;
  if (NodeAnswer moved = upkeep["transfer"]) {
    out += "copies to this node: " + moved["left"].text() + " partitions left, " +
           moved["objects"].text() + " objects and " + moved["bytes"].text() + " bytes came\n";
  }
  if (NodeAnswer pushed = upkeep["surplus"]) {
    out += "copies it need not keep: " + pushed["checked"].text() + " checked, " +
           pushed["pushed"].text() + " handed over, " + pushed["erased"].text() + " erased\n";
  }
  if (NodeAnswer trees = upkeep["anti_entropy"]) {
    auto idle = trees["idle"].flag();
    out += std::string("repair: ") +
           (!idle   ? "?"
            : *idle ? "idle"
                    : "running") +
           ", " + trees["exchanges"].text() + " exchanges, " + trees["keys_received"].text() +
           " keys received, " + trees["keys_sent"].text() + " sent, " +
           trees["bytes_received"].text() + " bytes in, " + trees["bytes_sent"].text() +
           " bytes out\n";
  }
  return out;
}

}  // namespace

std::string cluster_text(const std::string& verb, const NodeAnswer& answer) {
  std::string out;
  if (NodeAnswer message = answer["message"]) out += message.text() + "\n";
  if (verb == "plan" || verb == "status") {
    for (const NodeAnswer& each : answer["staged"].items()) out += "staged: " + each.text() + "\n";
  }
  auto members = answer["members"].items();
  std::sort(members.begin(), members.end(), [](const NodeAnswer& a, const NodeAnswer& b) {
    return a["name"].text() < b["name"].text();
  });
  for (const NodeAnswer& each : members) {
    std::string zone = each["zone"].text_or(""), coming = each["coming"].text();
    std::string clients = each["advertise"].text_or("");
    out += each["name"].text() + "  " + each["address"].text() + "  " + each["state"].text() +
           "  " + each["owns"].text() + " partitions" +
           (coming == "0" ? "" : ", " + coming + " coming") +
           (zone.empty() ? "" : "  zone " + zone) +
           (clients.empty() ? "" : "  for clients at " + clients) + "\n";
  }
  out += upkeep_text(answer["upkeep"]);
  for (const NodeAnswer& move : answer["moves"].items()) {
    out += "partition " + move["partition"].text() + "  " + move["from"].text() + " -> " +
           move["to"].text() + "\n";
  }
  return out;
}

}  // namespace ringlet
