// The log of an order, in C++: an edit that must not be made twice, and a resolver of our own.
//
//   order_log SEEDS ORDER append TEXT        order_log SEEDS ORDER show
//
// The log of ORDER is a value in the bucket "orders": UTF-8 text, one entry a line, in order. An
// entry is "NUMBER ID TEXT", where NUMBER is one more than the greatest that its writer saw and
// ID is drawn at random. So two clerks who append at the same time write two entries with one
// number, and the same words twice are two entries, too. The c, java and python examples write
// the same logs.
//
// update() calls `append` at most once, and exactly once when it succeeds; what the write met,
// `merge` puts together. Appending again in the merge would put the entry into the log twice.
// Exit code: 0 done, 1 the cluster could not, 2 used wrongly.
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/client.hpp"

namespace {

using ringlet::Bytes;
using ringlet::UpdateAnswer;
using ringlet::Version;

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) parts.push_back(part);
  return parts;
}

// Every entry of any version, each once: an entry that two versions share is the same line in both.
Bytes merge(const std::vector<const Version*>& versions) {
  std::set<std::string> lines;
  for (const Version* version : versions) {
    for (const std::string& line : split(version->value, '\n')) lines.insert(line);
  }
  Bytes log;
  for (const std::string& line : lines) log += line + '\n';
  return log;
}

// The log with one more entry. Not idempotent: called twice, it appends two entries.
Bytes append(const Bytes& log, const std::string& text) {
  const std::vector<std::string> lines = split(log, '\n');
  const long number = lines.empty() ? 1 : std::strtol(lines.back().c_str(), nullptr, 10) + 1;
  std::random_device random;  // 32 bits a call
  std::ostringstream entry;
  entry << std::setfill('0') << std::setw(8) << number << ' ' << std::hex << std::setw(8)
        << random() << std::setw(8) << random() << ' ' << text << '\n';
  return log + entry.str();
}

int usage() {
  std::cerr << "usage: order_log SEEDS ORDER append TEXT | show\n"
               "order_log: an entry is one line of text\n";
  return 2;
}

int failed(const ringlet::Status& status) {
  std::cerr << "order_log: " << status.message()
            << (status.maybe_applied()
                    ? " (the entry may be in the log: look before you append it again)\n"
                    : "\n");
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool show = words.size() == 3 && words[2] == "show";
  if (!show && (words.size() != 4 || words[2] != "append")) return usage();
  if (!show && (words[3].empty() || words[3].find('\n') != std::string::npos)) return usage();

  ringlet::ClientOptions options;
  options.seeds = split(words[0], ',');
  options.timeout = ringlet::Duration::seconds(5);
  auto client = ringlet::Client::open(std::move(options));
  if (!client) return failed(client.status());

  const ringlet::Key order{"orders", words[1]};
  ringlet::Outcome outcome;
  if (show) {
    outcome = (*client)->get(order);
  } else {
    auto edit = [&](const Version* current) -> UpdateAnswer {
      return {UpdateAnswer::Kind::value,
              append(current == nullptr ? Bytes() : current->value, words[3]),
              {}};
    };
    auto resolver = [](const std::vector<const Version*>& siblings) -> UpdateAnswer {
      return {UpdateAnswer::Kind::value, merge(siblings), {}};
    };
    ringlet::Client::UpdateOptions update;
    update.content_type = "text/plain";
    outcome = (*client)->update(order, edit, resolver, update);
  }
  if (!outcome.reply.status.is_ok()) return failed(outcome.reply.status);
  for (const std::string& line :
       split(merge(ringlet::shown(outcome.reply.object).versions), '\n')) {
    const std::size_t id = line.find(' ');
    std::cout << std::strtol(line.c_str(), nullptr, 10) << line.substr(line.find(' ', id + 1))
              << '\n';
  }
}
