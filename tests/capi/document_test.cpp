// Documents through the C ABI: edits as data, the edit as a call and as a request, and what is read.
#include <limits>

#include "fixture.hpp"

using namespace capi_test;

namespace {

using Edits = Owned<ringlet_edits, ringlet_edits_release>;
using Document = Owned<ringlet_document, ringlet_document_release>;

ringlet_scalar named(const char* text) {
  ringlet_scalar scalar{};
  scalar.text = {text, std::strlen(text)};
  return scalar;
}

Edits edits() {
  ringlet_edits* made = nullptr;
  REQUIRE(ringlet_edits_new(&made, nullptr) == RINGLET_OK);
  return Edits(made);
}

// What appending says; empty: appended.
std::string append(const Edits& to, std::uint32_t kind, std::vector<ringlet_scalar> path,
                   const ringlet_scalar* value = nullptr, std::int64_t amount = 0) {
  ringlet_error* error = nullptr;
  ringlet_status status =
      ringlet_edits_append(to.get(), kind, path.data(), path.size(), value, amount, &error);
  Error owned(error);
  return status == RINGLET_OK ? std::string() : message(owned);
}

Edits tea(std::int64_t amount) {
  Edits made = edits();
  REQUIRE(append(made, RINGLET_EDIT_INCREMENT, {named("items"), named("tea")}, nullptr, amount) ==
          "");
  return made;
}

ringlet_call patient() {
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = 10'000;
  return call;
}

std::string edit(const Fixture& f, ringlet_key key, const Edits& wanted,
                 ringlet_status expected = RINGLET_OK) {
  ringlet_error* error = nullptr;
  ringlet_call call = patient();
  ringlet_status status =
      ringlet_edit(f.client.get(), key, ringlet_edits_bytes(wanted.get()), &call, nullptr, &error);
  Error owned(error);
  INFO(message(owned));
  REQUIRE(status == expected);
  return status == RINGLET_OK ? std::string() : message(owned);
}

// "items { tea = 3 } coupons ( SUMMER )"
std::string look(const Fixture& f, ringlet_key key) {
  ringlet_reply* reply = nullptr;
  ringlet_call call = patient();
  REQUIRE(ringlet_get(f.client.get(), key, &call, &reply, nullptr) == RINGLET_OK);
  Reply owned(reply);
  ringlet_document* read = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_document_read(reply, &read, &error);
  Error why(error);
  if (status != RINGLET_OK) return message(why);
  Document document(read);
  std::string out;
  for (size_t i = 0; i < ringlet_document_count(read); ++i) {
    ringlet_item item{};
    REQUIRE(ringlet_document_item(read, i, &item, sizeof item) == RINGLET_OK);
    out += std::string(2 * item.depth, ' ') + std::to_string(item.type) + " " +
           text(item.name.text) + " ";
    if (item.value.kind == RINGLET_INTEGER || item.value.kind == RINGLET_BOOLEAN) {
      out += std::to_string(item.value.integer);
    }
    out += text(item.value.text) + "\n";
  }
  return out;
}

}  // namespace

