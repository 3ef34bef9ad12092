#include "node/node.hpp"

#include <algorithm>
#include <set>
#include <thread>

#include "bench.hpp"
#include "node/hint_key.hpp"
#include "node/upkeep.hpp"
#include "repair/merkle_tree.hpp"
#include "repair/partition_transfer.hpp"

namespace ringlet::test {
namespace {

using Catch::Contains;

ClientPut client_put(const Key& key, std::uint64_t write, Bytes value = "milk") {
  ClientPut put;
  put.key = key;
  put.write = a_write(write, std::move(value));
  return put;
}
ClientGet client_get(const Key& key) {
  ClientGet get;
  get.key = key;
  return get;
}
ReplicaGet replica_get(const Key& key) {
  ReplicaGet get;
  get.key = key;
  return get;
}
StatusQuery query(const std::string& what, const Key& key = {}) {
  StatusQuery status;
  status.what = what;
  status.key = key;
  return status;
}

NodeOptions alone() {
  NodeOptions options;
  options.coordination.r = options.coordination.w = 1;
  return options;
}

// A node that was handed a put which it does not own, and handed it on.
struct Handed {
  explicit Handed(NodeOptions options = {}) : bench(4, std::move(options)) {
    key = bench.key_of(false);
    bench.node->on_request(7, 1, client_put(key, 5), bench.now);
    auto requests = bench.node->take_requests();
    REQUIRE(requests.size() == 1);
    request = std::move(requests[0]);
    REQUIRE(bench.node->take_replies().empty());
  }
  const ClientPut& put() const { return std::get<ClientPut>(request.message); }

  // It is done here: somebody is asked to mint the very same write.
  void expect_taken_back() { expect_taken_back(bench.node->take_requests()); }
  void expect_taken_back(std::vector<Node::ToMember> requests) {
    bool mints = false;
    for (auto& out : requests) {
      if (auto* mint = std::get_if<MintPut>(&out.message)) {
        mints = true;
        CHECK(mint->write.write_id == WriteId{9, 5});
        Minted minted;
        minted.object = object_of(out.to, 5);
        minted.dot = minted.object.versions[0].dot;
        bench.node->on_reply(out.to, out.number, minted, bench.now);
      }
    }
    CHECK(mints);
    for (auto& out : bench.node->take_requests()) {
      if (std::holds_alternative<ReplicaPut>(out.message)) {
        bench.node->on_reply(out.to, out.number, Stored{}, bench.now);
      }
    }
    auto replies = bench.node->take_replies();
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].link == 7);
    CHECK(replies[0].number == 1);
    CHECK(std::get<ClientReply>(replies[0].message).status.is_ok());
    // L16: what the other node says after all is nobody's answer.
    ClientReply late;
    bench.node->on_reply(request.to, request.number, late, bench.now);
    CHECK(bench.node->take_replies().empty());
  }

  Bench bench;
  Key key;
  Node::ToMember request;
};

}  // namespace

TEST_CASE("each kind of request has its kind of reply") {
  Bench bench(1, alone());
  Key key{"carts", "alice"};
  CHECK(bench.ask_for<ClientReply>(client_put(key, 1)).status.is_ok());
  ClientReply got = bench.ask_for<ClientReply>(client_get(key));
  CHECK(got.status.is_ok());
  REQUIRE(got.object.versions.size() == 1);
  CHECK(got.object.versions[0].value == "milk");
  CHECK(bench.ask_for<ReplicaObject>(replica_get(key)).object == got.object);
  CHECK(bench.ask_for<Minted>(mint_put(key, 2, got.object.context)).object.versions.size() == 1);
  bench.ask_for<Stored>(replica_put(key, object_of(Bench::id("n2"), 3)));
  CHECK(bench.ask_for<ReplicaObject>(replica_get(key)).object.versions.size() == 2);
  bench.ask_for<Pong>(Ping{});
  CHECK(bench.ask_for<RingTable>(RingPull{}).owners.size() == 8);
  CHECK(bench.ask_for<StatusText>(query("status")).status.is_ok());
}

TEST_CASE("what is no request is refused by its name") {
  Bench bench;
  for (Message message : {Message(Stored{}), Message(Pong{}), Message(ClientReply{}),
                          Message(RingTable{}), Message(StatusText{}), Message(Minted{})}) {
    Status status = bench.ask_for<Refused>(message).status;
    CHECK(status.code() == Code::unsupported);
    CHECK_THAT(status.message(), Contains(name_of(message)));
  }
}

TEST_CASE(
    "a hint for the node itself is refused; one for a node not heard of yet is kept and read") {
  Bench bench;
  Key key = bench.key_of(false);
  Status minted = bench.ask_for<Refused>(mint_put(key, 1, {}, bench.self())).status;
  CHECK(minted.code() == Code::invalid_argument);
  CHECK_THAT(minted.message(), Contains(to_string(bench.self())));
  Object other = object_of(Bench::id("n2"), 1);
  CHECK(bench.ask_for<Refused>(replica_put(key, other, bench.self())).status.code() ==
        Code::invalid_argument);
  CHECK(*bench.replica->count_hints() == 0);
  bench.ask_for<Minted>(mint_put(key, 1, {}, Bench::id("n2")));
  CHECK(*bench.replica->count_hints() == 1);

  // While a dead member is replaced, its sender may have the newer routing table (L9).
  NodeId newcomer = Bench::id("n99");
  bench.ask_for<Stored>(replica_put(key, other, newcomer));
  CHECK(*bench.replica->count_hints() == 2);
  CHECK(bench.got(key).context.covers(other.context));
}

