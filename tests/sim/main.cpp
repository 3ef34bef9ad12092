// ringlet_sim: runs simulated histories and judges them.
//
// Exit codes: 0 all laws held (with --planted: every bug was found), 1 safety broken (or a bug not
// found), 2 wrong flags, 3 liveness broken, 4 a crash.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <sstream>
#include <thread>

#include <CLI/CLI.hpp>

#include "jobs.hpp"
#include "run.hpp"
#include "shrink.hpp"
#include "space_time.hpp"

namespace ringlet::sim {
namespace {

using Number = unsigned long long;

struct Flags {
  std::uint64_t seeds = 1000, from = 1, seed = 0, sample = 20;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  bool single = false, swarm = false, strict = false, trace = false, space_time = false,
       planted = false, near = false, golden = false, shrink = false, long_run = false;
  std::string bug, faults, workloads;
  std::size_t nodes = 0, clients = 0, operations = 0;
  Smaller smaller;
};

int exit_code(const Violation& violation) {
  return violation.kind == Kind::crash ? 4 : violation.kind == Kind::liveness ? 3 : 1;
}

const char* word_for(Kind kind) {
  return kind == Kind::crash ? "CRASH" : kind == Kind::liveness ? "LATE" : "BROKEN";
}

Plan draw(const Flags& flags, std::uint64_t seed) {
  return flags.strict ? draw_strict(seed) : flags.swarm ? draw_swarm(seed) : draw_shoppers(seed);
}

std::string command(const Flags& flags, std::uint64_t seed, const Smaller& smaller) {
  return std::string("./dev sim") +
         (flags.strict  ? " --strict"
          : flags.swarm ? " --swarm"
                        : "") +
         " --seed " + std::to_string(seed) + smaller.flags() +
         (flags.bug.empty() ? "" : " --bug " + flags.bug);
}

// The same again must be the same (L17).
RunReport run_checked(const Plan& plan, bool twice) {
  RunReport report = run_plan(plan);
  if (twice && !report.violation && run_plan(plan).hash != report.hash) {
    report.violation =
        Violation{Kind::safety, "L17", "same seed, same trace hash", "two runs of the seed differ"};
  }
  return report;
}

void print_violation(const Violation& violation) {
  std::printf("%s %s, %s: %s\n", word_for(violation.kind), violation.id.c_str(),
              violation.law.c_str(), violation.what.c_str());
}

int one(const Flags& flags) {
  Plan plan = made_smaller(draw(flags, flags.seed), flags.smaller);
  std::printf("seed %llu: %s\n", Number(flags.seed), plan.text().c_str());
  SpaceTime columns(plan);
  std::function<void(const std::string&)> trace;
  if (flags.space_time) {
    std::puts(columns.header().c_str());
    trace = [&](const std::string& line) { std::puts(columns.line(line).c_str()); };
  } else if (flags.trace) {
    trace = [](const std::string& line) { std::puts(line.c_str()); };
  }
  RunReport report = run_plan(plan, trace);
  if (!trace && !report.violation) report = run_checked(plan, true);
  std::printf(
      "%llu operations, %llu writes acknowledged, %llu failed, %llu events, trace %016llx\n",
      Number(report.operations), Number(report.acknowledged), Number(report.failed),
      Number(report.events), Number(report.hash));
  if (!report.violation) {
    std::puts("every law held");
    return 0;
  }
  print_violation(*report.violation);
  return exit_code(*report.violation);
}

int smaller_one(const Flags& flags) {
  Plan plan = draw(flags, flags.seed);
  if (flags.smaller.workloads) plan.workloads = *flags.smaller.workloads;
  RunReport report = run_plan(plan);
  std::printf("seed %llu: %s\n", Number(flags.seed), plan.text().c_str());
  if (!report.violation) {
    std::puts("every law held: there is nothing to make smaller");
    return 0;
  }
  print_violation(*report.violation);
  Smaller best = shrink(plan, *report.violation, [](const std::string& step) {
    std::printf("  %s\n", step.c_str());
    std::fflush(stdout);
  });
  Plan small = made_smaller(plan, best);
  report = run_plan(small);
  std::printf("smallest: %s\n", small.text().c_str());
  print_violation(*report.violation);
  std::printf("  %s --trace --space-time\n", command(flags, flags.seed, best).c_str());
  return exit_code(*report.violation);
}

int many(const Flags& flags) {
  RunReport total;
  std::uint64_t broken[3] = {0, 0, 0};
  int code = 0;
  auto started = std::chrono::steady_clock::now();
  auto drawn = [&](std::uint64_t seed) {
    Plan plan = draw(flags, seed);
    // Stamps need last-write-wins, and the others need siblings; deletes that are forgotten have their own.
    bool given = flags.smaller.workloads && plan.reconcile == Reconcile::siblings && !plan.reaping;
    if (given) plan.workloads = *flags.smaller.workloads;
    return plan;
  };
  auto run = [&](std::uint64_t seed) { return run_checked(drawn(seed), seed % 50 == 0); };
  auto hear = [&](const SeedReport& report) {
    total.operations += report.run.operations;
    total.acknowledged += report.run.acknowledged;
    total.failed += report.run.failed;
    total.events += report.run.events;
    total.virtual_us += report.run.virtual_us;
    for (std::size_t i = 0; i < total.situations.size(); ++i)
      total.situations[i] += report.run.situations[i];
    if (report.run.violation) {
      ++broken[static_cast<int>(report.run.violation->kind)];
      std::printf("seed %llu: %s\n", Number(report.seed), drawn(report.seed).text().c_str());
      print_violation(*report.run.violation);
      Smaller given{.workloads = flags.smaller.workloads};
      std::string again = command(flags, report.seed, given);
      std::printf("  %s --trace\n  %s --shrink\n", again.c_str(), again.c_str());
      std::fflush(stdout);
      // A crash weighs most, then safety.
      int now = exit_code(*report.run.violation);
      auto weight = [](int c) { return c == 4 ? 3 : c == 1 ? 2 : c == 3 ? 1 : 0; };
      if (weight(now) > weight(code)) code = now;
    }
    return true;
  };
  run_jobs(flags.from, flags.seeds, flags.jobs, run, hear);
  double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::printf(
      "%llu seeds, %llu operations, %llu writes acknowledged, %llu calls failed; broken: %llu "
      "safety, %llu liveness, %llu crashes\n",
      Number(flags.seeds), Number(total.operations), Number(total.acknowledged),
      Number(total.failed), Number(broken[0]), Number(broken[1]), Number(broken[2]));
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);
  double core_seconds = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                        static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  std::printf(
      "%.0f virtual seconds in %.1f s with %u processes: a second of a core made %.0fx, %.0f "
      "operations "
      "and %.0f events a second\n",
      static_cast<double>(total.virtual_us) / 1e6, took, flags.jobs,
      static_cast<double>(total.virtual_us) / 1e6 / core_seconds,
      static_cast<double>(total.operations) / core_seconds,
      static_cast<double>(total.events) / core_seconds);
  // A run in which nothing happened proves nothing.
  bool unseen = false;
  if (flags.swarm) {
    for (std::size_t i = 0; i < total.situations.size(); ++i) {
      std::printf("%10llu  %s\n", Number(total.situations[i]), name_of(static_cast<Seen>(i)));
      unseen = unseen || total.situations[i] == 0;
    }
  }
  if (unseen && flags.long_run) {
    std::puts("BROKEN: a situation that a long run must meet was never met");
    if (code == 0) code = 1;
  }
  return code;
}

#ifdef RINGLET_PLANTED_BUGS
std::optional<PlantedBug> bug_named(const std::string& name) {
  for (int i = 1; i < static_cast<int>(PlantedBug::count); ++i) {
    auto bug = static_cast<PlantedBug>(i);
    if (name == name_of(bug) || name == number_of(bug)) return bug;
  }
  return std::nullopt;
}

// A seed of the swarm that found the bug when this was written, as `--planted` prints it. Another
// way of drawing plans makes it stale: then --near has to go on from there, and takes longer.
std::uint64_t known_seed(PlantedBug bug) {
  switch (bug) {
    case PlantedBug::refusal_not_counted:
      return 343;
    case PlantedBug::executed_after_its_age:
      return 11;
    case PlantedBug::hint_released_unconfirmed:
      return 237;
    case PlantedBug::no_hint_at_quorum:
      return 1318;
    case PlantedBug::tree_not_updated:
      return 83;
    case PlantedBug::in_flight_write_not_forwarded:
      return 67;
    case PlantedBug::reap_before_all_owners:
      return 65;
    case PlantedBug::doomstone:
      return 698;
    case PlantedBug::source_drops_early:
      return 90;
    case PlantedBug::table_tie_by_arrival:
      return 81;
    case PlantedBug::tie_by_arrival:
      return 19;
    case PlantedBug::lease_not_synced:
      return 736;
    case PlantedBug::tie_never_repaired:
      return 982;
    case PlantedBug::first_epoch_by_clock_alone:
      return 1703;
    case PlantedBug::tombstone_aged_by_wall_clock:
      return 6;
    case PlantedBug::spent_forgotten_by_sync:
      return 5;
    case PlantedBug::spent_forgotten_by_update:
      return 7;
    case PlantedBug::stamp_not_above_held:
      return 19;
    case PlantedBug::stamp_not_above_seen:
      return 23;
    case PlantedBug::reconcile_not_compared:
      return 58;
    case PlantedBug::edit_twice:
      return 3;
    case PlantedBug::siblings_not_told:
      return 3;
    case PlantedBug::document_tag_forgotten:
      return 31;
    case PlantedBug::document_write_counted_twice:
      return 40;
    case PlantedBug::document_table_deleted:
      return 537;
    case PlantedBug::document_event_settled_early:
      return 537;
    case PlantedBug::note_by_clock_alone:
      return 2861;
    case PlantedBug::learnt_notes_by_clock:
      return 31232;
    case PlantedBug::born_by_clock_alone:
      return 17774;
    case PlantedBug::forgotten_in_the_future:
      return 25;
    default:
      return 1;  // found within ten seeds
  }
}

// Each bug runs through --sample seeds of the swarm, and goes on until one seed has found it.
int planted_bugs(Flags flags) {
  int unfound = 0;
  flags.swarm = true;
  if (flags.near)
    std::puts("each search begins at a seed known to find its bug; without --near at the first");
  std::printf("%-5s %-30s %-10s %-10s %s\n", "id", "bug", "found in", "first seed", "by");
  for (int i = 1; i < static_cast<int>(PlantedBug::count); ++i) {
    auto bug = static_cast<PlantedBug>(i);
    if (!flags.bug.empty() && bug_named(flags.bug) != bug) continue;
    std::map<std::string, std::uint64_t> by;
    std::uint64_t first = 0, found = 0, ran = 0;
    auto run = [&](std::uint64_t seed) {
      plant(bug);
      Flags its = flags;
      its.strict =
          bug == PlantedBug::flip_counted_before_data;  // where rings change and little mends
      auto report = run_checked(draw(its, seed), bug == PlantedBug::pointer_order);
      if (!report.violation) return report;
      // A seed that is broken without the bug says nothing about it.
      plant(PlantedBug::none);
      if (run_checked(draw(its, seed), false).violation) report.violation.reset();
      return report;
    };
    std::uint64_t chunk = std::min(flags.seeds, flags.sample);
    std::uint64_t begin = flags.near ? known_seed(bug) : flags.from;
    for (std::uint64_t from = begin; from < begin + flags.seeds && found == 0;) {
      std::uint64_t count = std::min(chunk, begin + flags.seeds - from);
      run_jobs(from, count, flags.jobs, run, [&](const SeedReport& report) {
        ++ran;
        if (!report.run.violation) return true;
        ++found;
        if (first == 0 || report.seed < first) first = report.seed;
        ++by[report.run.violation->id + " " + report.run.violation->law];
        return true;
      });
      from += count;
    }
    std::string who;
    for (const auto& [law, times] : by)
      who += (who.empty() ? "" : "; ") + law + " (" + std::to_string(times) + ")";
    std::string share = std::to_string(found) + "/" + std::to_string(ran);
    std::printf("%-5s %-30s %-10s %-10s %s\n", number_of(bug), name_of(bug), share.c_str(),
                found > 0 ? std::to_string(first).c_str() : "-",
                found > 0 ? who.c_str() : "NOT FOUND");
    std::fflush(stdout);
    if (found == 0) ++unfound;
  }
  return unfound == 0 ? 0 : 1;
}
#endif

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

// The flags of a smaller plan; says what is wrong with them.
std::string read_smaller(Flags& flags) {
  if (flags.nodes > 0) flags.smaller.nodes = flags.nodes;
  if (flags.clients > 0) flags.smaller.clients = flags.clients;
  if (flags.operations > 0) flags.smaller.operations = flags.operations;
  if (!flags.faults.empty()) {
    flags.smaller.faults.emplace();
    for (const std::string& part :
         flags.faults == "none" ? std::vector<std::string>() : split(flags.faults)) {
      if (part.empty() || part.find_first_not_of("0123456789") != std::string::npos ||
          part.size() > 4)
        return "--faults: wanted numbers of the plan's faults or \"none\", got \"" + part + "\"";
      flags.smaller.faults->push_back(std::stoul(part));
    }
  }
  if (!flags.workloads.empty()) {
    flags.smaller.workloads.emplace();
    for (const std::string& part : split(flags.workloads)) {
      auto kind = workload_named(part);
      if (!kind) return "--workloads: wanted names like \"carts,sessions\", got \"" + part + "\"";
      flags.smaller.workloads->push_back(*kind);
    }
  }
  return {};
}

int wrong(const std::string& what) {
  std::fprintf(stderr, "ringlet_sim: %s\n", what.c_str());
  return 2;
}

int main_of(int argc, char** argv) {
  CLI::App app{
      "Runs real nodes and clients on virtual time: workloads, faults, and every law checked."};
  Flags flags;
  app.add_option("--seeds", flags.seeds, "how many histories to run")
      ->check(CLI::Range(1, 100'000'000));
  app.add_option("--from", flags.from, "the first seed");
  auto* single = app.add_option("--seed", flags.seed, "run this one");
  app.add_flag("--swarm", flags.swarm, "draw everything: cluster, workloads, faults");
  app.add_flag("--strict", flags.strict, "strict requests while rings change and nodes die");
  app.add_option("--jobs", flags.jobs, "processes at once")->check(CLI::Range(1, 1024));
  app.add_flag("--long", flags.long_run, "fail when some situation was never met");
  app.add_flag("--trace", flags.trace, "print each event of --seed");
  app.add_flag("--space-time", flags.space_time, "with a column for each host");
  app.add_flag("--shrink", flags.shrink, "find a smaller plan that breaks the law of --seed");
  app.add_option("--nodes", flags.nodes, "of a smaller plan")->check(CLI::Range(1, 64));
  app.add_option("--clients", flags.clients, "of a smaller plan")->check(CLI::Range(1, 64));
  app.add_option("--operations", flags.operations, "of a smaller plan")
      ->check(CLI::Range(1, 100'000'000));
  app.add_option("--faults", flags.faults, "of a smaller plan: numbers from 0, or none");
  app.add_option("--workloads", flags.workloads, "of a smaller plan, or of many seeds: names");
  app.add_flag("--planted", flags.planted,
               "plant each known bug in turn: all must be found within --seeds");
  app.add_option("--sample", flags.sample, "with --planted: seeds each bug runs through")
      ->check(CLI::Range(1, 1'000'000));
  app.add_flag("--near", flags.near,
               "with --planted: begin at a seed known to find the bug, not at --from");
  app.add_option("--bug", flags.bug, "plant this one, by name or number");
  app.add_flag("--golden", flags.golden, "the paper's D1 to D5");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  flags.single = single->count() > 0;
  if (std::string what = read_smaller(flags); !what.empty()) return wrong(what);
  if (flags.shrink && !flags.single) return wrong("--shrink: wanted a --seed to make smaller");
  if (flags.golden) {
    std::string differs = golden_history();
    std::fputs(differs.empty() ? "D1 to D5: every context exact\n" : differs.c_str(), stdout);
    return differs.empty() ? 0 : 1;
  }
#ifdef RINGLET_PLANTED_BUGS
  if (!flags.bug.empty()) {
    auto bug = bug_named(flags.bug);
    if (!bug)
      return wrong("--bug: wanted a name or number of --planted, got \"" + flags.bug + "\"");
    if (!flags.planted) plant(*bug);
  }
  if (flags.planted) return planted_bugs(flags);
#else
  if (flags.planted || !flags.bug.empty())
    return wrong("this build has no planted bugs, wanted one with RINGLET_PLANTED_BUGS=ON");
#endif
  if (flags.shrink) return smaller_one(flags);
  return flags.single ? one(flags) : many(flags);
}

}  // namespace
}  // namespace ringlet::sim

int main(int argc, char** argv) {
  return ringlet::sim::main_of(argc, argv);
}
