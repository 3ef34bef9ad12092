// Documents at the command line: edits as people write them, and what a document holds as JSON.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "document/edits.hpp"

namespace ringlet {

// One edit:
//   PATH += 2   PATH -= 2   a counter         PATH add VALUE   PATH remove VALUE   a set
//   PATH = VALUE            a register        PATH also VALUE  a register of all values
//   PATH enable   PATH disable                a flag
//   PATH erase    PATH discard   PATH clear   a field; "/ clear" is the whole document
// PATH: names separated by "/", as items/tea; [5] is a number, [true] a boolean, 0x7465 bytes; a backslash
// takes the character after it as it is. VALUE: a number, true, false, null, "text", or text as it is.
Result<document::Edit> parse_edit(const std::string& text);

// Sets are lists, names that are not text are written as above. Of two fields of one name, made
// concurrently with two types, the second is called "name (a set)". A counter beyond 64 bits is an error.
Result<boost::json::object> json_of(const document::State& state);

}  // namespace ringlet
