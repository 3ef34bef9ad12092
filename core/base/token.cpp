#include "base/token.hpp"

#include <openssl/evp.h>

#include <memory>

#include "base/assert.hpp"

namespace ringlet {
namespace {

class Md5 {
 public:
  Md5() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    RINGLET_ASSERT(context_ != nullptr);
    // Looking an algorithm up by name costs more than hashing a key with it, so it is done once.
    static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "MD5", nullptr);
    RINGLET_ASSERT(algorithm != nullptr);  // an OpenSSL without MD5 (FIPS mode) cannot place keys
    RINGLET_ASSERT(EVP_DigestInit_ex2(context_.get(), algorithm, nullptr) == 1);
  }

  void add(BytesView bytes) {
    RINGLET_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }

  Token finish() {
    unsigned char digest[16];
    unsigned int length = 0;
    RINGLET_ASSERT(EVP_DigestFinal_ex(context_.get(), digest, &length) == 1 && length == 16);
    Token token;
    for (int i = 0; i < 8; ++i) token.high = token.high << 8 | digest[i];
    for (int i = 8; i < 16; ++i) token.low = token.low << 8 | digest[i];
    return token;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
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
