// A shopping cart that takes every change, in C++.
//
//   cart SEEDS CUSTOMER add ITEM...      cart SEEDS CUSTOMER remove ITEM      cart SEEDS CUSTOMER show
//
// The same carts as the c, python and java examples keep: the key CUSTOMER in the bucket "carts" is
// text, one item a line, in order. Versions that were written at the same time become one that has
// everything in it. Exit code: 0 done, 1 the cluster could not, 2 used wrongly.
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/client.hpp"

namespace {

using ringlet::Client;
using Cart = std::set<std::string>;

Cart union_of(const std::vector<const ringlet::Version*>& versions) {
  Cart cart;
  for (const ringlet::Version* version : versions) {
    std::istringstream lines(version->value);
    for (std::string item; std::getline(lines, item);) {
      if (!item.empty()) cart.insert(item);
    }
  }
  return cart;
}

std::string text_of(const Cart& cart) {
  std::string text;
  for (const std::string& item : cart) text += item + '\n';
  return text;
}

int usage(const char* why) {
  std::cerr << "cart: " << why << "\nusage: cart SEEDS CUSTOMER add ITEM... | remove ITEM | show\n";
  return 2;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

// One edit; versions that were written at the same time, before it or beside it, become their union.
ringlet::Outcome change(Client& client, const ringlet::Key& key, const std::string& verb,
                        const std::vector<std::string>& items) {
  using ringlet::UpdateAnswer;
  auto edit = [&](const ringlet::Version* current) -> UpdateAnswer {
    Cart cart = current == nullptr ? Cart{} : union_of({current});
    for (const std::string& item : items) {
      if (verb == "add") cart.insert(item);
      if (verb == "remove") cart.erase(item);
    }
    return {UpdateAnswer::Kind::value, text_of(cart), {}};
  };
  auto resolver = [](const std::vector<const ringlet::Version*>& siblings) -> UpdateAnswer {
    return {UpdateAnswer::Kind::value, text_of(union_of(siblings)), {}};
  };
  Client::UpdateOptions options;
  options.content_type = "text/plain";
  return client.update(key, edit, resolver, options);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return usage("something is missing");
  const std::string verb = argv[3];
  const std::vector<std::string> items(argv + 4, argv + argc);
  if (verb != "add" && verb != "remove" && verb != "show")
    return usage("wanted add, remove or show");
  if (verb == "show" ? !items.empty() : verb == "remove" ? items.size() != 1 : items.empty()) {
    return usage("add takes items, remove takes one item, show takes none");
  }
  for (const std::string& item : items) {
    if (item.empty() || item.find('\n') != std::string::npos)
      return usage("an item is one line of text");
  }

  ringlet::ClientOptions options;
  options.seeds = split(argv[1]);
  options.timeout = ringlet::Duration::seconds(5);
  auto client = Client::open(std::move(options));
  if (!client) {
    std::cerr << "cart: " << client.status().message() << "\n";
    return 1;
  }
  const ringlet::Key key{"carts", argv[2]};
  ringlet::Outcome outcome =
      verb == "show" ? (*client)->get(key) : change(**client, key, verb, items);
  if (const ringlet::Status& status = outcome.reply.status; !status.is_ok()) {
    std::cerr << "cart: " << status.message()
              << (status.maybe_applied() ? " (the change may have been made)" : "") << "\n";
    return 1;
  }
  for (const std::string& item : union_of(ringlet::shown(outcome.reply.object).versions))
    std::cout << item << "\n";
}
