// A connection to one node, made when there is something to say and made again when it broke. Only on
// the I/O thread that owns it.
//
//   idle        send() connects
//   connecting  messages wait; connect and handshake together have connect_within. What is not wanted
//               any more when the connection is there is not sent
//   ready       messages go out with the next flush()
//   resting     after a failure, for a pause that doubles; messages wait for the next try
//
// A refused or broken connection is told at once through on_unreachable: nothing sent or waiting
// will be answered. One that the node ends because it is idle says nothing about the node: the peer
// is idle again, and the next message connects.
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
  };
  struct Options {
    wire::Hello hello;
    Connection::Limits limits;
    Duration connect_within = Duration::millis(250);
    Duration first_pause = Duration::millis(10);
    Duration longest_pause = Duration::millis(250);
  };

  Peer(IoThread& thread, NodeId to, std::string address, Options options, Events& events);
  ~Peer() override;

  void set_address(const std::string& address) { address_ = address; }  // for the next connection
  void set_expected(NodeId id) { expected_ = id; }  // who must answer there; nobody: anyone
  void send(std::uint64_t number, Message message, const Asking& asking = {});
  void flush();
  void check(Instant now);

 private:
  enum class State { idle, connecting, ready, resting };
  struct Waiting {
    std::uint64_t number;
    Message message;
    Asking asking;
    Instant since;
  };
  Status on_frame(Connection& connection, const wire::Frame& frame) override;
  void on_closed(Connection& connection, const Status& why) override;
  void connect();
  void resolve(const std::string& host, std::uint16_t port);
  void connect_to(const tcp::endpoint& endpoint);
  void on_connected(ErrorCode error);
  void fail(const Status& why);
  void end_quietly();
  void rest();

  IoThread& thread_;
  NodeId to_, expected_;
  std::string address_;
  Options options_;
  Events& events_;
  State state_ = State::idle;
  std::uint64_t attempt_ = 0;  // of connecting; what an older one brings is ignored
  Duration pause_;
  std::vector<Waiting> waiting_;
  std::size_t unanswered_ = 0;  // sent on this connection
  int failures_ = 0;            // in a row, since a connection was last ready
  std::shared_ptr<Connection> connection_;
  std::unique_ptr<tcp::socket> socket_;  // while it connects
  tcp::resolver resolver_;
  asio::steady_timer timer_;  // connect_within; the pause
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ringlet
