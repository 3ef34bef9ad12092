// gossip: any messages to a node's gossip; what it knows only grows, and honest peers still agree
#include <optional>

#include "fuzz/target.hpp"
#include "fuzz/views.hpp"
#include "membership/gossip.hpp"

namespace ringlet::fuzz {
namespace {

struct Host final : GossipHost {
  MembershipView kept;
  bool fails = false;
  int said = 0;
  Status persist(const MembershipView& view, Keep) override {
    if (fails) return Status(Code::io, "the disk is ill");
    kept = view;
    return {};
  }
  void on_view_changed(const MembershipView& view) override {
    hold(kept == view, "a view is told before it is kept");
  }
  void log(LogLevel, const std::string&) override { ++said; }
};

struct Node {
  Host host;
  std::optional<Gossiper> gossip;
  Node(unsigned n, const MembershipView& view) {
    Gossiper::Options options;
    options.name = node_name(n);
    options.address = node_name(n) + ":1";
    options.cluster = "ringlet";
    options.seeds = {"n0:1", "n1:1"};
    host.kept = view;
    gossip.emplace(options, view, host, 7);
  }
};

Bytes view_of(Input& in, const MembershipView& base) {
  switch (in.byte() % 4) {
    case 0:
      return {};
    case 1:
      return Bytes(in.piece());
    case 2:
      return sealed(in.piece());
    default:
      return lived(base, in.piece(), 1).encode();
  }
}

void talk(Node& asker, Node& answerer, Now now) {
  for (int i = 0; i < 6; ++i) {
    for (auto& out : asker.gossip->take_outgoing()) {
      Message said = answerer.gossip->on_gossip(std::get<Gossip>(out.message), now);
      asker.gossip->on_reply(out.number, said, now);
    }
  }
}

}  // namespace

Verdict gossip(BytesView input) {
  Input in(input);
  MembershipView base = founded_view();
  bool stranger = in.byte() % 4 == 3;
  Node node(stranger ? 5 : 0, stranger ? MembershipView() : lived(base, in.piece(), 0));
  Now now{Instant{1'000'000}, 1'700'000'000'000};
  node.gossip->start(now);
  bool taken = false;
  for (int i = 0; i < 8 && !in.empty(); ++i) {
    MembershipView before = node.gossip->view();
    std::uint8_t how = in.byte();
    node.host.fails = how % 16 == 15;
    if (how % 2 == 0) {  // a question
      Gossip question;
      std::uint8_t who = in.byte();
      question.name = who % 8 == 7 ? Bytes(in.piece()) : node_name(who % 8);
      question.address = who / 8 % 4 == 3 ? Bytes(in.piece()) : node_name(who % 8) + ":1";
      question.cluster = who / 32 % 8 == 7 ? Bytes(in.piece()) : Bytes("ringlet");
      question.view = view_of(in, base);
      question.digest = how / 2 % 2 == 0 ? in.number<std::uint64_t>() : before.digest();
      Message said = node.gossip->on_gossip(question, now);
      bool answered = std::holds_alternative<GossipAnswer>(said);
      hold(answered || std::holds_alternative<Refused>(said), "an answer of another kind");
      if (!answered) {
        hold(node.gossip->view() == before, "a message was refused and changed the view");
        hold(!std::get<Refused>(said).status.message().empty(), "refused without a sentence");
      }
      taken = taken || answered;
    } else {  // an answer to what it asks
      now.instant = now.instant + Duration::seconds(2);
      node.gossip->on_wake(now);
      GossipAnswer answer;
      answer.view = view_of(in, base);
      answer.digest = in.number<std::uint64_t>();
      for (auto& out : node.gossip->take_outgoing()) {
        node.gossip->on_reply(out.number, answer, now);
        node.gossip->on_reply(out.number, answer, now);  // twice
      }
      node.gossip->take_outgoing();
      taken = taken || node.gossip->refusal().is_ok();
    }
    const MembershipView& after = node.gossip->view();
    hold(node.host.kept == after, "what it knows is not what it keeps");
    auto grown = before.merge(after);
    hold(grown.is_ok() && *grown == after, "it knows less than before");
    hold_view(after);
  }
  if (node.gossip->view().empty()) return taken ? Verdict::taken : Verdict::refused;
  // Whatever it was told, it and an honest member come to the same view.
  node.host.fails = false;
  Node honest(2, lived(base, in.rest(), 2));
  auto known = honest.gossip->view().merge(node.gossip->view());
  if (!known) return taken ? Verdict::taken : Verdict::refused;
  if (!known->is_member(node_name(0)) || !known->is_member(node_name(2))) {
    return taken ? Verdict::taken : Verdict::refused;  // one of them is gone: turned away
  }
  for (int round = 0; round < 40 && node.gossip->view().digest() != honest.gossip->view().digest();
       ++round) {
    now.instant = now.instant + Duration::seconds(2);
    node.gossip->on_wake(now);
    talk(node, honest, now);
    honest.gossip->on_wake(now);
    talk(honest, node, now);
  }
  const auto* me = known->find(node_name(0));
  const auto* peer = known->find(node_name(2));
  if (!stranger && me->member.address == "n0:1" && peer->member.address == "n2:1") {
    hold(node.gossip->view() == honest.gossip->view(), "two members do not come to one view");
  }
  return taken ? Verdict::taken : Verdict::refused;
}

}  // namespace ringlet::fuzz
