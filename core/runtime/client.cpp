#include "runtime/client.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <utility>

#include "runtime/address.hpp"
#include "runtime/fork_guard.hpp"
#include "runtime/io_thread.hpp"
#include "runtime/peer.hpp"
#include "versioning/object.hpp"

namespace ringlet {
namespace {

Outcome failed(Status status) {
  Outcome outcome;
  outcome.reply.status = std::move(status);
  return outcome;
}

StatusText failed_text(Status status) {
  return {std::move(status), {}};
}

// Where one thread waits for what another one brings. Shared by both: the one that brings wakes the
// other after it let go of the lock, when the other may be gone already.
template <typename T>
class Slot {
 public:
  void set(T value) {
    {
      std::lock_guard lock(mutex_);
      value_ = std::move(value);
    }
    ready_.notify_one();
  }
  T take() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return value_.has_value(); });
    return std::move(*value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::optional<T> value_;
};

Status check(const ClientOptions& options) {
  auto invalid = [](const std::string& text) { return Status(Code::invalid_argument, text); };
  if (options.cluster.empty() || options.cluster.size() > wire::max_name_bytes) {
    return invalid("cluster: wanted a name of 1 to 255 bytes, got " +
                   std::to_string(options.cluster.size()));
  }
  if (options.seeds.empty()) return invalid("seeds: wanted at least one host:port, got none");
  for (const std::string& seed : options.seeds) {
    auto address = Address::parse(seed);
    if (!address) return invalid("seeds: " + address.status().message());
    if (address->port == 0)
      return invalid("seeds: wanted a port of 1 to 65535, got '" + seed + "'");
  }
  std::istringstream servers(options.name_servers);
  for (std::string server; std::getline(servers, server, ',');) {
    auto address = Address::parse(server);
    ErrorCode error;
    if (address) asio::ip::make_address(address->host, error);
    if (!address || error || address->port == 0) {
      return invalid("name_servers: wanted address:port with the address in numbers, got '" +
                     printable(BytesView(server)) + "'");
    }
  }
  if (options.timeout <= Duration{}) {
    return invalid("timeout: wanted more than 0 ms, got " +
                   std::to_string(options.timeout.millis()));
  }
  if (options.refresh <= Duration{}) {
    return invalid("refresh: wanted more than 0 ms, got " +
                   std::to_string(options.refresh.millis()));
  }
  if (options.max_in_flight == 0) return invalid("max_in_flight: wanted at least 1, got 0");
  return Status::ok();
}

}  // namespace

struct Client::Impl final : IoThread::Work, Peer::Events {
  Impl(ClientOptions client_options, std::uint64_t seed)
      : options(std::move(client_options)),
        generation(fork_generation()),
        thread("ringlet-client", *this, Duration::millis(50), options.log),
        core(options, seed) {
    hello.cluster = options.cluster;
    thread.set_name_servers(options.name_servers);
  }

  // ---- any thread ----
  struct Submission {
    std::uint64_t id;
    std::variant<Request, ClientCore::Update, ClientCore::Edit> wanted;
    OnDone on_done;
    Instant since;  // its deadline counts from here, however late this thread comes to it
  };
  // The application's answer to a question of an update.
  struct Reply {
    std::uint64_t id;
    std::uint32_t attempt;
    UpdateAnswer answer;
  };

  bool is_forked() const { return fork_generation() != generation; }
  static Status forked() {
    return Status(Code::forked, "the client was opened before fork(); open another one here");
  }

  std::uint64_t submit(std::variant<Request, ClientCore::Update, ClientCore::Edit> wanted,
                       OnDone on_done) {
    if (is_forked()) {
      on_done(failed(forked()));
      return 0;
    }
    std::uint64_t id;
    {
      std::unique_lock lock(mutex);
      if (closing) {
        lock.unlock();
        on_done(failed(Status(Code::closed, "the client is closed")));
        return 0;
      }
      id = ++last_id;
      submissions.push_back({id, std::move(wanted), std::move(on_done), read_instant()});
      if (std::exchange(posted, true)) return id;
    }
    try {
      thread.post([this] { take_submissions(); });
    } catch (...) {  // no memory: nobody would ever come for it
      std::lock_guard lock(mutex);
      posted = false;
      if (std::erase_if(submissions, [&](const Submission& s) { return s.id == id; }) > 0) throw;
    }
    return id;
  }

  void cancel(std::uint64_t id) {
    wake_for([&] { cancelled.push_back(id); });
  }
  void answer(Reply reply) {
    wake_for([&] { replies.push_back(std::move(reply)); });
  }