TEST_CASE("F-52 a key or value over the limit is refused with both numbers, one at it is taken") {
  NodeOptions options = alone();
  options.max_key_bytes = 10;
  options.max_value_bytes = 20;
  Bench bench(1, options);
  Key fits{"12345", "67890"}, over{"12345", "678901"};
  Bytes full(20, 'x'), more(21, 'x');

  for (Message message : {Message(client_put(over, 1)), Message(client_get(over))}) {
    Status status = bench.ask_for<ClientReply>(message).status;
    CHECK(status.code() == Code::too_large);
    CHECK_THAT(status.message(), Contains("at most 10 bytes, got 11"));
  }
  Status value = bench.ask_for<ClientReply>(client_put(fits, 1, more)).status;
  CHECK(value.code() == Code::too_large);
  CHECK_THAT(value.message(), Contains("at most 20 bytes, got 21"));
  CHECK(bench.ask_for<Refused>(mint_put(over, 1)).status.code() == Code::too_large);
  CHECK(bench.ask_for<Refused>(replica_put(over, object_of(Bench::id("n2"), 1))).status.code() ==
        Code::too_large);
  MintPut big = mint_put(fits, 1);
  big.write.value = more;
  CHECK(bench.ask_for<Refused>(big).status.code() == Code::too_large);
  CHECK(bench.disk.rows(Table::objects).empty());

  CHECK(bench.ask_for<ClientReply>(client_put(fits, 1, full)).status.is_ok());
  CHECK(bench.ask_for<ClientReply>(client_put({"", ""}, 2, "")).status.code() ==
        Code::invalid_argument);
}

TEST_CASE("F-66 a put without a write id, or with a wrong context, writes nothing") {
  Bench bench(1, alone());
  Key key{"carts", "alice"};
  ClientPut nameless = client_put(key, 1);
  nameless.write.write_id = WriteId{};
  Status status = bench.ask_for<ClientReply>(nameless).status;
  CHECK(status.code() == Code::invalid_argument);
  CHECK_THAT(status.message(), Contains("write id"));

  CausalContext seen;
  seen.add(Dot{Actor{bench.self(), 2}, 1}, 0);
  ClientPut foreign = client_put(key, 1);
  foreign.context = encode_client_context({seen, {}}, {"carts", "bob"});
  CHECK(bench.ask_for<ClientReply>(foreign).status.code() == Code::invalid_context);
  ClientPut rubbish = client_put(key, 1);
  rubbish.context = "no context at all";
  CHECK(bench.ask_for<ClientReply>(rubbish).status.code() == Code::invalid_context);
  // F-66: nodes of another cluster may have our names, and then its dots look like ours.
  foreign.context = encode_client_context({seen, {}, cluster_hash("other")}, key);
  Status another = bench.ask_for<ClientReply>(foreign).status;
  CHECK(another.code() == Code::invalid_context);
  CHECK_THAT(another.message(), Contains("of another cluster, wanted one of \"ringlet\""));
  CHECK(bench.disk.rows(Table::objects).empty());
  CHECK(bench.node->idle());

  foreign.context = encode_client_context({seen, {}, cluster_hash("ringlet")}, key);
  CHECK(bench.ask_for<ClientReply>(foreign).status.is_ok());
}

TEST_CASE("a draining node refuses clients, serves members and ends what it began") {
  Bench bench(3);
  Key key = bench.key_of(true);
  bench.node->on_request(7, 1, client_get(key), bench.now);
  REQUIRE(bench.node->take_replies().empty());
  CHECK(!bench.node->idle());
  bench.node->drain(bench.now);

  for (Message message : {Message(client_put(key, 1)), Message(client_get(key))}) {
    ClientReply refused = bench.ask_for<ClientReply>(message);
    CHECK(refused.status.code() == Code::unavailable);
    CHECK(refused.status.retryable());
    CHECK_THAT(refused.status.message(), Contains("n1") && Contains("shutting down"));
  }
  bench.ask_for<Minted>(mint_put(key, 2));
  bench.ask_for<Pong>(Ping{});

  for (auto& out : bench.node->take_requests()) {
    bench.node->on_reply(out.to, out.number, ReplicaObject{}, bench.now);
  }
  auto replies = bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].number == 1);
  CHECK(std::get<ClientReply>(replies[0].message).status.is_ok());
}

TEST_CASE("F-50 more requests than the limit are overloaded with a time to come back") {
  NodeOptions options;
  options.max_requests = 2;
  Bench bench(3, options);
  Key key = bench.key_of(true);
  bench.node->on_request(7, 1, client_get(key), bench.now);
  bench.node->on_request(7, 2, client_get(key), bench.now);
  auto asked = bench.node->take_requests();
  REQUIRE(bench.node->take_replies().empty());
  for (Message message : {Message(client_put(key, 1)), Message(client_get(key))}) {
    ClientReply refused = bench.ask_for<ClientReply>(message);
    CHECK(refused.status.code() == Code::overloaded);
    CHECK(refused.status.retryable());
    CHECK(!refused.status.maybe_applied());
    CHECK(refused.retry_after_ms > 0);
  }
  CHECK(bench.state->counters().refused_overload.load() == 2);
  bench.ask_for<Minted>(mint_put(key, 2));  // members are not clients

  for (auto& out : asked) bench.node->on_reply(out.to, out.number, ReplicaObject{}, bench.now);
  CHECK(bench.node->take_replies().size() == 2);
  bench.node->on_request(7, 3, client_get(key), bench.now);
  CHECK(bench.node->take_replies().empty());  // taken
}

TEST_CASE("R4.5-b O-1 a put is handed on once to an owner, and its reply comes back") {
  Handed handed;
  CHECK(handed.bench.ring->owns(handed.request.to, token_of(handed.key)));
  CHECK(handed.put().forwarded);
  CHECK(handed.put().write.write_id == WriteId{9, 5});
  CHECK(!handed.bench.node->idle());

  ClientReply reply;
  reply.object = object_of(handed.request.to, 5);
  handed.bench.node->on_reply(handed.request.to, handed.request.number, reply, handed.bench.now);
  auto replies = handed.bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].link == 7);
  CHECK(replies[0].number == 1);
  CHECK(std::get<ClientReply>(replies[0].message).object == reply.object);
  CHECK(handed.bench.node->idle());
  // Twice the same answer is one answer.
  handed.bench.node->on_reply(handed.request.to, handed.request.number, reply, handed.bench.now);
  CHECK(handed.bench.node->take_replies().empty());
}

