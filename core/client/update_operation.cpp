#include "client/update_operation.hpp"

#include <algorithm>
#include <utility>

#include "base/planted.hpp"
#include "document/deletes.hpp"
#include "protocol/payload.hpp"
#include "versioning/encoding.hpp"

namespace ringlet {

UpdateOperation::Next UpdateOperation::start() {
  RINGLET_ASSERT(step_ == Step::idle);
  step_ = Step::reading;
  return Read{};
}

UpdateOperation::Next UpdateOperation::on_outcome(ClientOutcome outcome, Duration left,
                                                  Random& random) {
  RINGLET_ASSERT(step_ == Step::reading || step_ == Step::writing);
  if (!outcome.reply.status) {
    // After the edit's acknowledgement this is no failure of the edit, only the end of merging.
    if (edited_) return stop(outcome.reply.status.message());
    if (refused_) return over(std::move(*refused_));
    // Perhaps because this very write is stored, with the bytes that were written the first time.
    if (step_ == Step::writing && options_.write_id != WriteId{} &&
        outcome.reply.status.code() == Code::invalid_argument) {
      refused_ = std::move(outcome);
      step_ = Step::reading;
      return Read{};
    }
    return over(std::move(outcome));
  }
  return step_ == Step::reading ? on_read(std::move(outcome))
                                : on_written(std::move(outcome), left, random);
}

UpdateOperation::Next UpdateOperation::on_read(ClientOutcome outcome) {
  if (!edited_ && holds_edit(outcome.reply.object)) {
    edit_ = options_.write_id;
    edited_ = true;
  } else if (!edited_ && refused_) {
    return over(std::move(*refused_));
  } else if (!edited_) {
    return ask(std::move(outcome));
  }
  join_what_was_known(outcome);
  // Another writer may have merged meanwhile; its version has seen the edit, or the edit is here.
  bool conflict = shown(outcome.reply.object, options_.deletes).conflict;
  seen_ = std::move(outcome);
  if (!conflict) return stop({});
  return ask(std::move(seen_));  // there was an attempt left, or it would not have paused
}

// The replicas that answer a read need not be those that told of a sibling before.
void UpdateOperation::join_what_was_known(ClientOutcome& read) const {
  Object& object = read.reply.object;
  const Object& known = seen_.reply.object;
  if (object.mode != known.mode || known.missing() || !lacks(object, known)) return;
  Object joined = object;
  document::sync_with_tables(joined, known);
  auto context = decode_client_context(read.context, key_);
  if (!context || value_bytes(joined) > max_object_bytes) return;
  read.context =
      encode_client_context(context_of(joined, context->fastest_reader, context->cluster), key_);
  object = std::move(joined);
}

bool UpdateOperation::holds_edit(const Object& object) const {
  if (options_.write_id == WriteId{}) return false;
  // Stored, or stored once and replaced: what it read then is no more, so a repeated edit may not fit.
  const std::uint64_t print = fingerprint(options_.write_id);
  return std::any_of(object.versions.begin(), object.versions.end(),
                     [&](const Version& v) { return v.write_id == options_.write_id; }) ||
         std::any_of(object.spent.begin(), object.spent.end(),
                     [&](const SpentWrite& spent) { return spent.fingerprint == print; });
}

UpdateOperation::Next UpdateOperation::ask(ClientOutcome read) {
  step_ = Step::asking;
  seen_ = read;
  UpdateQuestion question;
  question.attempt = ++attempt_;
  // The planted bug is the loop of before: the edit again, on a merge that already holds it.
  question.written = edited_ && !planted(PlantedBug::edit_twice);
  question.read = std::move(read);
  return Ask{std::move(question)};
}

UpdateOperation::Next UpdateOperation::on_answer(UpdateAnswer answer) {
  RINGLET_ASSERT(step_ == Step::asking);
  switch (answer.kind) {
    case UpdateAnswer::Kind::keep:
      return stop("the resolver left the versions as they are");
    case UpdateAnswer::Kind::fail: {
      if (edited_) return stop(std::move(answer.reason));
      ClientOutcome failed;
      failed.reply.status = Status(answer.code, named(answer.reason));
      return over(std::move(failed));
    }
    case UpdateAnswer::Kind::value:
    case UpdateAnswer::Kind::erase:
      break;
  }
  step_ = Step::writing;
  Write write;
  write.tombstone = answer.kind == UpdateAnswer::Kind::erase;
  write.value = std::move(answer.value);
  write.context = seen_.context;
  // A merge is another write than the edit: with the edit's id a replica would take it for the
  // edit's repetition and not store it.
  write.write_id = answer.write_id;
  if (!edited_ && write.write_id == WriteId{}) write.write_id = options_.write_id;
  return write;
}

UpdateOperation::Next UpdateOperation::on_written(ClientOutcome outcome, Duration left,
                                                  Random& random) {
  if (!edited_) edit_ = outcome.write_id;
  edited_ = true;
  last_ = outcome.write_id;
  seen_ = std::move(outcome);
  Shown there = shown(seen_.reply.object, options_.deletes);
  if (!there.conflict) return stop({});
  if (attempt_ >= options_.attempts) {
    return stop("the limit of " + std::to_string(options_.attempts) + " attempts is reached");
  }
  auto own = std::find_if(there.versions.begin(), there.versions.end(),
                          [&](const Version* version) { return version->write_id == last_; });
  step_ = Step::pausing;
  return Pause{
      pause(attempt_, static_cast<std::size_t>(own - there.versions.begin()), left, random)};
}

UpdateOperation::Next UpdateOperation::on_pause_over() {
  RINGLET_ASSERT(step_ == Step::pausing);
  step_ = Step::reading;
  return Read{};
}

UpdateOperation::Over UpdateOperation::end(const Status& why) {
  RINGLET_ASSERT(asking() || pausing());
  if (edited_) return stop(why.message());
  ClientOutcome failed;
  failed.reply.status = why;
  failed.reply.status.set_maybe_applied(false);  // nothing was written yet
  return over(std::move(failed));
}

// The update is over and its edit, if there was one, is in the store.
UpdateOperation::Over UpdateOperation::stop(std::string why) {
  ClientOutcome outcome = std::move(seen_);
  Shown there = shown(outcome.reply.object, options_.deletes);
  std::uint32_t hidden = outcome.reply.left_out;
  outcome.update.merged = !there.conflict && hidden == 0;
  if (!outcome.update.merged) {
    outcome.update.left = static_cast<std::uint32_t>(there.versions.size()) + hidden;
    outcome.update.why = !why.empty()
                             ? std::move(why)
                             : std::string("more versions are there than can be sent together");
  }
  if (edited_) outcome.write_id = edit_;
  return over(std::move(outcome));
}

UpdateOperation::Over UpdateOperation::over(ClientOutcome outcome) {
  step_ = Step::over;
  outcome.update.edited = edited_;
  return Over{std::move(outcome)};
}

std::string UpdateOperation::named(const std::string& what) const {
  return "update " + printable(key_) + ": " + what;
}

Duration UpdateOperation::pause(std::uint32_t attempt, std::size_t rank, Duration left,
                                Random& random) {
  std::int64_t slot = std::int64_t{1000} << std::min<std::uint32_t>(attempt, 6);
  std::int64_t longest = std::min<std::int64_t>(200'000, std::max<std::int64_t>(left.us / 2, 0));
  std::int64_t turns = static_cast<std::int64_t>(std::min<std::size_t>(rank, 32));
  std::int64_t wait = turns * slot / 2 + random.between(0, slot);
  return Duration::micros(wait <= longest ? wait : random.between(longest / 2, longest));
}

}  // namespace ringlet