TEST_CASE("a document of every type is edited and read") {
  Fixture f;
  ringlet_key key = key_of("carts", "alice");
  CHECK(look(f, key) == "");
  Edits all = tea(3);
  ringlet_scalar summer = named("SUMMER"), five{}, real{};
  five.kind = RINGLET_INTEGER;
  five.integer = 5;
  real.kind = RINGLET_REAL;
  real.real = 0.5;
  CHECK(append(all, RINGLET_EDIT_ADD, {named("coupons")}, &summer) == "");
  CHECK(append(all, RINGLET_EDIT_ADD, {named("coupons")}, &five) == "");
  CHECK(append(all, RINGLET_EDIT_ENABLE, {named("gift")}) == "");
  CHECK(append(all, RINGLET_EDIT_SET, {named("note")}, &summer) == "");
  CHECK(append(all, RINGLET_EDIT_SET_ALL, {named("size")}, &real) == "");
  CHECK(ringlet_edits_count(all.get()) == 6);
  ringlet_call call = patient();
  call.write_id[0] = 7;
  call.write_id[1] = 8;
  REQUIRE(ringlet_edit(f.client.get(), key, ringlet_edits_bytes(tea(2).get()), &call, nullptr,
                       nullptr) == RINGLET_OK);
  edit(f, key, all);
  CHECK(look(f, key) ==
        "2 coupons \n  7  SUMMER\n  7  5\n4 gift 1\n1 items \n  3 tea 5\n5 note SUMMER\n6 size \n"
        "  7  \n");
  Edits gone = edits();
  CHECK(append(gone, RINGLET_EDIT_REMOVE, {named("coupons")}, &five) == "");
  CHECK(append(gone, RINGLET_EDIT_DISABLE, {named("gift")}) == "");
  CHECK(append(gone, RINGLET_EDIT_DISCARD, {named("size")}) == "");
  CHECK(append(gone, RINGLET_EDIT_CLEAR, {named("note")}) == "");
  edit(f, key, gone);
  CHECK(look(f, key) == "2 coupons \n  7  SUMMER\n1 items \n  3 tea 5\n");
}

TEST_CASE(
    "an item of a later program is zero where this library knows nothing, and where there is "
    "none") {
  Fixture f;
  ringlet_key key = key_of("carts", "later");
  edit(f, key, tea(2));
  ringlet_reply* reply = nullptr;
  REQUIRE(ringlet_get(f.client.get(), key, nullptr, &reply, nullptr) == RINGLET_OK);
  Reply owned(reply);
  ringlet_document* read = nullptr;
  REQUIRE(ringlet_document_read(reply, &read, nullptr) == RINGLET_OK);
  Document document(read);
  struct {
    ringlet_item known;
    unsigned char more[16];
  } later;
  const unsigned char none[sizeof later] = {};
  std::memset(&later, 0xff, sizeof later);
  CHECK(ringlet_document_item(read, 0, &later.known, sizeof later) == RINGLET_OK);
  CHECK(later.known.type == RINGLET_MAP);
  CHECK(std::memcmp(later.more, none, sizeof later.more) == 0);
  std::memset(&later, 0xff, sizeof later);
  CHECK(ringlet_document_item(read, 2, &later.known, sizeof later) == RINGLET_INVALID_ARGUMENT);
  CHECK(std::memcmp(&later, none, sizeof later) == 0);
  CHECK(ringlet_document_item(read, 0, &later.known, sizeof later.known - 1) ==
        RINGLET_INVALID_ARGUMENT);
}

TEST_CASE("edits of many requests at once on one key are all counted") {
  Fixture f;
  Queue q = queue();
  Edits one = tea(1);
  ringlet_call call = patient();
  call.timeout_ms = 60'000;
  std::vector<ringlet_op> ops(40);
  for (ringlet_op& op : ops) {
    op.kind = RINGLET_EDIT;
    op.key = key_of("carts", "many");
    op.value = ringlet_edits_bytes(one.get());
    op.call = &call;
  }
  REQUIRE(ringlet_submit(f.client.get(), q.get(), ops.data(), sizeof ops[0], ops.size(), nullptr,
                         nullptr) == RINGLET_OK);
  Drained d;
  drain(q.get(), d, ops.size());
  REQUIRE(d.events.size() == ops.size());
  for (const ringlet_event& event : d.events) {
    CHECK(event.kind == RINGLET_DONE);
    CHECK(event.status == RINGLET_OK);
  }
  CHECK(look(f, key_of("carts", "many")) == "1 items \n  3 tea 40\n");
}

