// JSON for the `info` maps of verbose answers. What is no UTF-8 is replaced: every value is valid JSON.
#ifndef BERTH_CORE_CRI_MESSAGE_JSON_H_
#define BERTH_CORE_CRI_MESSAGE_JSON_H_

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/string_view.h"

namespace berth {

// The message as the Go runtimes print theirs: proto field names, numbers as numbers, enums by number, bytes as text,
// fields without a value left out.
nlohmann::json MessageToJson(const google::protobuf::Message& message);

// A JSON text as a value; the text itself as a string when it is none.
nlohmann::json ParsedOrText(absl::string_view text);

std::string DumpForClients(const nlohmann::json& value);

}  // namespace berth

#endif  // BERTH_CORE_CRI_MESSAGE_JSON_H_
