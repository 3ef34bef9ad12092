// A program outside of the source tree, in C++20. It has a namespace ringlet of its own and, with WITH_ASIO, Boost.Asio of
// its own: neither may meet those in the library.
#include <cstdio>
#include <ringlet/ringlet.hpp>
#include <string>

#ifdef WITH_ASIO
#include <boost/asio.hpp>
#endif

namespace ringlet {
// core/base has a class of this name, with another layout.
struct Status {
  std::string text = "mine";
  ~Status() { text.clear(); }
};
}  // namespace ringlet

int main() try {
#ifdef WITH_ASIO
  boost::asio::io_context context;
  int ran = 0;
  boost::asio::post(context, [&ran] { ++ran; });
  context.run();
  if (ran != 1) return 1;
#endif
  ringlet::Status mine;
  ringlet::Cluster cluster = ringlet::Cluster::start(3).value();
  ringlet::Client client = cluster.connect().value();
  const ringlet::Key key{"carts", "alice"};
  client.put(key, "tea").value();
  ringlet::Reply reply = client.get(key).value();
  std::printf("%s: %s\n", std::string(ringlet::version()).c_str(), reply.value()->str().c_str());
  return 0;
} catch (const ringlet::Failure& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 1;
}
