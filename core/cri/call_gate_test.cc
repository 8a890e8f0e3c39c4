#include "core/cri/call_gate.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>

namespace berth {
namespace {

TEST(CallGateTest, AnOpenGateServesAtOnce) {
  CallGate gate;
  int here = 0;
  gate.Pass([&](Served served) { here += served == Served::kHere ? 1 : 0; });
  EXPECT_EQ(here, 1);
  EXPECT_FALSE(gate.Enter().by_successor());
}

TEST(CallGateTest, WhatComesWhileItIsClosedWaitsInOrder) {
  CallGate gate;
  std::string order;
  gate.Close();
  for (const char name : {'a', 'b', 'c'}) {
    gate.Pass([&order, name](Served served) { order += served == Served::kBySuccessor ? name : '?'; });
  }
  EXPECT_EQ(order, "");
  EXPECT_FALSE(gate.Enter().by_successor()) << "what needs no gate is not held up";
  gate.Open(Served::kBySuccessor);
  EXPECT_EQ(order, "abc");
  gate.Pass([&](Served served) { order += served == Served::kBySuccessor ? "d" : "?"; });
  EXPECT_EQ(order, "abcd");
  EXPECT_TRUE(gate.Enter().by_successor());
}

TEST(CallGateTest, WhatWaitsIsServedHereWhenTheHandOverIsGivenUp) {
  CallGate gate;
  gate.Close();
  int here = 0;
  gate.Pass([&](Served served) { here += served == Served::kHere ? 1 : 0; });
  gate.Open(Served::kHere);
  EXPECT_EQ(here, 1);
}

TEST(CallGateTest, ClosingWaitsForThoseOnTheirWay) {
  CallGate gate;
  std::promise<void> entered, release;
  bool arrived = false;
  std::thread call([&] {
    gate.Pass([&](Served) {
      entered.set_value();
      release.get_future().wait();
      arrived = true;
    });
  });
  entered.get_future().wait();
  std::thread releaser([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    release.set_value();
  });
  gate.Close();
  EXPECT_TRUE(arrived);
  call.join();
  releaser.join();
}

}  // namespace
}  // namespace berth