  // Adds to what the I/O thread takes up in its next turn.
  template <typename Add>
  void wake_for(const Add& add) {
    if (is_forked()) return;
    {
      std::lock_guard lock(mutex);
      if (stopped) return;
      add();
      if (std::exchange(posted, true)) return;
    }
    try {
      thread.post([this] { take_submissions(); });
    } catch (...) {  // the next one who posts takes it along
      std::lock_guard lock(mutex);
      posted = false;
      throw;
    }
  }

  Status close(Duration drain) {
    if (is_forked()) return forked();
    if (thread.is_current()) {
      return Status(Code::busy, "close: called on the client's own thread, from a callback");
    }
    {
      std::unique_lock lock(mutex);
      if (closing) {
        changed.wait(lock, [&] { return stopped; });
        return Status::ok();
      }
      closing = true;
      // What was submitted and is not answered yet, taken over by the core or not.
      changed.wait_for(lock, std::chrono::microseconds(std::max<std::int64_t>(drain.us, 0)),
                       [&] { return unanswered_now() == 0; });
    }
    auto done = std::make_shared<Slot<bool>>();
    thread.post([this, done] {
      take_submissions();
      Status why(Code::closed, "the client was closed before the answer came");
      core.close(why, read_clocks());
      for (auto& [number, query] : std::exchange(queries, {}))
        query.on_done(failed_text(why), Heard::perhaps);
      peers.clear();
      query_peers.clear();
      done->set(true);
    });
    done->take();
    thread.stop();
    std::lock_guard lock(mutex);
    stopped = true;
    changed.notify_all();
    return Status::ok();
  }

  std::size_t unanswered_now() const { return submissions.size() + under_way; }

  // ---- the I/O thread ----
  void take_submissions() {
    std::vector<Submission> batch;
    std::vector<Reply> answered;
    std::vector<std::uint64_t> gone;
    {
      std::lock_guard lock(mutex);
      batch.swap(submissions);
      answered.swap(replies);
      gone.swap(cancelled);
      posted = false;
      under_way += batch.size();
    }
    Now now = read_clocks();
    for (Submission& submission : batch) {
      // Shared, so that an answer is still given when there is no memory to begin.
      std::shared_ptr<OnDone> then;
      try {
        then = std::make_shared<OnDone>(std::move(submission.on_done));
        begin(submission, then, now);
      } catch (const std::bad_alloc&) {
        finish(submission.id, then ? *then : submission.on_done,
               failed(Status(Code::no_memory, {}, true)));
      }
    }
    for (Reply& reply : answered) {
      // Too late is no error: the update's end says why.
      if (auto found = numbers.find(reply.id); found != numbers.end())
        (void)core.answer(found->second, reply.attempt, std::move(reply.answer), now);
    }
    for (std::uint64_t id : gone) {
      if (auto found = numbers.find(id); found != numbers.end()) core.cancel(found->second, now);
    }
  }

  void begin(Submission& submission, const std::shared_ptr<OnDone>& then, Now now) {
    std::uint64_t id = submission.id;
    numbers[id] = 0;
    auto on_done = [this, id, then](Outcome outcome) { finish(id, *then, std::move(outcome)); };
    std::uint64_t number = 0;
    if (auto* request = std::get_if<Request>(&submission.wanted)) {
      number = core.submit(std::move(*request), now, std::move(on_done), submission.since);
    } else if (auto* edit = std::get_if<ClientCore::Edit>(&submission.wanted)) {
      number = core.edit(std::move(*edit), now, std::move(on_done), submission.since);
    } else {
      auto& update = std::get<ClientCore::Update>(submission.wanted);
      update.on_ask = [id, ask = std::move(update.on_ask)](std::uint64_t, UpdateQuestion question) {
        ask(id, std::move(question));
      };
      number = core.update(std::move(update), now, std::move(on_done), submission.since);
    }
    if (auto found = numbers.find(id); found != numbers.end()) found->second = number;
  }

  void finish(std::uint64_t id, const OnDone& on_done, Outcome outcome) {
    // Once: what began without memory for all of it may end a second time.
    if (numbers.erase(id) == 0 && outcome.reply.status.code() != Code::no_memory) return;
    on_done(std::move(outcome));
    std::lock_guard lock(mutex);
    --under_way;
    if (closing) changed.notify_all();
  }

  Instant next_wake() const override { return std::min(core.next_wake(), next_query_deadline); }