TEST_CASE("R4.5-b what was handed on already, an own key, a read and last-write-wins stay here") {
  Bench bench;
  auto handed_on = [&](Bench& at, Message message) {
    at.node->on_request(7, ++at.number, std::move(message), at.now);
    bool found = false;
    for (auto& out : at.node->take_requests()) {
      found = found || std::holds_alternative<ClientPut>(out.message);
    }
    return found;
  };
  ClientPut forwarded = client_put(bench.key_of(false), 1);
  CHECK(handed_on(bench, forwarded));
  forwarded.forwarded = true;
  CHECK(!handed_on(bench, forwarded));
  CHECK(!handed_on(bench, client_put(bench.key_of(true), 2)));
  CHECK(!handed_on(bench, client_get(bench.key_of(false))));
  NodeOptions options;
  options.coordination.reconcile = Reconcile::lww;
  Bench lww(4, options);
  CHECK(!handed_on(lww, client_put(lww.key_of(false), 3)));
}

TEST_CASE("L19 the answer about a missing key says how its cluster reconciles") {
  for (Reconcile mode : {Reconcile::siblings, Reconcile::lww}) {
    NodeOptions options = alone();
    options.coordination.reconcile = mode;
    Bench bench(1, options);
    ClientReply got = bench.ask_for<ClientReply>(client_get({"carts", "nothing"}));
    REQUIRE(got.status.is_ok());
    CHECK(got.object.missing());
    CHECK(got.object.mode == mode);
  }
}

TEST_CASE("L20 a client that is wrong about siblings or last-write-wins changes no key") {
  for (Reconcile mode : {Reconcile::siblings, Reconcile::lww}) {
    Reconcile other = mode == Reconcile::lww ? Reconcile::siblings : Reconcile::lww;
    NodeOptions options = alone();
    options.coordination.reconcile = mode;
    Bench bench(1, options);
    auto answer_to = [&](Message message) {
      bench.node->on_request(7, 1, std::move(message), bench.now);
      auto replies = bench.node->take_replies();
      REQUIRE(replies.size() == 1);
      return std::move(replies[0].message);
    };
    auto held = [&](const Key& key) {
      return std::get<ReplicaObject>(answer_to(replica_get(key))).object;
    };
    Key written = bench.key_of(true), fresh = bench.key_of(true, 1);
    MintPut right = mint_put(written, 1);
    right.reconcile = mode;
    REQUIRE(std::holds_alternative<Minted>(answer_to(right)));
    Object before = held(written);

    for (const Key& key : {written, fresh}) {
      MintPut wrong = mint_put(key, 2);
      wrong.reconcile = other;
      auto refused = answer_to(wrong);
      REQUIRE(std::holds_alternative<Refused>(refused));
      CHECK(std::get<Refused>(refused).status.code() == Code::invalid_argument);
      CHECK_THAT(std::get<Refused>(refused).status.message(), Contains("as this cluster has it"));
    }
    if (mode == Reconcile::siblings) {
      // A copy that it has from nowhere, beside what is there: the join of both would be last-write-wins.
      Object one = lww_object(bench.id("n9"), a_write(3), 1);
      CHECK(std::holds_alternative<Refused>(answer_to(replica_put(written, one))));
      CHECK(std::holds_alternative<Refused>(answer_to(replica_put(fresh, one))));
    }
    CHECK(held(written) == before);
    CHECK(held(fresh).missing());
  }
}

TEST_CASE("O-1 F-61 a put is taken back from a node that cannot be reached") {
  Handed handed;
  handed.bench.node->on_unreachable(handed.request.to, handed.bench.now);
  handed.expect_taken_back();
}

TEST_CASE("O-1 a put is taken back from a node that is shutting down or overloaded") {
  for (Code code : {Code::unavailable, Code::overloaded}) {
    Handed handed;
    ClientReply busy;
    busy.status = Status(code, "ask another node");
    handed.bench.node->on_reply(handed.request.to, handed.request.number, busy, handed.bench.now);
    handed.expect_taken_back();
  }
}

TEST_CASE(
    "O-1 F-61 L9 a put is taken back from a silent node: soon, if it answers no ping either") {
  bool answers_pings = GENERATE(true, false);
  Handed handed;
  Bench& bench = handed.bench;
  Instant begin = bench.now.instant;
  Duration timeout = bench.options.coordination.timeout;
  Duration patience = bench.options.fault_detector.first_patience;
  std::vector<Node::ToMember> requests;
  bool back = false;
  while (!back && bench.node->next_wake() < begin + timeout) {
    bench.pass(bench.node->next_wake() - bench.now.instant);
    bench.node->on_wake(bench.now);
    for (auto& out : bench.node->take_requests()) {
      back = back || std::holds_alternative<MintPut>(out.message);
      bool hears = answers_pings || out.to != handed.request.to;
      if (std::holds_alternative<Ping>(out.message) && hears)
        bench.node->on_reply(out.to, out.number, Pong{}, bench.now);
      requests.push_back(std::move(out));
    }
  }
  CHECK(bench.now.instant - begin == (answers_pings ? timeout / 2 : patience * 2));
  handed.expect_taken_back(std::move(requests));
}

TEST_CASE("O-1 another error of the chosen node is the client's answer") {
  Handed handed;
  ClientReply failed;
  failed.status = Status(Code::quorum_not_met, "wanted 2, got 1", true);
  handed.bench.node->on_reply(handed.request.to, handed.request.number, failed, handed.bench.now);
  auto replies = handed.bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<ClientReply>(replies[0].message).status == failed.status);
}

