// What a ringlet_client calls: the real client, or one of a laboratory (lab.hpp). Both answer the same calls
// with the same machines; what differs is how time passes while somebody waits.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/client.hpp"

namespace ringlet::capi {

// How whoever waits for answers of a laboratory brings them about: its time stands still otherwise.
class Advance {
 public:
  virtual ~Advance() = default;
  // Until `ready`, but no longer than `time` of its own; a time that is negative: for as long as an answer
  // can still come. busy: another thread uses the laboratory; closed: it was released.
  virtual Status wait(Duration time, const std::function<bool()>& ready) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  using Request = Client::Request;
  using OnDone = Client::OnDone;

  // As runtime/client.hpp has them.
  virtual Outcome call(Request request) = 0;
  virtual Outcome edit(ClientCore::Edit edit) = 0;
  virtual std::vector<Outcome> multi_get(std::vector<Key> keys, RequestOptions options) = 0;
  virtual std::uint64_t submit(Request request, OnDone on_done) = 0;
  virtual std::uint64_t update_async(ClientCore::Update update, OnDone on_done) = 0;
  virtual std::uint64_t edit_async(ClientCore::Edit edit, OnDone on_done) = 0;
  virtual Status answer(std::uint64_t update, std::uint32_t attempt, UpdateAnswer answer) = 0;
  virtual void cancel(std::uint64_t call) = 0;
  virtual StatusText query(const std::string& node, const std::string& what, const Key& key,
                           Duration timeout) = 0;
  virtual std::shared_ptr<const Ring> ring(Duration wait) = 0;
  virtual Status close(Duration drain) = 0;
  virtual const ClientCounters& counters() const = 0;

  virtual Instant now() const = 0;                                // deadlines are of this clock
  virtual std::shared_ptr<Advance> advance() { return nullptr; }  // nullptr: time passes by itself
};

std::unique_ptr<Backend> backend_of(std::unique_ptr<Client> client);

}  // namespace ringlet::capi
