#include "transcripts/transcript.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <variant>

#include "coordination/get_operation.hpp"
#include "coordination/put_operation.hpp"

namespace ringlet::transcript {
namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, at);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

[[noreturn]] void bad(const std::string& what) {
  throw std::runtime_error("transcript: " + what);
}

Duration millis(const std::string& text) {
  if (text.size() < 3 || text.substr(text.size() - 2) != "ms") bad("no time: " + text);
  return Duration::millis(std::stol(text));
}

class FixedHealth final : public Health {
 public:
  bool is_down(NodeId node) const override { return down.contains(node); }
  void heard_from(NodeId, Instant) override {}
  void was_silent(NodeId node, Instant) override { silent.push_back(node); }
  void unreachable(NodeId, Instant) override {}
  Duration patience(NodeId) const override { return patience_; }
  Duration late_after(NodeId, Question, std::size_t) const override { return late_after_; }
  bool may_ask_early(bool mute) override { return mute || ration; }
  Instant last_heard(NodeId node) const override {
    auto found = heard.find(node);
    return found == heard.end() ? Instant{INT64_MIN / 2} : found->second;
  }
  std::set<NodeId> down;
  std::vector<NodeId> silent;
  Duration patience_;
  Duration late_after_ = Duration::seconds(3600);
  bool ration = true;  // for those who are slow
  std::map<NodeId, Instant> heard;
};

class Conversation {
 public:
  // Does one command and says what happened.
  std::string command(const std::string& line) {
    std::vector<std::string> words = split(line, ' ');
    if (words.empty()) bad("empty command");
    Effects out;
    if (words[0] == "get" || words[0] == "put" || words[0] == "delete") {
      begin(words);
      tell([&](auto& o) { o.start(now_, out); });
    } else if (words[0] == "wake") {
      now_.instant = Instant{} + millis(words.at(1));
      tell([&](auto& o) { o.on_wake(now_, out); });
    } else if (words[0] == "believe_down") {
      health_.down.insert(node_id_of(words.at(1)));
    } else if (words[0] == "heard_of") {
      health_.heard[node_id_of(words.at(1))] = now_.instant;
    } else if (words[0].back() == ':') {
      NodeId from = node_id_of(words[0].substr(0, words[0].size() - 1));
      words.erase(words.begin());
      std::uint32_t question = question_answered(from, words);
      if (words.at(0) == "unreachable") {
        tell([&](auto& o) { o.on_unreachable(from, now_, out); });
      } else {
        Message message = reply(words);
        tell([&](auto& o) { o.on_message(from, question, message, now_, out); });
      }
    } else {
      bad("unknown command: " + line);
    }
    return describe(out);
  }

  // Lets the clock run to the next wake; false: there is none.
  bool tick(std::string& happened) {
    auto next = wakes_.upper_bound(now_.instant);
    if (next == wakes_.end()) return false;
    now_.instant = *next;
    Effects out;
    tell([&](auto& o) { o.on_wake(now_, out); });
    happened += describe(out);
    return true;
  }

  int answers = 0, dones = 0, sends_after_done = 0;

 private:
  using Operation = std::variant<GetOperation, PutOperation>;

  template <typename Event>
  void tell(const Event& event) {
    if (!operation_) bad("no request yet");
    std::visit(event, *operation_);
  }

  std::string name(NodeId id) const {
    auto found = names_.find(id);
    return found == names_.end() ? "?" : found->second;
  }

  void note(const Send& send) {
    for (const Question& known : questions_) {
      if (known.to == send.to && known.number == send.question) return;  // asked again
    }
    questions_.push_back({send.question, send.to, hint_for(send.message)});
  }

  static NodeId hint_for(const Message& message) {
    if (auto* mint = std::get_if<MintPut>(&message)) return mint->hint_for;
    if (auto* put = std::get_if<ReplicaPut>(&message)) return put->hint_for;
    return {};
  }

  // Of what the node was asked: the hint that is named, else the first question without an answer; if
  // all have one, the last of them.
  std::uint32_t question_answered(NodeId from, std::vector<std::string>& words) {
    NodeId owner;
    if (const std::string word = "hint_for="; words.back().starts_with(word)) {
      owner = node_id_of(words.back().substr(word.size()));
      words.pop_back();
    }
    Question* found = nullptr;
    for (Question& question : questions_) {
      if (question.to != from || (owner && question.hint_for != owner)) continue;
      found = &question;
      if (!question.answered) break;
    }
    if (found == nullptr) return UINT32_MAX;
    found->answered = true;
    return found->number;
  }

  NodeId node(const std::string& name) {
    NodeId id = node_id_of(name);
    names_[id] = name;
    return id;
  }

