#include "client/update_operation.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/planted.hpp"
#include "client/client_core.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::test {
namespace {

using Catch::Contains;
using Op = UpdateOperation;

constexpr Duration second = Duration::seconds(1);

UpdateAnswer value(Bytes bytes) {
  return {UpdateAnswer::Kind::value, std::move(bytes), {}};
}

// One replica of one key, as a client sees it: reads and writes with contexts.
class Store {
 public:
  ClientOutcome read() const {
    ClientOutcome outcome;
    outcome.reply.object = object_;
    outcome.context = encode_client_context({object_.context, NodeId{}, 0}, key());
    return outcome;
  }
  ClientOutcome write(const Op::Write& wanted) {
    auto context = decode_client_context(wanted.context, key());
    REQUIRE(context.is_ok());
    Write write;
    write.write_id = wanted.write_id ? wanted.write_id : WriteId{1, ++ids_};
    write.tombstone = wanted.tombstone;
    write.value = wanted.value;
    WriteId id = write.write_id;
    Dot dot = update(object_, context->seen, Actor{NodeId{1}, 2}, std::move(write), ++ids_);
    ClientOutcome outcome = read();
    outcome.reply.dot = dot;
    outcome.write_id = id;
    return outcome;
  }
  ClientOutcome blind(Bytes bytes) { return write({false, std::move(bytes), {}, {}}); }
  const Object& object() const { return object_; }
  static Key key() { return Key{"b", "k"}; }

 private:
  Object object_;
  std::uint64_t ids_ = 0;
};

ClientOutcome failed(Code code, const std::string& message, bool maybe = false) {
  ClientOutcome outcome;
  outcome.reply.status = Status(code, message, maybe);
  return outcome;
}

struct Fixture {
  Store store;
  Random random{7};
  Op op{Store::key(), {}};

