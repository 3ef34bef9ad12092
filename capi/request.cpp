#include "request.hpp"

#include <utility>

namespace ringlet::capi {
namespace {

Instant deadline_of(const ClientState& client, const Client::Request& wanted) {
  std::uint32_t ms = wanted.options.timeout_ms != 0 ? wanted.options.timeout_ms : client.timeout_ms;
  return client.client->now() + Duration::millis(ms);
}

}  // namespace

Request::Request(std::shared_ptr<ClientState> client, std::shared_ptr<Completion> completion,
                 std::uint32_t kind, std::uint64_t tag, Client::Request wanted, Showing showing)
    : client_(std::move(client)),
      completion_(std::move(completion)),
      kind_(kind),
      tag_(tag),
      wanted_(std::move(wanted)),
      deadline_(deadline_of(*client_, wanted_)),
      showing_(showing) {}

const char* Request::operation() const {
  switch (kind_) {
    case RINGLET_GET:
      return "get";
    case RINGLET_PUT:
      return "put";
    case RINGLET_DELETE:
      return "delete";
    case RINGLET_EDIT:
      return "edit";
    default:
      return "update";
  }
}

void Request::start() {
  // The answer may come from another thread, or from inside the call, before the number is known.
  auto done = [self = shared_from_this()](Outcome outcome) { self->on_done(std::move(outcome)); };
  std::uint64_t call;
  if (kind_ == RINGLET_UPDATE) {
    ClientCore::Update update;
    update.request = wanted_;
    update.attempts = client_->update_attempts;
    update.deletes = showing_.deletes;
    update.on_ask = [self = shared_from_this()](std::uint64_t number, UpdateQuestion question) {
      self->ask(number, std::move(question));
    };
    call = client_->client->update_async(std::move(update), std::move(done));
  } else if (kind_ == RINGLET_EDIT) {
    Result<ClientCore::Edit> edit = edit_of(*client_, wanted_, showing_);
    if (!edit) return finish(edit.status(), nullptr);
    call = client_->client->edit_async(std::move(*edit), std::move(done));
  } else {
    call = client_->client->submit(wanted_, std::move(done));
  }
  bool cancelled;
  {
    std::lock_guard lock(mutex_);
    call_ = call;
    cancelled = cancelled_;
  }
  if (cancelled) client_->client->cancel(call);
}

void Request::on_done(Outcome outcome) {
  try {
    Failure failure = failure_of(outcome);
    if (!failure.status.is_ok()) return finish(failure, nullptr);
    finish({},
           new ringlet_reply(std::move(outcome), operation(), showing_.versions, showing_.deletes));
  } catch (...) {
    finish(Failure{Status(Code::no_memory, "no memory for the answer", true)}, nullptr);
  }
}

void Request::ask(std::uint64_t call, UpdateQuestion question) {
  try {
    auto merge = std::make_unique<ringlet_merge>();
    merge->request = shared_from_this();
    merge->attempt = question.attempt;
    merge->written = question.written;
    merge->siblings =
        new ringlet_reply(std::move(question.read), operation(), true, showing_.deletes);
    {
      std::lock_guard lock(mutex_);
      if (done_) return;
      call_ = call;
      asked_ = merge->attempt;
    }
    ringlet_event event{};
    event.kind = RINGLET_MERGE;
    event.tag = tag_;
    event.request = number_;
    event.merge = merge.release();
    completion_->push(event);
  } catch (...) {
    no_memory();
  }
}

Status Request::too_late(const char* doing) const {
  return Status(Code::closed, "merge of " + printable(wanted_.key) + ": " + doing);
}

Status Request::still_asked(std::uint32_t attempt) {
  std::lock_guard lock(mutex_);
  if (done_ || asked_ != attempt) return too_late("its request is over");
  // The client ends the update then, a moment later perhaps.
  if (client_->client->now() >= deadline_) return too_late("its deadline has come");
  return Status::ok();
}

Status Request::answer(std::uint32_t attempt, MergeAnswer answer) {
  if (Status s = still_asked(attempt); !s) return s;
  std::uint64_t call;
  {
    std::lock_guard lock(mutex_);
    if (done_ || asked_ != attempt) return too_late("its request is over");
    asked_ = 0;
    call = call_;
  }
  return client_->client->answer(call, attempt, std::move(answer));
}

void Request::cancel() {
  std::uint64_t call;
  {
    std::lock_guard lock(mutex_);
    if (done_) return;
    cancelled_ = true;
    asked_ = 0;  // an answer that comes after the cancel is too late
    call = call_;
  }
  if (call != 0) client_->client->cancel(call);
}

void Request::no_memory() {
  bool over;
  {
    std::lock_guard lock(mutex_);
    over = done_;
  }
  if (over) return;
  finish(Failure{Status(Code::no_memory, {}, kind_ != RINGLET_GET)}, nullptr);
  std::uint64_t call;
  {
    std::lock_guard lock(mutex_);
    call = call_;
  }
  if (call != 0) client_->client->cancel(call);
}

void Request::finish(const Failure& failure, ringlet_reply* reply) {
  {
    std::lock_guard lock(mutex_);
    if (done_) {
      ringlet_reply_release(reply);
      return;
    }
    done_ = true;
  }
  ringlet_event event{};
  event.kind = RINGLET_DONE;
  event.tag = tag_;
  event.request = number_;
  event.reply = reply;
  if (!failure.status.is_ok()) event.status = give(failure, &event.error);
  completion_->push_done(number_, event);
}

}  // namespace ringlet::capi