  void begin(const std::vector<std::string>& words) {
    if (operation_) bad("two requests");
    Key key;
    Participants participants;
    std::size_t wanted = 1;
    bool strict = false, lww = false, siblings = false;
    NodeId preferred;
    Duration timeout = Duration::millis(300), linger = Duration::millis(200);
    health_.patience_ = Duration::millis(50);
    Ring::Options ring;
    for (std::size_t i = 1; i < words.size(); ++i) {
      auto equals = words[i].find('=');
      std::string what = words[i].substr(0, equals);
      std::string value = equals == std::string::npos ? "" : words[i].substr(equals + 1);
      if (what == "owners" || what == "fallbacks") {
        for (const std::string& member : split(value, ',')) {
          members_.push_back(node(member));
          ring.members.push_back({members_.back(), member, member + ":1", "", 1});
        }
        if (what == "owners") participants.owners = members_.size();
      } else if (what == "down") {
        for (const std::string& member : split(value, ',')) health_.down.insert(node(member));
      } else if (what == "r" || what == "w") {
        wanted = std::stoul(value);
      } else if (what == "preferred") {
        preferred = node(value);
      } else if (what == "patience") {
        health_.patience_ = millis(value);
      } else if (what == "late") {
        health_.late_after_ = millis(value);
      } else if (what == "no_ration") {
        health_.ration = false;
      } else if (what == "timeout") {
        timeout = millis(value);
      } else if (what == "linger") {
        linger = millis(value);
      } else if (what == "strict") {
        strict = true;
      } else if (what == "lww") {
        lww = true;
      } else if (what == "siblings") {
        siblings = true;
      } else if (auto slash = what.find('/'); slash != std::string::npos) {
        key = {what.substr(0, slash), what.substr(slash + 1)};
      } else {
        bad("unknown word: " + words[i]);
      }
    }
    ring.replicas = static_cast<std::uint32_t>(participants.owners);
    auto built = Ring::build(ring);
    if (!built) bad(built.status().message());
    participants.ring = *built;
    participants.members = &members_;

    if (words[0] == "get") {
      operation_.emplace(std::in_place_type<GetOperation>,
                         GetOperation::Plan{key, participants, wanted, strict, timeout, linger},
                         health_);
      return;
    }
    PutOperation::Plan plan;
    plan.key = key;
    plan.participants = participants;
    plan.wanted = wanted;
    plan.strict = strict;
    plan.timeout = timeout;
    plan.linger = linger;
    plan.preferred = preferred;
    plan.tell_siblings = siblings;
    plan.write = Write{WriteId{1, 2}, words[0] == "delete", words[0] == "delete" ? "" : "milk", ""};
    if (lww) plan.reconcile = Reconcile::lww;
    operation_.emplace(std::in_place_type<PutOperation>, std::move(plan), health_);
  }

  // "A1+B2": a version each, having seen what came before it of the same actor.
  Object object(const std::string& text) {
    Object result;
    if (text == "nothing") return result;
    for (const std::string& part : split(text, '+')) {
      Dot dot{Actor{node(part.substr(0, 1)), 1}, std::stoul(part.substr(1))};
      result.context.add(dot, 0);
      WriteId write{dot.actor.node.value, dot.counter};
      result.versions.push_back({dot, write, 0, false, part, ""});
    }
    std::sort(result.versions.begin(), result.versions.end(),
              [](auto& a, auto& b) { return a.dot < b.dot; });
    return result;
  }

