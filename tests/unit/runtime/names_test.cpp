// Seeds that are names, and what is behind an address that is no node (F-104).
#include <chrono>
#include <thread>

#include "unit/runtime/cluster.hpp"
#include "unit/runtime/name_server.hpp"
#include "wire/handshake.hpp"

namespace ringlet {
namespace {

using Catch::Contains;
using test::Cluster;
using test::NameServer;
using Clock = std::chrono::steady_clock;

std::string port_of(const std::string& address) {
  return address.substr(address.rfind(':'));
}

std::unique_ptr<Client> open(ClientOptions options) {
  auto client = Client::open(std::move(options));
  REQUIRE(client.is_ok());
  return std::move(*client);
}

// A socket on 127.0.0.1 that says `words` to whoever connects, or nothing.
class Stranger {
 public:
  explicit Stranger(std::string words, const char* host = "127.0.0.1", std::uint16_t port = 0) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    ::inet_pton(AF_INET, host, &at.sin_addr);
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(socket_, 16) == 0);
    socklen_t size = sizeof at;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this, words = std::move(words)] { run(words); });
  }
  ~Stranger() {
    stop_ = true;
    thread_.join();
    for (int one : taken_) ::close(one);
    ::close(socket_);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int came() const { return came_; }  // connections

 private:
  void run(const std::string& words) {
    while (!stop_) {
      pollfd ready{socket_, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      int one = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (one < 0) continue;
      ++came_;
      if (words == "close") {
        ::close(one);
        continue;
      }
      if (!words.empty()) ::send(one, words.data(), words.size(), MSG_NOSIGNAL);
      taken_.push_back(one);
    }
  }
  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> came_{0};
  std::vector<int> taken_;
  std::thread thread_;
};

// What a node says that ends the handshake and then breaks the protocol.
std::string welcome_and_nonsense() {
  wire::Welcome welcome;
  welcome.cluster = "ringlet";
  welcome.name = "n1";
  welcome.node = node_id_of("n1");
  Bytes said;
  wire::encode_frame(welcome, said);
  wire::end_frame(wire::begin_frame(wire::max_version, 250, 1, said), said);
  return said;
}

}  // namespace