TEST_CASE("F-100 L18 a write that nobody waits for any more is refused and counted") {
  Bench bench(1, alone());
  Key key{"", "k"};
  Arrival past, coming;
  past.until = bench.now.instant - Duration::millis(30);
  coming.until = bench.now.instant;
  auto ask = [&](Message message, const Arrival& arrival) {
    bench.node->on_request(7, 1, std::move(message), bench.now, {}, arrival);
    auto replies = bench.node->take_replies();
    REQUIRE(replies.size() == 1);
    return std::move(replies[0].message);
  };
  auto versions = [&] { return bench.ask_for<ReplicaObject>(ReplicaGet{key}).object.versions; };
  SECTION("a MintPut") {
    auto no = ask(mint_put(key, 1), past);
    CHECK(std::get<Refused>(no).status.code() == Code::timeout);
    CHECK_THAT(std::get<Refused>(no).status.message(),
               Catch::Contains("31 ms after it was wanted"));
  }
  SECTION("a client's put: another node may do it") {
    auto no = ask(client_put(key, 1), past);
    CHECK(std::get<ClientReply>(no).status.code() == Code::unavailable);
    CHECK_FALSE(std::get<ClientReply>(no).status.maybe_applied());
  }
  SECTION("a put that was handed on") {
    ClientPut put = client_put(key, 1);
    put.forwarded = true;
    CHECK(std::get<ClientReply>(ask(put, past)).status.code() == Code::unavailable);
  }
  SECTION("reads and orders") {
    CHECK(std::get<Refused>(ask(ReplicaGet{key}, past)).status.code() == Code::timeout);
    CHECK_FALSE(std::get<StatusText>(ask(ClusterCommand{"commit", {}}, past)).status.is_ok());
    bench.state->counters().refused_late = 1;
  }
  CHECK(versions().empty());
  CHECK(bench.state->counters().refused_late.load() == 1);
  // Joining a copy is of use however late.
  CHECK(std::holds_alternative<Stored>(ask(replica_put(key, object_of(Bench::id("n2"), 3)), past)));
  CHECK(std::holds_alternative<Minted>(ask(mint_put(key, 2), coming)));
  CHECK(versions().size() == 2);
}

TEST_CASE("F-100 L18 a thread that was held up after it had read the clock executes nothing late") {
  Bench bench(1, alone());
  Key key{"", "k"};
  Duration held_up{};
  // While the node's work on the request goes on, the driver's clock does, too.
  int looks = 0;
  bench.state->set_clock([&] { return bench.now.instant + (++looks >= 2 ? held_up : Duration{}); });
  Arrival arrival;
  arrival.until = bench.now.instant + Duration::millis(50);
  auto ask = [&] {
    looks = 0;
    bench.node->on_request(7, 1, mint_put(key, 1), bench.now, {}, arrival);
    auto replies = bench.node->take_replies();
    REQUIRE(replies.size() == 1);
    return std::move(replies[0].message);
  };
  held_up = Duration::millis(51);
  auto no = ask();
  REQUIRE(std::holds_alternative<Refused>(no));
  CHECK(std::get<Refused>(no).status.code() == Code::timeout);
  CHECK_FALSE(std::get<Refused>(no).status.maybe_applied());
  held_up = Duration::millis(50);
  CHECK(std::holds_alternative<Minted>(ask()));
}

TEST_CASE("F-100 a put that was handed on, and whose time is over, is not begun here") {
  Handed handed;
  handed.bench.now.instant = handed.bench.now.instant + Duration::seconds(5);
  handed.bench.node->on_unreachable(handed.request.to, handed.bench.now);
  for (auto& out : handed.bench.node->take_requests())
    CHECK_FALSE(std::holds_alternative<MintPut>(out.message));
  auto replies = handed.bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<ClientReply>(replies[0].message).status.code() == Code::timeout);
}

TEST_CASE("F-100 a put is taken back from a node that came to it too late") {
  Handed handed;
  ClientReply late;
  late.status = Status(Code::unavailable, "node n2 came to this request 9 ms after it was wanted");
  handed.bench.node->on_reply(handed.request.to, handed.request.number, late, handed.bench.now);
  handed.expect_taken_back();
}

TEST_CASE(
    "L22 a put that is taken back and refused here may be stored by the node it was handed to") {
  Handed handed;
  Bench& bench = handed.bench;
  NodeId to = handed.request.to;
  bool may_be_stored = true;
  SECTION("which was lost") {
    bench.node->on_unreachable(to, bench.now);
  }
  SECTION("which said that it may be") {
    ClientReply stops;
    stops.status = Status(Code::unavailable, "node n2 ends", true);
    bench.node->on_reply(to, handed.request.number, stops, bench.now);
  }
  SECTION("not so where that node did nothing") {
    ClientReply late;
    late.status =
        Status(Code::unavailable, "node n2 came to this request 9 ms after it was wanted");
    bench.node->on_reply(to, handed.request.number, late, bench.now);
    may_be_stored = false;
  }
  std::vector<Node::ToRequester> replies;
  for (int turn = 0; turn < 50 && replies.empty(); ++turn) {
    for (auto& out : bench.node->take_requests()) {
      if (!std::holds_alternative<MintPut>(out.message)) continue;
      Refused no{Status(Code::invalid_argument, "another write has this id"), 0};
      bench.node->on_reply(out.to, out.number, no, bench.now);
    }
    for (auto& reply : bench.node->take_replies()) replies.push_back(std::move(reply));
    bench.pass(Duration::millis(5));
    bench.node->on_wake(bench.now);
  }
  REQUIRE(replies.size() == 1);
  const Status& status = std::get<ClientReply>(replies[0].message).status;
  CHECK(status.code() == Code::invalid_argument);
  CHECK(status.maybe_applied() == may_be_stored);
}

