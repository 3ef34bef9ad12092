// message: a type byte and a body into a message; what is taken survives encode and decode
#include <boost/pfr.hpp>
#include <concepts>
#include <ranges>
#include <variant>

#include "fuzz/target.hpp"
#include "protocol/messages.hpp"
#include "wire/codec.hpp"

namespace ringlet::fuzz {
namespace {

// Field by field, to the times of entries, which == of a context leaves out.
template <typename T>
bool same(const T& a, const T& b) {
  if constexpr (std::same_as<T, CausalContext>) {
    auto times = [](const T& context) {
      return context.entries() | std::views::transform(&CausalContext::Entry::last_ms);
    };
    return a == b && std::ranges::equal(times(a), times(b));
  } else if constexpr (std::same_as<T, Object>) {
    return a == b && same(a.context, b.context);
  } else if constexpr (std::ranges::range<T>) {
    return std::ranges::equal(a, b, [](const auto& x, const auto& y) { return same(x, y); });
  } else if constexpr (std::equality_comparable<T>) {
    return a == b;
  } else {
    bool all = true;
    boost::pfr::for_each_field(a, [&](const auto& field, auto index) {
      all = all && same(field, boost::pfr::get<decltype(index)::value>(b));
    });
    return all;
  }
}

bool same_message(const Message& a, const Message& b) {
  return a.index() == b.index() && std::visit(
                                       [&](const auto& message) {
                                         using M = std::decay_t<decltype(message)>;
                                         return same(message, std::get<M>(b));
                                       },
                                       a);
}

}  // namespace

Verdict message(BytesView input) {
  if (input.empty()) return Verdict::refused;
  auto type = static_cast<std::uint8_t>(input[0]);
  auto decoded = wire::decode(type, input.substr(1));
  if (!decoded) {
    hold(decoded.status().code() == Code::corrupt, "a body that is refused is not called corrupt");
    hold(!decoded.status().message().empty(), "a body is refused without a sentence");
    return Verdict::refused;
  }
  hold(static_cast<std::uint8_t>(wire::type_of(*decoded)) == type, "a message of another type");
  Bytes bytes;
  wire::encode(*decoded, bytes);
  auto again = wire::decode(type, bytes);
  hold(again.is_ok(), "what was taken is refused once encoded again: " + again.status().message());
  hold(same_message(*decoded, *again), "a message does not survive encode and decode");
  Bytes twice;
  wire::encode(*again, twice);
  hold(twice == bytes, "one message has two encodings");
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
