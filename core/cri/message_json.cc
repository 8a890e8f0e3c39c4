#include "core/cri/message_json.h"

#include <google/protobuf/descriptor.h>

#include <memory>
#include <vector>

#include "core/oci/json.h"

namespace berth {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::json;

json Convert(const Message& message);

// `index` is -1 for a field that is not repeated.
json Value(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* r = message.GetReflection();
  const bool many = index >= 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return many ? r->GetRepeatedInt32(message, field, index) : r->GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return many ? r->GetRepeatedInt64(message, field, index) : r->GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return many ? r->GetRepeatedUInt32(message, field, index) : r->GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return many ? r->GetRepeatedUInt64(message, field, index) : r->GetUInt64(message, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return many ? r->GetRepeatedDouble(message, field, index) : r->GetDouble(message, field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return many ? r->GetRepeatedFloat(message, field, index) : r->GetFloat(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return many ? r->GetRepeatedBool(message, field, index) : r->GetBool(message, field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return many ? r->GetRepeatedEnumValue(message, field, index) : r->GetEnumValue(message, field);
    case FieldDescriptor::CPPTYPE_STRING:
      return many ? r->GetRepeatedString(message, field, index) : r->GetString(message, field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Convert(many ? r->GetRepeatedMessage(message, field, index) : r->GetMessage(message, field));
  }
  return nullptr;
}

json MapValue(const Message& message, const FieldDescriptor* field) {
  const Reflection* r = message.GetReflection();
  json object = json::object();
  for (int i = 0; i < r->FieldSize(message, field); ++i) {
    const Message& entry = r->GetRepeatedMessage(message, field, i);
    const FieldDescriptor* key = entry.GetDescriptor()->map_key();
    // Every map of the CRI has string keys.
    object[entry.GetReflection()->GetString(entry, key)] = Value(entry, entry.GetDescriptor()->map_value(), -1);
  }
  return object;
}

json Convert(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  json object = json::object();
  for (const FieldDescriptor* field : fields) {
    json& value = object[field->name()];
    if (field->is_map()) {
      value = MapValue(message, field);
    } else if (field->is_repeated()) {
      value = json::array();
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        value.push_back(Value(message, field, i));
      }
    } else {
      value = Value(message, field, -1);
    }
  }
  return object;
}

}  // namespace

json MessageToJson(const Message& message) {
  // Reflection keeps a second form of each map it was asked for: not in the configuration that a pod has for life.
  const std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  return Convert(*copy);
}

json ParsedOrText(absl::string_view text) {
  JsonLimits limits;
  limits.bytes = 16 << 20;
  auto parsed = ParseJson(text, "info", limits);
  return parsed.ok() ? *std::move(parsed) : json(std::string(text));
}

std::string DumpForClients(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace berth
