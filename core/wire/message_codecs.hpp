// Each message's own fields. `bytes` is what `out` writes to. Reading throws Malformed; codec.cpp catches.
#pragma once

#include <protozero/pbf_writer.hpp>

#include "protocol/messages.hpp"

namespace ringlet::wire {

using protozero::pbf_writer;

void write(const ReplicaGet& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ReplicaGet& m);
void write(const ReplicaObject& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ReplicaObject& m);
void write(const MintPut& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, MintPut& m);
void write(const Minted& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, Minted& m);
void write(const ReplicaPut& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ReplicaPut& m);
void write(const Stored& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, Stored& m);
void write(const Ping& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, Ping& m);
void write(const Pong& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, Pong& m);
void write(const Refused& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, Refused& m);
void write(const ClientGet& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ClientGet& m);
void write(const ClientPut& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ClientPut& m);
void write(const ClientReply& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ClientReply& m);
void write(const RingPull& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, RingPull& m);
void write(const RingTable& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, RingTable& m);
void write(const StatusQuery& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, StatusQuery& m);
void write(const StatusText& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, StatusText& m);
void write(const ClusterCommand& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ClusterCommand& m);
void write(const Gossip& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, Gossip& m);
void write(const GossipAnswer& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, GossipAnswer& m);
void write(const TransferPull& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, TransferPull& m);
void write(const TransferPage& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, TransferPage& m);
void write(const TreeCompare& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, TreeCompare& m);
void write(const TreeDiffers& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, TreeDiffers& m);
void write(const SegmentCompare& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, SegmentCompare& m);
void write(const SegmentDiffers& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, SegmentDiffers& m);
void write(const ReapAsk& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ReapAsk& m);
void write(const Reap& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, Reap& m);
void write(const ReapAnswer& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, ReapAnswer& m);
void write(const HeldCheck& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, HeldCheck& m);
void write(const HeldAnswer& m, pbf_writer& out, Bytes& bytes);
void read(BytesView bytes, HeldAnswer& m);

}  // namespace ringlet::wire
