// The client of a laboratory: the calls of backend.hpp over a simulated host. A blocking call steps the world
// until its answer; one in the background is brought about by the thread that drains its queue.
#include <algorithm>

#include "lab.hpp"

namespace ringlet::capi {
namespace {

Outcome failed(Status status) {
  Outcome outcome;
  outcome.reply.status = std::move(status);
  return outcome;
}

class LabBackend final : public Backend {
 public:
  LabBackend(std::shared_ptr<Lab> lab, sim::HostId client)
      : lab_(std::move(lab)), client_(client), name_(lab_->world().name_of_host(client)) {}

  Outcome call(Request request) override { return blocking(std::move(request)); }
  Outcome edit(ClientCore::Edit edit) override { return blocking(std::move(edit)); }

  std::vector<Outcome> multi_get(std::vector<Key> keys, RequestOptions options) override {
    std::vector<Outcome> outcomes(keys.size());
    Lab::Use use(*lab_);
    std::vector<std::uint64_t> calls;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      Request request;
      request.key = std::move(keys[i]);
      request.options = options;
      std::uint64_t call = 0;
      Status begun =
          use.status()
              ? lab_->begin(
                    client_, std::move(request),
                    [&outcomes, i](Outcome outcome) { outcomes[i] = std::move(outcome); }, &call)
              : use.status();
      if (!begun) {
        outcomes[i] = failed(std::move(begun));
      } else {
        calls.push_back(call);
      }
    }
    for (std::uint64_t call : calls) until_over(call);
    return outcomes;
  }

  std::uint64_t submit(Request request, OnDone on_done) override {
    return begin(std::move(request), std::move(on_done));
  }
  std::uint64_t update_async(ClientCore::Update update, OnDone on_done) override {
    return begin(std::move(update), std::move(on_done));
  }
  std::uint64_t edit_async(ClientCore::Edit edit, OnDone on_done) override {
    return begin(std::move(edit), std::move(on_done));
  }

  Status answer(std::uint64_t update, std::uint32_t attempt, UpdateAnswer answer) override {
    Lab::Use use(*lab_);
    if (!use.status()) return use.status();
    return lab_->answer(update, attempt, std::move(answer));
  }

  void cancel(std::uint64_t call) override {
    Lab::Use use(*lab_);
    if (use.status()) lab_->cancel(call);
  }

  // What an operator asks is answered at once: it costs no time and sends no message.
  StatusText query(const std::string& node, const std::string& what, const Key& key,
                   Duration) override {
    Lab::Use use(*lab_);
    if (!use.status()) return {use.status(), ""};
    sim::World& world = lab_->world();
    for (sim::HostId host = 0; host < world.nodes(); ++host) {
      bool named = node == world.name_of_host(host) || node == world.address_of(host);
      if (node.empty() ? !world.up(host) : !named) continue;
      if (!world.connected(client_, host)) {
        return {Status(Code::unavailable,
                       name_ + " and " + world.name_of_host(host) + " are cut off from each other"),
                ""};
      }
      return world.query(host, StatusQuery{what, key});
    }
    return {Status(Code::unavailable, "there is no node " + printable(node)), ""};
  }

  std::shared_ptr<const Ring> ring(Duration wait) override {
    Lab::Use use(*lab_);
    if (!use.status() || !lab_->check_client(client_)) return nullptr;
    sim::World& world = lab_->world();
    Instant until = world.now() + wait;
    while (world.client(client_).ring() == nullptr && world.next_event() <= until) world.step();
    return world.client(client_).ring();
  }

  // The host stays in the laboratory, and so does what its calls have done; other handles of it go on.
  Status close(Duration drain) override {
    Lab::Use use(*lab_);
    if (use.status().code() == Code::closed) return Status::ok();
    if (!use.status()) return use.status();
    if (closed_) return Status::ok();
    closed_ = true;
    Instant until = lab_->world().now() + drain;
    auto open = [&] {
      std::erase_if(calls_, [&](std::uint64_t call) { return !lab_->waits(call); });
      return !calls_.empty();
    };
    while (drain.us > 0 && open() && lab_->world().next_event() <= until) {
      std::uint64_t done = 0;
      if (Status s = lab_->step(1, &done); !s || done == 0) break;
    }
    open();
    for (std::uint64_t call : std::exchange(calls_, {})) {
      lab_->give_up(call, Status(Code::closed, "the client was closed before the answer came"));
      lab_->cancel(call);
    }
    return Status::ok();
  }

  const ClientCounters& counters() const override {
    static const ClientCounters none;
    bool there = !lab_->released() && lab_->check_client(client_).code() != Code::closed;
    return there ? lab_->world().client(client_).counters() : none;
  }
  Instant now() const override { return lab_->released() ? Instant{} : lab_->world().now(); }
  std::shared_ptr<Advance> advance() override { return lab_; }

 private:
  template <typename Wanted>
  Outcome blocking(Wanted wanted) {
    Lab::Use use(*lab_);
    if (!use.status()) return failed(use.status());
    Outcome end = failed(Status(Code::internal, "the world came to its end before the answer"));
    std::uint64_t call = 0;
    Status begun = lab_->begin(
        client_, std::move(wanted), [&end](Outcome outcome) { end = std::move(outcome); }, &call);
    if (!begun) return failed(std::move(begun));
    until_over(call);
    return end;
  }

  void until_over(std::uint64_t call) {
    std::uint64_t done = 1;
    while (lab_->waits(call) && done == 1) {
      if (Status s = lab_->step(1, &done); !s) break;
    }
  }

  template <typename Wanted>
  std::uint64_t begin(Wanted wanted, OnDone on_done) {
    Lab::Use use(*lab_);
    if (!use.status()) {
      on_done(failed(use.status()));
      return 0;
    }
    auto shared = std::make_shared<OnDone>(std::move(on_done));
    std::uint64_t call = 0;
    Status begun = lab_->begin(
        client_, std::move(wanted), [shared](Outcome outcome) { (*shared)(std::move(outcome)); },
        &call);
    if (!begun) {
      (*shared)(failed(std::move(begun)));
      return 0;
    }
    if (calls_.size() > 64)
      std::erase_if(calls_, [&](std::uint64_t open) { return !lab_->waits(open); });
    calls_.push_back(call);
    return call;
  }

  const std::shared_ptr<Lab> lab_;
  const sim::HostId client_;
  const std::string name_;
  bool closed_ = false;
  std::vector<std::uint64_t> calls_;  // in the background, that may not be over
};

}  // namespace

std::unique_ptr<Backend> lab_backend(std::shared_ptr<Lab> lab, sim::HostId client) {
  return std::make_unique<LabBackend>(std::move(lab), client);
}

}  // namespace ringlet::capi