TEST_CASE("R6.4-b a table that the asker has is not sent again") {
  Bench bench;
  RingTable all = bench.ask_for<RingTable>(RingPull{});
  CHECK(!all.unchanged);
  CHECK(all.options.members == bench.ring->members());
  CHECK(all.owners == bench.ring->owners());
  CHECK(all.r == 2);
  CHECK(all.w == 2);

  RingPull same;
  same.have_epoch = bench.ring->epoch();
  same.have_digest = bench.ring->digest();
  RingTable none = bench.ask_for<RingTable>(same);
  CHECK(none.unchanged);
  CHECK(none.owners.empty());
  RingPull other = same;
  ++other.have_digest;
  CHECK(!bench.ask_for<RingTable>(other).unchanged);
  other = same;
  ++other.have_epoch;
  CHECK(!bench.ask_for<RingTable>(other).unchanged);

  bench.state->set_ring(ring_of(4, 3, 1000));
  RingTable newer = bench.ask_for<RingTable>(same);
  CHECK(!newer.unchanged);
  CHECK(newer.options.epoch == 1000);
}

TEST_CASE("M-3 a client that coordinates by itself is held to the limits of keys, in reads too") {
  NodeOptions options = alone();
  options.max_key_bytes = 10;
  Bench bench(1, options);
  auto code = [&](const Message& message) { return bench.ask_for<Refused>(message).status.code(); };
  for (const Key& key : {Key{"b", "0123456789"}, Key{"b", ""}}) {
    Code wanted = key.key.empty() ? Code::invalid_argument : Code::too_large;
    ReplicaGet get;
    get.key = key;
    CHECK(code(get) == wanted);
    CHECK(code(mint_put(key, 1)) == wanted);
    CHECK(code(replica_put(key, object_of(Bench::id("n2"), 3))) == wanted);
    CHECK(bench.ask_for<ClientReply>(client_get(key)).status.code() == wanted);
    CHECK(bench.ask_for<ClientReply>(client_put(key, 2)).status.code() == wanted);
  }
}

TEST_CASE("R6.4-b every client reply carries the epoch of the node's table") {
  Bench bench(1, alone());
  CHECK(bench.ask_for<ClientReply>(client_get({"", "k"})).ring_epoch == bench.ring->epoch());
  bench.state->set_ring(ring_of(1, 3, 1009));
  CHECK(bench.ask_for<ClientReply>(client_get({"", "k"})).ring_epoch == 1009);
  ClientPut nameless = client_put({"", "k"}, 1);
  nameless.write.write_id = WriteId{};
  CHECK(bench.ask_for<ClientReply>(nameless).ring_epoch == 1009);
}

TEST_CASE("L13 with durability disk the acknowledgement waits for the platter") {
  NodeOptions options;
  options.coordination.durability = WriteDurability::disk;
  Bench bench(4, options);
  Key key = bench.key_of(true);
  bench.node->on_request(7, 1, mint_put(key, 1), bench.now);
  bench.node->on_request(8, 2, mint_put(key, 2), bench.now);
  bench.node->on_request(9, 3, replica_put(key, object_of(Bench::id("n2"), 3)), bench.now);
  CHECK(bench.node->take_replies().empty());
  CHECK(!bench.node->idle());
  // One that asks for less does not wait.
  MintPut log = mint_put(key, 4);
  log.durability = WriteDurability::log;
  bench.ask_for<Minted>(log);

  auto durable = bench.state->engine().durable_up_to();
  bench.node->on_durable(durable, bench.now);
  CHECK(bench.node->take_replies().empty());
  bench.node->on_durable(durable + 1, bench.now);  // the first of the three
  auto replies = bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].link == 7);
  CHECK(std::holds_alternative<Minted>(replies[0].message));
  bench.node->on_link_closed(8);  // nobody waits for the second any more
  bench.disk.sync();
  bench.node->on_durable(bench.state->engine().durable_up_to(), bench.now);
  replies = bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].link == 9);
  CHECK(std::holds_alternative<Stored>(replies[0].message));
  CHECK(bench.node->idle());
}

TEST_CASE("L13 L14 a held check is answered when the platter has what it confirms, by one flush") {
  Bench bench;
  auto owned = [&](std::uint32_t partition, int skip) {
    for (int i = 0;; ++i) {
      Key key{"carts", "k" + std::to_string(i)};
      if (bench.ring->partition_of(token_of(key)) == partition && skip-- == 0) return key;
    }
  };
  HeldCheck check;
  check.partition = bench.ring->partition_of(token_of(bench.key_of(true)));
  const Object object = object_of(Bench::id("n2"), 1);
  for (int i = 0; i < 3; ++i) {
    check.keys.push_back(owned(check.partition, i));
    check.clock_hashes.push_back(clock_hash(object));
  }
  // Held by the log only; of the last one nothing is here.
  for (int i : {0, 1}) bench.ask_for<Stored>(replica_put(check.keys[i], object));
  CHECK(bench.disk.synced_rows(Table::objects).empty());
  auto durable = bench.state->engine().durable_up_to();
  bench.node->on_request(7, 1, check, bench.now, Bench::id("n2"));
  CHECK(bench.node->take_replies().empty());
  bench.disk.sync();
  CHECK(bench.state->engine().durable_up_to() == durable + 1);
  bench.node->on_durable(durable + 1, bench.now);
  auto replies = bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<HeldAnswer>(replies[0].message).lacking == std::vector<std::uint32_t>{2});
  bench.restart_after_power_loss();
  for (int i : {0, 1}) CHECK(bench.got(check.keys[i]) == object);

  // All on the platter: at once. A damaged copy is none.
  auto ask = [&](const Message& question, NodeId from) {
    bench.node->on_request(7, 2, question, bench.now, from);
    auto said = bench.node->take_replies();
    REQUIRE(said.size() == 1);
    return said[0].message;
  };
  bench.disk.sync();
  CHECK(std::get<HeldAnswer>(ask(check, Bench::id("n2"))).lacking.size() == 1);
  bench.disk.damage(Table::objects, object_row(check.partition, check.keys[0]));
  CHECK(std::get<HeldAnswer>(ask(check, Bench::id("n2"))).lacking ==
        std::vector<std::uint32_t>{0, 2});

  auto refused = [&](const Message& said) {
    REQUIRE(std::holds_alternative<Refused>(said));
    return std::get<Refused>(said).status.message();
  };
  CHECK_THAT(refused(ask(check, NodeId{})), Catch::Contains("wanted a member of the cluster"));
  // Somebody who may be a member that this node has not heard of yet may come again.
  TransferPull pull;
  pull.partitions = 8;
  pull.max_bytes = 1000;
  auto stranger = ask(pull, Bench::id("n9"));
  REQUIRE(std::holds_alternative<Refused>(stranger));
  CHECK(std::get<Refused>(stranger).status.code() == Code::unavailable);
  CHECK(std::get<Refused>(stranger).retry_after_ms == 200);
  CHECK_THAT(refused(stranger), Catch::Contains("none that this node knows of"));
  HeldCheck foreign;
  foreign.keys = {bench.key_of(false)};
  foreign.partition = bench.ring->partition_of(token_of(foreign.keys[0]));
  foreign.clock_hashes = {clock_hash(object)};
  bench.ask_for<Stored>(replica_put(foreign.keys[0], object));
  CHECK_THAT(refused(ask(foreign, Bench::id("n2"))), Catch::Contains("is not this node's"));
}

