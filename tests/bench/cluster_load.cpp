// A load on a cluster, half gets and half puts. Without --seeds, three nodes with memory engines in
// this process. Prints one line of JSON; exit code 1 when calls failed.
//
//   closed loop  each connection is a client on its own thread that waits for its answer before it
//                asks again
//   --rate R     open loop: R calls a second, all connections together, whatever becomes of them;
//                times are from when a call was due. Says what succeeded and failed in each second,
//                and why, and what took longest; with --slow MS also when calls took longer than
//                that, in seconds of the monotonic clock, to lay beside a trace of the machine.
//
// Puts carry the context that was last seen of their key, so that siblings do not pile up (the open loop
// reads all keys first, and then says "the clock starts" on stderr); with --blind they carry none.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/random.hpp"
#include "bench/percentiles.hpp"
#include "runtime/client.hpp"
#include "runtime/server.hpp"
#include "runtime/timed_engine.hpp"
#include "storage/memory_engine.hpp"

namespace ringlet {
namespace {

using Clock = std::chrono::steady_clock;

Result<std::vector<std::unique_ptr<Server>>> start_cluster(int nodes, int threads) {
  Ring::Options options;
  std::vector<std::unique_ptr<Listener>> listeners;
  for (int i = 0; i < nodes; ++i) {
    auto listener = Listener::open("127.0.0.1:0");
    if (!listener) return listener.status();
    Member member;
    member.name = "n" + std::to_string(i + 1);
    member.id = node_id_of(member.name);
    member.address = (*listener)->address();
    options.members.push_back(member);
    listeners.push_back(std::move(*listener));
  }
  auto ring = Ring::build(options);
  if (!ring) return ring.status();
  std::vector<std::unique_ptr<Server>> servers;
  for (int i = 0; i < nodes; ++i) {
    NodeOptions node;
    node.name = "n" + std::to_string(i + 1);
    node.founding_is_agreed = true;
    auto state = open_timed_node(node, make_memory_engine(), *ring);
    if (!state) return state.status();
    ServerOptions server;
    server.threads = threads;
    auto started = Server::start(*state, server, std::move(listeners[static_cast<std::size_t>(i)]));
    if (!started) return started.status();
    servers.push_back(std::move(*started));
  }
  return servers;
}

struct Load {
  bench::Times gets, puts;
  std::size_t failed = 0;
  std::string first_failure;
};

void run(Client& client, std::uint64_t seed, std::size_t payload, std::uint64_t keys, bool blind,
         Clock::time_point until, Load& load) {
  Random random(seed);
  Bytes value(payload, 'v');
  for (;;) {
    Key key{"bench", std::to_string(random.below(keys))};
    auto start = Clock::now();
    if (start >= until) return;
    auto got = client.get(key);
    auto middle = Clock::now();
    load.gets.add(std::chrono::nanoseconds(middle - start).count());
    auto put = client.put(key, value, blind ? Bytes() : got.context);
    load.puts.add(std::chrono::nanoseconds(Clock::now() - middle).count());
    for (const Outcome* outcome : {&got, &put}) {
      if (outcome->reply.status.is_ok()) continue;
      if (load.failed++ == 0) load.first_failure = outcome->reply.status.to_string();
    }
  }
}

// The contexts that the open loop's connections saw last, by key.
class Contexts {
 public:
  explicit Contexts(std::uint64_t keys) : seen_(keys) {}
  Bytes of(std::uint64_t key) {
    std::lock_guard lock(mutexes_[key % mutexes_.size()]);
    return seen_[key];
  }
  void saw(std::uint64_t key, Bytes context) {
    std::lock_guard lock(mutexes_[key % mutexes_.size()]);
    seen_[key] = std::move(context);
  }

