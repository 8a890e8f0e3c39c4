// OpenSSL's functions for one hash, which it would like to see replaced by EVP. They are the same code for the CPU, but
// EVP brings the providers of all algorithms into the program: 2 MB that the daemon would hold in memory.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/oci/digest.h"

#include <openssl/sha.h>

#include <variant>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace berth {
namespace {

const char* Name(Digest::Algorithm algorithm) {
  return algorithm == Digest::Algorithm::kSha512 ? "sha512:" : "sha256:";
}

bool IsLowerHex(absl::string_view text) {
  for (char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

// One set of names for both.
void Init(SHA256_CTX* context) { SHA256_Init(context); }
void Init(SHA512_CTX* context) { SHA512_Init(context); }
void Add(SHA256_CTX* context, const void* data, size_t size) { SHA256_Update(context, data, size); }
void Add(SHA512_CTX* context, const void* data, size_t size) { SHA512_Update(context, data, size); }
size_t Final(SHA256_CTX* context, unsigned char* bytes) { return SHA256_Final(bytes, context), SHA256_DIGEST_LENGTH; }
size_t Final(SHA512_CTX* context, unsigned char* bytes) { return SHA512_Final(bytes, context), SHA512_DIGEST_LENGTH; }

}  // namespace

absl::StatusOr<Digest> Digest::Parse(absl::string_view text) {
  const absl::string_view shown = text.substr(0, 160);
  for (auto [algorithm, digits] : {std::pair{Algorithm::kSha256, 64u}, std::pair{Algorithm::kSha512, 128u}}) {
    const absl::string_view name = Name(algorithm);
    if (text.substr(0, name.size()) != name) continue;
    if (text.size() != name.size() + digits || !IsLowerHex(text.substr(name.size()))) {
      return absl::InvalidArgumentError(absl::StrCat("digest \"", absl::CHexEscape(shown), "\": not ", digits,
                                                     " lowercase hexadecimal digits after \"", name, "\""));
    }
    Digest digest;
    digest.text_ = std::string(text);
    return digest;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("digest \"", absl::CHexEscape(shown), "\": neither sha256:... nor sha512:..."));
}

Digest Digest::Of(absl::string_view data) {
  DigestHasher hasher;
  hasher.Update(data);
  return hasher.Finish();
}

absl::string_view Digest::hex() const { return absl::string_view(text_).substr(empty() ? 0 : 7); }

std::ostream& operator<<(std::ostream& out, const Digest& digest) { return out << digest.ToString(); }

struct DigestHasher::State {
  Digest::Algorithm algorithm;
  std::variant<SHA256_CTX, SHA512_CTX> context;
};

void DigestHasher::Free::operator()(State* state) const { delete state; }

DigestHasher::DigestHasher(Digest::Algorithm algorithm) : state_(new State{algorithm, {}}) {
  if (algorithm == Digest::Algorithm::kSha512) state_->context.emplace<SHA512_CTX>();
  std::visit([](auto& context) { Init(&context); }, state_->context);
}

void DigestHasher::Update(const void* data, size_t size) {
  std::visit([&](auto& context) { Add(&context, data, size); }, state_->context);
}

Digest DigestHasher::Finish() {
  unsigned char bytes[SHA512_DIGEST_LENGTH];
  const size_t size = std::visit(
      [&](auto& context) {
        const size_t made = Final(&context, bytes);
        Init(&context);
        return made;
      },
      state_->context);
  Digest digest;
  digest.text_ = absl::StrCat(Name(state_->algorithm),
                              absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), size)));
  return digest;
}

Digest ChainId(const Digest& parent, const Digest& diff_id) {
  if (parent.empty()) return diff_id;
  return Digest::Of(absl::StrCat(parent.ToString(), " ", diff_id.ToString()));
}

std::vector<Digest> ChainIds(const std::vector<Digest>& diff_ids) {
  std::vector<Digest> chain;
  chain.reserve(diff_ids.size());
  for (const Digest& diff_id : diff_ids) chain.push_back(ChainId(chain.empty() ? Digest() : chain.back(), diff_id));
  return chain;
}

}  // namespace berth
