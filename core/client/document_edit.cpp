#include "client/document_edit.hpp"

#include <utility>

namespace ringlet {
namespace {

UpdateAnswer failed(const Status& why) {
  UpdateAnswer answer;
  answer.kind = UpdateAnswer::Kind::fail;
  answer.code = why.code();
  answer.reason = why.message();
  return answer;
}

}  // namespace

UpdateAnswer answer_edit(const UpdateQuestion& question, const document::Edits& edits,
                         Deletes deletes, std::int64_t wall_us, const document::TakeOver& take,
                         const document::Settled& settled) {
  const Object& object = question.read.reply.object;
  if (object.mode == Reconcile::lww) {
    return failed(Status(Code::unsupported,
                         "wanted a cluster with reconcile = siblings, got one with lww, where a "
                         "concurrent edit of a document would be dropped"));
  }
  auto state = document::read(object, deletes, take);
  if (!state) return failed(state.status());
  auto written =
      document::apply(std::move(*state), object.context,
                      question.written ? document::Edits() : edits, wall_us, {}, settled);
  if (!written) return failed(written.status());
  UpdateAnswer answer;
  answer.kind = UpdateAnswer::Kind::value;
  answer.value = document::encode(*written);
  return answer;
}

}  // namespace ringlet
