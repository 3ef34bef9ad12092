// The laboratory: a cluster and its clients in virtual time (sim/world.hpp) behind the C ABI. The nodes and the
// clients are the production ones; what is simulated is the network, the disks and the clocks.
//
// A laboratory is a function of its settings, its seed and what was done to it, calls and answers of merges
// included. All of that is kept, so going back is doing it again up to an earlier event, and a fork does it
// again under other settings.
//
// One thread at a time: an outer call owns the laboratory until it returns, and a second thread is told so. No
// code of the application runs inside a step of the world, so an application's function may call the laboratory.
#pragma once

#include <atomic>
#include <boost/json/object.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "backend.hpp"
#include "options.hpp"
#include "sim/recorder.hpp"

namespace ringlet::capi {

namespace json = boost::json;

// What a laboratory is made with. Names, bounds and defaults of what is a cluster's are those of its file.
struct LabSettings {
  static Result<LabSettings> read(const json::object& given);

  json::object given;  // as it came, for forks
  Settings cluster;
  std::uint32_t nodes = 5, spares = 3;
  std::uint64_t seed = 7;
  Coordination coordination = Coordination::server;
  sim::NetworkOptions network;
  Duration fsync = Duration::millis(2);
  std::vector<std::string> zones;      // by node; empty: none
  std::vector<std::uint32_t> weights;  // by node; empty: 1 each
  std::size_t trace = 100'000;         // records that are kept
};

class Lab : public Advance, public std::enable_shared_from_this<Lab> {
 public:
  static Result<std::shared_ptr<Lab>> make(LabSettings settings);
  ~Lab() override;

  // Owns the laboratory for one call of a thread.
  class Use {
   public:
    explicit Use(Lab& lab);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    const Status& status() const { return status_; }  // busy, closed or OK

   private:
    Lab* lab_;  // nullptr: it is not ours
    Status status_;
  };

  // All that follow want a Use, but wait(), which takes one.
  Result<sim::HostId> client(const std::string& name, const Settings* options);
  Status act(const json::object& act);
  Status step(std::uint64_t count, std::uint64_t* done);
  Status run(Duration time);
  Status wait(Duration time, const std::function<bool()>& ready) override;
  Result<std::string> settle(Duration patience);
  Status rewind(std::uint64_t event);
  Result<std::shared_ptr<Lab>> fork(const json::object& changed);
  Result<std::string> ask(const std::string& what, const json::object& arguments);
  void release();

  sim::World& world() { return *world_; }
  std::int64_t now_us() const { return (world_->now() - start_).us; }
  bool released() const { return released_; }
  const LabSettings& settings() const { return settings_; }

  // ---- calls of clients (lab_client.cpp) ----
  using OnDone = Client::OnDone;
  using OnAsk = std::function<void(std::uint64_t call, UpdateQuestion question)>;
  using Wanted = std::variant<ClientCore::Request, ClientCore::Update, ClientCore::Edit>;
  // OK: `call` is set, and on_done will be called once, inside a later step or inside this.
  Status begin(sim::HostId client, Wanted wanted, OnDone on_done, std::uint64_t* call);
  Status answer(std::uint64_t call, std::uint32_t attempt, UpdateAnswer answer);
  void cancel(std::uint64_t call);
  // Ends what is under way with `why`; what it did in the world stays.
  void give_up(std::uint64_t call, const Status& why);
  bool waits(std::uint64_t call) const { return calls_.contains(call); }
  Status check_client(sim::HostId client) const;

 private:
  // What was done, and when: enough to do it again.
  struct Made {
    std::string name;
    ClientOptions options;
  };
  struct Called {
    sim::HostId client;
    Wanted wanted;
    std::uint64_t context_of = 0;  // the call that brought its context; 0: none did
  };
  struct Answered {
    std::uint64_t call;
    std::uint32_t attempt;
    UpdateAnswer answer;
  };
  struct Cancelled {
    std::uint64_t call;
  };
  struct Act {
    std::uint64_t events, hash;  // of the world before it
    Instant at;
    std::variant<Made, Called, Answered, Cancelled, json::object> what;
  };
  struct UnderWay {
    sim::HostId client = 0;
    std::uint64_t number = 0;  // the core's
    std::uint64_t record = 0;  // the recorder's
    OnDone on_done;
    bool update = false;
  };

  explicit Lab(LabSettings settings);
  Status build();
  void log(decltype(Act::what) what);
  Status redo(const Act& act);
  Status make_client(const std::string& name, ClientOptions options);
  std::uint64_t begin_now(sim::HostId client, Wanted wanted, OnDone on_done);
  void on_ask(std::uint64_t call, UpdateQuestion question, const OnAsk& then);
  void ended(std::uint64_t call, Outcome outcome);
  Status answer_now(std::uint64_t call, std::uint32_t attempt, UpdateAnswer answer);
  Status do_act(const json::object& act);
  Status tell(const std::string& verb, const std::vector<std::string>& arguments);
  bool step_once();
  void answer_prepared();
  bool anything_can_end() const;
  Result<sim::HostId> host(const json::object& act, const char* field, bool nodes_alone);
  Status replay_in_time(const std::deque<Act>& acts, Instant until, std::size_t nodes);
  std::vector<std::string> unrest();

  // ---- what is asked (lab_ask.cpp) ----
  Result<std::string> trace_json(const json::object& arguments);
  Result<std::string> history_json(const json::object& arguments);
  Result<std::string> timeline_json(const json::object& arguments);
  Result<std::string> ring_json(const json::object& arguments);
  Result<std::string> inspect_json(const json::object& arguments);
  Result<std::string> trees_json(const json::object& arguments);
  std::string status_json();
  std::string calls_json();
  std::string dot_name(std::int32_t key, const Dot& dot) const;
  std::string version_name(const sim::Written& write) const;
  json::array context_json(std::int32_t key, const CausalContext& context) const;
  std::string node_name(NodeId id) const;
  std::int64_t us(Instant at) const { return (at - start_).us; }
  Object merged(const Key& key);
  std::shared_ptr<const Ring> newest_ring() const;

  LabSettings settings_;
  // What each client handle was given; by name.
  std::map<std::string, sim::HostId> hosts_;
  std::unique_ptr<sim::Recorder> recorder_;
  std::unique_ptr<sim::World> world_;  // ends before its recorder
  Instant start_;
  std::deque<Act> acts_;
  std::map<std::uint64_t, UnderWay> calls_;  // that are under way
  std::uint64_t last_call_ = 0;
  std::map<Bytes, std::uint64_t> contexts_;  // which call brought it
  std::map<std::uint64_t, Bytes> brought_;   // of a fork: what each call brought
  std::map<std::string, sim::Rooms> backups_;
  std::set<sim::HostId> gone_;  // left or were replaced
  bool redoing_ = false;
  std::vector<std::string> skipped_;  // of a fork: acts that its settings leave no room for
  // Of a fork: answers that the first laboratory gave, and questions that wait for one.
  std::map<std::pair<std::uint64_t, std::uint32_t>, UpdateAnswer> prepared_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> asked_;
  bool released_ = false;
  std::atomic<std::thread::id> owner_{};
  int depth_ = 0;  // the owner's
};

// The client of a laboratory as a ringlet_client calls it.
std::unique_ptr<Backend> lab_backend(std::shared_ptr<Lab> lab, sim::HostId client);

Status unknown_field(const std::string& where, std::string_view got,
                     std::initializer_list<const char*> known);
std::string key_text(const Bytes& bytes);  // as it is where it is UTF-8, else "hex:…"
Bytes key_bytes(std::string_view text);    // the other way round

}  // namespace ringlet::capi
