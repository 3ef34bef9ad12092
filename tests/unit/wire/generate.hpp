// Random messages, every one of them one that the codec must take.
#pragma once

#include <rapidcheck.h>

#include <string>
#include <vector>

#include "protocol/messages.hpp"
#include "versioning/object.hpp"

namespace ringlet::test {

inline Bytes any_bytes() {
  return *rc::gen::arbitrary<std::string>();
}
inline std::string any_name() {
  return *rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcxyz019._-")));
}
template <typename T>
T any_in(T low, T high) {
  return *rc::gen::inRange<T>(low, static_cast<T>(high + 1));
}
inline std::uint64_t any_u64() {
  return *rc::gen::arbitrary<std::uint64_t>();
}
inline std::uint32_t any_u32() {
  return *rc::gen::arbitrary<std::uint32_t>();
}
inline bool any_bool() {
  return *rc::gen::arbitrary<bool>();
}
inline NodeId any_node() {
  return {any_u64()};
}
inline Key any_key() {
  return {any_bytes(), any_bytes()};
}

inline Write any_write() {
  Write write;
  write.write_id = {any_u64() | 1, any_u64()};
  write.tombstone = any_bool();
  if (!write.tombstone) write.value = any_bytes();
  write.content_type = any_bytes();
  write.replaces.resize(any_in<std::size_t>(0, 3));
  for (std::uint64_t& print : write.replaces) print = any_u64();
  write.age_ms = any_u32();
  write.born_us = any_in<std::int64_t>(0, 1'000'000'000'000'000);
  write.above_us = any_in<std::int64_t>(0, 1'000'000'000'000'000);
  return write;
}

// A history of puts and deletes by a few actors.
inline Object any_object() {
  Object object;
  int writes = any_in(0, 5);
  for (int i = 0; i < writes; ++i) {
    Actor actor{NodeId{any_in<std::uint64_t>(1, 3)}, any_in<std::uint64_t>(1, 3)};
    CausalContext seen = any_bool() ? object.context : CausalContext();
    std::int64_t now = any_in<std::int64_t>(1, 1'000'000'000'000'000);
    Write write = any_write();
    if (write.tombstone) {
      remove(object, seen, actor, write.write_id, now);
    } else {
      update(object, seen, actor, write, now);
    }
  }
  return object;
}
inline Dot any_dot() {
  return {{NodeId{any_u64()}, any_u64()}, any_in<std::uint64_t>(1, 1'000'000)};
}
inline Status any_status() {
  constexpr Code codes[] = {Code::ok, Code::timeout, Code::too_large, Code::internal};
  Code code = codes[any_in(0, 3)];
  return code == Code::ok ? Status() : Status(code, any_bytes(), any_bool());
}
inline WriteDurability any_durability() {
  return static_cast<WriteDurability>(any_in(0, 3));
}
inline std::uint8_t any_u8() {
  return static_cast<std::uint8_t>(any_in(0, 255));
}
inline RequestOptions any_options() {
  return {any_u32(), any_u8(), any_u8(), any_bool(), any_durability(), any_bool()};
}
inline std::vector<NodeId> any_nodes() {
  std::vector<NodeId> nodes(any_in<std::size_t>(0, 5));
  for (NodeId& node : nodes) node = any_node();
  return nodes;
}

template <typename T>
std::vector<T> any_numbers(std::size_t count) {
  std::vector<T> numbers(count);
  for (T& number : numbers) number = static_cast<T>(any_u64());
  return numbers;
}
inline std::vector<KeyedObject> any_objects() {
  std::vector<KeyedObject> objects(any_in<std::size_t>(0, 3));
  for (KeyedObject& each : objects) each = {any_key(), any_object()};
  return objects;
}

inline CountedNodes any_counted() {
  if (any_bool()) return {};
  CountedNodes counted{any_nodes(), any_u64()};
  if (counted.nodes.empty()) counted.ring_epoch = 0;  // not strict: the field is away
  return counted;
}

// The index-th kind of message.
inline Message any_message(std::size_t index) {
  switch (index) {
    case 0:
      return ReplicaGet{any_key(), any_counted()};
    case 1:
      return ReplicaObject{any_object(), any_u32()};
    case 2:
      return MintPut{any_key(),
                     any_object().context,
                     any_write(),
                     any_node(),
                     any_durability(),
                     any_counted(),
                     any_bool() ? Reconcile::lww : Reconcile::siblings};
    case 3:
      return Minted{any_object(), any_dot()};
    case 4:
      return ReplicaPut{any_key(),        any_object(),  any_node(),
                        any_durability(), any_counted(), any_bool()};
    case 5:
      return any_bool() ? Stored{} : Stored{any_object()};
    case 6:
      return Refused{any_status(), any_u32()};
    case 7:
      return Ping{};
    case 8:
      return Pong{};
    case 9:
      return ClientGet{any_key(), any_options()};
    case 10:
      return ClientPut{any_key(), any_bytes(), any_write(), any_options(), any_bool()};
    case 11: {
      ClientReply reply;
      reply.status = any_status();
      reply.object = any_object();
      if (any_bool()) reply.dot = any_dot();
      reply.fastest_reader = any_node();
      reply.tally = {any_u32(),   any_u32(),   any_u32(),   any_u32(),
                     any_nodes(), any_nodes(), any_nodes(), any_nodes()};
      reply.ring_epoch = any_u64();
      reply.retry_after_ms = any_u32();
      reply.left_out = any_u32();
      reply.minted_once = any_bool();
      return reply;
    }
    case 12:
      return RingPull{any_u64(), any_u64()};
    case 13: {
      RingTable table;
      table.unchanged = any_bool();
      table.options.cluster = any_name();
      table.options.partitions = any_u32();
      table.options.replicas = any_u32();
      table.options.epoch = any_u64();
      int members = any_in(0, 4);
      for (int i = 0; i < members; ++i) {
        table.options.members.push_back(
            {any_node(), any_name(), any_name(), any_name(), any_u32(), any_name()});
      }
      table.owners = any_nodes();
      table.next = any_nodes();
      table.r = any_u8();
      table.w = any_u8();
      table.reconcile = static_cast<Reconcile>(any_in(0, 1));
      return table;
    }
    case 14:
      return StatusQuery{any_name(), any_key()};
    case 15:
      return StatusText{any_status(), any_bytes()};
    case 16: {
      ClusterCommand command{any_name(), {}};
      int arguments = any_in(0, 3);
      for (int i = 0; i < arguments; ++i) command.arguments.push_back(any_name());
      return command;
    }
    case 17:
      return Gossip{any_name(),  any_name(),  any_name(), any_u64(),
                    any_bytes(), any_bytes(), any_bool(), any_bool()};
    case 18:
      return GossipAnswer{any_u64(), any_bytes(), any_bytes(), any_bool()};
    case 19:
      return TransferPull{any_u32(), any_u32(), any_bool(), any_key(), any_u32()};
    case 20:
      return TransferPage{any_objects(), any_bool(), any_u64()};
    case 21:
      return TreeCompare{static_cast<std::uint8_t>(any_in(0, 2)), any_u32(),
                         any_numbers<std::uint32_t>(any_in<std::size_t>(0, 5)),
                         any_numbers<std::uint64_t>(any_in<std::size_t>(0, 5))};
    case 22:
      return TreeDiffers{any_numbers<std::uint32_t>(any_in<std::size_t>(0, 5))};
    case 23: {
      auto keys = any_in<std::size_t>(0, 5);
      return SegmentCompare{any_u32(), any_numbers<std::uint32_t>(any_in<std::size_t>(0, 5)),
                            any_numbers<std::uint64_t>(keys), any_numbers<std::uint64_t>(keys),
                            any_u64()};
    }
    case 24:
      return SegmentDiffers{any_objects(), any_numbers<std::uint64_t>(any_in<std::size_t>(0, 5)),
                            any_bool(), any_u32()};
    case 25:
    case 27: {
      ReapAsk ask;
      auto keys = any_in<std::size_t>(0, 4);
      for (std::size_t i = 0; i < keys; ++i) ask.keys.push_back(any_key());
      ask.clock_hashes = any_numbers<std::uint64_t>(keys);
      if (index == 25) return ask;
      return Reap{ask.keys, ask.clock_hashes};
    }
    case 28: {
      HeldCheck check;
      check.partition = any_u32();
      auto keys = any_in<std::size_t>(0, 4);
      for (std::size_t i = 0; i < keys; ++i) check.keys.push_back(any_key());
      check.clock_hashes = any_numbers<std::uint64_t>(keys);
      return check;
    }
    case 29:
      return HeldAnswer{any_numbers<std::uint32_t>(any_in<std::size_t>(0, 5))};
    default: {
      ReapAnswer answer;
      answer.may.resize(any_in<std::size_t>(0, 5));
      for (auto& may : answer.may) may = any_bool() ? 1 : 0;
      return answer;
    }
  }
}

}  // namespace ringlet::test
