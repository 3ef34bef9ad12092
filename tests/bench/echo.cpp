// What the machine and Asio can do at best: a server that sends back what came, and connections that
// each wait for their answer before they ask again. One thread each. Prints one line of JSON.
#include <CLI/CLI.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "bench/percentiles.hpp"

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using ErrorCode = boost::system::error_code;

namespace {

struct Echo : std::enable_shared_from_this<Echo> {
  Echo(tcp::socket s, std::size_t payload) : socket(std::move(s)), buffer(payload) {}
  void read() {
    socket.async_read_some(asio::buffer(buffer),
                           [self = shared_from_this()](ErrorCode error, std::size_t n) {
                             if (!error) self->write(n);
                           });
  }
  void write(std::size_t n) {
    asio::async_write(socket, asio::buffer(buffer.data(), n),
                      [self = shared_from_this()](ErrorCode error, std::size_t) {
                        if (!error) self->read();
                      });
  }
  tcp::socket socket;
  std::vector<char> buffer;
};

void accept(tcp::acceptor& acceptor, std::size_t payload) {
  acceptor.async_accept([&acceptor, payload](ErrorCode error, tcp::socket socket) {
    if (error) return;
    socket.set_option(tcp::no_delay(true));
    std::make_shared<Echo>(std::move(socket), payload)->read();
    accept(acceptor, payload);
  });
}

struct Asker : std::enable_shared_from_this<Asker> {
  Asker(tcp::socket s, std::size_t payload, Clock::time_point end, ringlet::bench::Times& t)
      : socket(std::move(s)), out(payload, 'x'), in(payload), until(end), times(t) {}
  void ask() {
    asked = Clock::now();
    if (asked >= until) return;
    asio::async_write(socket, asio::buffer(out),
                      [self = shared_from_this()](ErrorCode error, std::size_t) {
                        if (!error) self->hear();
                      });
  }
  void hear() {
    asio::async_read(
        socket, asio::buffer(in), [self = shared_from_this()](ErrorCode error, std::size_t) {
          if (error) return;
          self->times.add(std::chrono::nanoseconds(Clock::now() - self->asked).count());
          self->ask();
        });
  }
  tcp::socket socket;
  std::vector<char> out, in;
  Clock::time_point until, asked;
  ringlet::bench::Times& times;
};

}  // namespace

int main(int argc, char** argv) {
  std::size_t payload = 1024, connections = 1;
  double seconds = 2;
  CLI::App app("Asio echo on the loopback");
  app.add_option("--payload", payload)->check(CLI::Range(1, 64 * 1024 * 1024));
  app.add_option("--connections", connections)->check(CLI::Range(1, 10'000));
  app.add_option("--seconds", seconds)->check(CLI::Range(0.1, 3600.0));
  CLI11_PARSE(app, argc, argv);

  asio::io_context server{1};
  tcp::acceptor acceptor(server, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  tcp::endpoint endpoint = acceptor.local_endpoint();
  accept(acceptor, payload);
  std::thread thread([&] { server.run(); });

  asio::io_context client{1};
  ringlet::bench::Times times;
  auto until = Clock::now() +
               std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (std::size_t i = 0; i < connections; ++i) {
    tcp::socket socket(client);
    socket.connect(endpoint);
    socket.set_option(tcp::no_delay(true));
    std::make_shared<Asker>(std::move(socket), payload, until, times)->ask();
  }
  client.run();
  server.stop();
  thread.join();
  std::printf(
      "{\"what\":\"echo\",\"payload\":%zu,\"connections\":%zu,\"seconds\":%.1f,"
      "\"per_second\":%.0f,\"round_trip\":%s}\n",
      payload, connections, seconds, static_cast<double>(times.count()) / seconds,
      times.json().c_str());
  return 0;
}
