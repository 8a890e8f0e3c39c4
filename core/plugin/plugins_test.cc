#include "core/plugin/plugins.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/base/file.h"
#include "core/base/status.h"
#include "core/plugin/abi_reader.h"
#include "core/plugin/conformance/plugin_under_test.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

namespace fs = std::filesystem;
using Code = absl::StatusCode;

constexpr char kTestData[] = "core/plugin/testdata";
constexpr char kExample[] = "plugins/example";

std::string Absolute(const std::string& path) { return fs::canonical(path); }

size_t OpenDescriptors() { return ListDir("/proc/self/fd")->size(); }

ConfigValue Value(const ConfigValue::Table& table) { return {table}; }
ConfigValue Text(const std::string& text) { return {text}; }
ConfigValue Int(int64_t i) { return {i}; }

class PluginsTest : public testing::Test {
 protected:
  PluginsTest() {
    services_.root = scratch_.path();
    plugins_ = std::make_unique<Plugins>(
        std::vector<std::string>{scratch_.path() + "/nowhere", Absolute(kTestData), Absolute(kExample)}, services_);
  }

  absl::Status Make(const std::string& name, const ConfigValue::Table& config = {}) {
    return plugins_->MakeSnapshotter(name, config).status();
  }

  ScratchDirectory scratch_;
  HostServices services_;
  std::unique_ptr<Plugins> plugins_;
};

TEST_F(PluginsTest, FindsModulesByName) {
  EXPECT_TRUE(Make("example").ok()) << Make("example");
  EXPECT_EQ(Make("nix").code(), Code::kNotFound);
  EXPECT_NE(Make("nix").message().find("/nowhere/nix.so"), absl::string_view::npos) << Make("nix");
  for (const char* name : {"", "..", "../example", "/etc/passwd", "a/b"}) {
    EXPECT_EQ(Make(name).code(), Code::kInvalidArgument) << name;
  }
}

TEST_F(PluginsTest, AModuleIsOfItsKindsOnly) {
  const absl::Status status = plugins_->MakeOciExecutor("example", {}).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_NE(status.message().find("is no OCI executor"), absl::string_view::npos) << status;
}

TEST_F(PluginsTest, OneModuleHasManyInstances) {
  ConfigValue::Table a, b;
  a["root"] = Text(scratch_.path() + "/a");
  b["root"] = Text(scratch_.path() + "/b");
  const auto first = plugins_->MakeSnapshotter("example", a, "first"), second = plugins_->MakeSnapshotter("example", b);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ((*first)->root(), scratch_.path() + "/a");
  EXPECT_EQ((*second)->root(), scratch_.path() + "/b");
  const absl::Status status = (*first)->Remove(Call(), "nix");
  EXPECT_EQ(status.message().substr(0, 7), "first: ") << "errors name the instance: " << status;
  EXPECT_EQ(plugins_->Loaded().size(), 1u);
}

TEST_F(PluginsTest, ABadPluginLeavesTheOthers) {
  plugins_->LoadAll();
  std::vector<std::string> names;
  for (const ModuleInfo& module : plugins_->Loaded()) names.push_back(module.name);
  EXPECT_EQ(names, (std::vector<std::string>{"example", "hostile_answers", "hostile_no_instance", "hostile_no_size",
                                             "hostile_null_function", "hostile_short_table", "throwing"}));
  const auto failures = plugins_->Failures();
  EXPECT_EQ(failures.size(), 10u);  // 9 files, and a directory that is not there
  for (const ModuleFailure& failure : failures) {
    EXPECT_NE(failure.status.message().find(failure.path), absl::string_view::npos) << failure.status;
  }
  EXPECT_TRUE(Make("example").ok());
  plugins_->Drain();
}

TEST_F(PluginsTest, AFailedStartSaysWhy) {
  const absl::Status status = Make("hostile_init");
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.message(),
            "initialise plugin " + Absolute(kTestData) + "/hostile_init.so: hostile_init: no hardware");
}

TEST_F(PluginsTest, AModuleIsNamedAsItsFile) {
  const std::string directory = scratch_.path() + "/renamed";
  fs::create_directory(directory);
  fs::copy_file(std::string(kExample) + "/example.so", directory + "/other.so");
  Plugins plugins({directory}, services_);
  const absl::Status status = plugins.MakeSnapshotter("other", {}).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("it calls itself example"), absl::string_view::npos) << status;
}

TEST_F(PluginsTest, TablesWithHolesAreRefused) {
  EXPECT_EQ(Make("hostile_null_function").message(), "hostile_null_function: the plugin lacks the function root");
  EXPECT_EQ(Make("hostile_short_table").message(), "hostile_short_table: the plugin lacks the function root");
  EXPECT_EQ(Make("hostile_no_size").message(), "hostile_no_size: the plugin's table has a struct_size of 0");
  EXPECT_EQ(Make("hostile_no_instance").message(), "hostile_no_instance: the plugin answered OK without an instance");
}

TEST_F(PluginsTest, ExceptionsStopInTheSdk) {
  EXPECT_EQ(Make("throwing", {{"throw", Text("runtime_error")}}),
            absl::InternalError("throwing: thrown in the constructor"));
  EXPECT_EQ(Make("throwing", {{"throw", Text("int")}}), absl::InternalError("throwing: an exception of unknown type"));
  const absl::Status out_of_memory = Make("throwing");
  EXPECT_EQ(out_of_memory.code(), Code::kResourceExhausted) << out_of_memory;
}

