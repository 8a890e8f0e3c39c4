// The API as compiled, line by line against the table of CRI v1: a number or a type that is off by one would be read as
// another field by every client.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "proto/cri/v1/api.grpc.pb.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// A name within the package: Outer.Inner.
template <typename D>
std::string Local(const D* d) {
  return d->full_name().substr(sizeof("runtime.v1.") - 1);
}

std::string Row(absl::string_view kind, absl::string_view parent, absl::string_view number, absl::string_view name,
                absl::string_view type) {
  return absl::StrJoin({kind, parent, number, name, type}, "\t");
}

std::string BareType(const FieldDescriptor* field) {
  if (field->message_type()) return field->message_type()->name();
  if (field->enum_type()) return field->enum_type()->name();
  return field->type_name();
}

std::string Type(const FieldDescriptor* field) {
  std::string type = BareType(field);
  if (field->is_map()) {
    type = absl::StrCat("map<", BareType(field->message_type()->map_key()), ",",
                        BareType(field->message_type()->map_value()), ">");
  } else if (field->is_repeated()) {
    type = "repeated " + type;
  }
  return type + (field->options().deprecated() ? " deprecated" : "");
}

void Add(const EnumDescriptor* e, std::vector<std::string>& rows) {
  for (int i = 0; i < e->value_count(); ++i) {
    rows.push_back(Row("enum", Local(e), absl::StrCat(e->value(i)->number()), e->value(i)->name(), ""));
  }
}

void Add(const Descriptor* message, std::vector<std::string>& rows) {
  for (int i = 0; i < message->enum_type_count(); ++i) Add(message->enum_type(i), rows);
  if (message->field_count() == 0) rows.push_back(Row("message", Local(message), "-", "-", "(empty)"));
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    rows.push_back(Row("field", Local(message), absl::StrCat(field->number()), field->name(), Type(field)));
  }
}

void Add(const ServiceDescriptor* service, std::vector<std::string>& rows) {
  for (int i = 0; i < service->method_count(); ++i) {
    const MethodDescriptor* m = service->method(i);
    rows.push_back(Row("rpc", service->name(), "-", m->name(),
                       absl::StrCat(m->client_streaming() ? "stream " : "", m->input_type()->name(), " -> ",
                                    m->server_streaming() ? "stream " : "", m->output_type()->name())));
  }
}

std::vector<std::string> CompiledRows() {
  const FileDescriptor* file = runtime::v1::VersionRequest::descriptor()->file();
  std::vector<std::string> rows;
  for (int i = 0; i < file->service_count(); ++i) Add(file->service(i), rows);
  for (int i = 0; i < file->enum_type_count(); ++i) Add(file->enum_type(i), rows);
  for (int i = 0; i < file->message_type_count(); ++i) Add(file->message_type(i), rows);
  return rows;
}

std::vector<std::string> TableRows() {
  const auto text = ReadFile("testdata/cri/cri-v1.tsv");
  EXPECT_TRUE(text.ok()) << text.status();
  std::vector<std::string> rows = absl::StrSplit(text.value_or(""), '\n', absl::SkipEmpty());
  if (!rows.empty()) rows.erase(rows.begin());  // the heading
  return rows;
}

TEST(CriApi, IsTheTable) {
  const std::vector<std::string> compiled = CompiledRows(), table = TableRows();
  ASSERT_GT(table.size(), 500u);
  const std::set<std::string> have(compiled.begin(), compiled.end()), want(table.begin(), table.end());
  for (const std::string& row : table) EXPECT_TRUE(have.count(row)) << "not in api.proto: " << row;
  for (const std::string& row : compiled) EXPECT_TRUE(want.count(row)) << "not in the table: " << row;
  EXPECT_EQ(compiled.size(), table.size());
}

TEST(CriApi, HasAllCalls) {
  const FileDescriptor* file = runtime::v1::VersionRequest::descriptor()->file();
  EXPECT_EQ(file->package(), "runtime.v1");
  ASSERT_EQ(file->service_count(), 2);
  EXPECT_EQ(file->service(0)->method_count() + file->service(1)->method_count(), 43);
  EXPECT_STREQ(runtime::v1::RuntimeService::service_full_name(), "runtime.v1.RuntimeService");
  EXPECT_STREQ(runtime::v1::ImageService::service_full_name(), "runtime.v1.ImageService");
}

// Environment values may be any bytes; C++ refuses a whole request over one string that is not UTF-8.
TEST(CriApi, OnlyBytesMayBeBinary) {
  runtime::v1::KeyValue variable;
  variable.set_key("BINARY");
  variable.set_value("\xff\xfe\x01");
  runtime::v1::KeyValue read;
  ASSERT_TRUE(read.ParseFromString(variable.SerializeAsString()));
  EXPECT_EQ(read.value(), "\xff\xfe\x01");
  EXPECT_FALSE(read.ParseFromString("\x0a\x02\xff\xfe"));  // field 1, key, not UTF-8
}

}  // namespace
}  // namespace berth
