#include "scene.hpp"

#include "law.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::sim {

const char* name_of(Seen seen) {
  switch (seen) {
    case Seen::siblings_read:
      return "siblings read";
    case Seen::write_retried:
      return "a write repeated with its id";
    case Seen::write_minted_twice:
      return "a write minted twice";
    case Seen::fallback_voted:
      return "a fallback voted";
    case Seen::call_failed:
      return "a call failed";
    case Seen::maybe_applied_and_there:
      return "a failed write that exists";
    case Seen::answer_after_deadline:
      return "an answer after the deadline";
    case Seen::hint_delivered:
      return "a hint delivered";
    case Seen::hint_delivered_twice:
      return "a copy delivered again";
    case Seen::epoch_lease_renewed:
      return "an epoch lease renewed";
    case Seen::incarnation_begun:
      return "a node that forgot what it was";
    case Seen::process_crashed:
      return "a process killed";
    case Seen::machine_crashed:
      return "a machine cut off";
    case Seen::crash_with_requests:
      return "a crash with requests under way";
    case Seen::clock_far_off:
      return "a clock was days off while deletes waited to be forgotten";
    case Seen::replaced_write_forgotten:
      return "a replaced write whose note was forgotten for want of room came back";
    case Seen::stamp_forged:
      return "a context with a forged stamp";
    case Seen::hint_released:
      return "a hint beyond its bound went when all other owners had it";
    case Seen::clock_stood_still:
      return "a node with a new disk began at the very time at which the lost one had begun";
    case Seen::disk_lost:
      return "a disk lost";
    case Seen::disk_restored:
      return "an old disk restored";
    case Seen::paused:
      return "a process stopped";
    case Seen::zombie_reply:
      return "a stopped process went on with requests";
    case Seen::client_paused:
      return "a client stopped";
    case Seen::refused_late:
      return "a request refused for its age";
    case Seen::split:
      return "a network split";
    case Seen::one_way_cut:
      return "a one-way cut";
    case Seen::split_in_part:
      return "two groups apart, a third that hears both";
    case Seen::weather:
      return "loss, delay or duplicates";
    case Seen::slow_host:
      return "a slow node or disk";
    case Seen::disk_full_refusal:
      return "a full disk";
    case Seen::io_refusal:
      return "a disk with I/O errors";
    case Seen::clock_jumped:
      return "a clock that jumped";
    case Seen::siblings_refused:
      return "a blind write refused for siblings";
    case Seen::delete_raced_a_put:
      return "a delete beside a put it had not seen";
    case Seen::recreated_after_delete:
      return "a key created again";
    case Seen::session_read:
      return "a read in a session";
    case Seen::stamp_tied:
      return "two stamps of one microsecond";
    case Seen::stamp_refused:
      return "a stamp too far ahead refused";
    case Seen::client_coordinated:
      return "a write coordinated by its client";
    case Seen::zone_fallback:
      return "a cluster in zones";
    case Seen::ring_joined:
      return "a stranger joined";
    case Seen::ring_left:
      return "a member told to leave";
    case Seen::ring_replaced:
      return "a dead member replaced";
    case Seen::replaced_returned:
      return "a replaced member came back";
    case Seen::changed_on_two_sides:
      return "a ring changed on two sides of a split";
    case Seen::crash_in_transfer:
      return "a crash during a transfer";
    case Seen::disk_lost_in_transfer:
      return "a disk lost during a transfer";
    case Seen::left_with_hints:
      return "a leave with hints about";
    case Seen::partition_flipped:
      return "a partition that changed owners";
    case Seen::surplus_erased:
      return "a copy given away";
    case Seen::files_differed:
      return "a node whose file differed served nobody";
    case Seen::update_merged:
      return "an update that merged what its edit met";
    case Seen::update_left:
      return "an update whose edit counts and whose siblings stayed";
    case Seen::update_failed:
      return "an update that ended before its edit was acknowledged";
    case Seen::update_repeated:
      return "the edit of a failed update written again with its id";
    case Seen::document_merged:
      return "a document of several siblings";
    case Seen::document_came_back:
      return "an element that a truncated context brought back";
    case Seen::tombstone_reaped:
      return "a delete forgotten";
    case Seen::strict_read:
      return "strict read";
    case Seen::strict_read_while_moving:
      return "strict read while partitions move";
    case Seen::count:
      break;
  }
  return "unknown";
}

