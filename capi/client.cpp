#include <openssl/crypto.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <vector>

#include "client_handle.hpp"
#include "options.hpp"
#include "reply.hpp"
#include "request.hpp"
#include "versioning/encoding.hpp"

using namespace ringlet;
using namespace ringlet::capi;

namespace ringlet::capi {

namespace {
thread_local Resolving* innermost = nullptr;
}

Resolving::Resolving(const ClientState* c) : client(c), outer(innermost) {
  innermost = this;
}
Resolving::~Resolving() {
  innermost = outer;
}

bool Resolving::inside(const ClientState* client) {
  for (Resolving* r = innermost; r != nullptr; r = r->outer) {
    if (r->client == client) return true;
  }
  return false;
}

ClientState::~ClientState() = default;

Status ClientState::check() const {
  if (Status s = birthplace.check("the client"); !s) return s;
  return closing_ ? Status(Code::closed, "the client is closed") : Status::ok();
}

Status ClientState::close(std::uint32_t drain_ms) {
  if (Resolving::inside(this)) {
    return Status(Code::busy, "a client cannot be closed from inside its own resolver");
  }
  closing_ = true;
  std::lock_guard one_at_a_time(closing_mutex_);
  return client->close(Duration::millis(std::min<std::uint32_t>(drain_ms, 3600000)));
}

const std::shared_ptr<ClientState>& state_of(const ringlet_client* client) {
  return client->state;
}

Status check_client(const ringlet_client* client) {
  return client == nullptr ? missing("client") : client->state->check();
}

Result<CallOptions> read_call(const ringlet_call* call) {
  CallOptions out;
  if (call == nullptr) return out;
  if (Status s = check_struct("call.struct_size", call, call->struct_size, sizeof(ringlet_call));
      !s) {
    return s;
  }
  auto bad = [](std::string why) { return Status(Code::invalid_argument, std::move(why)); };
  if (call->timeout_ms > 3600000) {
    return bad("call.timeout_ms: wanted at most 3600000, got " + std::to_string(call->timeout_ms));
  }
  if (call->strict > 1)
    return bad("call.strict: wanted 0 or 1, got " + std::to_string(call->strict));
  if (call->durability > 3) {
    return bad("call.durability: wanted 0 to 3, got " + std::to_string(call->durability));
  }
  for (auto [name, value] : {std::pair{"call.r", call->r}, {"call.w", call->w}}) {
    if (value > 16)
      return bad(std::string(name) + ": wanted at most 16, got " + std::to_string(value));
  }
  constexpr std::uint32_t deletes = RINGLET_DELETES_WIN | RINGLET_DELETES_ASK;
  if ((call->flags & ~(RINGLET_RETURN_SIBLINGS | deletes)) != 0) {
    return Status(Code::unsupported, "call.flags: " + std::to_string(call->flags) +
                                         " has flags that this library does not know");
  }
  if ((call->flags & deletes) == deletes) {
    return bad(
        "call.flags: wanted at most one of RINGLET_DELETES_WIN and RINGLET_DELETES_ASK, got both");
  }
  if (Status s = check_bytes("call.content_type", call->content_type, 1024); !s) return s;
  if (Status s = check_bytes("call.traceparent", call->traceparent, 1024); !s) return s;
  out.options.timeout_ms = call->timeout_ms;
  out.options.r = call->r;
  out.options.w = call->w;
  out.options.strict = call->strict != 0;
  out.options.durability = static_cast<WriteDurability>(call->durability);
  out.write_id = WriteId{call->write_id[0], call->write_id[1]};
  out.content_type = Bytes(view(call->content_type));
  if ((call->flags & RINGLET_DELETES_WIN) != 0) out.deletes = Deletes::win;
  if ((call->flags & RINGLET_DELETES_ASK) != 0) out.deletes = Deletes::ask;
  out.return_siblings = (call->flags & RINGLET_RETURN_SIBLINGS) != 0;
  return out;
}

Result<Key> read_key(ringlet_key key) {
  if (Status s = check_bytes("bucket", key.bucket, max_key_bytes); !s) return s;
  if (Status s = check_bytes("key", key.key, max_key_bytes - key.bucket.size); !s) return s;
  if (key.key.size == 0)
    return Status(Code::invalid_argument, "key: wanted at least 1 byte, got none");
  return Key{Bytes(view(key.bucket)), Bytes(view(key.key))};
}

Status check_context(ringlet_bytes context, const Key& key) {
  if (context.size > max_context_bytes) {
    return Status(Code::invalid_context, "context for " + printable(key) + ": wanted at most " +
                                             std::to_string(max_context_bytes) + " bytes, got " +
                                             std::to_string(context.size));
  }
  if (Status s = check_bytes("context", context, max_context_bytes); !s) return s;
  Result<ClientContext> decoded = decode_client_context(view(context), key);
  return decoded ? Status::ok() : decoded.status();
}

Result<Client::Request> read_write(std::uint32_t kind, ringlet_key key, ringlet_bytes context,
                                   ringlet_bytes value, const ringlet_call* call,
                                   Showing* showing) {
  Result<CallOptions> options = read_call(call);
  if (!options) return options.status();
  Result<Key> k = read_key(key);
  if (!k) return k.status();
  Client::Request request;
  request.key = std::move(*k);
  request.options = options->options;
  showing->versions = kind == RINGLET_GET || kind == RINGLET_UPDATE || kind == RINGLET_EDIT ||
                      options->return_siblings;
  request.options.siblings = showing->versions && kind != RINGLET_GET;
  showing->deletes = options->deletes;
  if (kind == RINGLET_GET) return request;
  request.write_id = options->write_id;
  if (kind != RINGLET_DELETE) request.content_type = std::move(options->content_type);
  if (kind == RINGLET_UPDATE) return request;
  if (kind == RINGLET_EDIT) {
    if (Status s = check_bytes("edits", value, max_value_bytes()); !s) return s;
    auto edits = document::decode_edits(view(value));
    if (!edits) return edits.status();
    request.value = Bytes(view(value));
    return request;
  }
  request.kind = kind == RINGLET_PUT ? ClientCore::Kind::put : ClientCore::Kind::erase;
  if (Status s = check_context(context, request.key); !s) return s;
  request.context = Bytes(view(context));
  if (kind == RINGLET_PUT) {
    if (Status s = check_bytes("value", value, max_value_bytes()); !s) return s;
    request.value = Bytes(view(value));
  }
  return request;
}

Result<ClientCore::Edit> edit_of(const ClientState& client, Client::Request request,
                                 const Showing& showing) {
  auto edits = document::decode_edits(request.value);
  if (!edits) return edits.status();
  ClientCore::Edit edit;
  edit.edits = std::move(*edits);
  edit.attempts = client.update_attempts;
  edit.deletes = showing.deletes;
  request.value.clear();
  edit.request = std::move(request);
  return edit;
}

const std::shared_ptr<Completion>& completion_of(ringlet_queue* queue);
Status check_queue(ringlet_queue* queue);

}  // namespace ringlet::capi

