// Hosts the request machines of one member or client: plans them from the ring and the local
// opinion of who is gone, numbers their messages, routes the answers back, keeps their clocks.
// The same class coordinates inside a node (self is a member: messages to self are handed to the
// node's own replica by its driver) and inside a client (self is nobody; O-1, R6.4-b).
//
// Single-threaded: every call on the thread (or lane) that owns it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/effects.hpp"
#include "protocol/health.hpp"
#include "protocol/outgoing.hpp"
#include "ring/ring.hpp"
#include "versioning/encoding.hpp"

namespace ringlet {

struct CoordinationOptions {
  std::uint8_t r = 2, w = 2;
  Reconcile reconcile = Reconcile::siblings;
  Duration timeout = Duration::millis(1000);  // a request that names none
  Duration max_timeout = Duration::seconds(3600);
  Duration linger = Duration::millis(1000);  // after the answer, for late replies (R5-e)
  WriteDurability durability = WriteDurability::log;
  // Last-write-wins stamps never fall behind the ones given before, but for a clock that was set back by
  // more than this: half of what replicas take by default (O-19).
  Duration max_stamp_ahead = Duration::seconds(30);
};

class Coordinator {
 public:
  // The finished request; called exactly once a request, from within a call below.
  using OnAnswer = std::function<void(ClientReply reply)>;

  // `health` outlives the coordinator. `self` is nobody for a client.
  Coordinator(NodeId self, CoordinationOptions options, Health& health);
  ~Coordinator();

  void set_ring(std::shared_ptr<const Ring> ring);
  void set_options(CoordinationOptions options);  // for requests that start later
  const std::shared_ptr<const Ring>& ring() const;

  // `arrival`: of the client's request, where another host sent it. The time that it was on its way is
  // part of its timeout, and a put is not begun again by a coordinator that slept for longer than the
  // client bears silence.
  void get(const Key& key, const RequestOptions& options, Now now, OnAnswer on_answer,
           const Arrival& arrival = {});
  // Put and delete. `context` is decoded; last-write-wins is the coordinator's own option.
  // `preferred`: who mints first if it is an owner and healthy (nobody: self if an owner, else the
  // first healthy owner).
  void put(const Key& key, const ClientContext& context, Write write, const RequestOptions& options,
           NodeId preferred, Now now, OnAnswer on_answer, const Arrival& arrival = {});

  void on_reply(NodeId from, RequestId number, Message message, Now now);
  // The message was not sent to `to`, for the reason given: as if `to` had refused it, but that nothing
  // was heard of `to`.
  void on_not_sent(NodeId to, RequestId number, Refused why, Now now);
  void on_unreachable(NodeId node, Now now);  // every message under way to it is refused
  void on_wake(Now now);
  // Fails every request not yet answered with `status` (maybe_applied set where it must be), and
  // forgets them all. For close().
  void abandon(const Status& status, Now now);

  // Effects since the last call.
  std::vector<Outgoing> take_outgoing();
  // As ClientCore's: a message that waits for its connection has not left, and may not once its request
  // has been answered as one that was not applied.
  void on_held(RequestId number);
  bool still_wanted(RequestId number);
  Instant next_wake() const;      // Instant::never() when idle
  std::size_t in_flight() const;  // machines alive, lingering ones included
  std::size_t unanswered() const;
  std::size_t questions() const;  // messages without a reply yet
  // How many messages were sent to another replica while a late one was still awaited, since the last call
  // of this function.
  std::uint64_t take_asked_early();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
