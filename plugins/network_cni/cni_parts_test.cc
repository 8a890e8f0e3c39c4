// Configuration files, capability arguments and results.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "plugins/network_cni/attachment.h"
#include "plugins/network_cni/config_directory.h"
#include "plugins/network_cni/config_list.h"
#include "plugins/network_cni/fake_plugins.h"
#include "plugins/network_cni/result.h"
#include "plugins/network_cni/result_version.h"
#include "plugins/network_cni/runtime_args.h"
#include "plugins/network_cni/version.h"

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
  EXPECT_THAT(list->versions, ElementsAre("1.1.0", "1.0.0", "0.4.0"));
  EXPECT_EQ(ParseConfigList(R"({"name":"n","type":"a"})", "x")->version, "0.1.0");
}

TEST(ConfigList, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "x: not JSON"},
      {"[]", "x: not a JSON object"},
      {R"({"type":"a"})", "\"name\" is missing"},
      {R"({"name":"../n","type":"a"})", "\"name\" is missing or not of letters"},
      {R"({"name":"n","loadOnlyInlinedPlugins":true})", "\"plugins\" is empty"},
      {R"({"name":"n","type":7})", "x has no \"type\""},
      {R"({"cniVersion":"1.2.0","name":"n","type":"a"})", "1.2.0 is newer than 1.1.0"},
      {R"({"cniVersion":"newest","name":"n","type":"a"})", "is not a version"},
      {R"({"cniVersion":1,"name":"n","type":"a"})", "is not a version"},
      {R"({"cniVersions":[],"name":"n","type":"a"})", "\"cniVersions\" is empty"},
      {R"({"disableCheck":"maybe","name":"n","type":"a"})", "\"disableCheck\" is neither true nor false"},
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

TEST(ConfigList, FlagsMayBeStrings) {
  const auto list = ParseConfigList(R"({"name":"n","disableGC":"True","disableCheck":"false","type":"a"})", "x");
  ASSERT_TRUE(list.ok()) << list.status().message();
  EXPECT_TRUE(list->disable_gc);
  EXPECT_FALSE(list->disable_check);
}

TEST(ConfigDirectory, TheFirstValidFileByNameWins) {
  FakePlugins fake;
  const std::string dir = fake.dir() + "/conf";
  fake.WriteConfig("30-c.conf", R"({"name":"c","type":"t"})");
  fake.WriteConfig("20-b.conflist", R"({"name":"b","plugins":[{"type":"t"}]})");
  fake.WriteConfig("10-a.json", "nonsense");
  fake.WriteConfig("00-no.txt", R"({"name":"no","type":"t"})");
  const LoadedConfigs one = ConfigDirectory(dir, 1).Load();
  ASSERT_EQ(one.networks.size(), 1u);
  EXPECT_EQ(one.networks[0].name, "b");
  EXPECT_THAT(one.files, ElementsAre(dir + "/20-b.conflist"));
  EXPECT_THAT(one.faults, ElementsAre(HasSubstr("10-a.json: not JSON")));
  EXPECT_EQ(ConfigDirectory(dir, 0).Load().networks.size(), 2u);
  EXPECT_THAT(ConfigDirectory("/no/such/dir", 1).Load().faults, ElementsAre(HasSubstr("/no/such/dir")));
}

TEST(ConfigDirectory, ChangesCountAtOnce) {
  FakePlugins fake;
  ConfigDirectory directory(fake.dir() + "/conf", 1);
  const auto name = [&] {
    const LoadedConfigs loaded = directory.Load();
    return loaded.networks.empty() ? "" : loaded.networks[0].name;
  };
  EXPECT_EQ(name(), "");
  fake.WriteConfig("20.conf", R"({"name":"second","type":"t"})");
  EXPECT_EQ(name(), "second");
  fake.WriteConfig("10.conf", R"({"name":"first","type":"t"})");
  EXPECT_EQ(name(), "first");
  std::filesystem::remove(fake.dir() + "/conf/10.conf");
  EXPECT_EQ(name(), "second");
}