namespace {

ringlet_status blocking(std::uint32_t kind, const char* name, ringlet_client* client,
                        ringlet_key key, ringlet_bytes context, ringlet_bytes value,
                        const ringlet_call* call, ringlet_reply** reply, ringlet_error** error) {
  if (reply != nullptr) *reply = nullptr;
  return guarded(error, [&]() -> Failure {
    if (Status s = check_client(client); !s) return s;
    if (kind == RINGLET_GET && reply == nullptr) return missing("reply");
    Showing show;
    Result<Client::Request> request = read_write(kind, key, context, value, call, &show);
    if (!request) return request.status();
    std::shared_ptr<ClientState> state = client->state;
    Outcome outcome = state->client->call(std::move(*request));
    if (Failure failure = failure_of(outcome); !failure.status.is_ok()) return failure;
    if (reply == nullptr) return {};
    try {
      *reply = new ringlet_reply(std::move(outcome), name, show.versions, show.deletes);
    } catch (const std::bad_alloc&) {
      return Status(Code::no_memory, {}, kind != RINGLET_GET);  // it was written
    }
    return {};
  });
}

}  // namespace

ringlet_status ringlet_client_open(const ringlet_options* options, uint32_t abi,
                                   ringlet_client** client, ringlet_error** error) {
  if (client != nullptr) *client = nullptr;
  return guarded(error, [&]() -> Failure {
    if (Status s = check_abi(abi); !s) return s;
    if (options == nullptr) return missing("options");
    if (client == nullptr) return missing("client");
    // libcrypto's own exit handler would take away MD5 under an I/O thread that still runs.
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
    if (Status s = options->settings.check_use(for_client); !s) return s;
    Result<ClientOptions> wanted = options->settings.client();
    if (!wanted) return wanted.status();
    auto state = std::make_shared<ClientState>();
    state->log = LogQueue::make(options->settings.log_level());
    state->update_attempts = options->settings.config().update_attempts;
    state->timeout_ms = static_cast<std::uint32_t>(wanted->timeout.millis());
    wanted->log = LogQueue::sink(state->log);
    auto made = std::make_unique<ringlet_client>();
    Result<std::unique_ptr<Client>> opened = Client::open(std::move(*wanted));
    if (!opened) return opened.status();
    state->client = backend_of(std::move(*opened));
    made->state = std::move(state);
    *client = made.release();
    return {};
  });
}