  void on_wake(Now now) override {
    core.on_wake(now);
    next_query_deadline = Instant::never();
    for (auto at = queries.begin(); at != queries.end();) {
      if (at->second.deadline > now.instant) {
        next_query_deadline = std::min(next_query_deadline, at->second.deadline);
        ++at;
        continue;
      }
      auto [to, deadline, heard, on_done] = std::move(at->second);
      at = queries.erase(at);
      const char* why =
          heard == Heard::nothing ? "it was not reached in time" : "no answer in time";
      on_done(failed_text(Status(Code::timeout, why)), heard);
    }
  }

  void turn(Now) override {
    for (ClientCore::Outgoing& outgoing : core.take_outgoing()) {
      auto found = peers.find(outgoing.to);
      if (found == peers.end()) {
        found = peers.emplace(outgoing.to, make_peer(outgoing.to, outgoing.address)).first;
      }
      Peer& peer = *found->second;
      peer.set_address(outgoing.address);
      auto ring = core.ring();
      if (ring && ring->find(outgoing.to) != nullptr) peer.set_expected(outgoing.to);
      if (!peer.send(outgoing.number, std::move(outgoing.message), outgoing.asking)) {
        core.on_held(outgoing.number);
      }
    }
    for (auto& [id, peer] : peers) peer->flush();
    for (auto& [address, peer] : query_peers) peer->flush();
    auto ring = core.ring();
    if (ring != published_ring) {
      std::lock_guard lock(mutex);
      published_ring = std::move(ring);
      changed.notify_all();
    }
    if (bool never = core.no_ring_for_ever(); never != no_ring_for_ever) {
      std::lock_guard lock(mutex);
      no_ring_for_ever = never;
      changed.notify_all();
    }
  }

  void sweep(Now now) override {
    for (auto& [id, peer] : peers) peer->check(now.instant);
    for (auto& [address, peer] : query_peers) peer->check(now.instant);
  }

  static constexpr Duration query_patience = Duration::seconds(3);
  static constexpr Duration least_query_patience = Duration::millis(500);

  std::unique_ptr<Peer> make_peer(NodeId to, const std::string& address,
                                  Duration connect_within = Peer::Options().connect_within) {
    Peer::Options peer_options;
    peer_options.hello = hello;
    peer_options.connect_within = connect_within;
    return std::make_unique<Peer>(thread, to, address, peer_options,
                                  static_cast<Peer::Events&>(*this));
  }

  void on_reply(NodeId from, std::uint64_t number, Message message) override {
    auto query = queries.find(number);
    if (query == queries.end() || query->second.to != from) {
      return core.on_reply(from, number, std::move(message), read_clocks());
    }
    auto on_done = std::move(query->second.on_done);
    queries.erase(query);
    if (auto* text = std::get_if<StatusText>(&message))
      return on_done(std::move(*text), Heard::answered);
    if (auto* refused = std::get_if<Refused>(&message))
      return on_done(failed_text(refused->status), Heard::answered);
    on_done(failed_text(Status(Code::corrupt,
                               std::string("query: wanted StatusText, got ") + name_of(message))),
            Heard::answered);
  }

  bool still_wanted(std::uint64_t number) override {
    if (number >> 63 == 0) return core.still_wanted(number);
    auto query = queries.find(number);
    if (query != queries.end()) query->second.heard = Heard::perhaps;
    return query != queries.end();
  }

  void on_unreachable(NodeId node, const Status& why) override {
    bool of_query = false;
    for (auto at = queries.begin(); at != queries.end();) {
      if (at->second.to != node) {
        ++at;
        continue;
      }
      of_query = true;
      auto [to, deadline, heard, on_done] = std::move(at->second);
      at = queries.erase(at);
      Code code = why.code() == Code::timeout ? Code::timeout : Code::unavailable;
      on_done(failed_text(Status(code, why.message())), heard);
    }
    if (!of_query) core.on_unreachable(node, read_clocks(), why);
  }

  // Queries have connections, names and numbers of their own, above the core's.
  enum class Heard { nothing, perhaps, answered };  // what the node heard of the question
  using OnText = std::function<void(StatusText, Heard)>;
  struct Query {
    NodeId to;
    Instant deadline;
    Heard heard = Heard::nothing;
    OnText on_done;
  };

