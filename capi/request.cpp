#include "request.hpp"

#include <utility>

namespace ringlet::capi {
namespace {

Clock::time_point deadline_of(const ClientState& client, const Client::Request& wanted) {
  std::uint32_t ms = wanted.options.timeout_ms != 0 ? wanted.options.timeout_ms : client.timeout_ms;
  return Clock::now() + std::chrono::milliseconds(ms);
}

Client::Request with(const Client::Request& wanted, ClientCore::Kind kind) {
  Client::Request request = wanted;
  request.kind = kind;
  return request;
}

}  // namespace

Request::Request(std::shared_ptr<ClientState> client, std::shared_ptr<Completion> completion,
                 std::uint32_t kind, std::uint64_t tag, Client::Request wanted, bool show_versions)
    : client_(std::move(client)),
      completion_(std::move(completion)),
      kind_(kind),
      tag_(tag),
      wanted_(std::move(wanted)),
      deadline_(deadline_of(*client_, wanted_)),
      show_versions_(show_versions) {}

const char* Request::operation() const {
  switch (kind_) {
    case RINGLET_GET:
      return "get";
    case RINGLET_PUT:
      return "put";
    case RINGLET_DELETE:
      return "delete";
    default:
      return "update";
  }
}

std::uint32_t Request::remaining_ms() const {
  auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
  return left > 0 ? static_cast<std::uint32_t>(left) : 0;
}

void Request::start() {
  if (kind_ != RINGLET_UPDATE) {
    launch(Step::reading, wanted_, &Request::on_single);
    return;
  }
  client_->add_update(shared_from_this());
  read();
}

void Request::read() {
  Client::Request read = with(wanted_, ClientCore::Kind::get);
  read.write_id = {};
  launch(Step::reading, std::move(read), &Request::on_read);
}

namespace {

const char* what_is_left(bool reading) {
  return reading ? "it was read" : "it was written";
}

}  // namespace

void Request::launch(Step step, Client::Request wanted, Next next) {
  wanted.options.timeout_ms = remaining_ms();
  if (wanted.options.timeout_ms == 0) {
    finish(Failure{Status(Code::timeout,
                          std::string(operation()) + " " + printable(wanted_.key) +
                              ": its deadline came before " + what_is_left(step == Step::reading),
                          written_)},
           nullptr);
    return;
  }
  bool cancelled;
  std::uint64_t launch;
  {
    std::lock_guard lock(mutex_);
    if (step_ == Step::done) return;
    step_ = step;
    core_number_ = 0;
    launch = ++launch_;
    cancelled = cancelled_;
  }
  if (cancelled) {
    finish(Failure{Status(Code::cancelled, std::string(operation()) + " was cancelled", written_)},
           nullptr);
    return;
  }
  // The answer may come from another thread, or from inside submit, before the number is known.
  std::uint64_t number = client_->client->submit(
      std::move(wanted), [self = shared_from_this(), next](Outcome outcome) {
        try {
          ((*self).*next)(std::move(outcome));
        } catch (...) {
          self->finish(Failure{Status(Code::no_memory, "no memory for the answer", true)}, nullptr);
        }
      });
  {
    std::lock_guard lock(mutex_);
    if (launch_ == launch) core_number_ = number;
    cancelled = cancelled_;
  }
  if (cancelled) client_->client->cancel(number);
}

void Request::on_single(Outcome outcome) {
  Failure failure = failure_of(outcome);
  if (!failure.status.is_ok()) return finish(failure, nullptr);
  finish({}, new ringlet_reply(std::move(outcome), operation(), show_versions_));
}

void Request::on_read(Outcome outcome) {
  Failure failure = failure_of(outcome);
  if (!failure.status.is_ok()) {
    if (written_) failure.status.set_maybe_applied(true);
    return finish(failure, nullptr);
  }
  if (written_) {
    outcome.write_id = last_write_;
    if (siblings(outcome.reply.object).size() <= 1) {
      return finish({}, new ringlet_reply(std::move(outcome), operation(), true));
    }
  }
  ask(std::move(outcome));
}

void Request::on_written(Outcome outcome) {
  Failure failure = failure_of(outcome);
  if (!failure.status.is_ok()) {
    // The write before this one, which met siblings, was acknowledged.
    if (written_) failure.status.set_maybe_applied(true);
    return finish(failure, nullptr);
  }
  written_ = true;
  last_write_ = outcome.write_id;
  std::size_t versions = siblings(outcome.reply.object).size();
  if (versions <= 1) return finish({}, new ringlet_reply(std::move(outcome), operation(), true));
  if (attempt_ >= client_->update_attempts) {
    return finish(
        Failure{Status(Code::update_exhausted,
                       "update " + printable(wanted_.key) + ": wanted one version within " +
                           std::to_string(attempt_) + " attempts, got " + std::to_string(versions),
                       true),
                details_of(outcome)},
        nullptr);
  }
  pause();
}

void Request::pause() {
  std::uint32_t attempt;
  bool cancelled;
  {
    std::lock_guard lock(mutex_);
    if (step_ == Step::done) return;
    step_ = Step::pausing;
    core_number_ = 0;
    attempt = attempt_;
    cancelled = cancelled_;
  }
  if (cancelled) {
    return finish(Failure{Status(Code::cancelled, "update was cancelled", written_)}, nullptr);
  }
  Duration pause = Client::update_pause(attempt, Duration::millis(remaining_ms()));
  client_->client->after(pause, [self = shared_from_this()] {
    try {
      self->read();
    } catch (...) {
      self->finish(Failure{Status(Code::no_memory, "no memory for the read", true)}, nullptr);
    }
  });
}

void Request::ask(Outcome outcome) {
  auto merge = std::make_unique<ringlet_merge>();
  merge->request = shared_from_this();
  Bytes context = outcome.context;
  auto* reply = new ringlet_reply(std::move(outcome), operation(), true);
  merge->siblings = reply;
  ringlet_reply* former = nullptr;
  bool cancelled;
  {
    std::lock_guard lock(mutex_);
    if (step_ == Step::done) return;
    cancelled = cancelled_;
    if (!cancelled) {
      step_ = Step::asked;
      merge->attempt = ++attempt_;
      context_ = std::move(context);
      former = std::exchange(siblings_, reply);
      ringlet_reply_retain(reply);
    }
  }
  ringlet_reply_release(former);
  if (cancelled) {
    return finish(Failure{Status(Code::cancelled, "update was cancelled", written_)}, nullptr);
  }
  ringlet_event event{};
  event.kind = RINGLET_MERGE;
  event.tag = tag_;
  event.request = number_;
  event.merge = merge.release();
  completion_->push_merge(number_, event, deadline_);
}

Status Request::too_late(const char* doing) const {
  return Status(Code::closed, std::string("merge of ") + printable(wanted_.key) + ": " + doing);
}

Status Request::still_asked(std::uint32_t attempt) {
  {
    std::lock_guard lock(mutex_);
    if (step_ != Step::asked || attempt_ != attempt) return too_late("its request is over");
  }
  if (Clock::now() < deadline_) return Status::ok();
  expire();
  return too_late("its deadline has come");
}

Status Request::answer(std::uint32_t attempt, MergeAnswer answer) {
  if (Status s = still_asked(attempt); !s) return s;
  ringlet_reply* kept = nullptr;
  Client::Request write =
      with(wanted_, answer.kind == MergeAnswer::Kind::erase ? ClientCore::Kind::erase
                                                            : ClientCore::Kind::put);
  {
    std::lock_guard lock(mutex_);
    if (step_ != Step::asked || attempt_ != attempt) return too_late("its request is over");
    step_ = Step::writing;
    core_number_ = 0;
    write.context = context_;
    if (answer.kind == MergeAnswer::Kind::keep) kept = std::exchange(siblings_, nullptr);
  }
  completion_->merge_over(number_);
  switch (answer.kind) {
    case MergeAnswer::Kind::keep:
      finish({}, kept);
      break;
    case MergeAnswer::Kind::none:
    case MergeAnswer::Kind::fail:
      finish(Failure{Status(Code::merge_failed,
                            "update " + printable(wanted_.key) + ": " + answer.reason, written_)},
             nullptr);
      break;
    case MergeAnswer::Kind::value:
      write.value = std::move(answer.value);
      [[fallthrough]];
    case MergeAnswer::Kind::erase:
      if (answer.kind == MergeAnswer::Kind::erase) write.content_type.clear();
      // Each attempt writes another value, so each is another write: with the id of the one before,
      // a replica would take it for its repetition and not store it.
      if (write.write_id && attempt > 1) write.write_id.low += attempt - 1;
      launch(Step::writing, std::move(write), &Request::on_written);
  }
  return Status::ok();
}

void Request::cancel() {
  std::uint64_t number = 0;
  Step at;
  {
    std::lock_guard lock(mutex_);
    if (step_ == Step::done) return;
    cancelled_ = true;
    number = core_number_;
    at = step_;
  }
  if (at == Step::asked || at == Step::pausing) {
    finish(Failure{Status(Code::cancelled, "update " + printable(wanted_.key) + " was cancelled",
                          written_)},
           nullptr, at);
  } else if (number != 0) {
    client_->client->cancel(number);
  }
}

void Request::expire() {
  finish(Failure{Status(
             Code::timeout,
             "update " + printable(wanted_.key) +
                 ": wanted a merged value by the deadline, its merge function has given none",
             written_)},
         nullptr, Step::asked);
}

void Request::client_closed() {
  finish(Failure{Status(Code::closed,
                        "update " + printable(wanted_.key) + ": the client was closed", written_)},
         nullptr);
}

void Request::no_memory() {
  finish(Failure{Status(Code::no_memory, {}, kind_ != RINGLET_GET)}, nullptr);
}

void Request::finish(const Failure& failure, ringlet_reply* reply, Step only_from) {
  ringlet_reply* kept = nullptr;
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = step_ != Step::done && (only_from == Step::idle || step_ == only_from);
    if (first) {
      step_ = Step::done;
      kept = std::exchange(siblings_, nullptr);
    }
  }
  ringlet_reply_release(kept);
  if (!first) return ringlet_reply_release(reply);
  if (kind_ == RINGLET_UPDATE) client_->remove_update(this);
  ringlet_event event{};
  event.kind = RINGLET_DONE;
  event.tag = tag_;
  event.request = number_;
  event.reply = reply;
  if (!failure.status.is_ok()) event.status = give(failure, &event.error);
  completion_->push_done(number_, event);
}

}  // namespace ringlet::capi
