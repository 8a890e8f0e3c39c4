#include "core/oci/digest.h"

#include <openssl/evp.h>

#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace berth {
namespace {

const char* Name(Digest::Algorithm algorithm) {
  return algorithm == Digest::Algorithm::kSha512 ? "sha512:" : "sha256:";
}

const EVP_MD* Function(Digest::Algorithm algorithm) {
  return algorithm == Digest::Algorithm::kSha512 ? EVP_sha512() : EVP_sha256();
}

bool IsLowerHex(absl::string_view text) {
  for (char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

// Hashing in memory fails only without memory or with a broken OpenSSL; no digest may be made up then.
void Require(int ok) {
  if (ok != 1) std::abort();
}

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

void DigestHasher::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

DigestHasher::DigestHasher(Digest::Algorithm algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new()) {
  Require(context_ != nullptr);
  Start();
}

void DigestHasher::Start() { Require(EVP_DigestInit_ex(context_.get(), Function(algorithm_), nullptr)); }

void DigestHasher::Update(const void* data, size_t size) { Require(EVP_DigestUpdate(context_.get(), data, size)); }

Digest DigestHasher::Finish() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  Require(EVP_DigestFinal_ex(context_.get(), bytes, &size));
  Start();
  Digest digest;
  digest.text_ = absl::StrCat(Name(algorithm_),
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