  void query(const std::string& address, Message question, Duration timeout, OnText on_done) {
    auto found = query_peers.find(address);
    if (found == query_peers.end()) {
      NodeId to = node_id_of("query " + address);
      // Nobody else can answer for this node, so a busy one is given longer than for a request, and less
      // than the question has: its connection knows best what is wrong.
      Duration within = std::clamp(timeout * 3 / 4, least_query_patience, query_patience);
      found = query_peers.emplace(address, make_peer(to, address, within)).first;
    }
    std::uint64_t number = (std::uint64_t{1} << 63) | ++last_query;
    Instant deadline = read_clocks().instant + timeout;
    queries[number] = {node_id_of("query " + address), deadline, Heard::nothing,
                       std::move(on_done)};
    next_query_deadline = std::min(next_query_deadline, deadline);
    bool left = found->second->send(number, std::move(question));
    if (auto query = queries.find(number); left && query != queries.end()) {
      query->second.heard = Heard::perhaps;
    }
  }

  // Immutable after construction.
  const ClientOptions options;
  const std::uint32_t generation;
  wire::Hello hello;

  // Only on the I/O thread. The thread comes before all that holds sockets.
  IoThread thread;
  ClientCore core;
  std::map<NodeId, std::unique_ptr<Peer>> peers;
  std::map<std::uint64_t, std::uint64_t> numbers;  // of submissions under way: ours -> the core's
  std::map<std::string, std::unique_ptr<Peer>> query_peers;
  std::map<std::uint64_t, Query> queries;
  std::uint64_t last_query = 0;
  Instant next_query_deadline = Instant::never();

  // Guarded by mutex.
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Submission> submissions;
  std::vector<Reply> replies;
  std::vector<std::uint64_t> cancelled;
  bool posted = false, closing = false, stopped = false;
  std::uint64_t last_id = 0;
  std::size_t under_way = 0;
  std::shared_ptr<const Ring> published_ring;  // written by the I/O thread only
  bool no_ring_for_ever = false;               // likewise
};

Client::Client() = default;

Result<std::unique_ptr<Client>> Client::open(ClientOptions options) {
  if (Status status = check(options); !status) return status;
  std::random_device random;
  std::uint64_t seed = (std::uint64_t{random()} << 32) | random();
  std::unique_ptr<Client> client(new Client());
  client->impl_ = std::make_unique<Impl>(std::move(options), seed);
  Impl& impl = *client->impl_;
  impl.thread.post([&impl] { impl.core.start(read_clocks()); });
  impl.thread.start();
  return client;
}

Client::~Client() {
  if (!impl_) return;
  if (impl_->is_forked()) {
    // The thread that owns all this is not in this process and may have held any lock: the copy is
    // left as it is. Its sockets are the parent's too, and close with this process.
    [[maybe_unused]] Impl* left = impl_.release();
    return;
  }
  [[maybe_unused]] auto ignored = close(Duration{});
}

const ClientCounters& Client::counters() const {
  return impl_->core.counters();
}

const ClientOptions& Client::options() const {
  return impl_->options;
}

std::uint64_t Client::submit(Request request, OnDone on_done) {
  return impl_->submit(std::move(request), std::move(on_done));
}

void Client::cancel(std::uint64_t request) {
  impl_->cancel(request);
}

std::uint64_t Client::update_async(ClientCore::Update update, OnDone on_done) {
  return impl_->submit(std::move(update), std::move(on_done));
}

std::uint64_t Client::edit_async(ClientCore::Edit edit, OnDone on_done) {
  return impl_->submit(std::move(edit), std::move(on_done));
}

void Client::answer(std::uint64_t update, std::uint32_t attempt, UpdateAnswer answer) {
  impl_->answer({update, attempt, std::move(answer)});
}

Status Client::close(Duration drain) {
  return impl_->close(drain);
}

Outcome Client::call(Request request) {
  if (!impl_->is_forked() && impl_->thread.is_current()) {
    return failed(
        Status(Code::busy, "a blocking call on the client's own thread, from a callback"));
  }
  auto slot = std::make_shared<Slot<Outcome>>();
  submit(std::move(request), [slot](Outcome outcome) { slot->set(std::move(outcome)); });
  return slot->take();
}

Outcome Client::edit(ClientCore::Edit edit) {
  if (!impl_->is_forked() && impl_->thread.is_current()) {
    return failed(
        Status(Code::busy, "a blocking call on the client's own thread, from a callback"));
  }
  auto slot = std::make_shared<Slot<Outcome>>();
  edit_async(std::move(edit), [slot](Outcome outcome) { slot->set(std::move(outcome)); });
  return slot->take();
}

