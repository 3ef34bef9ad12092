// The codec: goal of the house is encode and decode of a 1 KiB put under 1 us.
#ifdef RINGLET_HAVE_WIRE
#include <benchmark/benchmark.h>

#include "wire/codec.hpp"
#include "wire/frame.hpp"

namespace ringlet {
namespace {

Message put_of(std::size_t bytes) {
  ClientPut put;
  put.key = {"carts", "alice"};
  put.context = Bytes(60, 'c');
  put.write.write_id = {1, 2};
  put.write.value = Bytes(bytes, 'v');
  return put;
}

void wire_encode_put(benchmark::State& state) {
  Message put = put_of(static_cast<std::size_t>(state.range(0)));
  Bytes out;
  for (auto _ : state) {
    out.clear();
    wire::encode_frame(1, 7, put, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(wire_encode_put)->Arg(1024)->Arg(65536);

void wire_decode_put(benchmark::State& state) {
  Bytes body;
  wire::encode(put_of(static_cast<std::size_t>(state.range(0))), body);
  for (auto _ : state) {
    auto message = wire::decode(static_cast<std::uint8_t>(wire::Type::client_put), body);
    benchmark::DoNotOptimize(message);
  }
}
BENCHMARK(wire_decode_put)->Arg(1024)->Arg(65536);

void wire_encode_and_decode_put(benchmark::State& state) {
  Message put = put_of(1024);
  Bytes out;
  for (auto _ : state) {
    out.clear();
    wire::encode(put, out);
    auto message = wire::decode(static_cast<std::uint8_t>(wire::Type::client_put), out);
    benchmark::DoNotOptimize(message);
  }
}
BENCHMARK(wire_encode_and_decode_put);

}  // namespace
}  // namespace ringlet
#endif
