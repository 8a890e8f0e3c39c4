// Under thread sanitizer: gRPC and protobuf are the distribution's, built without it. What their threads hand to each
// other is ordered by locks that it cannot see, so races with one of them on the stack say nothing.
extern "C" const char* __tsan_default_suppressions() {
  return "race:grpc::\nrace:grpc_core::\nrace:google::protobuf::\n";
}
