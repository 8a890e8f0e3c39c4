// Threads that gRPC would start when it needs them.
#ifndef BERTH_CORE_CRI_GRPC_THREADS_H_
#define BERTH_CORE_CRI_GRPC_THREADS_H_

namespace berth {

// Makes gRPC start all threads of its executor now. It starts them under load and does not look whether that succeeded:
// where the node has no thread left to give, what was queued for such a thread is never done. Call it once gRPC is
// initialised; further calls do nothing new.
void StartGrpcThreads();

}  // namespace berth

#endif  // BERTH_CORE_CRI_GRPC_THREADS_H_