  Op::Ask read_and_ask() {
    Op::Next next = op.start();
    REQUIRE(std::holds_alternative<Op::Read>(next));
    return asked(op.on_outcome(store.read(), second, random));
  }
  static Op::Ask asked(Op::Next next) {
    REQUIRE(std::holds_alternative<Op::Ask>(next));
    return std::get<Op::Ask>(std::move(next));
  }
  static Op::Write writing(Op::Next next) {
    REQUIRE(std::holds_alternative<Op::Write>(next));
    return std::get<Op::Write>(std::move(next));
  }
  static ClientOutcome over(Op::Next next) {
    REQUIRE(std::holds_alternative<Op::Over>(next));
    return std::get<Op::Over>(std::move(next)).outcome;
  }
  // The edit is acknowledged and met a rival; the operation pauses.
  void edit_beside_a_rival() {
    read_and_ask();
    store.blind("rival");
    Op::Write write = writing(op.on_answer(value("mine")));
    Op::Next next = op.on_outcome(store.write(write), second, random);
    REQUIRE(std::holds_alternative<Op::Pause>(next));
  }
};

TEST_CASE_METHOD(Fixture, "M-10 an update without rivals reads, asks once, writes and is over") {
  store.blind("old");
  Op::Ask ask = read_and_ask();
  CHECK(ask.question.attempt == 1);
  CHECK_FALSE(ask.question.written);
  Op::Write write = writing(op.on_answer(value("new")));
  CHECK(write.context == store.read().context);
  ClientOutcome end = over(op.on_outcome(store.write(write), second, random));
  CHECK(end.reply.status.is_ok());
  CHECK(end.update.edited);
  CHECK(end.update.merged);
  CHECK(store.object().versions.size() == 1);
}

TEST_CASE_METHOD(Fixture, "M-11 after the edit is acknowledged only a merge is asked for") {
  edit_beside_a_rival();
  REQUIRE(std::holds_alternative<Op::Read>(op.on_pause_over()));
  Op::Ask ask = asked(op.on_outcome(store.read(), second, random));
  CHECK(ask.question.written);
  CHECK(ask.question.attempt == 2);
  CHECK(shown(ask.question.read.reply.object).versions.size() == 2);
  Op::Write merge = writing(op.on_answer(value("merged")));
  ClientOutcome end = over(op.on_outcome(store.write(merge), second, random));
  CHECK(end.update.merged);
  CHECK(store.object().versions.size() == 1);
}

TEST_CASE_METHOD(Fixture, "M-11 an update ends when another writer has merged") {
  edit_beside_a_rival();
  store.write({false, "merged by the rival", store.read().context, {}});
  op.on_pause_over();
  ClientOutcome end = over(op.on_outcome(store.read(), second, random));
  CHECK(end.update.edited);
  CHECK(end.update.merged);
  CHECK(shown(end.reply.object).versions.at(0)->value == "merged by the rival");
}

TEST_CASE_METHOD(
    Fixture, "M-12 a sibling that was told of is merged, though the next read does not show it") {
  read_and_ask();
  ClientOutcome written = store.write(writing(op.on_answer(value("mine"))));
  Store behind = store;  // the replicas that the next read asks have not heard of the rival
  store.blind("rival");
  written.reply.object = store.object();  // one of those that took the write had
  REQUIRE(std::holds_alternative<Op::Pause>(op.on_outcome(written, second, random)));
  op.on_pause_over();
  Op::Ask ask = asked(op.on_outcome(behind.read(), second, random));
  CHECK(ask.question.written);
  CHECK(shown(ask.question.read.reply.object).versions.size() == 2);
  ClientOutcome end =
      over(op.on_outcome(store.write(writing(op.on_answer(value("both")))), second, random));
  CHECK(end.update.merged);
  CHECK(store.object().versions.size() == 1);  // the merge's context covers the rival
}

TEST_CASE_METHOD(Fixture,
                 "M-12 an update that was shown less than there is does not say it is merged") {
  read_and_ask();
  ClientOutcome written = store.write(writing(op.on_answer(value("mine"))));
  written.reply.left_out = 2;
  ClientOutcome end = over(op.on_outcome(written, second, random));
  CHECK(end.update.edited);
  CHECK_FALSE(end.update.merged);
  CHECK(end.update.left == 3);
  CHECK(end.update.why == "more versions are there than can be sent together");
}

TEST_CASE_METHOD(Fixture, "M-10 the reply names the write id of the edit, not of a merge") {
  Op with_id(Store::key(), {16, Deletes::lose, WriteId{9, 9}});
  with_id.start();
  with_id.on_outcome(store.read(), second, random);
  store.blind("rival");
  Op::Write edit = writing(with_id.on_answer(value("mine")));
  CHECK(edit.write_id == WriteId{9, 9});
  with_id.on_outcome(store.write(edit), second, random);
  with_id.on_pause_over();
  with_id.on_outcome(store.read(), second, random);
  Op::Write merge = writing(with_id.on_answer(value("both")));
  CHECK_FALSE(merge.write_id);
  ClientOutcome end = over(with_id.on_outcome(store.write(merge), second, random));
  CHECK(end.write_id == WriteId{9, 9});
}

TEST_CASE_METHOD(Fixture, "M-14 an update that finds its own write there does not edit again") {
  Op first(Store::key(), {16, Deletes::lose, WriteId{9, 9}});
  first.start();
  first.on_outcome(store.read(), second, random);
  store.write(writing(first.on_answer(value("mine"))));  // and the answer is lost
  Op again(Store::key(), {16, Deletes::lose, WriteId{9, 9}});
  again.start();

  SECTION("alone: it is over") {
    ClientOutcome end = over(again.on_outcome(store.read(), second, random));
    CHECK(end.update.edited);
    CHECK(end.update.merged);
    CHECK(end.write_id == WriteId{9, 9});
    CHECK(shown(end.reply.object).versions.at(0)->value == "mine");
  }
  SECTION("beside a rival: only a merge is asked for") {
    store.blind("rival");
    Op::Ask ask = asked(again.on_outcome(store.read(), second, random));
    CHECK(ask.question.written);
    Op::Write merge = writing(again.on_answer(value("both")));
    CHECK(merge.write_id != WriteId{9, 9});
    ClientOutcome end = over(again.on_outcome(store.write(merge), second, random));
    CHECK(end.update.merged);
    CHECK(end.write_id == WriteId{9, 9});
  }
  SECTION(
      "an older copy was read: the refusal says that the write is there, and it is read again") {
    asked(again.on_outcome(Store().read(), second, random));
    writing(again.on_answer(value("mine again")));
    Op::Next next =
        again.on_outcome(failed(Code::invalid_argument, "one id for each write"), second, random);
    REQUIRE(std::holds_alternative<Op::Read>(next));
    SECTION("and found") {
      ClientOutcome end = over(again.on_outcome(store.read(), second, random));
      CHECK(end.update.edited);
      CHECK(end.reply.status.is_ok());
    }
    SECTION("and not found: the refusal stands") {
      ClientOutcome end = over(again.on_outcome(Store().read(), second, random));
      CHECK_FALSE(end.update.edited);
      CHECK(end.reply.status.code() == Code::invalid_argument);
    }
  }
}

TEST_CASE_METHOD(Fixture, "M-14 a write that was stored and replaced is not edited again") {
  Op first(Store::key(), {16, Deletes::lose, WriteId{9, 9}});
  first.start();
  first.on_outcome(store.read(), second, random);
  store.write(writing(first.on_answer(value("mine"))));  // and the answer is lost
  Op other(Store::key(), {});
  other.start();
  other.on_outcome(store.read(), second, random);
  store.write(writing(other.on_answer(value("theirs"))));
  Op again(Store::key(), {16, Deletes::lose, WriteId{9, 9}});
  again.start();
  // The edit may not fit any more what is there now: it would be refused as if it had not been made.
  ClientOutcome end = over(again.on_outcome(store.read(), second, random));
  CHECK(end.update.edited);
  CHECK(end.write_id == WriteId{9, 9});
  CHECK(shown(end.reply.object).versions.at(0)->value == "theirs");
}

TEST_CASE_METHOD(Fixture, "M-14 a delete that an update wrote under its id is found as well") {
  store.blind("old");
  Op first(Store::key(), {16, Deletes::lose, WriteId{9, 9}});
  first.start();
  first.on_outcome(store.read(), second, random);
  store.write(writing(first.on_answer({UpdateAnswer::Kind::erase, {}, {}})));
  Op again(Store::key(), {16, Deletes::lose, WriteId{9, 9}});
  again.start();
  CHECK(over(again.on_outcome(store.read(), second, random)).update.edited);
}

TEST_CASE_METHOD(Fixture,
                 "M-12 whatever ends an update after its edit was acknowledged, it succeeds") {
  edit_beside_a_rival();
  ClientOutcome end;
  SECTION("a cancel while it pauses") {
    end = op.end(Status(Code::cancelled, "stopped")).outcome;
  }
  SECTION("a read that fails") {
    op.on_pause_over();
    end = over(op.on_outcome(failed(Code::timeout, "stopped"), second, random));
  }
  SECTION("a resolver that fails") {
    op.on_pause_over();
    op.on_outcome(store.read(), second, random);
    end = over(op.on_answer({UpdateAnswer::Kind::fail, {}, "stopped"}));
  }
  SECTION("the deadline while it asks for a merge") {
    op.on_pause_over();
    op.on_outcome(store.read(), second, random);
    end = op.end(Status(Code::timeout, "stopped")).outcome;
  }
  SECTION("a merge that cannot be written") {
    op.on_pause_over();
    op.on_outcome(store.read(), second, random);
    op.on_answer(value("merged"));
    end = over(op.on_outcome(failed(Code::unavailable, "stopped", true), second, random));
  }
  CHECK(end.reply.status.is_ok());
  CHECK(end.update.edited);
  CHECK_FALSE(end.update.merged);
  CHECK(end.update.left == 2);
  CHECK(end.update.why == "stopped");
}

TEST_CASE_METHOD(Fixture,
                 "M-12 before the edit is acknowledged a failure is the update's, with its words") {
  SECTION("a read that fails") {
    op.start();
    auto end = over(op.on_outcome(failed(Code::timeout, "silent"), second, random));
    CHECK(end.reply.status.code() == Code::timeout);
    CHECK_FALSE(end.reply.status.maybe_applied());
    CHECK_FALSE(end.update.edited);
  }
  SECTION("an edit that fails") {
    read_and_ask();
    auto end = over(op.on_answer({UpdateAnswer::Kind::fail, {}, "KeyError in the edit"}));
    CHECK(end.reply.status.code() == Code::merge_failed);
    CHECK_THAT(end.reply.status.message(), Contains("update b/k: KeyError in the edit"));
    CHECK_FALSE(end.reply.status.maybe_applied());
  }
  SECTION("an edit that is not answered in time") {
    read_and_ask();
    auto end = op.end(Status(Code::timeout, "late", true)).outcome;
    CHECK(end.reply.status.code() == Code::timeout);
    CHECK_FALSE(end.reply.status.maybe_applied());
  }
  SECTION("a write of which nothing was heard") {
    read_and_ask();
    op.on_answer(value("mine"));
    ClientOutcome silent = failed(Code::timeout, "silent", true);
    silent.write_id = WriteId{3, 4};
    auto end = over(op.on_outcome(std::move(silent), second, random));
    CHECK(end.reply.status.maybe_applied());
    CHECK(end.write_id == WriteId{3, 4});
  }
}

TEST_CASE_METHOD(Fixture, "M-13 an answer may delete, or leave all as it is") {
  store.blind("old");
  read_and_ask();
  SECTION("erase") {
    Op::Write write = writing(op.on_answer({UpdateAnswer::Kind::erase, {}, {}}));
    CHECK(write.tombstone);
    over(op.on_outcome(store.write(write), second, random));
    CHECK(siblings(store.object()).empty());
  }
  SECTION("keep") {
    ClientOutcome end = over(op.on_answer({UpdateAnswer::Kind::keep, {}, {}}));
    CHECK(end.reply.status.is_ok());
    CHECK_FALSE(end.update.edited);
    CHECK(end.update.merged);
    CHECK(shown(store.object()).versions.at(0)->value == "old");
  }
}

TEST_CASE_METHOD(
    Fixture, "M-2 the bucket's choice about deletes decides whether there is anything to merge") {
  store.blind("old");
  auto run = [&](Deletes deletes) {
    Op each(Store::key(), {16, deletes, {}});
    each.start();
    Bytes before = store.read().context;
    each.on_outcome(store.read(), second, random);
    store.write({true, {}, before, {}});  // a delete, concurrent with the edit
    Op::Write write = writing(each.on_answer(value("new")));
    return each.on_outcome(store.write(write), second, random);
  };
  CHECK(std::holds_alternative<Op::Over>(run(Deletes::lose)));
  CHECK(std::holds_alternative<Op::Over>(run(Deletes::win)));
  CHECK(std::holds_alternative<Op::Pause>(run(Deletes::ask)));
}

TEST_CASE_METHOD(Fixture, "M-11 the limit of attempts ends the merging and not the update") {
  Op few(Store::key(), {1, Deletes::lose, {}});
  few.start();
  few.on_outcome(store.read(), second, random);
  store.blind("rival");
  Op::Write write = writing(few.on_answer(value("mine")));
  ClientOutcome end = over(few.on_outcome(store.write(write), second, random));
  CHECK(end.reply.status.is_ok());
  CHECK_FALSE(end.update.merged);
  CHECK_THAT(end.update.why, Contains("limit of 1 attempts"));
}

TEST_CASE("M-11 pauses grow, are random, and never take more than half of what is left") {
  Random random(3);
  for (std::uint32_t attempt = 1; attempt < 12; ++attempt) {
    for (std::size_t rank : {0u, 1u, 10u, 1000u}) {
      for (std::int64_t left : {std::int64_t{0}, std::int64_t{1000}, std::int64_t{10'000'000}}) {
        Duration wait = Op::pause(attempt, rank, Duration::micros(left), random);
        CHECK(wait.us >= 0);
        CHECK(wait.us <= left / 2);
        CHECK(wait.us <= 200'000);
      }
    }
  }
}

TEST_CASE("M-11 writers of one conflict pause in their order, half a slot after one another") {
  for (std::size_t rank : {1u, 2u, 3u}) {
    Random one(5), other(5);
    Duration first = Op::pause(6, 0, second * 10, one);
    Duration later = Op::pause(6, rank, second * 10, other);
    CHECK(later - first == Duration::millis(32) * static_cast<std::int64_t>(rank));
  }
}

TEST_CASE_METHOD(
    Fixture, "M-2 M-11 what is left to merge after a pause is by the update's choice of deletes") {
  Op asks(Store::key(), {16, Deletes::ask, {}});
  asks.start();
  asked(asks.on_outcome(store.read(), second, random));
  store.write({true, {}, {}, {}});  // a delete that has seen nothing
  Op::Write edit = writing(asks.on_answer(value("mine")));
  REQUIRE(std::holds_alternative<Op::Pause>(asks.on_outcome(store.write(edit), second, random)));
  asks.on_pause_over();
  Op::Ask merge = asked(asks.on_outcome(store.read(), second, random));
  CHECK(merge.question.written);
}

// Several writers of one key, each adding one to a counter of its own, in any order of steps. The
// value is "name=count,…"; the merge takes the greatest of each name, and is not the edit.
using Counts = std::map<std::string, int>;

Counts parse(const Bytes& text) {
  Counts counts;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find(',', at), equals = text.find('=', at);
    counts[Bytes(text.substr(at, equals - at))] =
        std::stoi(std::string(text.substr(equals + 1, end - equals - 1)));
    at = end + 1;
  }
  return counts;
}
Bytes text_of(const Counts& counts) {
  Bytes text;
  for (const auto& [name, count] : counts) text += name + "=" + std::to_string(count) + ",";
  return text;
}
Counts merged(const Object& object) {
  Counts counts;
  for (const Version* version : shown(object).versions) {
    for (const auto& [name, count] : parse(version->value))
      counts[name] = std::max(counts[name], count);
  }
  return counts;
}

// Runs 6 writers x 20 edits in an order drawn from `seed`. Returns what the store holds at the end.
Counts run_writers(std::uint64_t seed) {
  Store store;
  Random random(seed);
  struct Writer {
    std::string name;
    int edits = 20;
    std::optional<Op> op;
    Op::Next next;
  };
  std::vector<Writer> writers(6);
  for (std::size_t i = 0; i < writers.size(); ++i) writers[i].name = "w" + std::to_string(i);
  std::vector<std::size_t> busy{0, 1, 2, 3, 4, 5};
  while (!busy.empty()) {
    std::size_t which = random.below(busy.size());
    Writer& writer = writers[busy[which]];
    if (!writer.op) {
      writer.op.emplace(Store::key(), Op::Options{});
      writer.next = writer.op->start();
    } else if (std::holds_alternative<Op::Read>(writer.next)) {
      writer.next = writer.op->on_outcome(store.read(), second, random);
    } else if (auto* write = std::get_if<Op::Write>(&writer.next)) {
      writer.next = writer.op->on_outcome(store.write(*write), second, random);
    } else if (std::holds_alternative<Op::Pause>(writer.next)) {
      writer.next = writer.op->on_pause_over();
    } else if (auto* ask = std::get_if<Op::Ask>(&writer.next)) {
      Counts counts = merged(ask->question.read.reply.object);
      if (!ask->question.written) ++counts[writer.name];
      writer.next = writer.op->on_answer(value(text_of(counts)));
    } else {
      writer.op.reset();
      if (--writer.edits == 0) busy.erase(busy.begin() + static_cast<std::ptrdiff_t>(which));
    }
  }
  return merged(store.object());
}

TEST_CASE("L22 M-10 each acknowledged edit counts once, in any order of steps") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Counts counts = run_writers(seed);
    REQUIRE(counts.size() == 6);
    for (const auto& [name, count] : counts) {
      INFO("seed " << seed << ", writer " << name);
      REQUIRE(count == 20);
    }
  }
}

