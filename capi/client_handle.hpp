// What a ringlet_client is made of. The state outlives the handle as long as a request needs it; it
// is closed with the last handle, so nothing is ever sent after that.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "backend.hpp"
#include "handles.hpp"
#include "log_queue.hpp"

namespace ringlet::capi {

struct Showing;

class ClientState {
 public:
  Birthplace birthplace;
  std::unique_ptr<Backend> client;  // fixed after open
  std::shared_ptr<LogQueue> log;
  std::uint32_t update_attempts = 16;
  std::uint32_t timeout_ms = 1000;

  ~ClientState();
  Status check() const;  // FORKED, CLOSED or OK
  Status close(std::uint32_t drain_ms);

 private:
  std::atomic<bool> closing_{false};
  std::mutex closing_mutex_;  // one close at a time
};

Status check_client(const ringlet_client* client);
const std::shared_ptr<ClientState>& state_of(const ringlet_client* client);

// Checks the caller's struct and the sizes in it, then turns them into the client's words.
struct CallOptions {
  RequestOptions options;
  WriteId write_id;
  Bytes content_type;
  bool return_siblings = false;
  Deletes deletes = Deletes::lose;
};
Result<CallOptions> read_call(const ringlet_call* call);
Result<Key> read_key(ringlet_key key);
// `context` must be of this key; nothing was sent when it is not.
Status check_context(ringlet_bytes context, const Key& key);
Result<Client::Request> read_write(std::uint32_t kind, ringlet_key key, ringlet_bytes context,
                                   ringlet_bytes value, const ringlet_call* call, Showing* showing);

// What RINGLET_EDIT wants: read_write() has checked the edits.
Result<ClientCore::Edit> edit_of(const ClientState& client, Client::Request request,
                                 const Showing& showing);

// The resolvers running on this thread, innermost first: their client cannot be closed from inside.
struct Resolving {
  explicit Resolving(const ClientState* client);
  ~Resolving();
  const ClientState* client;
  Resolving* outer;
  static bool inside(const ClientState* client);
};

}  // namespace ringlet::capi

struct ringlet_client {
  std::shared_ptr<ringlet::capi::ClientState> state;
  std::atomic<std::size_t> references{1};
  ringlet::capi::Counted counted;
};
