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
  // Calls `what` on the I/O thread when `pause` is over; at once when the client closes or is closed.
  void after(Duration pause, std::function<void()> what);
  // How long to wait before an update's next attempt when `attempt` of them met other writers: a
  // part, by chance, of a time that doubles up to 64 ms, and at most half of what is left.
  static Duration update_pause(std::uint32_t attempt, Duration left);

  // Blocking; the deadline is in options.timeout_ms or the client's.
  Outcome call(Request request);
  Outcome get(Key key, RequestOptions options = {});
  Outcome put(Key key, Bytes value, Bytes context = {}, RequestOptions options = {});
  Outcome erase(Key key, Bytes context, RequestOptions options = {});
  std::vector<Outcome> multi_get(std::vector<Key> keys, RequestOptions options = {});  // in order

  // Read, resolve, write with the context read; again, after a pause, if that write met new siblings
  // that nobody resolved meanwhile, at most `attempts` times or until the deadline (R4.4-e). The resolver runs on the calling thread, sees the
  // siblings (none, one or more; tombstones flagged) and returns the merged value, erase, or keep.
  struct Merge {
    enum class Kind { answer, erase, keep, fail } kind = Kind::answer;
    Bytes value;         // of answer
    std::string reason;  // of fail
  };
  using Resolver =
      std::function<Merge(const std::vector<const Version*>& siblings, std::uint32_t attempt)>;
  Outcome update(Key key, const Resolver& resolver, RequestOptions options = {},
                 std::uint32_t attempts = 16);

  // A query to one node (by name or address; empty: any), e.g. "status".
  StatusText query(const std::string& node, const std::string& what, const Key& key,
                   Duration timeout);
  // An administrator's command to one node: join, leave, replace, plan, commit, clear, status, repair.
  StatusText command(const std::string& node, ClusterCommand command, Duration timeout);
  std::shared_ptr<const Ring> ring(
      Duration wait);  // pulls if there is none yet; nullptr: none in time

  // Refuses new calls (CLOSED), waits up to `drain` for those under way, fails the rest, joins the
  // thread. Again: no effect. From its own I/O thread: busy.
  Status close(Duration drain);

  // After fork(), in the child: calls are FORKED, destruction frees without joining or sending.
  const ClientOptions& options() const;
  const ClientCounters& counters() const;  // any thread

 private:
  Client();
  StatusText ask(const std::string& node, Message question, Duration timeout);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
