// The C++ client: ClientCore on Boost.Asio. Thread-safe. It owns one I/O thread and its connections;
// no user code ever runs on that thread but the callbacks given to the _async calls, which must
// not block, throw or close the client.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "client/client_core.hpp"

namespace ringlet {

// What a call brought, owning its bytes.
using Outcome = ClientCore::Outcome;

class Client {
 public:
  // Checks the options (invalid_argument names the bad one) and starts the I/O thread; does not wait
  // for a connection: an unreachable cluster shows in the first call.
  static Result<std::unique_ptr<Client>> open(ClientOptions options);
  ~Client();  // close(0)

  using Request = ClientCore::Request;
  using OnDone = std::function<void(
      Outcome)>;  // exactly once; on the I/O thread, or inside submit when refused at once
  std::uint64_t submit(Request request, OnDone on_done);
  void cancel(std::uint64_t request);  // stops waiting: CANCELLED
  // An update (client/update_operation.hpp) in the background. `on_ask` and `on_done` are called on the
  // I/O thread and must not block; `on_ask` is given this call's number. Each question is answered with
  // answer(), from any thread, at any time; an answer to a question that is over has no effect.
  std::uint64_t update_async(ClientCore::Update update, OnDone on_done);
  void answer(std::uint64_t update, std::uint32_t attempt, UpdateAnswer answer);

  // An edit of a document in the background (ClientCore::edit).
  std::uint64_t edit_async(ClientCore::Edit edit, OnDone on_done);

  struct WriteOptions {
    WriteOptions(RequestOptions options = {}) : call(options) {}
    RequestOptions call;
    Bytes content_type;  // of a put
    WriteId write_id;    // of an earlier try of this write, which is repeated; zero: a new write
    // Also bring the versions that are there after the write. Without it the outcome has the context that
    // covers them, and no versions.
    bool return_siblings = false;
  };

  // Blocking; the deadline is in options.timeout_ms or the client's.
  Outcome call(Request request);
  Outcome edit(ClientCore::Edit edit);
  Outcome get(Key key, RequestOptions options = {});
  Outcome put(Key key, Bytes value, Bytes context = {}, WriteOptions options = {});
  Outcome erase(Key key, Bytes context, WriteOptions options = {});
  std::vector<Outcome> multi_get(std::vector<Key> keys, RequestOptions options = {});  // in order

  // Read, merge what is a conflict, edit, write with the context read (Dynamo 4.4). Both functions run
  // on the calling thread. The edit is called at most once, and exactly once when the update succeeds
  // with update.edited: it may do what must not be done twice. When the write met siblings only the
  // resolver runs on them, again after a growing pause, until one version is left. Once the edit is
  // acknowledged the update succeeds; update.merged says whether it came down to one version.
  //
  // edit      the value, nullptr when the key is missing; answers the new value, erase or keep
  // resolver  the siblings of a conflict, by dot; answers the one value. It must be a function of
  //           the siblings alone, whatever their order. Empty: a conflict before the edit is
  //           merge_failed, one after it stays for the next reader.
  using Edit = std::function<UpdateAnswer(const Version* current)>;
  using Resolver = std::function<UpdateAnswer(const std::vector<const Version*>& siblings)>;
  struct UpdateOptions {
    RequestOptions call;  // timeout_ms is the whole update's
    Bytes content_type;
    WriteId write_id;             // of the edit; zero: a new one
    std::uint32_t attempts = 16;  // questions, the edit included
    Deletes deletes = Deletes::lose;
  };
  Outcome update(Key key, const Edit& edit, const Resolver& resolver, UpdateOptions options);
  Outcome update(Key key, const Edit& edit, const Resolver& resolver = nullptr) {
    return update(std::move(key), edit, resolver, UpdateOptions());
  }

  // A query to one node (by name or address; empty: the first seed that is reached), e.g. "status".
  StatusText query(const std::string& node, const std::string& what, const Key& key,
                   Duration timeout);
  // An administrator's command to one node: join, leave, replace, plan, commit, clear, status, repair.
  StatusText command(const std::string& node, ClusterCommand command, Duration timeout);
  std::shared_ptr<const Ring> ring(
      Duration wait);  // pulls if there is none yet; nullptr: none in time
  // Why ring() gave none: each seed with its reason. ok: there is one by now.
  Status why_no_ring();

  // Refuses new calls (CLOSED), waits up to `drain` for those under way, fails the rest, joins the
  // thread. Again: no effect. From its own I/O thread: busy.
  Status close(Duration drain);

  // After fork(), in the child: calls are FORKED, destruction frees without joining or sending.
  const ClientOptions& options() const;
  const ClientCounters& counters() const;  // any thread

 private:
  Client();
  Outcome write(Request request, WriteOptions options);
  StatusText ask(const std::string& node, Message question, Duration timeout);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
