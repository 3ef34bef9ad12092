// A cluster in one thread and in virtual time: the real Node and ClientCore, driven from one event
// queue and one seed. Nothing in them knows. Same seed, same run, on every machine.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "client/client_core.hpp"
#include "node/node.hpp"
#include "sim/sim_disk.hpp"

namespace ringlet::sim {

struct NetworkOptions {
  Duration min_delay = Duration::micros(100);
  Duration mean_delay =
      Duration::micros(400);  // beyond the minimum, exponential: messages overtake
  double loss = 0;
  double duplicate = 0;
  double slow = 0;           // share of messages that take up to 50 ms
  Duration between_zones{};  // more between nodes of two zones
};

// A host is a node or a client, by its number: nodes first, in the order they were added.
using HostId = std::size_t;

// Told of each message as it goes, for whoever keeps a record of a run (sim/recorder.hpp). Nothing of it
// enters the hash of the trace, and an observer must not change the world. `exchange` names a request and its
// reply; a request that is duplicated arrives twice under one name.
class Observer {
 public:
  enum class Loss { cut, chance, down };
  virtual ~Observer() = default;
  virtual void on_sent(HostId from, HostId to, std::uint64_t exchange, bool reply,
                       const Message& message) = 0;
  virtual void on_lost(std::uint64_t exchange, bool reply, Loss why) = 0;
  virtual void on_arrived(std::uint64_t exchange, bool reply, const Message& message) = 0;
  virtual void on_started(HostId node) = 0;  // its process, with its disk
  virtual void on_crashed(HostId node) = 0;  // what was on its way to it is lost
  virtual void on_event_over() = 0;          // what is sent from here on has another cause
};

class World {
 public:
  explicit World(std::uint64_t seed, NetworkOptions network = {});
  ~World();

  // ---- time ----
  Instant now() const { return now_; }
  void at(Instant when, std::function<void()> what);
  void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  bool step();  // the next event; false: none left
  Instant next_event() const { return queue_.empty() ? Instant::never() : queue_.top().when; }
  void run_until(Instant end);
  void run_for(Duration time) { run_until(now_ + time); }
  Random& random() { return random_; }

  // ---- hosts ----
  HostId add_node(const std::string& name, const std::string& zone = "", std::uint32_t weight = 1);
  // Once, after the nodes were added; starts the first `founders` of them. The others wait, and
  // once restarted are strangers until they are joined. `options.name` and the ring come from here.
  // Of one node, each time it starts: its file, should it differ from the others'.
  std::function<void(HostId node, NodeOptions& options)> on_options;
  void start_cluster(Ring::Options ring, NodeOptions options, Duration fsync = Duration::millis(2),
                     std::size_t founders = SIZE_MAX);
  // Without a name it is c0, c1, …, and knows the strangers as seeds, too.
  HostId add_client(ClientOptions options, const std::string& name = "");
  ClientCore& client(HostId host);
  std::uint64_t submit(HostId client, ClientCore::Request request, ClientCore::OnDone on_done);
  std::uint64_t update(HostId client, ClientCore::Update update, ClientCore::OnDone on_done);
  std::uint64_t edit(HostId client, ClientCore::Edit edit, ClientCore::OnDone on_done);
  // Not from inside on_ask: the application of a simulated client answers when it is its turn.
  Status answer(HostId client, std::uint64_t update, std::uint32_t attempt, UpdateAnswer answer);
  void cancel(HostId client, std::uint64_t call);
  Now clock_of(HostId host) const;  // its own
  std::size_t nodes() const { return node_count_; }
  const std::shared_ptr<const Ring>& ring() const { return ring_; }
  NodeId id_of(HostId node) const;
  HostId host_of(NodeId id) const;
  SimDisk& disk(HostId node);
  bool up(HostId host) const;
  Object stored(HostId node, const Key& key);  // the node's own copy, hints left out
  std::size_t hints_at(HostId node);
  // An administrator's command, to a node that is up.
  StatusText command(HostId node, ClusterCommand command);
  // An operator's question to a node that is up. No message of it goes over the network.
  StatusText query(HostId node, StatusQuery question);
  const std::string& name_of_host(HostId host) const;
  const std::string& address_of(HostId node) const;
  // Of the running process; nullptr: down.
  const Node* node(HostId node) const;
  NodeState* state(HostId node) const;