TEST_CASE("F-90 a node that answers nonsense after each handshake is left in peace ever longer") {
  Stranger liar(welcome_and_nonsense());
  SECTION("by a client") {
    ClientOptions options;
    options.seeds = {liar.address()};
    options.timeout = Duration::millis(1000);
    options.coordination = GENERATE(Coordination::server, Coordination::client);
    auto client = open(options);
    std::vector<std::thread> askers;
    for (int i = 0; i < 4; ++i) {
      askers.emplace_back([&] {
        auto end = Clock::now() + std::chrono::seconds(1);
        while (Clock::now() < end) {
          (void)client->get({"", "k"});
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
      });
    }
    for (auto& asker : askers) asker.join();
  }
  SECTION("by a member") {
    Cluster cluster(1);
    NodeOptions node;
    node.name = "n9";
    Ring::Options ring;
    ring.partitions = 16;
    for (auto& [name, address] :
         {std::pair<std::string, std::string>{"n9", "127.0.0.1:1"}, {"n1", liar.address()}}) {
      Member member;
      member.name = name;
      member.id = node_id_of(name);
      member.address = address;
      ring.members.push_back(member);
    }
    node.founding_is_agreed = true;
    auto built = Ring::build(ring);
    REQUIRE(built.is_ok());
    auto state = open_timed_node(node, make_memory_engine(), *built);
    REQUIRE(state.is_ok());
    ServerOptions server;
    server.listen = "127.0.0.1:0";
    auto started = Server::start(*state, server);
    REQUIRE(started.is_ok());
    ClientOptions options;
    options.seeds = {(*started)->address()};
    options.timeout = Duration::millis(1000);
    auto client = open(options);
    for (int i = 0; i < 3; ++i) (void)client->put({"", "k" + std::to_string(i)}, "v");
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  INFO(liar.came());
  CHECK(liar.came() >= 1);
  CHECK(liar.came() <= 20);  // with pauses of 10 ms, doubled up to 250 ms: about ten
}

TEST_CASE("F-104 every address of a seed's name is tried, whatever the first ones are") {
  Cluster cluster(1);
  NameServer names;
  auto port =
      static_cast<std::uint16_t>(std::stoi(port_of(cluster.servers[0]->address()).substr(1)));
  Stranger mute("", "127.0.0.3",
                port);  // takes connections and says nothing, like a stopped process
  // Nobody listens at the first, the second is mute, 240.0.0.1 leads nowhere.
  names.set("ring.test", {"127.0.0.2", "127.0.0.3", "240.0.0.1", "127.0.0.1"});
  ClientOptions options = cluster.client_options();
  options.seeds = {"ring.test" + port_of(cluster.servers[0]->address())};
  options.name_servers = names.address();
  auto client = open(options);
  auto begin = Clock::now();
  auto put = client->put({"", "k"}, "v");
  INFO(put.reply.status.to_string() << "\n" << cluster.log.text());
  CHECK(put.reply.status.is_ok());
  CHECK(Clock::now() - begin < std::chrono::milliseconds(1500));
}

TEST_CASE("F-104 a name of 28 addresses is served by its last one") {
  Cluster cluster(1);
  NameServer names;
  std::vector<std::string> addresses;
  for (int i = 1; i < 28; ++i) addresses.push_back("127.0.1." + std::to_string(i));  // refused
  addresses.push_back("127.0.0.1");
  names.set("many.test", addresses);
  ClientOptions options = cluster.client_options();
  options.seeds = {"many.test" + port_of(cluster.servers[0]->address())};
  options.name_servers = names.address();
  auto client = open(options);
  auto put = client->put({"", "k"}, "v");
  INFO(put.reply.status.to_string() << "\n" << cluster.log.text());
  CHECK(put.reply.status.is_ok());

  addresses.pop_back();
  names.set("gone.test", addresses);
  options.seeds = {"gone.test" + port_of(cluster.servers[0]->address())};
  options.timeout = Duration::millis(300);
  auto refused = open(options)->put({"", "k"}, "v").reply.status;
  CHECK(refused.code() == Code::unavailable);
  CHECK_THAT(refused.message(), Contains("127.0.1.1:") && Contains("and 19 more addresses"));
}

TEST_CASE("a name server that is itself a name is refused when the client is made") {
  Cluster cluster(1);
  ClientOptions options = cluster.client_options();
  for (const char* wrong : {"dns.test:53", "127.0.0.1:53,dns.test:53", "127.0.0.1:0"}) {
    options.name_servers = wrong;
    auto client = Client::open(options);
    INFO(wrong);
    REQUIRE(!client.is_ok());
    CHECK(client.status().code() == Code::invalid_argument);
    CHECK_THAT(client.status().message(), Contains("name_servers"));
  }
}

TEST_CASE("F-104 a silent name server holds up no call that needs none, nor the end") {
  Cluster cluster(3);
  NameServer names;
  names.be_silent(true);
  ClientOptions options =
      cluster.client_options(GENERATE(Coordination::server, Coordination::client));
  options.seeds.insert(options.seeds.begin(),
                       {"one.test:7000", "two.test:7000", "three.test:7000"});
  options.seeds.resize(4);  // one of four needs no name
  options.name_servers = names.address();
  for (int i = 0; i < 12; ++i) {
    auto client = open(options);  // each begins with another seed, by chance
    auto put = client->put({"", std::to_string(i)}, "v");
    INFO(put.reply.status.to_string());
    CHECK(put.reply.status.is_ok());
    auto begin = Clock::now();
    client.reset();
    CHECK(Clock::now() - begin < std::chrono::milliseconds(500));
  }
  CHECK(names.asked() > 0);
}

TEST_CASE("F-104 look-ups run beside each other and end with the call, as silence") {
  NameServer names;
  names.be_silent(true);
  ClientOptions options;
  for (int i = 0; i < 20; ++i) options.seeds.push_back("n" + std::to_string(i) + ".test:7000");
  options.name_servers = names.address();
  options.timeout = Duration::millis(400);
  auto client = open(options);
  auto begin = Clock::now();
  auto got = client->get({"", "k"});
  CHECK(Clock::now() - begin < std::chrono::milliseconds(1500));
  INFO(got.reply.status.to_string());
  CHECK(got.reply.status.code() == Code::timeout);
}

TEST_CASE(
    "F-104 a name is looked up again after a failure, for its address may be another by then") {
  Cluster cluster(1);
  NameServer names;
  names.set("moves.test", {"127.0.0.2"});
  ClientOptions options = cluster.client_options();
  options.seeds = {"moves.test" + port_of(cluster.servers[0]->address())};
  options.name_servers = names.address();
  options.timeout = Duration::millis(300);
  auto client = open(options);
  auto before = client->get({"", "k"});
  INFO(before.reply.status.to_string());
  CHECK(before.reply.status.code() == Code::unavailable);
  names.set("moves.test", {"127.0.0.1"});
  auto after = client->get({"", "k"}, [] {
    RequestOptions longer;
    longer.timeout_ms = 3000;
    return longer;
  }());
  INFO(after.reply.status.to_string());
  CHECK(after.reply.status.is_ok());
}

TEST_CASE("an error says why no node was reached, and of which seed") {
  struct Case {
    const char* words;  // of a stranger at the seed's address; nothing: none is there
    const char* seed;
    Code code;
    const char* why;
    bool at_once;
  };
  NameServer names;
  auto one = GENERATE(
      Case{nullptr, "127.0.0.1:1", Code::unavailable, "refused", false},
      Case{nullptr, "none.test:7000", Code::unavailable,
           "no address is known for the name 'none.test'", true},
      Case{"\x15\x03\x03 an alert", "", Code::unavailable, "TLS is spoken", true},
      Case{"HTTP/1.1 400 Bad Request\r\n\r\n", "", Code::unavailable, "HTTP is spoken", true},
      Case{"220 mail.test ESMTP\r\n", "", Code::unavailable, "no Ringlet node", true},
      Case{"close", "", Code::unavailable, "before the handshake", false},
      Case{"", "", Code::timeout, "said nothing", false});
  std::unique_ptr<Stranger> stranger;
  std::string seed = one.seed;
  if (one.words != nullptr) {
    stranger = std::make_unique<Stranger>(one.words);
    seed = stranger->address();
  }
  ClientOptions options;
  options.coordination = GENERATE(Coordination::server, Coordination::client);
  options.seeds = {seed};
  options.name_servers = names.address();
  options.timeout = Duration::millis(1000);
  auto client = open(options);
  auto begin = Clock::now();
  auto put = client->put({"b", "k"}, "v");
  auto took = Clock::now() - begin;
  const Status& status = put.reply.status;
  INFO(seed << ": " << status.to_string());
  CHECK(status.code() == one.code);
  CHECK_THAT(status.message(), Contains("put b/k") && Contains(seed) && Contains(one.why));
  CHECK_FALSE(status.maybe_applied());  // nothing of it has left
  if (one.at_once) CHECK(took < std::chrono::milliseconds(800));
}

TEST_CASE("F-103 a client that reaches no member's own address is served through its seed") {
  Stranger mute("");
  // What clients are told of the members: nothing listens there; or packets seem to vanish.
  std::string leads_nowhere = GENERATE(true, false) ? "127.0.0.9:9" : mute.address();
  Cluster cluster(3, 1, {}, leads_nowhere);
  ClientOptions options =
      cluster.client_options(GENERATE(Coordination::server, Coordination::client));
  options.seeds = {cluster.servers[0]->address()};
  auto client = open(options);
  std::vector<Clock::duration> took;
  for (int i = 0; i < 40; ++i) {
    auto begin = Clock::now();
    auto outcome = client->update({"", std::to_string(i % 7)}, [](const Version*) {
      return UpdateAnswer{UpdateAnswer::Kind::value, "v", {}};
    });
    took.push_back(Clock::now() - begin);
    INFO(i << ": " << outcome.reply.status.to_string());
    REQUIRE(outcome.reply.status.is_ok());
    if (i > 20) CHECK(outcome.instead_of_client == (options.coordination == Coordination::client));
  }
  std::sort(took.begin(), took.end());
  CHECK(took[20] < std::chrono::milliseconds(100));
  CHECK(client->counters().failed == 0);
}

}  // namespace ringlet
