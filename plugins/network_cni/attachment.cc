#include "plugins/network_cni/attachment.h"

#include <algorithm>
#include <utility>

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::Result;

constexpr size_t kMaxState = 4 << 20;
constexpr int kFormat = 1;

Result<Attachment> Decode(const Value& v, const std::string& what) {
  Attachment out;
  out.container_id = json::StringMember(v, "containerId");
  out.ifname = json::StringMember(v, "ifname");
  out.args = json::StringMember(v, "args");
  if (!IsContainerId(out.container_id) || out.ifname.empty()) {
    return sdk::DataLoss(what + ": an attachment without container id or interface");
  }
  if (const Value* capabilities = json::Member(v, "capabilities")) out.capabilities = *capabilities;
  if (const Value* result = json::Member(v, "result")) out.result = *result;
  const Value* list = json::Member(v, "conflist");
  if (list == nullptr) return sdk::DataLoss(what + ": an attachment without its configuration");
  BERTH_ASSIGN_OR_RETURN(out.list, ConfigListFromJson(*list, what));
  // It had some: a DEL by none of them would seem to have succeeded.
  if (out.list.plugins.empty()) return sdk::DataLoss(what + ": an attachment without plugins");
  return out;
}

}  // namespace

bool IsContainerId(std::string_view id) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !id.empty() && id.size() <= 128 && alphanumeric(id[0]) &&
         std::all_of(id.begin(), id.end(), [&](char c) { return alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

std::string EncodeAttachments(const std::vector<Attachment>& attachments) {
  Value list = Value::array();
  for (const Attachment& a : attachments) {
    list.push_back(Value{{"containerId", a.container_id},
                         {"ifname", a.ifname},
                         {"args", a.args},
                         {"capabilities", a.capabilities},
                         {"conflist", a.list.ToJson()},
                         {"result", a.result}});
  }
  return json::Dump(Value{{"format", kFormat}, {"attachments", std::move(list)}});
}

Result<std::vector<Attachment>> DecodeAttachments(std::string_view text, std::string_view what) {
  BERTH_ASSIGN_OR_RETURN(const Value value, json::Parse(text, what, kMaxState));
  const std::string where(what);
  if (json::UintMember(value, "format") != static_cast<uint64_t>(kFormat)) {
    return sdk::DataLoss(where + ": not in a form that this version knows");
  }
  std::vector<Attachment> out;
  for (const Value& v : json::ArrayMember(value, "attachments")) {
    BERTH_ASSIGN_OR_RETURN(Attachment attachment, Decode(v, where));
    out.push_back(std::move(attachment));
  }
  return out;
}

}  // namespace berth::network_cni