// Lane 0 may hear the last owner while another lane stores what somebody pushes here.
TEST_CASE("L14 a copy that is stored for somebody is not erased before that is confirmed") {
  Bench bench;
  const Key key = bench.key_of(false);
  const Object object = object_of(Bench::id("n2"), 1);
  bench.ask_for<Stored>(replica_put(key, object));
  std::vector<Node::ToMember> asked;
  for (int i = 0; i < 5 && asked.empty(); ++i) {
    bench.pass(Duration::seconds(1));
    bench.node->on_wake(bench.now);
    for (auto& request : bench.node->take_requests()) {
      if (std::holds_alternative<HeldCheck>(request.message)) asked.push_back(std::move(request));
    }
  }
  REQUIRE(asked.size() == 3);
  for (int i : {0, 1}) bench.node->on_reply(asked[i].to, asked[i].number, HeldAnswer{}, bench.now);
  bool heard = false;
  bench.disk.on_written = [&](Table, BytesView, BytesView) {
    if (std::exchange(heard, true)) return;
    std::thread([&] {
      bench.node->on_reply(asked[2].to, asked[2].number, HeldAnswer{}, bench.now);
    }).join();
  };
  ReplicaPut put = replica_put(key, object);
  put.durability = WriteDurability::disk;
  bench.node->on_request(7, 1, put, bench.now);
  CHECK(heard);
  CHECK(bench.got(key) == object);
}

TEST_CASE("L13 the node's own copy is no vote before the platter has it") {
  NodeOptions options = alone();
  options.coordination.durability = WriteDurability::disk;
  Bench bench(1, options);
  bench.node->on_request(7, 1, client_put({"", "k"}, 1), bench.now);
  CHECK(bench.node->take_replies().empty());
  bench.disk.sync();
  bench.node->on_durable(bench.state->engine().durable_up_to(), bench.now);
  auto replies = bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<ClientReply>(replies[0].message).status.is_ok());
  // As the acknowledgement said: it survives the machine.
  bench.restart_after_power_loss();
  CHECK(bench.got({"", "k"}).versions.size() == 1);
}

// A write to a partition that moves from this node to n9, and the message that n9 gets of it.
struct Moving {
  Moving() : bench(3) {
    bench.let_join("n9");
    newcomer = Bench::id("n9");
    key = a_key(0);
  }
  Key a_key(int skip) const {
    for (int i = 0;; ++i) {
      Key each{"carts", "k" + std::to_string(i)};
      std::uint32_t partition = bench.ring->partition_of(token_of(each));
      const auto& outgoing = bench.ring->outgoing(partition);
      bool goes = std::find(outgoing.begin(), outgoing.end(), bench.self()) != outgoing.end();
      if (goes && skip-- == 0) return each;
    }
  }
  // To n9; the others are pinged or whatever they are.
  std::vector<Node::ToMember> to_newcomer() {
    auto all = bench.node->take_requests();
    std::erase_if(all, [&](const Node::ToMember& out) {
      return out.to != newcomer || !std::holds_alternative<ReplicaPut>(out.message);
    });
    return all;
  }
  std::vector<Hint> hints() {
    auto all = bench.replica->hints_for(newcomer, nullptr, 100);
    REQUIRE(all.is_ok());
    return *all;
  }
  Bench bench;
  NodeId newcomer;
  Key key;
};

TEST_CASE("O-15 R4.9-a a write to a partition that moves goes to its new owner at once") {
  Moving moving;
  Bench& bench = moving.bench;
  Object minted = bench.ask_for<Minted>(mint_put(moving.key, 1)).object;
  auto sent = moving.to_newcomer();
  REQUIRE(sent.size() == 1);
  CHECK(std::get<ReplicaPut>(sent[0].message).object == minted);
  CHECK(moving.hints().empty());
  CHECK_FALSE(bench.node->idle());  // a graceful stop waits for it
  bench.node->on_reply(moving.newcomer, sent[0].number, Stored{}, bench.now);
  CHECK(bench.node->idle());
  CHECK(moving.hints().empty());

  // Of what comes as a copy all that is here then; nothing of what was here already.
  Object other = object_of(Bench::id("n2"), 2);
  bench.ask_for<Stored>(replica_put(moving.key, other));
  sent = moving.to_newcomer();
  REQUIRE(sent.size() == 1);
  CHECK(std::get<ReplicaPut>(sent[0].message).object.versions.size() == 2);
  bench.node->on_reply(moving.newcomer, sent[0].number, Stored{}, bench.now);
  bench.ask_for<Stored>(replica_put(moving.key, other));
  CHECK(moving.to_newcomer().empty());
  CHECK_THAT(bench.node->status_json(), Contains("\"dual_writes\":2"));
}

