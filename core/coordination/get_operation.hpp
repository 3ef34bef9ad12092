// One read, from the first replica asked to the last answer heard.
//
//   reading    ask the N owners, and the next fallback for each that is believed down; whoever
//              refuses or stays silent is replaced by the next member, through all S of them; who
//              is late and says nothing to anybody is so early, when the others may be too few
//   lingering  the caller has its answer; answers that are still under way are waited for a little
//   done       owners that answered with less than was found are given what was found (read
//              repair, R5-e), without waiting for them
//
// The answer is the join of the first R distinct answers. Believed-down members are asked only when
// without them R cannot be reached, and then the silent ones once more. With `strict` only owners
// are asked, so only owners count.
//
// R counts members where W counts slots (put_operation.hpp): an owner and the fallback that was asked
// in its place are two answers. A fallback answers with all it has of the key, hints for whomever
// included, so it stands for any owner that is missing; counted by slots, R members that answer are R
// slots just the same. Nor does anything that was counted go away later: what was read was read. That
// R and W meet is promised by neither count, for the owner of a slot may be read while its fallback
// has the write (O-6): `strict` is there for that, and `not_found` says how many had nothing.
#pragma once

#include <vector>

#include "coordination/asked.hpp"
#include "coordination/quorum.hpp"
#include "protocol/effects.hpp"
#include "protocol/health.hpp"

namespace ringlet {

class GetOperation {
 public:
  struct Plan {
    Key key;
    Participants participants;
    std::size_t wanted = 1;  // R, at least 1 and at most the number of owners
    bool strict = false;
    Duration timeout;
    Duration linger;
    WriteDurability durability = WriteDurability::unset;  // of read repair
  };

  // `health` outlives the operation; it is told of silence, once a question.
  GetOperation(Plan plan, Health& health);

  void start(Now now, Effects& out);
  void on_message(NodeId from, std::uint32_t question, const Message& message, Now now,
                  Effects& out);
  void on_unreachable(NodeId node, Now now, Effects& out);
  void on_wake(Now now, Effects& out);
  // Nobody waits any more: the answer, if none was given, is `status`.
  void abandon(const Status& status, Now now, Effects& out);

 private:
  struct Heard {
    NodeId from;
    Object object;
  };

  void ask(NodeId node, Now now, Effects& out);
  bool ask_a_fallback(NodeId instead_of, Now now, Effects& out);
  void ask_early(Now now, Effects& out);
  void ask_whoever_is_left(Now now, Effects& out);
  void give_up_on(Asked& asked, Reply reply, Now now, Effects& out);
  void settle(Now now, Effects& out);
  void answer(Status status, Now now, Effects& out);
  void fail(Now now, Effects& out);
  Object what_fits() const;
  void repair(Effects& out);
  void finish(Effects& out);
  Asked* open_question(NodeId node);
  std::size_t waiting() const;

  Plan plan_;
  Health& health_;
  Quorum quorum_;
  Instant deadline_, linger_until_;
  std::vector<Asked> asked_;
  std::vector<Heard> heard_;
  Object merged_;
  std::uint32_t left_out_ = 0;  // by a replica, of what it knows
  Tally tally_;
  Refusals refusals_;
  bool answered_ = false, done_ = false;
};

}  // namespace ringlet