Scene::Scene(const Plan& p, World& w, std::size_t hosts) : plan(p), world(w), troubles(w, hosts) {}
Scene::~Scene() = default;

std::shared_ptr<const Ring> Scene::ring() const {
  if (plan.strangers == 0) return world.ring();
  std::shared_ptr<const Ring> newest;
  for (HostId node = 0; node < world.nodes(); ++node) {
    NodeState* state = world.state(node);
    if (state == nullptr || gone.contains(node)) continue;
    auto its = state->ring();
    if (its && (!newest || its->epoch() > newest->epoch())) newest = its;
  }
  if (newest) newest_ = newest;
  return newest_ ? newest_ : world.ring();  // nobody runs: what was known last
}

bool Scene::is_member(HostId node) const {
  return !gone.contains(node) && ring()->find(world.id_of(node)) != nullptr;
}

HostId Scene::owner(const Key& key, std::size_t i) const {
  return world.host_of(ring()->preference_list(token_of(key))[i]);
}

void Scene::submit(const Call& call, ClientCore::Request request, Then then) {
  ++operations;
  ++unanswered;
  auto answers = std::make_shared<int>(0);
  HostId host = clients[call.client];
  Instant deadline = world.now() + plan.timeout;
  world.submit(host, std::move(request), [=, this](ClientCore::Outcome outcome) {
    if (++*answers > 1) {
      return fail({Kind::safety, "L16", "exactly one answer, then done",
                   "the call of " + printable(call.key) + " by " + world.name_of_host(host) +
                       " was answered twice"});
    }
    --unanswered;
    if (outcome.reply.status) {
      if (call.kind != ClientCore::Kind::get) ++acknowledged;
      if (shown(outcome.reply.object).versions.size() > 1) saw(Seen::siblings_read);
      if (!outcome.reply.tally.substitutes.empty()) saw(Seen::fallback_voted);
      if (plan.coordination == Coordination::client) saw(Seen::client_coordinated);
      for (auto& law : laws) {
        law->on_reply(call.key, outcome.reply.object, {"the answer to", host});
      }
    } else {
      ++failed;
      saw(Seen::call_failed);
      if (world.now() >= deadline) saw(Seen::answer_after_deadline);
      if (outcome.reply.status.code() == Code::too_many_siblings) saw(Seen::siblings_refused);
    }
    for (auto& law : laws) law->on_done(call, outcome);
    then(outcome);
  });
}

void Scene::get(std::size_t client, const Key& key, const RequestOptions& options, bool session,
                Then then) {
  ClientCore::Request request;
  request.key = key;
  request.options = options;
  Call call;
  call.key = key;
  call.client = client;
  call.began = world.now();
  call.wanted = options.r != 0 ? options.r : plan.r;
  call.strict = options.strict;
  call.session = session;
  if (session) saw(Seen::session_read);
  submit(call, std::move(request), std::move(then));
}

WriteId Scene::put(std::size_t client, Put put, Random& random, Then then) {
  auto seen = decode_client_context(put.context, put.key);
  RINGLET_ASSERT(seen.is_ok());
  put.write_id = {random.next(), random.next() | 1};
  if (plan.forged_stamps && !put.context.empty() && put.write_id.low % 64 == 1) {
    saw(Seen::stamp_forged);
    ClientContext forged = *seen;
    forged.stamp_us = (world.clock(0).wall_ms + 365 * 86'400'000ll) * 1000;
    put.context = encode_client_context(forged, put.key);
  }
  WriteRecord record;
  record.id = put.write_id;
  record.key = put.key;
  record.value = put.value;
  record.tombstone = put.tombstone;
  record.client = client;
  record.seen = seen->seen;
  record.shown = put.shown;
  book.begin(std::move(record));
  if (!put.item.empty()) book.added(put.write_id, put.item);
  auto shared = std::make_shared<Put>(std::move(put));
  attempt(client, shared, 0, random.next(), std::move(then));
  return shared->write_id;
}

