// config: node.toml; what is refused is refused in one sentence, what is taken is consistent
#include "daemon/config_file.hpp"

#include <algorithm>

#include "fuzz/target.hpp"

namespace ringlet::fuzz {
namespace {

bool is_one_line(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

Verdict config(BytesView input) {
  auto config = parse_config(Bytes(input), "node.toml");
  if (!config) {
    const std::string& why = config.status().message();
    hold(config.status().code() == Code::invalid_argument, "refused with another code");
    hold(why.starts_with("node.toml:") && why.size() > 12, "refused without a sentence: " + why);
    hold(is_one_line(why), "control characters of the file are in the sentence: " + why);
    return Verdict::refused;
  }
  const Ring::Options& ring = config->ring;
  auto named = [&](const Member& member) { return member.name == config->node.name; };
  hold(std::any_of(ring.members.begin(), ring.members.end(), named), "the node is no member");
  hold(config->node.coordination.r <= ring.replicas && config->node.coordination.w <= ring.replicas,
       "a quorum is larger than the replicas");
  hold(!config->server.listen.empty(), "nothing to listen on");
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
