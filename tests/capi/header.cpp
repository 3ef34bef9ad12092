// The C++ header alone, and each template of it once; CMakeLists.txt compiles this with other flags and standards.
#include <ringlet/ringlet.hpp>
#include <ringlet/ringlet.hpp>  // twice is once

ringlet::Result<ringlet::Reply> use(const ringlet::Client& client, const ringlet::Key& key);
ringlet::Result<ringlet::Reply> use(const ringlet::Client& client, const ringlet::Key& key) {
  const auto edit = [](const ringlet::Reply& siblings) { return siblings.missing() ? "a" : "b"; };
  auto merge = [](const ringlet::Reply&) { return ringlet::Answer::keep(); };
  if (auto first = client.update(key, edit, {.timeout = std::chrono::milliseconds(100)}); !first)
    return first;
  return client.update(key, edit, merge);
}