 private:
  std::array<std::mutex, 64> mutexes_;  // each guards its share of the keys
  std::vector<Bytes> seen_;
};

// Before the clock starts: every `step`-th key from `first` on, one after the other.
void read_all(Client& client, std::uint64_t first, std::uint64_t step, std::uint64_t keys,
              Contexts& contexts) {
  for (std::uint64_t key = first; key < keys; key += step) {
    auto got = client.get({"bench", std::to_string(key)});
    if (got.reply.status.is_ok()) contexts.saw(key, std::move(got.context));
  }
}

// What one connection of the open loop saw; its callbacks run on the client's thread.
struct OpenLoad {
  struct Slow {
    Clock::time_point due;
    std::int64_t took_ns;
  };
  std::mutex mutex;  // guards all below
  bench::Times gets, puts;
  std::map<std::string, std::size_t> failed;
  std::vector<std::size_t> ok_in_second, failed_in_second, worst_ms_in_second;  // by when due
  std::vector<Slow> slow;  // those beyond slow_ns
  std::int64_t slow_ns = INT64_MAX;
  std::size_t offered = 0;
  std::atomic<std::size_t> outstanding{0};

  void count(std::vector<std::size_t>& seconds, std::size_t second) {
    if (seconds.size() <= second) seconds.resize(second + 1);
    ++seconds[second];
  }
};

// contexts: nullptr for blind puts.
void run_open(Client& client, std::uint64_t seed, std::size_t payload, std::uint64_t keys,
              Contexts* contexts, double rate, Clock::time_point start, double seconds,
              OpenLoad& load) {
  Random random(seed);
  Bytes value(payload, 'v');
  auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (std::uint64_t i = 0;; ++i) {
    auto due = start + std::chrono::duration_cast<Clock::duration>(
                           std::chrono::duration<double>(static_cast<double>(i) / rate));
    if (due >= end || Clock::now() >= end) break;
    if (due - Clock::now() > std::chrono::milliseconds(1)) std::this_thread::sleep_until(due);
    ClientCore::Request request;
    request.kind = random.chance(0.5) ? ClientCore::Kind::get : ClientCore::Kind::put;
    std::uint64_t number = random.below(keys);
    request.key = {"bench", std::to_string(number)};
    bool get = request.kind == ClientCore::Kind::get;
    if (!get) request.value = value;
    if (!get && contexts != nullptr) request.context = contexts->of(number);
    ++load.outstanding;
    ++load.offered;
    auto second = static_cast<std::size_t>(std::chrono::duration<double>(due - start).count());
    client.submit(std::move(request), [&load, contexts, number, due, get, second](Outcome outcome) {
      auto took = std::chrono::nanoseconds(Clock::now() - due).count();
      if (contexts != nullptr && outcome.reply.status.is_ok()) {
        contexts->saw(number, std::move(outcome.context));
      }
      {
        std::lock_guard lock(load.mutex);
        if (outcome.reply.status.is_ok()) {
          (get ? load.gets : load.puts).add(took);
          if (took > load.slow_ns) load.slow.push_back({due, took});
          load.count(load.ok_in_second, second);
          load.worst_ms_in_second.resize(load.ok_in_second.size());
          auto& worst = load.worst_ms_in_second[second];
          worst = std::max(worst, static_cast<std::size_t>(took / 1'000'000));
        } else {
          ++load.failed[name_of(outcome.reply.status.code())];
          load.count(load.failed_in_second, second);
        }
      }
      --load.outstanding;
    });
  }
  while (load.outstanding != 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

std::string json_of(const std::vector<std::size_t>& numbers) {
  std::string text;
  for (std::size_t number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return "[" + text + "]";
}

// Slow calls that were due within five milliseconds of another: when the first was due, how many there
// were, and the longest. "[[123.456,12,31.0],...]".
std::string stalls_of(std::vector<OpenLoad::Slow> slow) {
  std::sort(slow.begin(), slow.end(), [](const auto& a, const auto& b) { return a.due < b.due; });
  std::string text;
  for (auto first = slow.begin(); first != slow.end();) {
    auto last = first + 1;
    std::int64_t longest = first->took_ns;
    for (; last != slow.end() && last->due - (last - 1)->due < std::chrono::milliseconds(5);
         ++last) {
      longest = std::max(longest, last->took_ns);
    }
    char one[80];
    std::snprintf(one, sizeof one, "%s[%.4f,%td,%.1f]", text.empty() ? "" : ",",
                  std::chrono::duration<double>(first->due.time_since_epoch()).count(),
                  last - first, static_cast<double>(longest) / 1e6);
    text += one;
    first = last;
  }
  return "[" + text + "]";
}

int open_loop(std::vector<std::unique_ptr<Client>>& clients, std::uint64_t seed,
              std::size_t payload, std::uint64_t keys, bool blind, double rate, double seconds,
              double slow_ms) {
  Contexts contexts(blind ? 0 : keys);
  std::vector<std::unique_ptr<OpenLoad>> loads;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < clients.size() && !blind; ++i) {
    threads.emplace_back([&, i] { read_all(*clients[i], i, clients.size(), keys, contexts); });
  }
  for (auto& thread : threads) thread.join();
  threads.clear();
  std::fputs("the clock starts\n", stderr);
  auto start = Clock::now();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    loads.push_back(std::make_unique<OpenLoad>());
    if (slow_ms > 0) loads.back()->slow_ns = static_cast<std::int64_t>(slow_ms * 1e6);
    threads.emplace_back([&, i, load = loads[i].get()] {
      run_open(*clients[i], seed + i, payload, keys, blind ? nullptr : &contexts,
               rate / static_cast<double>(clients.size()), start, seconds, *load);
    });
  }
  for (auto& thread : threads) thread.join();
  OpenLoad& all = *loads[0];
  for (std::size_t i = 1; i < loads.size(); ++i) {
    all.gets.join(loads[i]->gets);
    all.puts.join(loads[i]->puts);
    all.offered += loads[i]->offered;
    all.slow.insert(all.slow.end(), loads[i]->slow.begin(), loads[i]->slow.end());
    for (auto& [why, count] : loads[i]->failed) all.failed[why] += count;
    auto add = [](std::vector<std::size_t>& to, const std::vector<std::size_t>& from) {
      if (to.size() < from.size()) to.resize(from.size());
      for (std::size_t second = 0; second < from.size(); ++second) to[second] += from[second];
    };
    add(all.ok_in_second, loads[i]->ok_in_second);
    add(all.failed_in_second, loads[i]->failed_in_second);
    auto& worst = all.worst_ms_in_second;
    worst.resize(std::max(worst.size(), loads[i]->worst_ms_in_second.size()));
    for (std::size_t second = 0; second < loads[i]->worst_ms_in_second.size(); ++second) {
      worst[second] = std::max(worst[second], loads[i]->worst_ms_in_second[second]);
    }
  }
  std::string failed;
  for (auto& [why, count] : all.failed) {
    failed += (failed.empty() ? "\"" : ",\"") + why + "\":" + std::to_string(count);
  }
  auto ok = static_cast<double>(all.gets.count() + all.puts.count());
  std::printf(
      "{\"what\":\"open\",\"seconds\":%.1f,\"offered_per_second\":%.0f,\"ok_per_second\":%.0f,"
      "\"failed\":{%s},\"ok_in_second\":%s,\"failed_in_second\":%s,\"worst_ms_in_second\":%s,"
      "\"stalls\":%s,\"get\":%s,\"put\":%s}\n",
      seconds, static_cast<double>(all.offered) / seconds, ok / seconds, failed.c_str(),
      json_of(all.ok_in_second).c_str(), json_of(all.failed_in_second).c_str(),
      json_of(all.worst_ms_in_second).c_str(), stalls_of(std::move(all.slow)).c_str(),
      all.gets.json().c_str(), all.puts.json().c_str());
  return all.failed.empty() ? 0 : 1;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int fail(const Status& status) {
  std::fprintf(stderr, "ringlet_cluster_load: %s\n", status.to_string().c_str());
  return 2;
}

}  // namespace
}  // namespace ringlet

int main(int argc, char** argv) {
  using namespace ringlet;
  std::size_t payload = 1024, connections = 1;
  std::uint64_t keys = 1000, seed = 1;
  double seconds = 2, rate = 0, slow_ms = 0;
  bool blind = false;
  int nodes = 3, threads = 1;
  std::string coordination = "server";
  ClientOptions options;
  CLI::App app("Closed-loop load through ringlet::Client");
  app.add_option("--seeds", options.seeds, "host:port; none: a cluster in this process");
  app.add_option("--cluster", options.cluster);
  app.add_option("--connections", connections)->check(CLI::Range(1, 1000));
  app.add_option("--seconds", seconds)->check(CLI::Range(0.1, 3600.0));
  app.add_option("--payload", payload)->check(CLI::Range(0, 8 * 1024 * 1024));
  app.add_option("--keys", keys)->check(CLI::Range(1, 100'000'000));
  app.add_option("--coordination", coordination)->check(CLI::IsMember({"server", "client"}));
  app.add_option("--nodes", nodes)->check(CLI::Range(1, 16));
  app.add_option("--threads", threads, "lanes of each node")->check(CLI::Range(1, 64));
  app.add_option("--rate", rate, "calls a second: an open loop")->check(CLI::Range(1.0, 1e7));
  app.add_option("--slow", slow_ms, "ms: when calls took longer")->check(CLI::Range(0.1, 1e6));
  app.add_flag("--blind", blind, "puts without context");
  app.add_option("--seed", seed);
  CLI11_PARSE(app, argc, argv);

  std::vector<std::unique_ptr<Server>> servers;
  bool own = options.seeds.empty();
  if (own) {
    auto started = start_cluster(nodes, threads);
    if (!started) return fail(started.status());
    servers = std::move(*started);
    for (auto& server : servers) options.seeds.push_back(server->address());
  }
  options.coordination = coordination == "client" ? Coordination::client : Coordination::server;
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < connections; ++i) {
    auto client = Client::open(options);
    if (!client) return fail(client.status());
    if (!(*client)->ring(Duration::seconds(5))) {
      return fail(Status(Code::unavailable, "no node answered within 5 s"));
    }
    clients.push_back(std::move(*client));
  }

