// ringlet_lab_*: the laboratory's functions of the C ABI.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "client_handle.hpp"
#include "lab.hpp"

using namespace ringlet;
using namespace ringlet::capi;

struct ringlet_lab {
  std::shared_ptr<Lab> lab;
  Birthplace birthplace;
  Counted counted;
};

namespace {

Status check(const ringlet_lab* lab) {
  return lab == nullptr ? missing("lab") : lab->birthplace.check("the laboratory");
}

Result<json::object> read_object(const char* name, const char* text) {
  if (text == nullptr) return json::object{};
  if (Status s = check_text(name, text, 1 << 20); !s) return s;
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (failed || !value.is_object()) {
    return Status(Code::invalid_argument,
                  std::string(name) + ": wanted a JSON object, got " +
                      (failed ? "something else (" + failed.message() + ")" : "another value"));
  }
  return value.get_object();
}

// Runs `body` as the laboratory's one user.
template <typename Body>
ringlet_status with(ringlet_lab* lab, ringlet_error** error, const Body& body) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(lab); !s) return s;
    Lab::Use use(*lab->lab);
    if (!use.status()) return use.status();
    return body(*lab->lab);
  });
}

}  // namespace

ringlet_status ringlet_lab_new(const char* settings, uint32_t abi, ringlet_lab** lab,
                               ringlet_error** error) {
  if (lab != nullptr) *lab = nullptr;
  return guarded(error, [&]() -> Failure {
    if (Status s = check_abi(abi); !s) return s;
    if (lab == nullptr) return missing("lab");
    Result<json::object> given = read_object("settings", settings);
    if (!given) return given.status();
    Result<LabSettings> read = LabSettings::read(*given);
    if (!read) return read.status();
    Result<std::shared_ptr<Lab>> made = Lab::make(std::move(*read));
    if (!made) return made.status();
    auto handle = std::make_unique<ringlet_lab>();
    handle->lab = std::move(*made);
    *lab = handle.release();
    return {};
  });
}

void ringlet_lab_release(ringlet_lab* lab) {
  if (lab == nullptr) return;
  if (lab->birthplace.forked()) {
    (void)new (std::nothrow) std::shared_ptr<Lab>(lab->lab);
  } else {
    guarded(nullptr, [&]() -> Failure {
      Lab::Use use(*lab->lab);
      // In use by another thread: its clients keep it, and end with the last of them.
      if (use.status().code() != Code::busy) lab->lab->release();
      return {};
    });
  }
  delete lab;
}

ringlet_status ringlet_lab_client(ringlet_lab* lab, const char* name,
                                  const ringlet_options* options, ringlet_client** client,
                                  ringlet_error** error) {
  if (client != nullptr) *client = nullptr;
  return with(lab, error, [&](Lab& world) -> Failure {
    if (client == nullptr) return missing("client");
    if (Status s = check_text("name", name, 256); !s) return s;
    Result<sim::HostId> host =
        world.client(name, options == nullptr ? nullptr : &options->settings);
    if (!host) return host.status();
    const Config& config =
        options == nullptr ? world.settings().cluster.config() : options->settings.config();
    auto state = std::make_shared<ClientState>();
    state->log = LogQueue::make(std::nullopt);
    state->update_attempts = config.update_attempts;
    state->timeout_ms = static_cast<std::uint32_t>(config.client.timeout.millis());
    state->client = lab_backend(lab->lab, *host);
    auto made = std::make_unique<ringlet_client>();
    made->state = std::move(state);
    *client = made.release();
    return {};
  });
}

ringlet_status ringlet_lab_act(ringlet_lab* lab, const char* act, ringlet_error** error) {
  return with(lab, error, [&](Lab& world) -> Failure {
    Result<json::object> read = read_object("act", act);
    return read ? world.act(*read) : read.status();
  });
}

ringlet_status ringlet_lab_step(ringlet_lab* lab, uint64_t count, uint64_t* done,
                                ringlet_error** error) {
  if (done != nullptr) *done = 0;
  return with(lab, error, [&](Lab& world) -> Failure {
    std::uint64_t ignored = 0;
    return world.step(count, done == nullptr ? &ignored : done);
  });
}

ringlet_status ringlet_lab_run(ringlet_lab* lab, uint64_t us, ringlet_error** error) {
  return with(lab, error, [&](Lab& world) -> Failure {
    return world.run(Duration::micros(us > INT64_MAX ? -1 : static_cast<std::int64_t>(us)));
  });
}

ringlet_status ringlet_lab_settle(ringlet_lab* lab, uint64_t patience_us, ringlet_text** said,
                                  ringlet_error** error) {
  if (said != nullptr) *said = nullptr;
  return with(lab, error, [&](Lab& world) -> Failure {
    Result<std::string> answer = world.settle(
        Duration::micros(patience_us > INT64_MAX ? -1 : static_cast<std::int64_t>(patience_us)));
    if (!answer) return answer.status();
    if (said != nullptr) *said = make_text(std::move(*answer));
    return {};
  });
}

ringlet_status ringlet_lab_rewind(ringlet_lab* lab, uint64_t event, ringlet_error** error) {
  return with(lab, error, [&](Lab& world) -> Failure { return world.rewind(event); });
}

ringlet_status ringlet_lab_fork(ringlet_lab* lab, const char* changed, ringlet_lab** fork,
                                ringlet_error** error) {
  if (fork != nullptr) *fork = nullptr;
  return with(lab, error, [&](Lab& world) -> Failure {
    if (fork == nullptr) return missing("fork");
    Result<json::object> read = read_object("changed", changed);
    if (!read) return read.status();
    Result<std::shared_ptr<Lab>> made = world.fork(*read);
    if (!made) return made.status();
    auto handle = std::make_unique<ringlet_lab>();
    handle->lab = std::move(*made);
    *fork = handle.release();
    return {};
  });
}

ringlet_status ringlet_lab_ask(ringlet_lab* lab, const char* what, const char* arguments,
                               ringlet_text** answer, ringlet_error** error) {
  if (answer != nullptr) *answer = nullptr;
  return with(lab, error, [&](Lab& world) -> Failure {
    if (answer == nullptr) return missing("answer");
    if (Status s = check_text("what", what, 64); !s) return s;
    Result<json::object> read = read_object("arguments", arguments);
    if (!read) return read.status();
    Result<std::string> said = world.ask(what, *read);
    if (!said) return said.status();
    *answer = make_text(std::move(*said));
    return {};
  });
}

namespace {

// A number of the laboratory; 0 where there is none, or where it is in use by another thread.
template <typename Number>
std::uint64_t number_of(ringlet_lab* lab, const Number& number) {
  std::uint64_t value = 0;
  with(lab, nullptr, [&](Lab& world) -> Failure {
    value = number(world);
    return {};
  });
  return value;
}

}  // namespace

uint64_t ringlet_lab_now_us(ringlet_lab* lab) {
  return number_of(lab, [](Lab& world) { return static_cast<std::uint64_t>(world.now_us()); });
}

uint64_t ringlet_lab_events(ringlet_lab* lab) {
  return number_of(lab, [](Lab& world) { return world.world().events(); });
}

uint64_t ringlet_lab_hash(ringlet_lab* lab) {
  return number_of(lab, [](Lab& world) { return world.world().trace_hash(); });
}