#ifdef RINGLET_PLANTED_BUGS
TEST_CASE("L22 an edit that is asked for again after its acknowledgement is found") {
  plant(PlantedBug::edit_twice);
  bool found = false;
  for (std::uint64_t seed = 1; seed <= 20 && !found; ++seed) {
    for (const auto& [name, count] : run_writers(seed)) found |= count != 20;
  }
  plant(PlantedBug::none);
  CHECK(found);
}
#endif

// ---- hosted by a client ----

// A client whose one seed answers at once from a Store.
struct Hosted {
  Store store;
  ClientOptions options = [] {
    ClientOptions wanted;
    wanted.seeds = {"n1:1"};
    return wanted;
  }();
  ClientCore core{options, 5};
  Now now{Instant{1'000'000}, 1'700'000'000'000};
  std::vector<ClientOutcome> ended;
  std::deque<std::pair<std::uint64_t, UpdateQuestion>> questions;
  bool silent = false;
  std::function<void()> before_put = [] {};

  Hosted() { core.start(now); }
  void pump() {
    for (auto sent = core.take_outgoing(); !sent.empty(); sent = core.take_outgoing()) {
      for (auto& message : sent) answer(message);
    }
  }
  void answer(ClientCore::Outgoing& message) {
    if (silent) return;
    ClientReply reply;
    if (std::get_if<ClientGet>(&message.message) != nullptr) {
      reply = store.read().reply;
    } else if (auto* put = std::get_if<ClientPut>(&message.message)) {
      before_put();
      reply =
          store.write({put->write.tombstone, put->write.value, put->context, put->write.write_id})
              .reply;
    } else {
      return;
    }
    core.on_reply(message.to, message.number, reply, now);
  }
  std::uint64_t update(ClientCore::Update wanted = {}) {
    wanted.request.key = Store::key();
    if (!wanted.on_ask) {
      wanted.on_ask = [this](std::uint64_t number, UpdateQuestion question) {
        questions.emplace_back(number, std::move(question));
      };
    }
    std::uint64_t number = core.update(std::move(wanted), now, [this](ClientOutcome outcome) {
      ended.push_back(std::move(outcome));
    });
    pump();
    return number;
  }
  void pass(Duration time) {
    Instant end = now.instant + time;
    while (core.next_wake() <= end) {
      now.instant = std::max(now.instant, core.next_wake());
      core.on_wake(now);
      pump();
    }
    now.instant = end;
  }
};

