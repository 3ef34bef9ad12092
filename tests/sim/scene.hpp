// Where workloads, faults and laws meet. None of them knows another: workloads call, faults trouble,
// laws listen.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "book.hpp"
#include "plan.hpp"
#include "troubles.hpp"

namespace ringlet::sim {

enum class Kind { safety, liveness, crash };

struct Violation {
  Kind kind;
  std::string id;    // "L1"
  std::string law;   // "no acknowledged write lost"
  std::string what;  // one sentence
};

// What a run must have met to prove anything, counted.
enum class Seen {
  siblings_read,
  write_retried,
  write_minted_twice,
  fallback_voted,
  call_failed,
  maybe_applied_and_there,
  answer_after_deadline,
  hint_delivered,
  hint_delivered_twice,
  epoch_lease_renewed,
  incarnation_begun,
  stamp_forged,
  process_crashed,
  machine_crashed,
  crash_with_requests,
  disk_lost,
  clock_stood_still,
  clock_far_off,
  replaced_write_forgotten,
  hint_released,
  disk_restored,
  paused,
  zombie_reply,
  client_paused,
  refused_late,
  split,
  one_way_cut,
  split_in_part,
  weather,
  slow_host,
  disk_full_refusal,
  io_refusal,
  clock_jumped,
  siblings_refused,
  delete_raced_a_put,
  recreated_after_delete,
  session_read,
  stamp_tied,
  stamp_refused,
  client_coordinated,
  zone_fallback,
  ring_joined,
  ring_left,
  ring_replaced,
  replaced_returned,
  changed_on_two_sides,
  crash_in_transfer,
  disk_lost_in_transfer,
  left_with_hints,
  partition_flipped,
  surplus_erased,
  tombstone_reaped,
  strict_read,
  strict_read_while_moving,
  files_differed,
  update_merged,
  update_left,
  update_failed,
  update_repeated,
  document_merged,
  document_came_back,
  count
};
const char* name_of(Seen seen);
using Situations = std::array<std::uint64_t, static_cast<std::size_t>(Seen::count)>;

// A call of an application.
struct Call {
  ClientCore::Kind kind = ClientCore::Kind::get;
  Key key;
  std::size_t client = 0;
  Instant began;
  std::uint32_t wanted = 1;  // R or W
  bool strict = false;
  bool session = false;  // its reads must never go back
  WriteId write_id;
  // An update: reads and writes behind it, the last of which the outcome tells of. write_id is its edit's.
  bool update = false;
  Instant written_at;                 // when its last write was handed over
  bool its_own_doing = false;         // the application failed, thought for a while or did not wait
  std::optional<std::size_t> number;  // in the book, where it counts something
};

class Law;

struct Scene {
  const Plan& plan;
  World& world;
  Book book;
  Troubles troubles;
  std::vector<HostId> clients;
  std::vector<std::unique_ptr<Law>> laws;
  std::set<HostId> gone;        // replaced: what their disks hold counts no more
  std::optional<HostId> odd;    // its file says what the others' do not, until it is corrected
  std::set<HostId> lost_disks;  // by now: wiped, restored, or cut off before what it had was synced
  Situations situations{};
  std::optional<Violation> violation;  // the first
  Instant end;                         // no workload begins anything later
  std::uint64_t operations = 0, acknowledged = 0, failed = 0, unanswered = 0;

  Scene(const Plan& p, World& w, std::size_t hosts);
  ~Scene();
  void saw(Seen what, std::uint64_t times = 1) {
    situations[static_cast<std::size_t>(what)] += times;
  }
  bool has_seen(Seen what) const { return situations[static_cast<std::size_t>(what)] > 0; }
  void fail(Violation broken) {
    if (!violation) violation = std::move(broken);
  }
  bool over() const { return world.now() >= end || operations >= plan.operations || violation; }

  // The application's side of a call: recorded, and told to every law.
  using Then = std::function<void(const ClientCore::Outcome& outcome)>;
  void get(std::size_t client, const Key& key, const RequestOptions& options, bool session,
           Then then);
  struct Put {
    Key key;
    Bytes value;
    bool tombstone = false;
    Bytes context;            // as read; empty: blind
    std::set<WriteId> shown;  // by that read
    RequestOptions options;
    bool session = false;
    WriteId write_id;  // zero: a new write
    std::string item;  // carts
    Bytes content_type;
    bool once = false;  // its application never repeats it
  };
  // Returns the write's id. `then` hears of the last attempt.
  WriteId put(std::size_t client, Put put, Random& random, Then then);

  // An update, whose loop is the client's (client/update_operation.hpp).
  struct Update {
    Key key;
    ringlet::Deletes deletes = ringlet::Deletes::lose;
    // The application: the edit, or the merge of what the acknowledged edit met. `shown` is what an
    // application sees of the read.
    std::function<UpdateAnswer(const UpdateQuestion&, const Shown& shown)> answer;
    std::string item;       // carts: that the edit adds
    document::Edits edits;  // documents: what the edit does
    Bytes content_type;
    std::optional<std::size_t> number;
    Duration thinking;  // of the application, at each question, at most
  };
  void update(std::size_t client, Update update, Random& random, Then then);

  // The newest ring that any running member has.
  std::shared_ptr<const Ring> ring() const;
  bool is_member(HostId node) const;
  HostId owner(const Key& key, std::size_t i) const;
  std::size_t owners() const { return ring()->effective_replicas(); }

 private:
  mutable std::shared_ptr<const Ring> newest_;
  void attempt(std::size_t client, std::shared_ptr<Put> put, int retries, std::uint64_t luck,
               Then then);
  void submit(const Call& call, ClientCore::Request request, Then then);
  struct Updating;
  void ask(const std::shared_ptr<Updating>& updating, std::uint64_t number,
           const UpdateQuestion& question);
  void hand_over(const std::shared_ptr<Updating>& updating, std::uint64_t number,
                 std::uint32_t attempt, const UpdateAnswer& answer);
  void update_over(const std::shared_ptr<Updating>& updating, const ClientCore::Outcome& outcome);
};

}  // namespace ringlet::sim
