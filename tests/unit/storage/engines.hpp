// The engines of the conformance suite, and a directory that goes away with the test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "storage/fault_engine.hpp"
#include "storage/memory_engine.hpp"
#ifdef RINGLET_HAVE_WIREDTIGER
#include "storage/wiredtiger/wiredtiger_engine.hpp"
#endif

namespace ringlet::storage_test {

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ringlet-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

inline std::vector<std::string> engine_names() {
#ifdef RINGLET_HAVE_WIREDTIGER
  return {"memory", "wiredtiger", "fault+memory", "fault+wiredtiger"};
#else
  return {"memory", "fault+memory"};
#endif
}

inline std::unique_ptr<StorageEngine> make(const std::string& name, const std::string& path) {
  std::unique_ptr<StorageEngine> engine;
  if (name.ends_with("memory")) {
    engine = make_memory_engine();
  } else {
#ifdef RINGLET_HAVE_WIREDTIGER
    WiredTigerOptions options;
    options.directory = path;
    options.cluster = "test";
    options.node = "n1";
    auto opened = open_wiredtiger_engine(options);
    if (!opened) throw std::runtime_error(opened.status().to_string());
    engine = std::move(*opened);
#endif
  }
  if (name.starts_with("fault+")) return make_fault_engine(std::move(engine));
  return engine;
}

}  // namespace ringlet::storage_test