void ringlet_client_retain(ringlet_client* client) {
  if (client != nullptr) client->references.fetch_add(1, std::memory_order_relaxed);
}

ringlet_status ringlet_client_close(ringlet_client* client, uint32_t drain_ms) {
  return guarded(nullptr, [&]() -> Failure {
    if (client == nullptr) return missing("client");
    if (Status s = client->state->birthplace.check("the client"); !s) return s;
    return client->state->close(drain_ms);
  });
}

void ringlet_client_release(ringlet_client* client) {
  if (client == nullptr || client->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (client->state->birthplace.forked()) {
    // Requests that the parent has in flight hold the state too, and locks of threads that are gone
    // may be held: the handle goes, what the parent's threads were using stays where it is.
    (void)new (std::nothrow) std::shared_ptr<ClientState>(client->state);
  } else {
    guarded(nullptr, [&]() -> Failure { return client->state->close(0); });
  }
  delete client;
}

ringlet_status ringlet_get(ringlet_client* client, ringlet_key key, const ringlet_call* call,
                           ringlet_reply** reply, ringlet_error** error) {
  return blocking(RINGLET_GET, "get", client, key, {}, {}, call, reply, error);
}

ringlet_status ringlet_put(ringlet_client* client, ringlet_key key, ringlet_bytes context,
                           ringlet_bytes value, const ringlet_call* call, ringlet_reply** reply,
                           ringlet_error** error) {
  return blocking(RINGLET_PUT, "put", client, key, context, value, call, reply, error);
}

ringlet_status ringlet_delete(ringlet_client* client, ringlet_key key, ringlet_bytes context,
                              const ringlet_call* call, ringlet_reply** reply,
                              ringlet_error** error) {
  return blocking(RINGLET_DELETE, "delete", client, key, context, {}, call, reply, error);
}

ringlet_status ringlet_multi_get(ringlet_client* client, const ringlet_key* keys, size_t count,
                                 const ringlet_call* call, ringlet_reply** replies,
                                 ringlet_error** errors) {
  constexpr size_t most = 100000;
  if (count <= most) {
    for (size_t i = 0; i < count; ++i) {
      if (replies != nullptr) replies[i] = nullptr;
      if (errors != nullptr) errors[i] = nullptr;
    }
  }
  size_t failed_at = 0;
  ringlet_error* first = nullptr;
  ringlet_status status = guarded(&first, [&]() -> Failure {
    if (Status s = check_client(client); !s) return s;
    if (count > most) {
      return Status(Code::too_large, "count: wanted at most " + std::to_string(most) +
                                         " keys, got " + std::to_string(count));
    }
    if (count == 0) return {};
    if (keys == nullptr) return missing("keys");
    if (replies == nullptr) return missing("replies");
    Result<CallOptions> options = read_call(call);
    if (!options) return options.status();
    std::vector<Key> wanted;
    for (size_t i = 0; i < count; ++i) {
      Result<Key> key = read_key(keys[i]);
      failed_at = i;
      if (!key) {
        return Status(key.status().code(),
                      "keys[" + std::to_string(i) + "]: " + key.status().message());
      }
      wanted.push_back(std::move(*key));
    }
    failed_at = 0;
    std::shared_ptr<ClientState> state = client->state;
    std::vector<Outcome> outcomes = state->client->multi_get(std::move(wanted), options->options);
    Failure worst;
    for (size_t i = 0; i < count; ++i) {
      Failure failure = failure_of(outcomes[i]);
      if (failure.status.is_ok()) {
        replies[i] = new ringlet_reply(std::move(outcomes[i]), "get", true, options->deletes);
        continue;
      }
      if (errors != nullptr) errors[i] = make_error(failure);
      if (worst.status.is_ok()) worst = std::move(failure);
    }
    return worst;
  });
  // A failure of the whole call is the error of the key that it is about, or of the first.
  bool told = false;
  for (size_t i = 0; errors != nullptr && i < count && count <= most; ++i)
    told |= errors[i] != nullptr;
  if (status != RINGLET_OK && errors != nullptr && count > 0 && count <= most && !told) {
    errors[failed_at] = first;
  } else {
    ringlet_error_release(first);
  }
  return status;
}

ringlet_status ringlet_submit(ringlet_client* client, ringlet_queue* queue, const ringlet_op* ops,
                              size_t op_size, size_t count, uint64_t* requests,
                              ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check_client(client); !s) return s;
    if (Status s = check_queue(queue); !s) return s;
    if (op_size < sizeof(ringlet_op) || op_size > max_struct_bytes) {
      return Status(Code::invalid_argument,
                    "op_size: wanted sizeof(ringlet_op), got " + std::to_string(op_size));
    }
    if (count > 100000) return Status(Code::too_large, "count: wanted at most 100000 requests");
    if (count > 0 && ops == nullptr) return missing("ops");
    std::vector<std::shared_ptr<Request>> made;
    made.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      const char* at = reinterpret_cast<const char*>(ops) + i * op_size;
      auto in_op = [&](const Status& s) {
        // One alone needs no number: its caller may not even know that there is an array.
        if (count == 1) return s;
        return Status(s.code(), "ops[" + std::to_string(i) + "]: " + s.message());
      };
      if (Status s = check_struct("op_size", at, op_size, sizeof(ringlet_op)); !s) return in_op(s);
      const ringlet_op& op = *reinterpret_cast<const ringlet_op*>(at);
      if (op.kind < RINGLET_GET || op.kind > RINGLET_EDIT) {
        return in_op(
            Status(Code::invalid_argument, "kind: wanted 1 to 5, got " + std::to_string(op.kind)));
      }
      if (op.reserved != 0) return in_op(Status(Code::unsupported, "reserved: wanted 0"));
      Showing show;
      Result<Client::Request> wanted =
          read_write(op.kind, op.key, op.context, op.value, op.call, &show);
      if (!wanted) return in_op(wanted.status());
      made.push_back(std::make_shared<Request>(client->state, completion_of(queue), op.kind, op.tag,
                                               std::move(*wanted), show));
    }
    const std::shared_ptr<Completion>& completion = completion_of(queue);
    if (Status s = completion->bind(client->state->client->advance()); !s) return s;
    try {
      for (size_t i = 0; i < count; ++i) {
        made[i]->set_number(completion->add(made[i]));
        if (requests != nullptr) requests[i] = made[i]->number();
      }
    } catch (...) {  // all or none; forgetting a number that none has is no error
      for (const std::shared_ptr<Request>& request : made) completion->forget(request->number());
      throw;
    }
    for (const std::shared_ptr<Request>& request : made) {
      // From here on each has its one DONE, also when there is no memory to send it.
      try {
        request->start();
      } catch (...) {
        request->no_memory();
      }
    }
    return {};
  });
}

