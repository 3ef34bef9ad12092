// What an update of a document answers (docs/documents.md): the edit, which is data, applied to the
// documents that were read and merged; afterwards a merge alone. No application is asked.
#pragma once

#include "client/update_operation.hpp"
#include "document/edits.hpp"

namespace ringlet {

// `wall_us`: the client's clock. The answer fails, and nothing is written, where a version is no document
// or an edit does not fit; then its reason says which.
// `take`: where versions that are no documents are taken over. `settled`: as document::apply has it.
UpdateAnswer answer_edit(const UpdateQuestion& question, const document::Edits& edits,
                         Deletes deletes, std::int64_t wall_us, const document::TakeOver& take = {},
                         const document::Settled& settled = {});

}  // namespace ringlet