// An application repeats a write of which it has not heard, and now and then one of which it has: its
// answer may have been lost on the way to the user.
void Scene::attempt(std::size_t client, std::shared_ptr<Put> put, int retries, std::uint64_t luck,
                    Then then) {
  ClientCore::Request request;
  request.kind = put->tombstone ? ClientCore::Kind::erase : ClientCore::Kind::put;
  request.key = put->key;
  request.context = put->context;
  request.value = put->value;
  request.content_type = put->content_type;
  request.write_id = put->write_id;
  request.options = put->options;
  Call call;
  call.kind = request.kind;
  call.key = put->key;
  call.client = client;
  call.began = world.now();
  call.wanted = put->options.w != 0 ? put->options.w : plan.w;
  call.strict = put->options.strict;
  call.session = put->session;
  call.write_id = put->write_id;
  book.find(put->write_id)->until = world.now() + plan.timeout;
  submit(call, std::move(request), [=, this](const ClientCore::Outcome& outcome) {
    const Status& status = outcome.reply.status;
    WriteRecord& record = *book.find(put->write_id);
    if (status) {
      record.acknowledged = true;
      // As its coordinator saw the ring, which may have had fewer owners than the newest.
      std::size_t promised = std::min(call.wanted, outcome.reply.tally.wanted);
      record.copies = std::max(record.copies, std::min(promised, owners()));
      if (plan.reconcile == Reconcile::lww && !outcome.reply.object.versions.empty() &&
          outcome.reply.object.versions[0].write_id == record.id) {
        record.stamp_us = std::max(record.stamp_us, outcome.reply.object.versions[0].written_us);
      }
    } else if (status.maybe_applied() && !record.dots.empty()) {
      saw(Seen::maybe_applied_and_there);
    }
    bool again = retries == 0 && !put->session && !put->once && (luck % 100 < (status ? 5 : 50));
    if (!again) return then(outcome);
    saw(Seen::write_retried);
    world.after(Duration::millis(1), [=, this] { attempt(client, put, retries + 1, luck, then); });
  });
}

// ---- updates ----

struct Scene::Updating {
  Updating(Update update, std::uint64_t luck) : what(std::move(update)), random(luck) {}
  Update what;
  Random random;
  Call call;
  Then then;
  Instant deadline;
  Put edit;                      // as it was handed over
  std::vector<WriteId> written;  // the edit, then the merges
  bool over = false;
};

