// The command line of berth.
#ifndef BERTH_CORE_CLI_CLI_H_
#define BERTH_CORE_CLI_CLI_H_

namespace berth {

// Dispatches to a subcommand; the answer is the process' exit status: 0, 1 when it failed, 2 for a wrong command line.
int RunCli(int argc, char** argv);

}  // namespace berth

#endif  // BERTH_CORE_CLI_CLI_H_
