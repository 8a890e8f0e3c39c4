#define OPENSSL_SUPPRESS_DEPRECATED  // not EVP, for the reason that core/oci/digest.cc gives

#include "core/base/id.h"

#include <openssl/sha.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr size_t kKeyBytes = 32;
static_assert(kKeyBytes <= SHA256_CBLOCK);
constexpr size_t kRandomBytes = 28;
constexpr size_t kChecksumBytes = 4;
static_assert((kRandomBytes + kChecksumBytes) * 2 == kIdLength);

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = getrandom(bytes.data() + done, size - done, 0);
    if (n > 0) done += n;
    // getrandom(2) without flags fails only by EINTR; anything else would hand out predictable ids.
    if (n < 0 && errno != EINTR) abort();
  }
  return bytes;
}

// HMAC with SHA-256 (RFC 2104), for a key no longer than a block.
std::string Hmac(const std::string& key, absl::string_view text) {
  const auto hash = [&key](unsigned char pad, absl::string_view data) {
    std::string block(SHA256_CBLOCK, static_cast<char>(pad));
    for (size_t i = 0; i < key.size(); ++i) block[i] = static_cast<char>(block[i] ^ key[i]);
    std::string digest(SHA256_DIGEST_LENGTH, '\0');
    SHA256_CTX context;  // SHA256() would go through EVP
    SHA256_Init(&context);
    SHA256_Update(&context, block.data(), block.size());
    SHA256_Update(&context, data.data(), data.size());
    SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &context);
    return digest;
  };
  return hash(0x5c, hash(0x36, text));
}

}  // namespace

absl::StatusOr<IdSource> IdSource::FromKeyFile(const std::string& path) {
  auto key = ReadFile(path, kKeyBytes);
  if (absl::IsNotFound(key.status())) {
    key = RandomBytes(kKeyBytes);
    RETURN_IF_ERROR(WriteFileAtomic(path, *key, 0600, Durability::kDurable));
  }
  if (!key.ok()) return Annotate(key.status(), "read the id key");
  if (key->size() != kKeyBytes) {
    return absl::DataLossError(absl::StrCat(path, " holds ", key->size(), " bytes instead of ", kKeyBytes,
                                            "; restore it from a backup, or remove it when no pod of Berth is left"));
  }
  return IdSource(*std::move(key));
}

std::string IdSource::New() const {
  const std::string random = absl::BytesToHexString(RandomBytes(kRandomBytes));
  return absl::StrCat(random, Checksum(random));
}

bool IdSource::Owns(absl::string_view id) const {
  return IsId(id) && Checksum(id.substr(0, 2 * kRandomBytes)) == id.substr(2 * kRandomBytes);
}

std::string IdSource::Checksum(absl::string_view random_part) const {
  return absl::BytesToHexString(Hmac(key_, random_part).substr(0, kChecksumBytes));
}

bool IsId(absl::string_view text) {
  return text.size() == kIdLength &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace berth
