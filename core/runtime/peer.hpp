// A connection to one node, made when there is something to say and made again when it broke. Only on
// the I/O thread that owns it.
//
//   idle        send() connects
//   connecting  messages wait. A name is looked up, within look_up_within. Then its addresses are tried, the
//               next one when the one before failed or was mute for try_next_after (RFC 8305); the first
//               that ends its handshake is taken, so a process that sleeps, or another service, behind one of
//               the addresses costs no more than that. Connect and handshake have connect_within each. What
//               is not wanted any more when the connection is there is not sent
//   ready       messages go out with the next flush()
//   resting     after a failure, for a pause that doubles until a connection has lasted; messages wait for the
//               next try
//
// A refused or broken connection is told at once through on_unreachable: nothing sent or waiting
// will be answered. Its reason's code: timeout, the other side was silent; unavailable, refused or reset;
// invalid_argument, unsupported or corrupt, and it will be the same again: no such name, another cluster,
// another version, no Ringlet node at all. A connection that the node ends because it is idle says nothing
// about the node: the peer is idle again, and the next message connects.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/connection.hpp"
#include "wire/handshake.hpp"

namespace ringlet {

class Peer final : public Connection::Events {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    virtual void on_reply(NodeId from, std::uint64_t number, Message message) = 0;
    virtual void on_unreachable(NodeId node, const Status& why) = 0;
    // A message that waited for the connection is about to be written: is it wanted still?
    virtual bool still_wanted(std::uint64_t) { return true; }
    // A large message was not sent: too much waits for the node already. Never from inside send().
    virtual void on_not_sent(NodeId, std::uint64_t, Refused) {}
  };
  struct Options {
    wire::Hello hello;
    Connection::Limits limits;
    Duration connect_within = Duration::millis(250);
    Duration try_next_after = Duration::millis(50);
    Duration look_up_within = Duration::seconds(5);
    Duration first_pause = Duration::millis(10);
    Duration longest_pause = Duration::millis(250);
    // Large messages beyond limits.max_queued_bytes are refused by on_not_sent(). False: they are sent,
    // and the connection is dropped at twice as much.
    bool refuses_what_is_too_much = false;
  };

  Peer(IoThread& thread, NodeId to, std::string address, Options options, Events& events);
  ~Peer() override;

  void set_address(const std::string& address) { address_ = address; }  // for the next connection
  void set_expected(NodeId id) { expected_ = id; }  // who must answer there; nobody: anyone
  // False: it waits for the connection, and nothing of it has left.
  bool send(std::uint64_t number, Message message, const Asking& asking = {});
  void flush();
  // As Connection::hold(), for the connection there is and for those to come.
  void hold(bool reading, bool writing);
  void check(Instant now);

 private:
  enum class State { idle, connecting, ready, resting };
  struct Waiting {
    std::uint64_t number;
    Message message;
    Asking asking;
    Instant since;
  };
  // One address while it is tried.
  struct Try {
    tcp::endpoint endpoint;
    std::unique_ptr<tcp::socket> socket;  // until it is connected
    std::shared_ptr<Connection> connection;
    bool over = false;
    Status why;  // of its end
  };
  Status on_frame(Connection& connection, const wire::Frame& frame) override;
  Status on_welcome(Connection& connection, const wire::Frame& frame);
  void on_closed(Connection& connection, const Status& why) override;
  void connect();
  void look_up(const std::string& host, std::uint16_t port);
  void try_all(std::vector<tcp::endpoint> endpoints);
  void try_next();
  void on_connected(std::size_t which, ErrorCode error);
  void end_try(std::size_t which, const Status& why);
  void end_tries();
  void fail_when_late(Duration within, Status why);
  Status why_none() const;
  void fail(const Status& why);
  void end_quietly();
  bool refuse(std::uint64_t number, std::size_t bytes);
  void rest();

  IoThread& thread_;
  NodeId to_, expected_;
  std::string address_;
  Options options_;
  Events& events_;
  State state_ = State::idle;
  std::uint64_t attempt_ = 0;  // of connecting; what an older one brings is ignored
  Duration pause_;
  Instant ready_since_ = Instant::never();
  std::vector<Waiting> waiting_;
  std::size_t waiting_payload_ = 0;
  std::size_t unanswered_ = 0;  // sent on this connection
  int failures_ = 0;            // in a row, since a connection was last ready
  std::shared_ptr<Connection> connection_;
  bool reading_held_ = false, writing_held_ = false;
  std::uint64_t look_up_ = 0;
  std::vector<Try> tries_;    // while it connects
  std::size_t tried_ = 0;     // of them
  tcp::endpoint last_good_;   // tried first the next time, if it is among the addresses then
  asio::steady_timer timer_;  // look_up_within; connect_within; the pause
  asio::steady_timer next_;   // try_next_after
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ringlet
