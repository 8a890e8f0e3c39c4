#include "core/cri/message_json.h"

#include <gtest/gtest.h>

#include "core/cri/config_info.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {
namespace {

using nlohmann::json;

TEST(MessageJsonTest, FieldsAsGoPrintsThem) {
  runtime::v1::ContainerConfig config;
  config.mutable_metadata()->set_name("a");
  config.mutable_metadata()->set_attempt(2);
  config.add_command("sh");
  auto* env = config.add_envs();
  env->set_key("K");
  env->set_value("\xFF!");
  (*config.mutable_labels())["l"] = "v";
  config.set_stop_signal(runtime::v1::SIGNAL_SIGTERM);
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(int64_t{1} << 40);
  config.set_tty(true);
  const json parsed = json::parse(DumpForClients(MessageToJson(config)));
  EXPECT_EQ(parsed["metadata"], json({{"name", "a"}, {"attempt", 2}}));
  EXPECT_EQ(parsed["command"], json({"sh"}));
  EXPECT_EQ(parsed["envs"][0]["value"], "\xEF\xBF\xBD!");
  EXPECT_EQ(parsed["labels"]["l"], "v");
  EXPECT_EQ(parsed["stop_signal"], 23);
  EXPECT_EQ(parsed["linux"]["resources"]["memory_limit_in_bytes"], int64_t{1} << 40);
  EXPECT_EQ(parsed["tty"], true);
  EXPECT_FALSE(parsed.contains("log_path"));
}

TEST(MessageJsonTest, TextThatIsNoJsonStaysText) {
  EXPECT_EQ(ParsedOrText("{\"a\": [1]}"), json({{"a", {1}}}));
  EXPECT_EQ(ParsedOrText("{"), json("{"));
  EXPECT_EQ(DumpForClients(ParsedOrText("\xFF")), "\"\xEF\xBF\xBD\"");
}

TEST(ConfigInfoTest, SecretsAreHidden) {
  Config config;
  config.runtime.handlers["crun"].options["binary"] = ConfigValue{std::string("/usr/bin/crun")};
  config.plugin["registry_oci"]["Proxy_Password"] = ConfigValue{std::string("hunter2")};
  ConfigValue::Table nested;
  nested["token"] = ConfigValue{std::string("hunter2")};
  nested["name"] = ConfigValue{std::string("x")};
  config.plugin["registry_oci"]["mirrors"] = ConfigValue{ConfigValue::Array{ConfigValue{nested}}};
  const std::string text = DumpForClients(ConfigInfo(config));
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
  const json info = json::parse(text);
  EXPECT_EQ(info["runtime"]["handlers"]["crun"]["options"]["binary"], "/usr/bin/crun");
  EXPECT_EQ(info["plugin"]["registry_oci"]["mirrors"][0]["name"], "x");
  EXPECT_EQ(info["grpc"]["socket"], "/run/berth/berth.sock");
}

}  // namespace
}  // namespace berth