// A file that is rewritten in place is cut short for a moment; pods of that moment belong to its network all the same.
TEST(ConfigDirectory, AFileThatBecameInvalidCountsAsItWas) {
  FakePlugins fake;
  const std::string first = fake.dir() + "/conf/10.conf";
  ConfigDirectory directory(fake.dir() + "/conf", 1);
  fake.WriteConfig("10.conf", R"({"name":"first","type":"t"})");
  fake.WriteConfig("20.conf", R"({"name":"second","type":"t"})");
  ASSERT_EQ(directory.Load().networks.at(0).name, "first");
  fake.WriteConfig("10.conf", R"({"name":"fir)");
  for (int i = 0; i < 2; ++i) {
    const LoadedConfigs loaded = directory.Load();
    EXPECT_EQ(loaded.networks.at(0).name, "first");
    EXPECT_THAT(loaded.faults, ElementsAre(AllOf(HasSubstr(first + ": not JSON"), HasSubstr("used as it was before"))));
  }
  std::filesystem::remove(first);
  EXPECT_EQ(directory.Load().networks.at(0).name, "second");
  fake.WriteConfig("10.conf", "{");
  EXPECT_EQ(directory.Load().networks.at(0).name, "second") << "a new file was never valid";
}

TEST(ConfigDirectory, PluginsFromTheFolderOfTheNetwork) {
  FakePlugins fake;
  const std::string dir = fake.dir() + "/conf";
  ConfigDirectory directory(dir, 1);
  fake.WriteConfig("10.conflist", R"({"cniVersion":"1.1.0","name":"n"})");
  EXPECT_THAT(directory.Load().faults, ElementsAre(HasSubstr("no \"plugins\" in it and none in " + dir + "/n")));
  std::filesystem::create_directory(dir + "/n");
  fake.WriteConfig("n/20-b.conf", R"({"type":"b"})");
  fake.WriteConfig("n/10-a.conf", R"({"type":"a"})");
  fake.WriteConfig("n/05.json", R"({"type":"not a .conf"})");
  const auto types = [&] {
    std::vector<std::string> out;
    const LoadedConfigs loaded = directory.Load();
    for (const json::Value& plugin : loaded.networks.at(0).plugins) out.push_back(plugin["type"]);
    return out;
  };
  EXPECT_THAT(types(), ElementsAre("a", "b"));
  fake.WriteConfig("10.conflist", R"({"name":"n","plugins":[{"type":"z"}]})");
  EXPECT_THAT(types(), ElementsAre("z", "a", "b"));
  fake.WriteConfig("10.conflist", R"({"name":"n","loadOnlyInlinedPlugins":true,"plugins":[{"type":"z"}]})");
  EXPECT_THAT(types(), ElementsAre("z"));
  fake.WriteConfig("20.conflist", R"({"name":"n","plugins":[{"type":"z"}]})");
  fake.WriteConfig("n/10-a.conf", R"({"type":"../a"})");
  std::filesystem::remove(dir + "/10.conflist");
  EXPECT_THAT(directory.Load().faults, ElementsAre(HasSubstr("n/10-a.conf: \"type\" is not a plain file name")));
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

TEST(RuntimeArgs, AddressesThatAPodAsksFor) {
  const auto asked = [](const char* ips, const char* mac) {
    sdk::PodNetwork pod = TestPod("id", "/ns");
    if (ips != nullptr) pod.annotations["network.berth/ips"] = ips;
    if (mac != nullptr) pod.annotations["network.berth/mac"] = mac;
    const auto all = Capabilities(pod);
    return all.ok() ? RuntimeConfig(json::Value::parse(R"({"capabilities":{"ips":true,"mac":true}})"), *all).dump()
                    : all.status().message();
  };
  EXPECT_EQ(asked(nullptr, nullptr), "null");
  EXPECT_EQ(asked("10.1.0.5/24, fd00::5", nullptr), R"({"ips":["10.1.0.5/24","fd00::5"]})");
  EXPECT_EQ(asked(nullptr, "c2:11:22:33:44:5A"), R"({"mac":"c2:11:22:33:44:5A"})");
  for (const char* bad :
       {"", "x", "10.0.0.1,", "10.0.0.1/33", "fd00::1/129", "10.0.0.1/", "10.0.0.1/-1", "1.2.3.4;x"}) {
    EXPECT_THAT(asked(bad, nullptr), HasSubstr("is not a list of at most 16 addresses")) << bad;
  }
  for (const char* bad : {"", "c2:11:22:33:44", "c2-11-22-33-44-55", "c2:11:22:33:44:5g"}) {
    EXPECT_THAT(asked(nullptr, bad), HasSubstr("is not an address like")) << bad;
  }
}

TEST(ConvertResult, ToOlderAndNewerForms) {
  const auto convert = [](const char* text, const char* to) {
    const auto out = ConvertResult(json::Value::parse(text), to);
    return out.ok() ? *out : json::Value(out.status().message());
  };
  constexpr char kNew[] = R"({"cniVersion":"1.1.0","interfaces":[{"name":"eth0","mac":"m","sandbox":"/ns","mtu":1500}],
      "ips":[{"interface":0,"address":"10.0.0.2/24","gateway":"10.0.0.1"},{"address":"fd00::2/64"},{"address":"10.9.0.1/8"}],
      "routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1","mtu":1400},{"dst":"::/0"}],"dns":{"nameservers":["10.0.0.10"]}})";
  EXPECT_EQ(convert(kNew, "1.1.0"), json::Value::parse(kNew));
  EXPECT_EQ(convert(kNew, "1.0.0"), json::Value::parse(R"({"cniVersion":"1.0.0",
      "interfaces":[{"name":"eth0","mac":"m","sandbox":"/ns"}],
      "ips":[{"interface":0,"address":"10.0.0.2/24","gateway":"10.0.0.1"},{"address":"fd00::2/64"},{"address":"10.9.0.1/8"}],
      "routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"::/0"}],"dns":{"nameservers":["10.0.0.10"]}})"));
  EXPECT_EQ(convert(kNew, "0.3.1")["ips"], json::Value::parse(R"([
      {"version":"4","interface":0,"address":"10.0.0.2/24","gateway":"10.0.0.1"},
      {"version":"6","address":"fd00::2/64"},{"version":"4","address":"10.9.0.1/8"}])"));
  constexpr char kOld[] = R"({"cniVersion":"0.2.0",
      "ip4":{"ip":"10.0.0.2/24","gateway":"10.0.0.1","routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"}]},
      "ip6":{"ip":"fd00::2/64","routes":[{"dst":"::/0"}]},"dns":{"nameservers":["10.0.0.10"]}})";
  EXPECT_EQ(convert(kNew, "0.2.0"), json::Value::parse(kOld));
  EXPECT_EQ(convert(kOld, "1.0.0"), json::Value::parse(R"({"cniVersion":"1.0.0",
      "ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"},{"address":"fd00::2/64"}],
      "routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"::/0"}],"dns":{"nameservers":["10.0.0.10"]}})"));
  EXPECT_EQ(convert(R"({"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.2/24"}]})", "1.1.0")["ips"],
            json::Value::parse(R"([{"address":"10.0.0.2/24"}])"));
  EXPECT_EQ(convert(R"({"ips":[]})", "0.4.0")["cniVersion"], "0.4.0") << "it says none";
  for (const char* unknown : {"9.9.9", "1.2.0", "x"}) {
    EXPECT_THAT(ConvertResult(json::Value{{"cniVersion", unknown}}, "1.0.0").status().message(), HasSubstr(unknown));
  }
}

