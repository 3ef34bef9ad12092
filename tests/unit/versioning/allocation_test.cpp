// Versioning allocates what an object keeps and nothing else: replicas that agree cost nothing.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "versioning/object.hpp"

namespace {

thread_local int allocations = 0;

}  // namespace

// The whole test program counts; only this thread's numbers are looked at. Not inlined: gcc would
// see malloc and free through them and warn of a mismatch that there is not.
#define NOT_INLINED __attribute__((noinline))

NOT_INLINED void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size > 0 ? size : 1);
}
NOT_INLINED void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
NOT_INLINED void operator delete(void* memory) noexcept {
  std::free(memory);
}
NOT_INLINED void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
NOT_INLINED void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace ringlet {
namespace {

Object three_actors() {
  Object object;
  for (std::uint64_t n = 1; n <= 3; ++n) {
    update(object, object.context, {NodeId{n}, 1}, {WriteId{1, n}, false, Bytes(100, 'v'), ""},
           1000);
  }
  return object;
}

template <typename Body>
int allocations_of(const Body& body) {
  int before = allocations;
  body();
  return allocations - before;
}

TEST_CASE("allocation: the counter counts") {
  CHECK(allocations_of([] { Bytes(100, 'x').push_back('y'); }) >= 1);
}

TEST_CASE("allocation: sync of replicas that agree, or of an older one, allocates nothing") {
  Object older = three_actors(), newer = older, same = older;
  update(newer, newer.context, {NodeId{1}, 1}, {WriteId{2, 2}, false, "v", ""}, 2000);
  CHECK(allocations_of([&] { (void)sync(older, same); }) == 0);
  CHECK(allocations_of([&] { (void)sync(newer, older); }) == 0);
  CHECK(allocations_of([&] { (void)sync(older, newer); }) >= 1);  // this one has to copy
}

TEST_CASE("allocation: an update by a known actor moves the write in and allocates nothing") {
  Object object = three_actors();
  Write write{WriteId{3, 3}, false, Bytes(1000, 'w'), Bytes(100, 't')};
  CHECK(allocations_of(
            [&] { update(object, object.context, {NodeId{2}, 1}, std::move(write), 3000); }) == 0);
  CHECK(object.versions.size() == 1);
  CHECK(object.versions[0].value.size() == 1000);
}

TEST_CASE("allocation: a new sibling costs its own place only") {
  Object object = three_actors();
  Write write{WriteId{3, 3}, false, Bytes(1000, 'w'), ""};
  CHECK(allocations_of([&] { update(object, {}, {NodeId{2}, 1}, std::move(write), 3000); }) <= 1);
  CHECK(object.versions.size() == 2);
}

}  // namespace
}  // namespace ringlet