  // ---- faults ----
  void crash(HostId node, bool machine);
  void wipe(HostId node);  // the disk of a crashed node is replaced by an empty one
  // At its next start the node's clock says what it said at the last one: a machine whose clock stands
  // still while it is off, and that has not heard the time yet.
  void forget_time(HostId node);
  void restore(HostId node, Rooms backup);  // the disk of a crashed node, by an old one of its own
  void restart(HostId node);
  // It does nothing, what is sent to it waits in its sockets, and it works that off when it goes on.
  void pause(HostId node);
  void resume(HostId node);
  bool paused(HostId host) const;
  void skew(HostId node, std::int64_t ms);
  Now clock(HostId host) const;                // as the host knows it
  void slow(HostId node, Duration more);       // each message to or from it takes that much longer
  void set_fsync(HostId node, Duration time);  // from now on
  void cut(HostId from, HostId to);            // one way
  void mend(HostId from, HostId to);
  void mend_all();
  bool connected(HostId a, HostId b) const;  // both ways
  void set_network(NetworkOptions network) { network_ = network; }

  // ---- what happened ----
  // A line of the trace by whoever drives the world: what it did that writes none, such as skew().
  void note(const std::string& line) { trace(line); }
  std::function<void(const std::string& line)> on_trace;      // each event, in words
  std::function<void(const std::string& what)> on_violation;  // an answer twice, a dead link, …
  // A request or a reply reached its host and is about to be handed over.
  std::function<void(HostId from, HostId to, const Message& message)> on_delivery;
  void set_observer(Observer* observer) { observer_ = observer; }  // outlives the world
  std::uint64_t trace_hash() const { return hash_; }
  std::uint64_t events() const { return events_; }

 private:
  struct Host;
  struct Event {
    Instant when;
    std::uint64_t sequence;
    std::function<void()> what;
    bool operator>(const Event& other) const {
      return std::tie(when, sequence) > std::tie(other.when, other.sequence);
    }
  };
  struct Link {
    HostId from, to;
    std::uint64_t generation;  // of the sender's process
    NodeId addressed;          // as the sender knows the other end
    std::uint64_t number;
    Asking asking;
    std::uint64_t sent_us;  // by the sender's monotonic clock
    Instant sent_at;        // by the simulation's
    std::uint64_t exchange;
    bool answered = false;
  };
  Now clock(const Host& host) const;
  void trace(const std::string& line);
  void request(HostId from, HostId to, NodeId addressed, std::uint64_t number, Message message,
               const Asking& asking);
  Arrival arrival_of(const Link& link);
  // Each host's starts somewhere else and is a little too fast or too slow.
  Instant monotonic(HostId host) const;
  void deliver(HostId to, std::uint64_t link, const std::shared_ptr<Message>& message, bool only);
  void reply(HostId from, std::uint64_t link, std::uint64_t number, Message message);
  void unreachable(HostId at_host, HostId whom, std::uint64_t generation, NodeId addressed);
  void pump(HostId host);
  void whenever_awake(HostId host, std::uint64_t generation, std::function<void()> what);
  Duration delay(HostId from, HostId to);
  bool lost(HostId from, HostId to);
  void tell_lost(HostId from, HostId to, std::uint64_t exchange, bool reply);

  Instant now_{Duration::seconds(1).us};
  std::uint64_t sequence_ = 0, next_link_ = 1, last_exchange_ = 0, hash_ = 1469598103934665603ULL,
                events_ = 0;
  Random random_;
  NetworkOptions network_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::size_t node_count_ = 0, founders_ = 0;
  std::map<std::string, HostId> by_address_;
  std::map<NodeId, HostId> by_id_;
  std::map<std::uint64_t, Link> links_;
  std::set<std::pair<HostId, HostId>> cuts_;
  // What each process knows of the lines from others: receiver and sender, with their generations.
  std::map<std::array<std::uint64_t, 4>, LeastDelay> delays_;
  std::shared_ptr<const Ring> ring_;
  NodeOptions node_options_;
  Observer* observer_ = nullptr;
};

}  // namespace ringlet::sim
