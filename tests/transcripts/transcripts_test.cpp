// Every transcript says what happens today; RINGLET_REWRITE=1 writes down what happens now. Commit
// that only if you understand what caused it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/planted.hpp"
#include "transcripts/transcript.hpp"

namespace fs = std::filesystem;
using namespace ringlet;
using transcript::Step;

namespace {

std::vector<fs::path> all_transcripts() {
  std::vector<fs::path> files;
  fs::path root = fs::path(RINGLET_SOURCE_DIR) / "tests" / "transcripts";
  for (const char* folder : {"get", "put", "delete"}) {
    for (const auto& entry : fs::directory_iterator(root / folder)) {
      if (entry.path().extension() == ".txt") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string read(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The first step that came out differently, both ways.
std::string difference(const std::vector<Step>& written, const std::vector<Step>& now) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i].happened == now[i].happened) continue;
    return "after `" + written[i].command + "`\n--- written down\n" + written[i].happened +
           "+++ happens now\n" + now[i].happened;
  }
  return "";
}

bool is_reply(const Step& step) {
  return step.command.find(':') == 1;
}

}  // namespace

TEST_CASE("R5-d transcripts: what a request does is what is written down") {
  REQUIRE(all_transcripts().size() >= 12);
  for (const fs::path& file : all_transcripts()) {
    INFO(file.string());
    std::vector<Step> written = transcript::parse(read(file));
    REQUIRE(!written.empty());
    std::vector<Step> now = transcript::run(written);
    if (std::getenv("RINGLET_REWRITE") != nullptr) {
      std::ofstream(file) << transcript::print(now);
      continue;
    }
    INFO(difference(written, now));
    CHECK(transcript::print(written) == transcript::print(now));
  }
}

TEST_CASE("a transcript that was changed is seen") {
  std::vector<Step> steps = transcript::parse(read(all_transcripts().front()));
  steps[0].happened += "-> X Ping\n";
  CHECK(difference(steps, transcript::run(steps)).find("-> X Ping") != std::string::npos);
}

TEST_CASE("R5-d every reply lost, refused, late or twice: one answer, one done") {
  int played = 0;
  for (const fs::path& file : all_transcripts()) {
    const std::vector<Step> steps = transcript::parse(read(file));
    auto check = [&](const char* how, std::size_t at, const std::vector<Step>& changed) {
      transcript::Ending ending = transcript::run_to_the_end(changed);
      INFO(file.string() << ": `" << steps[at].command << "` " << how << "\n" << ending.happened);
      CHECK(ending.answers == 1);
      CHECK(ending.dones == 1);
      CHECK(ending.sends_after_done == 0);
      ++played;
    };
    check("unchanged", 0, steps);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (!is_reply(steps[i])) continue;
      std::vector<Step> lost = steps;
      lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(i));
      check("lost", i, lost);

      std::string from = steps[i].command.substr(0, 2);
      for (const char* why : {" Refused overloaded", " Refused too_large", " unreachable"}) {
        std::vector<Step> refused = steps;
        refused[i].command = from + why;
        check(why, i, refused);
      }
      std::vector<Step> twice = steps;
      twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), steps[i]);
      check("twice", i, twice);

      for (std::size_t later = i + 1; later <= lost.size(); ++later) {
        std::vector<Step> late = lost;
        late.insert(late.begin() + static_cast<std::ptrdiff_t>(later), steps[i]);
        check("late", i, late);
      }
    }
  }
  CHECK(played > 300);
}

TEST_CASE("the transcripts object to every planted bug of this folder") {
  for (PlantedBug bug : {PlantedBug::refusal_not_counted, PlantedBug::answered_twice,
                         PlantedBug::no_fallback, PlantedBug::no_hint_at_quorum}) {
    plant(bug);
    int objections = 0;
    for (const fs::path& file : all_transcripts()) {
      std::vector<Step> written = transcript::parse(read(file));
      if (!difference(written, transcript::run(written)).empty()) ++objections;
    }
    plant(PlantedBug::none);
    INFO(name_of(bug));
    CHECK(objections > 0);
  }
}
