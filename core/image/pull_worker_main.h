// `berth pull-worker`.
#ifndef BERTH_CORE_IMAGE_PULL_WORKER_MAIN_H_
#define BERTH_CORE_IMAGE_PULL_WORKER_MAIN_H_

namespace berth {

// Confines this process, loads the registry plugins that the request names and serves it over `control_fd`. Returns the
// exit status.
int PullWorkerMain(int control_fd);

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_PULL_WORKER_MAIN_H_