TEST_CASE("O-12 O-15 a new owner that does not take a write gets a hint of all that is here") {
  Moving moving;
  Bench& bench = moving.bench;
  bench.ask_for<Minted>(mint_put(moving.key, 1));
  auto sent = moving.to_newcomer();
  REQUIRE(sent.size() == 1);
  SECTION("refused") {
    bench.node->on_reply(moving.newcomer, sent[0].number,
                         Refused{Status(Code::overloaded, "later"), 10}, bench.now);
  }
  SECTION("silent") {
    bench.pass(Duration::millis(1000));
    CHECK(bench.node->next_wake() <= bench.now.instant);
    bench.node->on_wake(bench.now);
  }
  SECTION("gone, and what comes meanwhile is left as a hint at once") {
    bench.node->on_unreachable(moving.newcomer, bench.now);
    REQUIRE(bench.node->health().is_down(moving.newcomer));
    bench.node->take_requests();
    Key other = moving.a_key(1);
    bench.ask_for<Minted>(mint_put(other, 2));
    CHECK(moving.to_newcomer().empty());
    auto hints = moving.hints();
    REQUIRE(hints.size() == 2);
    CHECK(hints[hints[0].key == other ? 0 : 1].object == bench.got(other));
    CHECK(bench.replica->drop_if_same(hints[hints[0].key == other ? 0 : 1]));
  }
  auto hints = moving.hints();
  REQUIRE(hints.size() == 1);
  CHECK(hints[0].key == moving.key);
  CHECK(hints[0].object == bench.got(moving.key));
  CHECK_THAT(bench.node->status_json(),
             Contains("\"dual_writes_hinted\":1,") && Contains("\"dual_writes_failed\":0,"));
}

TEST_CASE("O-15 a write that a new owner misses for a while is counted") {
  Moving moving;
  Bench& bench = moving.bench;
  bench.ask_for<Minted>(mint_put(moving.key, 1));
  auto sent = moving.to_newcomer();
  REQUIRE(sent.size() == 1);
  bench.disk.set_broken(true);  // so not even a hint can be left: anti-entropy brings it
  bench.node->on_reply(moving.newcomer, sent[0].number, Refused{Status(Code::busy, "no"), 0},
                       bench.now);
  bench.disk.set_broken(false);
  CHECK(moving.hints().empty());
  CHECK_THAT(bench.node->status_json(),
             Contains("\"dual_writes_hinted\":0,") && Contains("\"dual_writes_failed\":1,"));
}

TEST_CASE("an operator's questions have answers in JSON, others a sentence") {
  Bench bench(1, alone());
  bench.ask_for<ClientReply>(client_put({"carts", "alice"}, 1));
  CHECK_THAT(bench.ask_for<StatusText>(query("status")).json,
             Contains("\"node\":\"n1\"") && Contains("\"puts\":1"));
  CHECK(bench.ask_for<StatusText>(query("hints")).json == "{\"hints\":0}");
  CHECK_THAT(bench.ask_for<StatusText>(query("replica", {"carts", "alice"})).json,
             Contains("\"key\":\"alice\"") && Contains("milk"));
  Status wrong = bench.ask_for<StatusText>(query("weather")).status;
  CHECK(wrong.code() == Code::invalid_argument);
  CHECK_THAT(wrong.message(), Contains("\"weather\""));
}

TEST_CASE("R6.3-a what reads showed is counted by siblings, not by stored versions") {
  Bench bench(1, alone());
  Key key{"carts", "alice"};
  auto& counts = bench.state->counters().versions_per_get;
  bench.ask_for<ClientReply>(client_get(key));
  CHECK(counts[0] == 1);
  // One write that two replicas minted: two versions are stored, one is shown.
  bench.ask_for<Stored>(replica_put(key, object_of(Bench::id("n2"), 5)));
  bench.ask_for<Stored>(replica_put(key, object_of(Bench::id("n3"), 5)));
  CHECK(bench.ask_for<ClientReply>(client_get(key)).object.versions.size() == 2);
  CHECK(counts[1] == 1);
  CHECK(counts[2] == 0);
  for (std::uint64_t write = 6; write < 12; ++write)
    bench.ask_for<Stored>(replica_put(key, object_of(NodeId{write}, write)));
  bench.ask_for<ClientReply>(client_get(key));
  CHECK(counts[4] == 1);  // four and more
}

TEST_CASE(
    "F-45 a hint goes to its target, or to all owners when the target owns the key no longer") {
  Bench bench(6);
  Key key = bench.key_of(true);
  const auto& list = bench.ring->preference_list(token_of(key));
  std::vector<NodeId> owners(list.begin(), list.begin() + 3);
  CHECK(bench.state->upkeep().targets_for({list[1], key, {}}) == std::vector<NodeId>{list[1]});
  CHECK(bench.state->upkeep().targets_for({list[3], key, {}}) == owners);
  CHECK(bench.state->upkeep().targets_for({NodeId{77}, key, {}}) == owners);
}

namespace {

// Whom the node counts in a strict request for the key, as another coordinator would.
CountedNodes counted_by(const Ring& ring, const Key& key) {
  return {ring.owners_and_incoming(ring.partition_of(token_of(key))), ring.epoch()};
}

// A key of which `node` will be an owner when what moves has arrived.
Key key_that_moves_to(const Ring& ring, NodeId node) {
  for (int i = 0;; ++i) {
    Key key{"carts", "k" + std::to_string(i)};
    const auto& incoming = ring.incoming(ring.partition_of(token_of(key)));
    if (std::count(incoming.begin(), incoming.end(), node) > 0) return key;
  }
}

}  // namespace