TEST_CASE_METHOD(Hosted, "M-16 a client hosts an update: one question, one write, one end") {
  std::uint64_t number = update();
  REQUIRE(questions.size() == 1);
  CHECK(questions[0].first == number);
  CHECK(core.unanswered() == 1);
  CHECK(core.answer(number, 1, value("tea"), now).is_ok());
  pump();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].update.edited);
  CHECK(shown(store.object()).versions.at(0)->value == "tea");
  CHECK(core.unanswered() == 0);
}

TEST_CASE_METHOD(Hosted, "M-16 an answer from inside the question is as good as a later one") {
  ClientCore::Update wanted;
  wanted.on_ask = [this](std::uint64_t number, UpdateQuestion question) {
    CHECK(core.answer(number, question.attempt, value("tea"), now).is_ok());
    CHECK(core.answer(number, question.attempt, value("coffee"), now).code() == Code::closed);
  };
  update(std::move(wanted));
  REQUIRE(ended.size() == 1);
  CHECK(shown(store.object()).versions.at(0)->value == "tea");
}

TEST_CASE_METHOD(Hosted, "M-11 a client merges what the edit met, after a pause") {
  bool first = true;
  before_put = [&] {
    if (std::exchange(first, false)) store.blind("rival");
  };
  std::uint64_t number = update();
  REQUIRE(core.answer(number, 1, value("mine"), now).is_ok());
  pump();
  CHECK(ended.empty());
  pass(Duration::millis(300));
  REQUIRE(questions.size() == 2);
  CHECK(questions[1].second.written);
  REQUIRE(core.answer(number, 2, value("both"), now).is_ok());
  pump();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].update.merged);
  CHECK(shown(store.object()).versions.size() == 1);
}

