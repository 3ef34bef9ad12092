#include "base/token.hpp"

#include <openssl/evp.h>

#include <memory>

#include "base/assert.hpp"

namespace ringlet {
namespace {

// One context for each thread: making one costs more than hashing a key with it, and each request hashes
// its key several times.
EVP_MD_CTX* fresh_context() {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  // Looking an algorithm up by name costs more still.
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "MD5", nullptr);
  RINGLET_ASSERT(algorithm != nullptr);  // an OpenSSL without MD5 (FIPS mode) cannot place keys
  thread_local const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  RINGLET_ASSERT(context != nullptr);
  RINGLET_ASSERT(EVP_DigestInit_ex2(context.get(), algorithm, nullptr) == 1);
  return context.get();
}

// One at a time in a thread.
class Md5 {
 public:
  void add(BytesView bytes) {
    RINGLET_ASSERT(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
  }

  Token finish() {
    unsigned char digest[16];
    unsigned int length = 0;
    RINGLET_ASSERT(EVP_DigestFinal_ex(context_, digest, &length) == 1 && length == 16);
    Token token;
    for (int i = 0; i < 8; ++i) token.high = token.high << 8 | digest[i];
    for (int i = 8; i < 16; ++i) token.low = token.low << 8 | digest[i];
    return token;
  }

 private:
  EVP_MD_CTX* context_ = fresh_context();
};

}  // namespace

Token md5(BytesView bytes) {
  Md5 hash;
  hash.add(bytes);
  return hash.finish();
}

Token token_of(const Key& key) {
  Md5 hash;
  if (!key.bucket.empty()) {
    hash.add(key.bucket);
    hash.add(BytesView("\0", 1));
  }
  hash.add(key.key);
  return hash.finish();
}

}  // namespace ringlet
