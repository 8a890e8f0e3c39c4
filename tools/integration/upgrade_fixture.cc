#include "tools/integration/upgrade_fixture.h"

#include <sys/wait.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/subprocess.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

absl::StatusOr<CommandResult> Berth(std::vector<std::string> arguments) {
  Command command;
  command.argv = std::move(arguments);
  command.argv.insert(command.argv.begin(), BuiltDaemon(TheWorld().runfiles));
  command.deadline_ns = MonotonicNanos() + 300'000'000'000;
  return RunCommand(command);
}

}  // namespace

UpgradeFixture::UpgradeFixture() { options_.grpc_keys = "connection_age_seconds = 1\n"; }

absl::Status UpgradeFixture::Upgrade(const std::string& binary) {
  std::vector<std::string> arguments = {"upgrade", "--socket", place_->admin_socket()};
  if (!binary.empty()) arguments.insert(arguments.end(), {"--binary", binary});
  const auto result = Berth(arguments);
  if (!result.ok()) return result.status();
  if (result->wait_status != 0) return absl::AbortedError(result->err);
  // berth VERSION serves now, as process PID
  pid_t pid = 0;
  const std::string line(absl::StripSuffix(result->out, "\n"));
  if (!absl::SimpleAtoi(line.substr(line.rfind(' ') + 1), &pid)) return absl::InternalError(result->out);
  retired_.push_back(std::exchange(daemon_, DaemonProcess::Adopt(pid)));
  if (leaks_.has_value()) leaks_->SetDaemon(pid);
  return absl::OkStatus();
}

std::string UpgradeFixture::Serving() {
  const auto result = Berth({"status", "--socket", place_->admin_socket()});
  if (!result.ok() || result->wait_status != 0) return "";
  for (absl::string_view line : absl::StrSplit(result->out, '\n')) {
    if (absl::ConsumePrefix(&line, "pid: ")) return std::string(line);
  }
  return "";
}

bool UpgradeFixture::AdoptServing() {
  pid_t pid = 0;
  if (!absl::SimpleAtoi(Serving(), &pid)) return false;
  if (pid == daemon_.pid()) return true;
  retired_.push_back(std::exchange(daemon_, DaemonProcess::Adopt(pid)));
  if (leaks_.has_value()) leaks_->SetDaemon(pid);
  return true;
}

bool UpgradeFixture::StartAsAManagerDoes() {
  client_ = std::make_unique<CriClient>(place_->socket());
  for (const absl::Time end = absl::Now() + absl::Minutes(1); absl::Now() < end;) {
    auto daemon = DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place_->config(), place_->daemon_log());
    EXPECT_OK(daemon);
    daemon_ = *std::move(daemon);
    while (!daemon_.WaitForEnd(absl::ZeroDuration()).ok() && absl::Now() < end) {
      if (!client_->WaitUntilServing(absl::Milliseconds(100)).ok()) continue;
      if (leaks_.has_value()) leaks_->SetDaemon(daemon_.pid());
      return true;
    }
  }
  return false;
}

void UpgradeFixture::ExpectRetired() {
  client_.reset();
  for (DaemonProcess& old : retired_) {
    const auto status = old.WaitForEnd(absl::Seconds(60));
    EXPECT_OK(status);
    if (status.ok()) {
      EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << "wait status " << *status;
    }
  }
  retired_.clear();
  client_ = std::make_unique<CriClient>(place_->socket());
}

std::string UpgradeFixture::BinaryWith(const std::string& name, const std::string& variables) {
  const std::string path = absl::StrCat(TheWorld().directory, "/", name);
  const std::string program = BuiltDaemon(TheWorld().runfiles);
  EXPECT_OK(WriteFileAtomic(path, absl::StrCat("#!/bin/sh\n", variables, " exec ", program, " \"$@\"\n"), 0755,
                            Durability::kVolatile));
  return path;
}

}  // namespace berth