TEST(ConvertResult, MembersOfOtherTypes) {
  for (const char* text : {R"({"cniVersion":"1.1.0","ips":3,"interfaces":"x","routes":{"a":1},"dns":[]})",
                           R"({"cniVersion":"1.1.0","ips":[3,null,[]],"interfaces":[[],7],"routes":[null]})",
                           R"({"cniVersion":"0.2.0","ip4":[],"ip6":"x"})", R"({"cniVersion":7})"}) {
    for (const char* to : {"0.1.0", "0.3.0", "1.0.0", "1.1.0"}) {
      EXPECT_TRUE(ConvertResult(json::Value::parse(text), to).ok()) << text << to;
    }
  }
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
  for (const char* text :
       {"", "{}", "[]", R"({"format":2,"attachments":[]})", R"({"format":1,"attachments":[{}]})",
        R"({"format":1,"attachments":[{"containerId":"../x","ifname":"eth0"}]})",
        R"({"format":1,"attachments":[{"containerId":"x","ifname":"eth0"}]})",
        R"({"format":1,"attachments":[{"containerId":"x","ifname":"eth0","conflist":{"name":"n"}}]})"}) {
    EXPECT_FALSE(DecodeAttachments(text, "state").ok()) << text;
  }
}

}  // namespace
}  // namespace berth::network_cni