Outcome Client::get(Key key, RequestOptions options) {
  Request request;
  request.key = std::move(key);
  request.options = options;
  return call(std::move(request));
}

Outcome Client::write(Request request, WriteOptions options) {
  request.options = options.call;
  request.options.siblings = options.return_siblings;
  request.write_id = options.write_id;
  if (request.kind == ClientCore::Kind::put) request.content_type = std::move(options.content_type);
  Outcome outcome = call(std::move(request));
  if (!options.return_siblings) outcome.reply.object = {};
  return outcome;
}

Outcome Client::put(Key key, Bytes value, Bytes context, WriteOptions options) {
  Request request;
  request.kind = ClientCore::Kind::put;
  request.key = std::move(key);
  request.value = std::move(value);
  request.context = std::move(context);
  return write(std::move(request), std::move(options));
}

Outcome Client::erase(Key key, Bytes context, WriteOptions options) {
  Request request;
  request.kind = ClientCore::Kind::erase;
  request.key = std::move(key);
  request.context = std::move(context);
  return write(std::move(request), std::move(options));
}

std::vector<Outcome> Client::multi_get(std::vector<Key> keys, RequestOptions options) {
  std::vector<Outcome> outcomes(keys.size());
  if (!impl_->is_forked() && impl_->thread.is_current()) {
    for (Outcome& outcome : outcomes) {
      outcome = failed(Status(Code::busy, "a blocking call on the client's own thread"));
    }
    return outcomes;
  }
  std::vector<std::shared_ptr<Slot<Outcome>>> slots;
  for (Key& key : keys) {
    slots.push_back(std::make_shared<Slot<Outcome>>());
    Request request;
    request.key = std::move(key);
    request.options = options;
    submit(std::move(request),
           [slot = slots.back()](Outcome outcome) { slot->set(std::move(outcome)); });
  }
  for (std::size_t i = 0; i < slots.size(); ++i) outcomes[i] = slots[i]->take();
  return outcomes;
}

namespace {

// The answer of the application's functions to one question.
UpdateAnswer answer_to(const UpdateQuestion& question, const Client::Edit& edit,
                       const Client::Resolver& resolver, Deletes deletes) {
  Shown there = shown(question.read.reply.object, deletes);
  Version merged;
  const Version* current = there.versions.empty() ? nullptr : there.versions.front();
  if (there.conflict) {
    if (!resolver) {
      return {UpdateAnswer::Kind::fail,
              {},
              std::to_string(there.versions.size()) +
                  " versions were written at the same time and there is no resolver"};
    }
    UpdateAnswer answer = resolver(there.versions);
    if (question.written || answer.kind == UpdateAnswer::Kind::fail) return answer;
    // The edit follows on what the siblings become, whichever of the three that is.
    current = nullptr;
    if (answer.kind == UpdateAnswer::Kind::keep) return answer;
    if (answer.kind == UpdateAnswer::Kind::value) {
      merged.value = std::move(answer.value);
      merged.content_type = there.versions.front()->content_type;
      current = &merged;
    }
  }
  return edit(current);
}

}  // namespace

Outcome Client::update(Key key, const Edit& edit, const Resolver& resolver, UpdateOptions options) {
  if (!edit) return failed(Status(Code::invalid_argument, "edit: wanted a function, got none"));
  if (!impl_->is_forked() && impl_->thread.is_current()) {
    return failed(
        Status(Code::busy, "a blocking call on the client's own thread, from a callback"));
  }
  // The functions run on this thread; the I/O thread hands the questions over.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<UpdateQuestion> question;
    std::optional<Outcome> over;
  };
  auto inbox = std::make_shared<Inbox>();
  ClientCore::Update update;
  update.request.key = std::move(key);
  update.request.options = options.call;
  update.request.content_type = std::move(options.content_type);
  update.request.write_id = options.write_id;
  update.attempts = options.attempts;
  update.deletes = options.deletes;
  update.on_ask = [inbox](std::uint64_t, UpdateQuestion question) {
    std::lock_guard lock(inbox->mutex);
    inbox->question = std::move(question);
    inbox->changed.notify_one();
  };
  std::uint64_t number = update_async(std::move(update), [inbox](Outcome outcome) {
    std::lock_guard lock(inbox->mutex);
    inbox->over = std::move(outcome);
    inbox->changed.notify_one();
  });
  while (true) {
    std::optional<UpdateQuestion> question;
    {
      std::unique_lock lock(inbox->mutex);
      inbox->changed.wait(lock, [&] { return inbox->over || inbox->question; });
      if (inbox->over) return std::move(*inbox->over);
      question.swap(inbox->question);
    }
    try {
      answer(number, question->attempt, answer_to(*question, edit, resolver, options.deletes));
    } catch (...) {
      cancel(number);  // the caller's exception is its own; nothing is left waiting
      throw;
    }
  }
}