TEST_CASE(
    "edits that are wrong, or do not fit what is there, are refused in words and write nothing") {
  Fixture f;
  ringlet_key key = key_of("carts", "bob");
  edit(f, key, tea(5));
  std::string before = look(f, key);

  Edits wrong = edits();
  std::string long_name(65'536, 'n');
  ringlet_scalar x = named("x"), nothing{};
  nothing.kind = RINGLET_NOTHING;
  CHECK(has(append(wrong, RINGLET_EDIT_ENABLE, {named("")}), "wanted 1 to 1024 bytes, got 0"));
  CHECK(has(append(wrong, RINGLET_EDIT_ENABLE, {named(long_name.c_str())}), "got 65536"));
  CHECK(has(append(wrong, RINGLET_EDIT_ENABLE, {named("\xff")}), "wanted UTF-8"));
  CHECK(has(append(wrong, RINGLET_EDIT_ADD, {named("s")}), "value: wanted a pointer, got NULL"));
  CHECK(has(append(wrong, RINGLET_EDIT_ADD, {named("s")}, &nothing), "got nothing"));
  CHECK(has(append(wrong, RINGLET_EDIT_ADD, {}, &x), "wanted a path, got an empty one"));
  CHECK(has(append(wrong, 77, {named("s")}), "kind: wanted 1 to 10, got 77"));
  CHECK(ringlet_edits_count(wrong.get()) == 0);

  Edits misfit = edits();
  CHECK(append(misfit, RINGLET_EDIT_ADD, {named("items"), named("tea")}, &x) == "");
  CHECK(has(edit(f, key, misfit, RINGLET_INVALID_ARGUMENT),
            "wanted a set at items/tea, got a counter"));
  CHECK(has(edit(f, key, tea(std::numeric_limits<std::int64_t>::max()), RINGLET_INVALID_ARGUMENT),
            "wanted a sum of 64 bits, got 5 + 9223372036854775807"));
  Edits absent = edits();
  CHECK(append(absent, RINGLET_EDIT_ERASE, {named("no"), named("such")}) == "");
  CHECK(has(edit(f, key, absent, RINGLET_INVALID_ARGUMENT), "wanted a field there, got nothing"));

  Edits many = edits();
  std::string last;
  for (int i = 0; i < 10'000 && last.empty(); ++i) {
    last = append(many, RINGLET_EDIT_ENABLE, {named("f")});
  }
  CHECK(has(last, "wanted at most 4096 in one call"));
  CHECK(look(f, key) == before);
  ringlet_call call = patient();
  CHECK(ringlet_edit(f.client.get(), key, {"garbage", 7}, &call, nullptr, nullptr) ==
        RINGLET_UNSUPPORTED);

  ringlet_key plain = key_of("carts", "plain");
  REQUIRE(ringlet_put(f.client.get(), plain, {nullptr, 0}, {"v", 1}, &call, nullptr, nullptr) ==
          RINGLET_OK);
  CHECK(has(edit(f, plain, tea(1), RINGLET_INVALID_ARGUMENT), "wanted a document"));
  CHECK(has(look(f, plain), "wanted a document"));
}

namespace {

// What an update answers that takes plain values over: each is an element of the set "items", and counts one
// in "n"; then it removes `gone`, if that is any, and adds one to "n".
struct TakesOver {
  std::string gone;
  static int answer(void* self, ringlet_merge* merge) {
    const auto& gone = static_cast<TakesOver*>(self)->gone;
    const ringlet_reply* siblings = ringlet_merge_siblings(merge);
    std::vector<Edits> lists;
    std::vector<ringlet_taken> taken;
    for (size_t i = 0; i < ringlet_reply_count(siblings); ++i) {
      std::string type = text(ringlet_reply_content_type(siblings, i));
      if (type == "application/vnd.ringlet.document") continue;
      ringlet_scalar element{};
      element.text = ringlet_reply_value(siblings, i);
      lists.push_back(edits());
      append(lists.back(), RINGLET_EDIT_ADD, {named("items")}, &element);
      append(lists.back(), RINGLET_EDIT_INCREMENT, {named("n")}, nullptr, 10);
      taken.push_back({i, ringlet_edits_bytes(lists.back().get())});
    }
    Edits own = edits();
    if (ringlet_merge_written(merge) == 0) {
      append(own, RINGLET_EDIT_INCREMENT, {named("n")}, nullptr, 1);
      ringlet_scalar element = named(gone.c_str());
      if (!gone.empty()) append(own, RINGLET_EDIT_REMOVE, {named("items")}, &element);
    }
    ringlet_text* value = nullptr;
    if (ringlet_document_take_over(siblings, taken.data(), taken.size(),
                                   ringlet_edits_bytes(own.get()), &value, nullptr) != RINGLET_OK) {
      return 1;
    }
    Text owned(value);
    return ringlet_merge_answer(merge, ringlet_text_bytes(value)) != RINGLET_OK;
  }
};

}  // namespace

TEST_CASE("what two writers take over at the same time counts once, and what one removes is gone") {
  Fixture f;
  ringlet_key key = key_of("carts", "both");
  ringlet_call call = patient();
  REQUIRE(ringlet_put(f.client.get(), key, {nullptr, 0}, {"tea", 3}, &call, nullptr, nullptr) ==
          RINGLET_OK);
  // Each asks its question before either has written.
  Queue q = queue();
  ringlet_call typed = patient();
  typed.content_type = {"application/vnd.ringlet.document", 32};
  ringlet_op op{};
  op.kind = RINGLET_UPDATE;
  op.key = key;
  op.call = &typed;
  for (op.tag = 0; op.tag < 2; ++op.tag) {
    REQUIRE(ringlet_submit(f.client.get(), q.get(), &op, sizeof op, 1, nullptr, nullptr) ==
            RINGLET_OK);
  }
  TakesOver removes{"tea"}, adds{""};
  std::vector<ringlet_event> first;
  int done = 0;
  for (int rounds = 0; done < 2 && rounds < 100; ++rounds) {
    ringlet_event event{};
    size_t count = 0;
    REQUIRE(ringlet_drain(q.get(), &event, sizeof event, 1, 10'000, &count) == RINGLET_OK);
    REQUIRE(count == 1);
    if (event.kind == RINGLET_DONE) {
      CHECK(event.status == RINGLET_OK);
      ++done;
      ringlet_event_clear(&event);
    } else if (ringlet_merge_written(event.merge) == 0) {
      first.push_back(event);
      if (first.size() < 2) continue;
      for (ringlet_event& each : first) {
        CHECK(TakesOver::answer(each.tag == 0 ? &removes : &adds, each.merge) == 0);
        ringlet_event_clear(&each);
      }
    } else {
      CHECK(TakesOver::answer(&adds, event.merge) == 0);
      ringlet_event_clear(&event);
    }
  }
  CHECK(done == 2);
  CHECK(look(f, key) == "3 n 12\n");  // 10 and two times 1; the set is empty
}

TEST_CASE("an update of one's own may take a plain value over into a document") {
  Fixture f;
  ringlet_key key = key_of("carts", "old");
  ringlet_call call = patient();
  REQUIRE(ringlet_put(f.client.get(), key, {nullptr, 0}, {"tea", 3}, &call, nullptr, nullptr) ==
          RINGLET_OK);
  ringlet_resolver resolver{};
  resolver.resolve = [](void*, ringlet_merge* merge) -> int {
    const ringlet_reply* siblings = ringlet_merge_siblings(merge);
    Edits taken = edits();
    for (size_t i = 0; i < ringlet_reply_count(siblings); ++i) {
      std::string type = text(ringlet_reply_content_type(siblings, i));
      if (type == "application/vnd.ringlet.document") continue;
      ringlet_scalar element{};
      element.text = ringlet_reply_value(siblings, i);
      append(taken, RINGLET_EDIT_ADD, {named("items")}, &element);
    }
    ringlet_text* value = nullptr;
    if (ringlet_document_write(siblings, ringlet_edits_bytes(taken.get()), RINGLET_TAKES_OVER,
                               &value, nullptr) != RINGLET_OK) {
      return 1;
    }
    Text owned(value);
    return ringlet_merge_answer(merge, ringlet_text_bytes(value)) != RINGLET_OK;
  };
  ringlet_call typed = patient();
  typed.content_type = {"application/vnd.ringlet.document", 32};
  REQUIRE(ringlet_update(f.client.get(), key, &resolver, &typed, nullptr, nullptr) == RINGLET_OK);
  CHECK(look(f, key) == "2 items \n  7  tea\n");
}