TEST_CASE(
    "L21 O-15 a replica does not vote for a strict request that counts fewer owners than it knows "
    "of") {
  Bench bench(4);
  auto before = bench.ring;
  bench.let_join("n5");
  Key key = key_that_moves_to(*bench.ring, Bench::id("n5"));
  ReplicaGet get = replica_get(key);
  bench.ask_for<ReplicaObject>(get);  // not strict: as ever
  get.counted = counted_by(*bench.ring, key);
  CHECK(get.counted.nodes.size() == 4);
  bench.ask_for<ReplicaObject>(get);

  MintPut mint = mint_put(key, 1);
  ReplicaPut put = replica_put(key, object_of(Bench::id("n2"), 2));
  get.counted = mint.counted = put.counted = counted_by(*before, key);
  for (Message message : {Message(get), Message(mint), Message(put)}) {
    Status refused = bench.ask_for<Refused>(message).status;
    CHECK(refused.code() == Code::unavailable);
    CHECK(refused.retryable());
    CHECK_FALSE(refused.maybe_applied());
    CHECK_THAT(refused.message(), Contains("partitions are moving, ask again"));
  }
  CHECK(bench.got(key).missing());
  // A hint is nobody's vote.
  mint.hint_for = Bench::id("n3");
  mint.counted = {};
  bench.ask_for<Minted>(mint);
}

TEST_CASE("L21 a coordinator that has heard of a flip before the replica has its vote") {
  Bench bench(4);
  bench.let_join("n5");
  Key key = key_that_moves_to(*bench.ring, Bench::id("n5"));
  std::uint32_t partition = bench.ring->partition_of(token_of(key));
  ReplicaGet get = replica_get(key);
  get.counted = {bench.ring->owners_in_the_end(partition), bench.ring->epoch() + 1};
  bench.ask_for<ReplicaObject>(get);
  // The same owners as somebody sees them who has heard less: the one that goes still counts.
  get.counted.ring_epoch = bench.ring->epoch() - 1;
  bool stays = bench.ring->outgoing(partition).empty();
  CHECK(std::holds_alternative<Refused>(bench.ask(get)) != stays);
}

TEST_CASE("L21 a strict request counts who will own the key, and may miss no more of them") {
  NodeOptions options;
  Bench bench(4, options);
  bench.let_join("n5");
  Key key = key_that_moves_to(*bench.ring, Bench::id("n5"));
  ClientGet get = client_get(key);
  get.options.strict = true;
  bench.node->on_request(7, 1, get, bench.now);
  auto asked = bench.node->take_requests();
  std::set<NodeId> whom;
  for (const auto& out : asked) {
    if (const auto* question = std::get_if<ReplicaGet>(&out.message)) {
      whom.insert(out.to);
      CHECK(question->counted == counted_by(*bench.ring, key));
    }
  }
  whom.insert(bench.self());
  const auto owners = counted_by(*bench.ring, key).nodes;
  if (std::count(owners.begin(), owners.end(), bench.self()) == 0) whom.erase(bench.self());
  CHECK(whom == std::set<NodeId>(owners.begin(), owners.end()));
  std::size_t answers = whom.contains(bench.self()) ? 1 : 0;
  for (const auto& out : asked) {
    if (!std::holds_alternative<ReplicaGet>(out.message)) continue;
    CHECK(bench.node->take_replies().empty());
    bench.node->on_reply(out.to, out.number, ReplicaObject{}, bench.now);
    if (++answers == 3) break;  // R + 1 of N + 1
  }
  auto replies = bench.node->take_replies();
  REQUIRE(replies.size() == 1);
  const auto& reply = std::get<ClientReply>(replies[0].message);
  CHECK(reply.status.is_ok());
  CHECK(reply.tally.wanted == 3);
}

// Who leaves makes others owners, and one of them others again (Ring::companions).
TEST_CASE(
    "L7 R4.9 a node that has all itself flips when those have all who become owners with it") {
  Bench bench(4);
  Changes changes;
  auto view = bench.state->first_view();
  REQUIRE(changes.leave(view, "n2").is_ok());
  auto next = changes.commit(view, bench.self(), 1000);
  REQUIRE(next.is_ok());
  REQUIRE_FALSE(next->arriving(bench.self()).empty());
  const auto companions = next->ring()->companions(bench.self());
  REQUIRE_FALSE(companions.empty());
  bench.ask_for<GossipAnswer>(Gossip{"n3", "n3:1", view.cluster(), next->digest(), next->encode()});

  std::set<std::uint32_t> arrived;          // here
  std::set<NodeId> asked;                   // whether they have all
  const std::set<NodeId>* ready = nullptr;  // who says so
  auto run = [&](Duration time) {
    for (Instant end = bench.now.instant + time; bench.now.instant < end;) {
      bench.pass(Duration::millis(100));
      bench.node->on_wake(bench.now);
      for (auto& out : bench.node->take_requests()) {
        auto* pull = std::get_if<TransferPull>(&out.message);
        if (pull == nullptr) continue;
        bool whether = pull->max_bytes == 0;
        whether ? (void)asked.insert(out.to) : (void)arrived.insert(pull->partition);
        Message reply = TransferPage{{}, true, checksum_of({})};
        if (whether && (ready == nullptr || !ready->contains(out.to)))
          reply = Refused{Status(Code::unavailable, "not all here yet"), 1000};
        bench.node->on_reply(out.to, out.number, reply, bench.now);
      }
    }
  };
  auto flipped = [&] { return bench.state->ring()->epoch() != next->ring()->epoch(); };
  run(Duration::seconds(60));
  CHECK(arrived.size() == next->ring()->pulls(bench.self()).size());
  CHECK(asked.size() == companions.size());
  CHECK_FALSE(flipped());
  // All but one of them.
  std::set<NodeId> some;
  for (const auto& [node, partitions] : companions) some.insert(node);
  NodeId last = *some.begin();
  some.erase(last);
  ready = &some;
  run(Duration::seconds(60));
  CHECK_FALSE(flipped());
  some.insert(last);
  run(Duration::seconds(60));
  CHECK(flipped());
}

}  // namespace ringlet::test