  if (rate > 0) return open_loop(clients, seed, payload, keys, blind, rate, seconds, slow_ms);

  std::vector<Load> loads(connections);
  std::vector<std::thread> threads_of_load;
  double cpu = cpu_seconds();
  auto start = Clock::now();
  auto until =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (std::size_t i = 0; i < connections; ++i) {
    threads_of_load.emplace_back(
        [&, i] { run(*clients[i], seed + i, payload, keys, blind, until, loads[i]); });
  }
  for (auto& thread : threads_of_load) thread.join();
  double took = std::chrono::duration<double>(Clock::now() - start).count();
  cpu = cpu_seconds() - cpu;
  for (std::size_t i = 1; i < connections; ++i) {
    loads[0].gets.join(loads[i].gets);
    loads[0].puts.join(loads[i].puts);
    if (loads[0].failed == 0) loads[0].first_failure = loads[i].first_failure;
    loads[0].failed += loads[i].failed;
  }
  Load& all = loads[0];
  auto calls = static_cast<double>(all.gets.count() + all.puts.count());
  // Of this process: with a cluster of its own, nodes and clients together.
  std::printf(
      "{\"what\":\"cluster\",\"coordination\":\"%s\",\"connections\":%zu,\"payload\":%zu,"
      "\"seconds\":%.1f,\"per_second\":%.0f,\"failed\":%zu,\"cpu_us_per_call\":%.1f,"
      "\"nodes_in_process\":%s,\"get\":%s,\"put\":%s}\n",
      coordination.c_str(), connections, payload, took, calls / took, all.failed,
      cpu * 1e6 / std::max(calls, 1.0), own ? "true" : "false", all.gets.json().c_str(),
      all.puts.json().c_str());
  if (all.failed != 0) std::fprintf(stderr, "first failure: %s\n", all.first_failure.c_str());
  return all.failed == 0 ? 0 : 1;
}