void Scene::update(std::size_t client, Update wanted, Random& random, Then then) {
  auto updating = std::make_shared<Updating>(std::move(wanted), random.next());
  Call& call = updating->call;
  call.kind = ClientCore::Kind::put;
  call.key = updating->what.key;
  call.client = client;
  call.began = world.now();
  call.wanted = std::max(plan.r, plan.w);
  call.update = true;
  call.number = updating->what.number;
  call.write_id = {random.next(), random.next() | 1};
  updating->then = std::move(then);
  updating->deadline = world.now() + plan.timeout;
  ClientCore::Update update;
  update.request.key = call.key;
  update.request.write_id = call.write_id;
  update.request.content_type = updating->what.content_type;
  update.deletes = updating->what.deletes;
  update.attempts = updating->random.chance(0.2) ? 2 : 16;
  update.on_ask = [=, this](std::uint64_t number, const UpdateQuestion& question) {
    ask(updating, number, question);
  };
  ++operations;
  ++unanswered;
  HostId host = clients[client];
  std::uint64_t number =
      world.update(host, std::move(update), [=, this](const ClientCore::Outcome& outcome) {
        if (updating->over) {
          return fail({Kind::safety, "L16", "exactly one answer, then done",
                       "the update of " + printable(updating->call.key) + " by " +
                           world.name_of_host(host) + " was answered twice"});
        }
        update_over(updating, outcome);
      });
  // Some users do not wait.
  if (!updating->random.chance(0.03)) return;
  world.after(Duration::micros(updating->random.between(1'000, plan.timeout.us)), [=, this] {
    if (updating->over || world.paused(host)) return;
    updating->call.its_own_doing = true;
    world.cancel(host, number);
  });
}

void Scene::ask(const std::shared_ptr<Updating>& updating, std::uint64_t number,
                const UpdateQuestion& question) {
  const Call& call = updating->call;
  const Object& object = question.read.reply.object;
  HostId host = clients[call.client];
  for (auto& law : laws) law->on_reply(call.key, object, {"a question of an update to", host});
  if (shown(object).versions.size() > 1) saw(Seen::siblings_read);
  // There is a next question only when what was written before it is acknowledged.
  for (WriteId id : updating->written) {
    WriteRecord& record = *book.find(id);
    record.acknowledged = true;
    record.copies = std::max<std::size_t>(record.copies, 1);
  }
  UpdateAnswer answer = updating->what.answer(question, shown(object, updating->what.deletes));
  if (answer.kind == UpdateAnswer::Kind::value || answer.kind == UpdateAnswer::Kind::erase) {
    Put put;
    put.key = call.key;
    put.tombstone = answer.kind == UpdateAnswer::Kind::erase;
    put.value = answer.value;
    put.context = question.read.context;
    put.shown = shown_by(object);
    put.write_id = updating->written.empty()
                       ? call.write_id
                       : WriteId{updating->random.next(), updating->random.next() | 1};
    auto seen = decode_client_context(put.context, put.key);
    RINGLET_ASSERT(seen.is_ok());
    WriteRecord record;
    record.id = put.write_id;
    record.key = put.key;
    record.value = put.value;
    record.tombstone = put.tombstone;
    record.client = call.client;
    record.seen = seen->seen;
    record.shown = put.shown;
    record.until = updating->deadline;
    book.begin(std::move(record));
    if (updating->written.empty()) {
      put.content_type = updating->what.content_type;
      book.edited(put.write_id, updating->what.edits);
      if (!updating->what.item.empty()) book.added(put.write_id, updating->what.item);
      updating->edit = put;
    }
    updating->written.push_back(put.write_id);
    answer.write_id = put.write_id;
  }
  if (answer.kind == UpdateAnswer::Kind::fail) updating->call.its_own_doing = true;
  Duration thinking = Duration::micros(1);
  if (updating->random.chance(0.3)) {
    thinking = Duration::micros(updating->random.between(1, 1 + updating->what.thinking.us));
    updating->call.its_own_doing = true;
  }
  world.after(thinking, [=, this, attempt = question.attempt] {
    hand_over(updating, number, attempt, answer);
  });
}

void Scene::hand_over(const std::shared_ptr<Updating>& updating, std::uint64_t number,
                      std::uint32_t attempt, const UpdateAnswer& answer) {
  HostId host = clients[updating->call.client];
  if (world.paused(host)) {
    world.after(Duration::millis(5), [=, this] { hand_over(updating, number, attempt, answer); });
    return;
  }
  auto counted = updating->call.number;
  if (counted && attempt == 1 && !updating->over && answer.kind == UpdateAnswer::Kind::value)
    book.update(*counted).written = true;
  updating->call.written_at = world.now();
  // Late: the update is over, and says so elsewhere.
  [[maybe_unused]] Status late = world.answer(host, number, attempt, answer);
}

void Scene::update_over(const std::shared_ptr<Updating>& updating,
                        const ClientCore::Outcome& outcome) {
  const Call& call = updating->call;
  const Status& status = outcome.reply.status;
  updating->over = true;
  --unanswered;
  if (status) {
    ++acknowledged;
    for (auto& law : laws) {
      law->on_reply(call.key, outcome.reply.object,
                    {"the answer to an update of", clients[call.client]});
    }
  } else {
    ++failed;
    saw(Seen::call_failed);
    saw(Seen::update_failed);
    if (status.code() == Code::too_many_siblings) saw(Seen::siblings_refused);
  }
  if (outcome.update.edited) {
    bool merges = updating->written.size() > 1;
    if (outcome.update.merged && merges) saw(Seen::update_merged);
    if (!outcome.update.merged) saw(Seen::update_left);
    for (WriteId id : updating->written) {
      // Of the last merge of an update that did not come to its end it is not known.
      if (id != call.write_id && !outcome.update.merged) continue;
      WriteRecord& record = *book.find(id);
      record.acknowledged = true;
      record.copies = std::max<std::size_t>(record.copies, 1);
    }
  }
  if (call.number) {
    UpdateRecord& record = book.update(*call.number);
    record.ended = true;
    record.acknowledged = outcome.update.edited;
    record.maybe_applied = !status && status.maybe_applied();
  }
  for (auto& law : laws) law->on_done(call, outcome);
  // An application that has not heard of its edit writes the same bytes with the same id.
  bool again = !status && status.maybe_applied() && !updating->written.empty() && !over() &&
               updating->random.chance(0.5);
  if (!again) return updating->then(outcome);
  saw(Seen::update_repeated);
  auto put = std::make_shared<Put>(updating->edit);
  put->once = true;
  if (call.number) book.update(*call.number).ended = false;
  attempt(call.client, put, 0, updating->random.next(), [=, this](const ClientCore::Outcome& last) {
    if (call.number) {
      UpdateRecord& record = book.update(*call.number);
      record.ended = true;
      record.acknowledged = last.reply.status.is_ok();
    }
    updating->then(last);
  });
}

}  // namespace ringlet::sim