TEST_CASE_METHOD(Hosted, "M-12 an unanswered edit ends at the deadline and wrote nothing") {
  update();
  pass(Duration::millis(999));
  CHECK(ended.empty());
  pass(Duration::millis(2));
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].reply.status.code() == Code::timeout);
  CHECK_THAT(ended[0].reply.status.message(), Contains("did not answer"));
  CHECK_FALSE(ended[0].reply.status.maybe_applied());
  CHECK(core.answer(1, 1, value("late"), now).code() == Code::closed);
}

TEST_CASE_METHOD(
    Hosted, "M-12 an edit that nobody acknowledges is told with its write id and maybe applied") {
  std::uint64_t number = update();
  silent = true;
  REQUIRE(core.answer(number, 1, value("tea"), now).is_ok());
  pump();
  pass(Duration::millis(1100));
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].reply.status.code() == Code::timeout);
  CHECK(ended[0].reply.status.maybe_applied());
  CHECK(ended[0].write_id);
}

TEST_CASE_METHOD(Hosted, "a cancelled update ends at once, asked or under way") {
  std::uint64_t number = update();
  SECTION("asked") {
    core.cancel(number, now);
  }
  SECTION("writing") {
    silent = true;
    REQUIRE(core.answer(number, 1, value("tea"), now).is_ok());
    pump();
    core.cancel(number, now);
  }
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].reply.status.code() == Code::cancelled);
}

TEST_CASE_METHOD(Hosted, "a client that closes ends its updates, asked, pausing and under way") {
  update();
  silent = true;
  update();
  core.close(Status(Code::closed, "the client was closed"), now);
  REQUIRE(ended.size() == 2);
  for (const auto& outcome : ended) CHECK(outcome.reply.status.code() == Code::closed);
  CHECK(core.unanswered() == 0);
}

TEST_CASE_METHOD(Hosted, "an update is refused for its options before anything is sent") {
  ClientCore::Update none;
  none.attempts = 0;
  update(std::move(none));
  ClientCore::Update long_one;
  long_one.request.options.timeout_ms = 3'600'001;
  update(std::move(long_one));
  REQUIRE(ended.size() == 2);
  CHECK_THAT(ended[0].reply.status.message(), Contains("update_attempts"));
  CHECK_THAT(ended[1].reply.status.message(), Contains("timeout_ms"));
}

}  // namespace
}  // namespace ringlet::test
