#include "backend.hpp"

#include <chrono>
#include <utility>

namespace ringlet::capi {
namespace {

class RealBackend final : public Backend {
 public:
  explicit RealBackend(std::unique_ptr<Client> client) : client_(std::move(client)) {}
  Outcome call(Request request) override { return client_->call(std::move(request)); }
  Outcome edit(ClientCore::Edit edit) override { return client_->edit(std::move(edit)); }
  std::vector<Outcome> multi_get(std::vector<Key> keys, RequestOptions options) override {
    return client_->multi_get(std::move(keys), options);
  }
  std::uint64_t submit(Request request, OnDone on_done) override {
    return client_->submit(std::move(request), std::move(on_done));
  }
  std::uint64_t update_async(ClientCore::Update update, OnDone on_done) override {
    return client_->update_async(std::move(update), std::move(on_done));
  }
  std::uint64_t edit_async(ClientCore::Edit edit, OnDone on_done) override {
    return client_->edit_async(std::move(edit), std::move(on_done));
  }
  Status answer(std::uint64_t update, std::uint32_t attempt, UpdateAnswer answer) override {
    client_->answer(update, attempt, std::move(answer));
    return Status::ok();
  }
  void cancel(std::uint64_t call) override { client_->cancel(call); }
  StatusText query(const std::string& node, const std::string& what, const Key& key,
                   Duration timeout) override {
    return client_->query(node, what, key, timeout);
  }
  std::shared_ptr<const Ring> ring(Duration wait) override { return client_->ring(wait); }
  Status close(Duration drain) override { return client_->close(drain); }
  const ClientCounters& counters() const override { return client_->counters(); }
  Instant now() const override {
    auto since = std::chrono::steady_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
  }

 private:
  std::unique_ptr<Client> client_;
};

}  // namespace

std::unique_ptr<Backend> backend_of(std::unique_ptr<Client> client) {
  return std::make_unique<RealBackend>(std::move(client));
}

}  // namespace ringlet::capi