StatusText Client::query(const std::string& node, const std::string& what, const Key& key,
                         Duration timeout) {
  if (what.size() > wire::max_what_bytes) {
    return failed_text(Status(Code::invalid_argument, "query: wanted at most 255 bytes, got " +
                                                          std::to_string(what.size())));
  }
  return ask(node, StatusQuery{what, key}, timeout);
}

StatusText Client::command(const std::string& node, ClusterCommand command, Duration timeout) {
  std::size_t longest = command.verb.size();
  for (const auto& argument : command.arguments) longest = std::max(longest, argument.size());
  if (longest > wire::max_name_bytes || command.arguments.size() > wire::max_arguments) {
    return failed_text(
        Status(Code::invalid_argument, "command: wanted at most 64 arguments of 255 bytes, got " +
                                           std::to_string(command.arguments.size()) + " of up to " +
                                           std::to_string(longest)));
  }
  return ask(node, std::move(command), timeout);
}

StatusText Client::ask(const std::string& node, Message question, Duration timeout) {
  if (impl_->is_forked()) return failed_text(Impl::forked());
  if (impl_->thread.is_current()) {
    return failed_text(Status(Code::busy, "a blocking call on the client's own thread"));
  }
  Instant deadline = read_clocks().instant + timeout;
  std::vector<std::pair<std::string, std::string>> places;  // how it is called, its address
  if (node.empty()) {
    for (const std::string& seed : impl_->options.seeds) places.emplace_back(seed, seed);
  } else if (node.find(':') == std::string::npos) {
    auto known = ring(timeout);
    if (!known) return failed_text(why_no_ring());
    const Member* member = known->find(std::string_view(node));
    if (member == nullptr) {
      return failed_text(
          Status(Code::invalid_argument, "query: no member is named '" + printable(node) +
                                             "'; a node that is none is reached by its address"));
    }
    places.emplace_back(node, address_for_clients(*member));
  } else {
    places.emplace_back(node, node);
  }
  // Any node will do where none is named: the next seed is asked when nothing has left for this one.
  using Heard = Impl::Heard;
  using Answer = std::pair<StatusText, Heard>;
  std::string reasons;
  bool late = false;
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto slot = std::make_shared<Slot<Answer>>();
    Duration rest = deadline - read_clocks().instant;
    Duration share{rest.us / static_cast<std::int64_t>(places.size() - i)};
    {
      std::lock_guard lock(impl_->mutex);
      if (impl_->closing) return failed_text(Status(Code::closed, "the client is closed"));
      // Posted under the lock: before what close() posts.
      impl_->thread.post([&impl = *impl_, slot, address = places[i].second, question, share] {
        impl.query(address, question, share,
                   [slot](StatusText text, Heard heard) { slot->set({std::move(text), heard}); });
      });
    }
    auto [text, heard] = slot->take();
    Code code = text.status.code();
    bool reached = code != Code::timeout && code != Code::unavailable;
    if (heard == Heard::answered || reached) return text;
    reasons += (reasons.empty() ? "" : "; ") + named_reason(places[i].first, text.status);
    late |= code == Code::timeout;
    if (heard != Heard::nothing) break;
  }
  return failed_text(Status(late ? Code::timeout : Code::unavailable, reasons));
}

std::shared_ptr<const Ring> Client::ring(Duration wait) {
  if (impl_->is_forked()) return nullptr;
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_for(lock, std::chrono::microseconds(std::max<std::int64_t>(wait.us, 0)), [&] {
    return impl_->published_ring != nullptr || impl_->stopped || impl_->no_ring_for_ever;
  });
  return impl_->published_ring;
}

Status Client::why_no_ring() {
  if (impl_->is_forked()) return Impl::forked();
  auto slot = std::make_shared<Slot<Status>>();
  {
    std::lock_guard lock(impl_->mutex);
    if (impl_->closing || impl_->stopped) return {Code::closed, "the client is closed"};
    impl_->thread.post([&impl = *impl_, slot] { slot->set(impl.core.why_no_ring()); });
  }
  return slot->take();
}

}  // namespace ringlet