  Message reply(const std::vector<std::string>& words) {
    if (words[0] == "Stored") return words.size() < 3 ? Stored{} : Stored{object(words[2])};
    if (words[0] == "found") return ReplicaObject{object(words.at(1))};
    if (words[0] == "Minted") {
      Object minted = words.at(1) == "stamped"
                          ? lww_object(members_[0], {WriteId{1, 2}, false, "milk", ""}, 1'000)
                          : object(words.at(1));
      return Minted{minted, minted.versions.at(0).dot};
    }
    if (words[0] == "Refused") {
      for (int code = 101; code < 600; ++code) {
        if (words.at(1) == name_of(static_cast<Code>(code))) {
          return Refused{Status(static_cast<Code>(code), "the replica's own words"), 0};
        }
      }
    }
    bad("unknown reply: " + words[0]);
  }

  std::string describe(const Object& object) const {
    if (object.missing()) return "nothing";
    std::vector<std::string> dots;
    for (const Version& v : object.versions) {
      if (object.mode == Reconcile::lww) return "stamped " + std::to_string(v.written_us) + " us";
      dots.push_back(name(v.dot.actor.node) + std::to_string(v.dot.counter));
    }
    std::sort(dots.begin(), dots.end());
    std::string text;
    for (const std::string& dot : dots) text += (text.empty() ? "" : "+") + dot;
    return text;
  }

  std::string describe(const Message& message) const {
    std::string text = name_of(message);
    if (auto* mint = std::get_if<MintPut>(&message)) {
      if (mint->write.tombstone) text += " tombstone";
    }
    if (auto* put = std::get_if<ReplicaPut>(&message)) text += " " + describe(put->object);
    if (NodeId owner = hint_for(message)) text += " hint_for=" + name(owner);
    return text;
  }

  std::string list(const std::vector<NodeId>& nodes) const {
    std::string text;
    for (NodeId id : nodes) text += (text.empty() ? "" : ",") + name(id);
    return text;
  }

  std::string describe(const ClientReply& reply) const {
    const Tally& tally = reply.tally;
    std::string text = "answer " + std::string(name_of(reply.status.code())) + ", " +
                       std::to_string(tally.got) + " of " + std::to_string(tally.wanted);
    if (!tally.answered.empty()) text += ", by " + list(tally.answered);
    if (!tally.substitutes.empty()) text += ", substitutes " + list(tally.substitutes);
    if (tally.not_found > 0) text += ", not found at " + std::to_string(tally.not_found);
    if (reply.status.is_ok() || !reply.object.missing()) text += ", " + describe(reply.object);
    if (reply.fastest_reader) text += ", fastest " + name(reply.fastest_reader);
    if (reply.status.maybe_applied()) text += ", maybe applied";
    if (!reply.status.is_ok()) text += "\n  " + reply.status.message();
    return text;
  }

  std::string describe(const Effects& effects) {
    std::string text;
    std::set<Instant> wakes;
    for (NodeId node : std::exchange(health_.silent, {})) text += "silent " + name(node) + "\n";
    for (const Effect& effect : effects) {
      if (auto* send = std::get_if<Send>(&effect)) {
        if (dones > 0) ++sends_after_done;
        note(*send);
        text += "-> " + name(send->to) + " " + describe(send->message) + "\n";
      } else if (auto* wake = std::get_if<WakeAt>(&effect)) {
        wakes.insert(wake->at);
      } else if (auto* answer = std::get_if<Answer>(&effect)) {
        ++answers;
        text += describe(answer->reply) + "\n";
      } else {
        ++dones;
        text += "done\n";
      }
    }
    if (!wakes.empty() && dones == 0) {
      text += "wake";
      for (Instant at : wakes) text += " " + std::to_string((at - Instant{}).millis()) + "ms";
      text += "\n";
    }
    wakes_.merge(wakes);
    return text;
  }

  struct Question {
    std::uint32_t number;
    NodeId to, hint_for;
    bool answered = false;
  };

  Now now_;
  FixedHealth health_;
  std::vector<NodeId> members_;
  std::map<NodeId, std::string> names_;
  std::vector<Question> questions_;  // in the order asked
  std::optional<Operation> operation_;
  std::set<Instant> wakes_;
};

}  // namespace

std::vector<Step> parse(const std::string& text) {
  std::vector<Step> steps;
  std::stringstream in(text);
  enum { before, inside } where = before;
  Step step;
  bool any = false;
  auto end_step = [&] {
    if (any) steps.push_back(std::exchange(step, {}));
    any = false;
    where = before;
  };
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) {
      if (where == inside) end_step();
    } else if (line == "----") {
      if (!any) bad("nothing before ----");
      where = inside;
    } else if (where == inside) {
      step.happened += line + "\n";
    } else if (line[0] == '#') {
      step.comment += line + "\n";
    } else {
      if (any) bad("two commands before ----: " + line);
      step.command = line;
      any = true;
    }
  }
  end_step();
  return steps;
}

std::string print(const std::vector<Step>& steps) {
  std::string text;
  for (const Step& step : steps) {
    if (!text.empty()) text += "\n";
    text += step.comment + step.command + "\n----\n" + step.happened;
  }
  return text;
}

std::vector<Step> run(std::vector<Step> steps) {
  Conversation conversation;
  for (Step& step : steps) step.happened = conversation.command(step.command);
  return steps;
}

Ending run_to_the_end(const std::vector<Step>& steps) {
  Conversation conversation;
  Ending ending;
  for (const Step& step : steps) ending.happened += conversation.command(step.command);
  while (conversation.tick(ending.happened)) {
  }
  ending.answers = conversation.answers;
  ending.dones = conversation.dones;
  ending.sends_after_done = conversation.sends_after_done;
  return ending;
}

}  // namespace ringlet::transcript
