// The client library without I/O: finds the nodes, chooses who coordinates, retries with the same
// write id, keeps deadlines. runtime/client.hpp drives it on sockets, sim/ on virtual time.
//
// A node that is overloaded says when to come back. The call asks the others meanwhile, and that
// node not before the time it named and a part of it more, by chance; never past the deadline: then
// the refusal is the answer. Asking again after a refusal is rationed, a tenth of the calls and a
// few, so that an overloaded cluster is not asked many times for each call.
//
// A node that is late by its own measure is not waited for: a second one is asked early, with the same write
// id, the first answer counts and the other is dropped (client_core.cpp says when, and how often).
//
// Seeds stay in use: where no member is reachable, but a load balancer or a port map in front of them, calls
// go through it, also those of client coordination, which a node then coordinates.
//
// Single-threaded: every call on the thread that owns it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "client/update_operation.hpp"
#include "coordination/coordinator.hpp"
#include "document/edits.hpp"
#include "membership/fault_detector.hpp"

namespace ringlet {

// A write may be repeated with its id for as long. It is the longest time-out too, so no attempt that is
// still under way is older.
inline constexpr Duration write_life = Duration::seconds(3600);

enum class Coordination : std::uint8_t { server = 0, client = 1 };

struct ClientOptions {
  std::string cluster = "ringlet";  // its name; a node of another cluster is refused
  std::vector<std::string> seeds;   // "host:port", at least one
  Coordination coordination = Coordination::server;
  Duration timeout = Duration::millis(1000);  // a whole call, retries included
  Duration refresh = Duration::seconds(10);   // routing table pull, jittered (R6.4-b, O-21)
  std::size_t max_in_flight = 10'000;         // calls at once; more is overloaded
  FaultDetector::Options fault_detector;
  // The name servers to ask, "address:port,…" in numbers; empty: the servers of /etc/resolv.conf. A
  // name that stands in /etc/hosts is looked up there and not asked of a server.
  std::string name_servers;
  LogSink log;
};

// What a client's calls came to. Any thread may read it.
struct ClientCounters {
  std::atomic<std::uint64_t> gets{0}, puts{0};  // that ended; a delete is a put
  std::atomic<std::uint64_t> failed{0};         // of them
  std::atomic<std::uint64_t> versions_per_get[5] =
      {};  // reads that found 0, 1, 2, 3, 4 and more (R6.3-a)
  std::atomic<std::uint64_t> asked_early{
      0};  // messages to a second node while the first was waited for
  std::atomic<std::uint64_t> asked_a_node{
      0};  // client coordination, but too few members were in reach
};

class ClientCore {
 public:
  enum class Kind { get, put, erase };
  struct Request {
    Kind kind = Kind::get;
    Key key;
    Bytes context;  // put, erase: from an earlier reply; empty: blind
    Bytes value;
    Bytes content_type;
    WriteId write_id;  // zero: drawn here
    RequestOptions options;
  };
  using Outcome = ClientOutcome;
  using OnDone = std::function<void(Outcome outcome)>;

  // A message for a node; connect to `address` when there is no connection to `to`. A seed that has
  // not said who it is has an id of its own.
  struct Outgoing {
    NodeId to;
    std::string address;
    std::uint64_t number;
    Message message;
    Asking asking;  // how long it is wanted
  };

  ClientCore(ClientOptions options, std::uint64_t seed);
  ~ClientCore();

  void start(Now now);  // pulls the routing table
  // `on_done` is called exactly once, from inside this or a later call. Returns the number for cancel().
  // `since`: when the application asked, if that was earlier than now: its deadline counts from then,
  // and nothing is sent that is past it.
  std::uint64_t submit(Request request, Now now, OnDone on_done, Instant since = Instant::never());
  // An update (client/update_operation.hpp): reads, asks, writes, merges. `request` says key, options,
  // content type and, where it is wanted, the edit's write id; its timeout is the whole update's.
  // `on_ask` is called from inside this or a later call, with the update's number; the answer may come
  // from inside it or at any time later. Unanswered, the update ends at its deadline.
  struct Update {
    Request request;
    std::uint32_t attempts = 16;  // questions, at least 1
    Deletes deletes = Deletes::lose;
    std::function<void(std::uint64_t update, UpdateQuestion question)> on_ask;
  };
  std::uint64_t update(Update update, Now now, OnDone on_done, Instant since = Instant::never());
  // An update of a document in which the client applies the edits and merges the siblings, so that no
  // application code is called. The edits are checked before anything is sent. Edits that do not fit the
  // document that was read end the call with invalid_argument, and nothing is written.
  struct Edit {
    Request request;  // as an update's; its value and content type are not looked at
    document::Edits edits;
    std::uint32_t attempts = 16;
    Deletes deletes = Deletes::lose;  // `ask` counts as `lose`: no resolver is called
  };
  std::uint64_t edit(Edit edit, Now now, OnDone on_done, Instant since = Instant::never());
  // Answers the question `attempt` of an update. closed: the update is over, or was answered already.
  Status answer(std::uint64_t update, std::uint32_t attempt, UpdateAnswer answer, Now now);
  // For an on_ask that writes documents by itself: whether the write with this fingerprint is one of this
  // client's latest and was executed once for ever (document::Settled).
  bool is_settled(std::uint64_t print) const;
  void cancel(std::uint64_t request,
              Now now);  // CANCELLED, maybe applied once a write left; late: no effect
  void close(const Status& why, Now now);  // everything unanswered ends with it

  void on_reply(NodeId from, std::uint64_t number, Message message, Now now);
  // `why` as Peer gives it (runtime/peer.hpp): calls that reach no node end with its words, and at once
  // when it is final for all of them.
  void on_unreachable(NodeId node, Now now, const Status& why = {});
  void on_wake(Now now);
  std::vector<Outgoing> take_outgoing();
  // A message that was taken waits for its connection: nothing of it has left. Before it leaves after all,
  // still_wanted() is asked: no, when its call is over, because that may have been told that nothing was sent.
  void on_held(std::uint64_t number);
  bool still_wanted(std::uint64_t number);
  Instant next_wake() const;

  std::shared_ptr<const Ring> ring() const;  // nullptr: none pulled yet
  // Why there is none, each seed with its reason: timeout where one is silent, else unavailable.
  Status why_no_ring() const;
  bool no_ring_for_ever() const;  // no seed can ever be reached, as on_unreachable() says
  std::size_t unanswered() const;
  Reconcile reconcile() const;
  const ClientOptions& options() const;
  const ClientCounters& counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "n1: the connection was refused", as errors name whom they could not reach.
std::string named_reason(const std::string& name, const Status& why);

}  // namespace ringlet
