// A shopping cart as a document, in C++: no merge is written, and what was removed stays away.
//
//   cart SEEDS CUSTOMER show                    cart SEEDS CUSTOMER add THING [AMOUNT]
//   cart SEEDS CUSTOMER remove THING            cart SEEDS CUSTOMER coupon CODE
//
// The same carts as those of the c, java and python examples: the document CUSTOMER in the bucket
// "baskets" has a map "items" of counters and a set "coupons". Two shoppers may change a cart at the
// same time: amounts add up, and a thing is gone only if the shopper who removed it had seen it.
// Exit code: 0 done, 1 the cluster could not, 2 used wrongly.
#include <charconv>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "document/edits.hpp"
#include "runtime/client.hpp"

namespace {

namespace document = ringlet::document;
using document::EditKind;
using document::Scalar;

// The edit is data: Ringlet applies it to what is stored.
document::Edit edit_of(const std::string& verb, const std::string& what, std::int64_t amount) {
  const Scalar name = Scalar::of_text(what);
  if (verb == "coupon") return {EditKind::add, {Scalar::of_text("coupons")}, name, 0};
  if (verb == "remove") return {EditKind::discard, {Scalar::of_text("items"), name}, {}, 0};
  return {EditKind::increment, {Scalar::of_text("items"), name}, {}, amount};
}

void print(const document::Map& cart) {
  using document::Type;
  if (const document::Field* codes = document::find(cart, Scalar::of_text("coupons"), Type::set)) {
    for (const document::Element& code : std::get<document::Set>(codes->node).elements)
      std::cout << "coupon " << code.value.text << '\n';
  }
  if (const document::Field* items = document::find(cart, Scalar::of_text("items"), Type::map)) {
    for (const document::Field& item : std::get<document::Map>(items->node).fields) {
      if (const auto* amount = std::get_if<document::Counter>(&item.node))
        std::cout << std::setw(4) << document::to_string(document::total(*amount)) << ' '
                  << item.name.text << '\n';
    }
  }
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

int usage(const char* why) {
  std::cerr
      << "cart: " << why << '\n'
      << "usage: cart SEEDS CUSTOMER show | add THING [AMOUNT] | remove THING | coupon CODE\n";
  return 2;
}

int failed(const ringlet::Status& status) {
  std::cerr << "cart: " << status.message()
            << (status.maybe_applied() ? " (the change may have been made)" : "") << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3) return usage("something is missing");
  const std::string verb = words[2];
  const std::size_t more = words.size() - 3;
  if (verb != "show" && verb != "add" && verb != "remove" && verb != "coupon")
    return usage("wanted show, add, remove or coupon");
  if (more != (verb == "show" ? 0u : verb == "add" && more == 2 ? 2u : 1u))
    return usage(
        "show takes no word, add a thing and perhaps an amount, remove and coupon one word");
  std::int64_t amount = 1;
  if (more == 2) {
    const std::string& text = words[4];
    auto read = std::from_chars(text.data(), text.data() + text.size(), amount);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || amount < 1 ||
        amount > 1'000'000)
      return usage("wanted an amount from 1 to 1000000");
  }

  ringlet::ClientOptions options;
  options.seeds = split(words[0]);
  options.timeout = ringlet::Duration::seconds(5);
  auto client = ringlet::Client::open(std::move(options));
  if (!client) return failed(client.status());

  const ringlet::Key key{"baskets", words[1]};
  ringlet::Outcome outcome;
  if (verb == "show") {
    outcome = (*client)->get(key);
  } else {
    ringlet::ClientCore::Edit edit;
    edit.request.key = key;
    edit.edits = {edit_of(verb, words[3], amount)};
    outcome = (*client)->edit(std::move(edit));
  }
  if (!outcome.reply.status.is_ok()) return failed(outcome.reply.status);
  // All versions together, the edit among them. A key that is missing is an empty document.
  auto cart = document::read(outcome.reply.object);
  if (!cart) return failed(cart.status());
  print(cart->root);
}
