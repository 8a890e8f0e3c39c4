// Configuration files, capability arguments and results.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/network_cni/attachment.h"
#include "plugins/network_cni/config_list.h"
#include "plugins/network_cni/fake_plugins.h"
#include "plugins/network_cni/result.h"
#include "plugins/network_cni/runtime_args.h"

namespace berth::network_cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ConfigList, ASingleConfigurationBecomesAList) {
  const auto list = ParseConfigList(R"({"cniVersion":"0.3.1","name":"n","type":"bridge","bridge":"b0"})", "x.conf");
  ASSERT_TRUE(list.ok()) << list.status().message();
  EXPECT_EQ(list->version, "0.3.1");
  ASSERT_EQ(list->plugins.size(), 1u);
  EXPECT_EQ(list->plugins[0]["bridge"], "b0");
  const auto again = ConfigListFromJson(list->ToJson(), "again");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->plugins, list->plugins);
  EXPECT_EQ(again->version, list->version);
}

TEST(ConfigList, PicksTheHighestKnownOfSeveralVersions) {
  const auto list = ParseConfigList(
      R"({"cniVersion":"0.4.0","cniVersions":["1.0.0","1.1.0","7.0.0"],"name":"n","plugins":[{"type":"a"}]})", "x");
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->version, "1.1.0");
  EXPECT_EQ(ParseConfigList(R"({"name":"n","type":"a"})", "x")->version, "0.1.0");
}

TEST(ConfigList, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "x: not JSON"},
      {"[]", "x: not a JSON object"},
      {R"({"type":"a"})", "\"name\" is missing"},
      {R"({"name":"../n","type":"a"})", "\"name\" is missing or not of letters"},
      {R"({"name":"n"})", "plugins[0] has no \"type\""},
      {R"({"name":"n","plugins":[]})", "\"plugins\" is empty"},
      {R"({"name":"n","plugins":{"type":"a"}})", "\"plugins\" is empty or not an array"},
      {R"({"name":"n","plugins":[{"type":"a"},3]})", "plugins[1] is not an object"},
      {R"({"name":"n","plugins":[{"type":"../sh"}]})", "not a plain file name"},
      {R"({"name":"n","plugins":[{"type":".."}]})", "not a plain file name"},
      {R"({"name":"n","plugins":[{"type":"a\u0000b"}]})", "not a plain file name"},
  };
  for (const auto& [text, want] : cases) {
    const auto list = ParseConfigList(text, "x");
    EXPECT_FALSE(list.ok()) << text;
    EXPECT_THAT(list.status().message(), HasSubstr(want)) << text;
  }
  EXPECT_FALSE(ParseConfigList(std::string(2 << 20, ' '), "x").ok());
}

TEST(ConfigList, VersionsCompareByNumber) {
  EXPECT_TRUE(AtLeast("0.4.0", 0, 4));
  EXPECT_TRUE(AtLeast("0.10.0", 0, 4));
  EXPECT_TRUE(AtLeast("1.0.0", 0, 4));
  EXPECT_FALSE(AtLeast("0.3.1", 0, 4));
  EXPECT_FALSE(AtLeast("", 0, 4));
  EXPECT_FALSE(AtLeast("newest", 0, 4));
}

TEST(LoadConfigs, TheFirstValidFileByNameWins) {
  FakePlugins fake;
  const std::string dir = fake.dir() + "/conf";
  fake.WriteConfig("30-c.conf", R"({"name":"c","type":"t"})");
  fake.WriteConfig("20-b.conflist", R"({"name":"b","plugins":[{"type":"t"}]})");
  fake.WriteConfig("10-a.json", "nonsense");
  fake.WriteConfig("00-no.txt", R"({"name":"no","type":"t"})");
  const LoadedConfigs one = LoadConfigs(dir, 1);
  ASSERT_EQ(one.networks.size(), 1u);
  EXPECT_EQ(one.networks[0].name, "b");
  EXPECT_THAT(one.files, ElementsAre(dir + "/20-b.conflist"));
  EXPECT_THAT(one.faults, ElementsAre(HasSubstr("10-a.json: not JSON")));
  EXPECT_EQ(LoadConfigs(dir, 0).networks.size(), 2u);
  EXPECT_THAT(LoadConfigs("/no/such/dir", 1).faults, ElementsAre(HasSubstr("/no/such/dir")));
}

