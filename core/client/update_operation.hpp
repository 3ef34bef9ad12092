// The one update loop (Dynamo 4.4: an update names the versions it has seen, and the application
// reconciles those that are concurrent): read, let the application edit, write, and merge what the
// write met until one version is left.
//
//   reading -> asking (edit) -> writing -> [ pausing -> reading -> asking (merge) -> writing ]* -> over
//
// The rules it keeps:
//  * The application is asked for its edit at most once, and exactly once when the update writes it.
//    What it answers is written under one write id, by one call of the client, which repeats the same
//    bytes under the same id as often as it must. So an acknowledged edit counts once, whatever it is.
//    A write id that the caller gave may be one that an earlier call, whose answer was lost, stored
//    already. It is looked for in what is read; where it is, the edit is done and is not asked for.
//  * When the acknowledged write met siblings, the application is asked for a merge of them, never for
//    the edit again: the siblings contain the edit already.
//  * Once the edit is acknowledged the update succeeds. A deadline, a cancel, a refusal or a resolver
//    that fails after that point leaves siblings for the next reader, and UpdateEnd says so.
//
// A machine without I/O: it is told facts and answers with the one thing to do next. The host
// (ClientCore) keeps the deadline and the numbers of calls. Single-threaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/instant.hpp"
#include "base/random.hpp"
#include "client/outcome.hpp"
#include "versioning/shown.hpp"

namespace ringlet {

// What the application answers to a question of an update.
struct UpdateAnswer {
  enum class Kind {
    value,  // write this
    erase,  // write a delete
    keep,   // write nothing: before the edit the update is over, after it the siblings stay
    fail,   // the function failed, `reason` says how
  } kind = Kind::fail;
  Bytes value;
  std::string reason;
  Code code = Code::merge_failed;  // of a failure before the edit
  // Of the write that the answer leads to, where the application wants to know it beforehand. Zero: for
  // the edit Options::write_id, for a merge one that the client draws. Never one that was used before.
  WriteId write_id;
};

// What the application is asked.
struct UpdateQuestion {
  std::uint32_t attempt = 0;  // from 1: the edit; then each merge
  // False: give the new value of the key (merge what is there if it is a conflict, then edit).
  // True: the edit is acknowledged and among these versions; merge them and nothing else.
  bool written = false;
  ClientOutcome read;  // the versions, and the context that the answer is written with
};

class UpdateOperation {
 public:
  struct Options {
    std::uint32_t attempts = 16;  // questions, the edit included
    Deletes deletes = Deletes::lose;
    WriteId write_id;  // of the edit; zero: the client draws one. Merges have ids of their own.
  };

  struct Read {};
  struct Write {
    bool tombstone = false;
    Bytes value, context;
    WriteId write_id;  // zero: a new one
  };
  struct Ask {
    UpdateQuestion question;
  };
  struct Pause {
    Duration time;  // then tell on_pause_over
  };
  struct Over {
    ClientOutcome outcome;
  };
  using Next = std::variant<Read, Write, Ask, Pause, Over>;

  UpdateOperation(Key key, Options options) : key_(std::move(key)), options_(options) {}

  Next start();
  // The end of the read or write that was asked for. `left`: until the deadline.
  Next on_outcome(ClientOutcome outcome, Duration left, Random& random);
  Next on_pause_over();
  Next on_answer(UpdateAnswer answer);
  // The deadline, a cancel or the end of the client, while it asks or pauses. `why` is the error
  // that the update ends with unless its edit is acknowledged.
  Over end(const Status& why);

  bool asking() const { return step_ == Step::asking; }
  bool pausing() const { return step_ == Step::pausing; }
  std::uint32_t attempt() const { return attempt_; }
  bool edited() const { return edited_; }
  bool may_be_written() const { return edited_ || step_ == Step::writing; }

  // How long an update waits before it reads again, when its own version is the rank-th of the
  // living ones: the writer of the first merges at once, the others give it time, and find one
  // version when they look. Grows with each attempt and is random, since writers that meet once
  // would meet again; at most half of what is left.
  static Duration pause(std::uint32_t attempt, std::size_t rank, Duration left, Random& random);

 private:
  enum class Step { idle, reading, asking, writing, pausing, over };
  Next on_read(ClientOutcome outcome);
  Next on_written(ClientOutcome outcome, Duration left, Random& random);
  bool holds_edit(const Object& object) const;  // the write that the caller named
  void join_what_was_known(ClientOutcome& read) const;
  Next ask(ClientOutcome read);
  Over stop(std::string why);
  Over over(ClientOutcome outcome);
  std::string named(const std::string& what) const;

  Key key_;
  Options options_;
  Step step_ = Step::idle;
  std::uint32_t attempt_ = 0;
  bool edited_ = false;
  // The refusal of an edit whose id the caller gave, while it is looked for once more.
  std::optional<ClientOutcome> refused_;
  WriteId edit_;        // the edit's id, once acknowledged
  WriteId last_;        // of the latest acknowledged write
  ClientOutcome seen_;  // what was last known to be there; with the context of a question
};

}  // namespace ringlet