ringlet_text* ringlet_client_counters(const ringlet_client* client) {
  return guarded_pointer([&]() -> ringlet_text* {
    if (client == nullptr || client->state->birthplace.forked()) return make_text("{}");
    const ClientCounters& counted = client->state->client->counters();
    boost::json::array versions;
    for (const auto& count : counted.versions_per_get) versions.push_back(count.load());
    return make_text(
        boost::json::serialize(boost::json::object{{"gets", counted.gets.load()},
                                                   {"puts", counted.puts.load()},
                                                   {"failed", counted.failed.load()},
                                                   {"versions_per_get", std::move(versions)},
                                                   {"asked_early", counted.asked_early.load()},
                                                   {"asked_a_node", counted.asked_a_node.load()}}));
  });
}

ringlet_text* ringlet_client_log_next(ringlet_client* client) {
  return guarded_pointer([&]() -> ringlet_text* {
    if (client == nullptr || client->state->birthplace.forked()) return nullptr;
    return client->state->log->next_text();
  });
}

size_t ringlet_client_log_drain(ringlet_client* client, ringlet_log_fn fn, void* user_data) {
  if (client == nullptr || fn == nullptr || client->state->birthplace.forked()) return 0;
  size_t count = 0;
  guarded(nullptr, [&]() -> Failure {
    std::shared_ptr<LogQueue> log = client->state->log;
    count = log->drain(fn, user_data);
    return {};
  });
  return count;
}
