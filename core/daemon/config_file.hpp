// node.toml: what a node is told before it starts. Every key has a default but the node's name and
// the members; an unknown key, a wrong type or a number out of range is an error that names file,
// line, key, what was wanted and what was got, and nothing is started.
#pragma once

#include <string>

#include "base/status.hpp"
#include "configuration/config.hpp"

namespace ringlet {

// `file` names the text in errors.
Result<Config> parse_config(const std::string& text, const std::string& file);
Result<Config> load_config(const std::string& path);
// A complete configuration with every default and a comment for each key; parse_config accepts it.
std::string default_config();

}  // namespace ringlet