TEST_F(PluginsTest, LongErrorsAreCutBetweenCharacters) {
  const absl::Status cut = Make("throwing", {{"throw", Text("long")}});
  EXPECT_EQ(cut.message(), "throwing: " + std::string(sizeof(berth_error::text), 'a'));
  const absl::Status umlaut = Make("throwing", {{"throw", Text("umlaut")}});
  EXPECT_EQ(umlaut.message(), "throwing: " + std::string(1007, 'a'));
}

TEST_F(PluginsTest, ConfigurationOfTheWrongTypeIsNamed) {
  const auto said = [&](const std::string& key, ConfigValue value) {
    return std::string(Make("throwing", {{key, std::move(value)}}).message());
  };
  EXPECT_EQ(said("throw", Int(1)), "throwing: throwing.throw: want a string, found an integer");
  EXPECT_EQ(said("integer", Text("x")), "throwing: throwing.integer: want an integer, found a string");
  EXPECT_EQ(said("integer", Int(11)), "throwing: throwing.integer: want 0 to 10, found 11");
  EXPECT_EQ(said("boolean", Int(1)), "throwing: throwing.boolean: want a boolean, found an integer");
  EXPECT_EQ(said("float", Text("x")), "throwing: throwing.float: want a float, found a string");
  EXPECT_EQ(said("path", Text("rel")), "throwing: throwing.path: want an absolute path, found \"rel\"");
  EXPECT_EQ(said("strings", Text("x")), "throwing: throwing.strings: want an array, found a string");
  EXPECT_EQ(said("strings", {ConfigValue::Array{Text("x"), Int(1)}}),
            "throwing: throwing.strings[1]: want a string, found an integer");
  EXPECT_EQ(said("table", Int(1)), "throwing: throwing.table: want a table, found an integer");
  EXPECT_EQ(said("table", Value({{"key", Int(1)}})), "throwing: throwing.table.key: want a string, found an integer");
  EXPECT_EQ(said("tables", {ConfigValue::Array{Value({}), Value({{"value", Text("x")}})}}),
            "throwing: throwing.tables[1].value: want an integer, found a string");
}

// Each key makes the plugin answer another nonsense.
TEST_F(PluginsTest, NonsenseIsCaught) {
  const auto made = plugins_->MakeSnapshotter("hostile_answers", {});
  ASSERT_TRUE(made.ok()) << made.status();
  Snapshotter& hostile = **made;
  const size_t descriptors = OpenDescriptors();
  const auto prepare = [&](const std::string& key, SnapshotKind kind) {
    SnapshotRequest request;
    request.key = key;
    request.kind = kind;
    return hostile.Prepare(Call(), request);
  };
  for (const char* key :
       {"noresult",   "longerror",  "badtext",    "badcode",    "negative",    "null",        "short",
        "nullmounts", "manymounts", "nullmount",  "shortmount", "nomounts",    "nulltext",    "hugetext",
        "nottext",    "nultext",    "escape",     "absolute",   "hugeoptions", "nulloptions", "whiteouts",
        "closedfd",   "stdinfd",    "negativefd", "filefd",     "pathfd",      "twice"}) {
    const absl::Status status = prepare(key, SnapshotKind::kContainer).status();
    EXPECT_EQ(status.code(), Code::kInternal) << key << ": " << status;
    EXPECT_EQ(status.message().substr(0, 17), "hostile_answers: ") << status;
    EXPECT_TRUE(IsUtf8(status.message())) << key;
    EXPECT_LT(status.message().size(), 1200u);
  }
  EXPECT_EQ(prepare("nofd", SnapshotKind::kLayer).status().code(), Code::kInternal) << "a layer has a directory";
  EXPECT_EQ(OpenDescriptors(), descriptors) << "descriptors that came with nonsense are closed";
  {
    const auto good = prepare("goodfd", SnapshotKind::kLayer);
    ASSERT_TRUE(good.ok()) << good.status();
    EXPECT_EQ(fcntl(good->directory.get(), F_GETFD), FD_CLOEXEC) << "whatever the plugin forgot";
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_TRUE(fcntl(STDIN_FILENO, F_GETFD) >= 0 || errno == EBADF);

  EXPECT_EQ(hostile.Commit(Call(), "k", {}).code(), Code::kInternal);
  EXPECT_EQ(hostile.Stat(Call(), "state").status().code(), Code::kInternal);
  EXPECT_EQ(hostile.Stat(Call(), "other").status().code(), Code::kInternal);
  EXPECT_TRUE(hostile.Stat(Call(), "fine").ok());
  EXPECT_EQ(hostile.Usage(Call(), "k").status().code(), Code::kUnimplemented);
  int visits = 0;
  EXPECT_EQ(hostile.Walk(Call(), [&](const SnapshotInfo&) { ++visits; }).code(), Code::kInternal);
  EXPECT_EQ(visits, 0);
  EXPECT_EQ(hostile.Prepare(Call(), SnapshotRequest()).status().code(), Code::kInvalidArgument);
}

TEST_F(PluginsTest, UnknownKeysAreDotted) {
  ConfigValue::Table config;
  config["root"] = Text(scratch_.path() + "/r");
  config["rooot"] = Text("/x");
  config["deep"] = Value({{"deeper", Int(1)}});
  ASSERT_TRUE(Make("example", config).ok());
  EXPECT_EQ(plugins_->UnknownKeys(),
            (std::vector<std::string>{"example: unknown key deep", "example: unknown key rooot"}));
}

TEST(AbiReaderTest, KnowsUtf8) {
  for (const char* good :
       {"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\xb3", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "a\xff", "\xe2\x82", "\xc3\xc3"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace berth