TEST(RuntimeArgs, Quantities) {
  EXPECT_EQ(ParseQuantity("10M"), 10'000'000u);
  EXPECT_EQ(ParseQuantity("1.5Gi"), 1610612736u);
  EXPECT_EQ(ParseQuantity("2e6"), 2'000'000u);
  EXPECT_EQ(ParseQuantity("1500m"), 2u);
  EXPECT_EQ(ParseQuantity("+4k"), 4000u);
  EXPECT_EQ(ParseQuantity(".5k"), 500u);
  for (const char* bad : {"", "M", "-1", "1.2.3", "10 M", "10MB", "1e", "9E9999", "nan", "0x10", "99999999E"}) {
    EXPECT_FALSE(ParseQuantity(bad).has_value()) << bad;
  }
}

TEST(RuntimeArgs, OnlyDeclaredCapabilitiesArePassed) {
  sdk::PodNetwork pod = TestPod("id", "/ns");
  pod.annotations["kubernetes.io/ingress-bandwidth"] = "10M";
  pod.dns_servers = {"10.0.0.10"};
  pod.dns_options = {"ndots:5"};
  pod.cgroup_path = "/kubepods/x";
  const auto all = Capabilities(pod);
  ASSERT_TRUE(all.ok()) << all.status().message();
  const auto config = [&](const char* plugin) { return RuntimeConfig(json::Value::parse(plugin), *all); };
  EXPECT_TRUE(config(R"({"type":"a"})").is_null());
  EXPECT_TRUE(config(R"({"capabilities":{"dns":false,"portMappings":true}})").is_null());
  EXPECT_EQ(config(R"({"capabilities":{"dns":true,"bandwidth":true}})"), json::Value::parse(R"({
      "bandwidth":{"ingressRate":10000000,"ingressBurst":4294967295},
      "dns":{"servers":["10.0.0.10"],"options":["ndots:5"]}})"));
}

TEST(PodIps, AllForms) {
  const auto ips = [](const char* text, IpPreference p = IpPreference::kAsGiven) {
    return PodIps(json::Value::parse(text), p);
  };
  EXPECT_THAT(ips(R"({"ips":[{"version":"4","address":"10.0.0.2/16"},{"version":"6","address":"FD00:0::2/64"}]})"),
              ElementsAre("10.0.0.2", "fd00::2"));
  EXPECT_THAT(ips(R"({"interfaces":[{"name":"br"},{"name":"eth0","sandbox":"/ns"}],
      "ips":[{"interface":0,"address":"10.0.0.1/16"},{"interface":1,"address":"10.0.0.2/16"}]})"),
              ElementsAre("10.0.0.2"));
  EXPECT_THAT(ips(R"({"ip4":{"ip":"10.0.0.2/16"},"ip6":{"ip":"fd00::2/64"}})"), ElementsAre("10.0.0.2", "fd00::2"));
  EXPECT_THAT(ips(R"({"ips":[{"address":"fd00::2/64"},{"address":"10.0.0.2/8"}]})", IpPreference::kIpv4),
              ElementsAre("10.0.0.2", "fd00::2"));
  EXPECT_THAT(ips(R"({"ips":[{"address":"10.0.0.2/8"}]})", IpPreference::kIpv6), ElementsAre("10.0.0.2"));
  EXPECT_THAT(ips(R"({"ips":[{"address":7},{"address":"x"},"y",{"interface":99}]})"), IsEmpty());
  EXPECT_THAT(ips(R"("a string")"), IsEmpty());
}

TEST(Attachment, SurvivesEncoding) {
  Attachment a;
  a.container_id = "id";
  a.ifname = "eth0";
  a.args = "IgnoreUnknown=1";
  a.capabilities = json::Value{{"dns", json::Value::object()}};
  a.list = *ParseConfigList(R"({"cniVersion":"1.0.0","name":"n","disableCheck":true,"plugins":[{"type":"t"}]})", "x");
  a.result = json::Value{{"ips", json::Value::array()}};
  const auto back = DecodeAttachments(EncodeAttachments({a}), "state");
  ASSERT_TRUE(back.ok()) << back.status().message();
  ASSERT_EQ(back->size(), 1u);
  EXPECT_EQ((*back)[0].container_id, "id");
  EXPECT_EQ((*back)[0].list.plugins, a.list.plugins);
  EXPECT_TRUE((*back)[0].list.disable_check);
  EXPECT_EQ((*back)[0].result, a.result);
  EXPECT_EQ((*back)[0].capabilities, a.capabilities);
}

TEST(Attachment, RefusesWhatItDidNotWrite) {
  for (const char* text : {"", "{}", "[]", R"({"format":2,"attachments":[]})", R"({"format":1,"attachments":[{}]})",
                           R"({"format":1,"attachments":[{"containerId":"../x","ifname":"eth0"}]})",
                           R"({"format":1,"attachments":[{"containerId":"x","ifname":"eth0"}]})"}) {
    EXPECT_FALSE(DecodeAttachments(text, "state").ok()) << text;
  }
}

}  // namespace
}  // namespace berth::network_cni
