// The layout of every struct of the ABI against testdata/abi/abi-v0.txt. To renew it after a change that the rules of
// abi/base.h allow, from the root of the source tree:
//   UPDATE_GOLDEN=1 PATH/TO/abi_layout_test
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "berth/abi/base.h"
#include "berth/abi/executor.h"
#include "berth/abi/network.h"
#include "berth/abi/registry.h"
#include "berth/abi/snapshotter.h"

namespace {

constexpr char kGolden[] = "testdata/abi/abi-v0.txt";

struct Field {
  const char* name;
  size_t offset, size, alignment;
};

struct Struct {
  const char* name;
  size_t size, alignment;
  std::vector<Field> fields;
};

#define FIELD(type, f) \
  { #f, offsetof(type, f), sizeof(type::f), alignof(decltype(type::f)) }
#define HEAD(type) #type, sizeof(type), alignof(type)

// NOLINTBEGIN(bugprone-sizeof-expression): the sizes of pointers are meant.
const std::vector<Struct>& Structs() {
  static const std::vector<Struct> structs = {
      {HEAD(berth_str), {FIELD(berth_str, data), FIELD(berth_str, size)}},
      {HEAD(berth_pair), {FIELD(berth_pair, key), FIELD(berth_pair, value)}},
      {HEAD(berth_error),
       {FIELD(berth_error, struct_size), FIELD(berth_error, code), FIELD(berth_error, sys_errno),
        FIELD(berth_error, size), FIELD(berth_error, text)}},
      {HEAD(berth_call),
       {FIELD(berth_call, struct_size), FIELD(berth_call, cancel_fd), FIELD(berth_call, deadline_ns),
        FIELD(berth_call, trace_id)}},
      {HEAD(berth_byte_sink),
       {FIELD(berth_byte_sink, struct_size), FIELD(berth_byte_sink, reserved), FIELD(berth_byte_sink, ctx),
        FIELD(berth_byte_sink, write)}},
      {HEAD(berth_str_sink),
       {FIELD(berth_str_sink, struct_size), FIELD(berth_str_sink, reserved), FIELD(berth_str_sink, ctx),
        FIELD(berth_str_sink, put)}},
      {HEAD(berth_value_data),
       {FIELD(berth_value_data, struct_size), FIELD(berth_value_data, kind), FIELD(berth_value_data, integer),
        FIELD(berth_value_data, number), FIELD(berth_value_data, string), FIELD(berth_value_data, count)}},
      {HEAD(berth_event),
       {FIELD(berth_event, struct_size), FIELD(berth_event, topic), FIELD(berth_event, type),
        FIELD(berth_event, reserved), FIELD(berth_event, sequence), FIELD(berth_event, at_unix_ns),
        FIELD(berth_event, lost_before), FIELD(berth_event, id), FIELD(berth_event, payload)}},
      {HEAD(berth_event_handler),
       {FIELD(berth_event_handler, struct_size), FIELD(berth_event_handler, topics), FIELD(berth_event_handler, ctx),
        FIELD(berth_event_handler, on_event)}},
      {HEAD(berth_command),
       {FIELD(berth_command, struct_size), FIELD(berth_command, netns_fd), FIELD(berth_command, argv),
        FIELD(berth_command, argv_count), FIELD(berth_command, env), FIELD(berth_command, env_count),
        FIELD(berth_command, input), FIELD(berth_command, directory), FIELD(berth_command, cgroup_directories),
        FIELD(berth_command, cgroup_directory_count), FIELD(berth_command, output_limit)}},
      {HEAD(berth_command_result),
       {FIELD(berth_command_result, struct_size), FIELD(berth_command_result, wait_status),
        FIELD(berth_command_result, out), FIELD(berth_command_result, err), FIELD(berth_command_result, truncated),
        FIELD(berth_command_result, reserved)}},
      {HEAD(berth_command_sink),
       {FIELD(berth_command_sink, struct_size), FIELD(berth_command_sink, reserved), FIELD(berth_command_sink, ctx),
        FIELD(berth_command_sink, put)}},
      {HEAD(berth_supervised_command),
       {FIELD(berth_supervised_command, struct_size), FIELD(berth_supervised_command, purpose),
        FIELD(berth_supervised_command, pod_id), FIELD(berth_supervised_command, container_id),
        FIELD(berth_supervised_command, exec_id), FIELD(berth_supervised_command, argv),
        FIELD(berth_supervised_command, argv_count), FIELD(berth_supervised_command, env),
        FIELD(berth_supervised_command, env_count), FIELD(berth_supervised_command, pid_file)}},
      {HEAD(berth_supervised_result),
       {FIELD(berth_supervised_result, struct_size), FIELD(berth_supervised_result, wait_status),
        FIELD(berth_supervised_result, pid), FIELD(berth_supervised_result, out), FIELD(berth_supervised_result, err)}},
      {HEAD(berth_supervised_sink),
       {FIELD(berth_supervised_sink, struct_size), FIELD(berth_supervised_sink, reserved),
        FIELD(berth_supervised_sink, ctx), FIELD(berth_supervised_sink, put)}},
      {HEAD(berth_host),
       {FIELD(berth_host, struct_size), FIELD(berth_host, abi_major),    FIELD(berth_host, abi_minor),
        FIELD(berth_host, ctx),         FIELD(berth_host, instance),     FIELD(berth_host, root),
        FIELD(berth_host, state),       FIELD(berth_host, log),          FIELD(berth_host, config),
        FIELD(berth_host, value_read),  FIELD(berth_host, value_member), FIELD(berth_host, value_item),
        FIELD(berth_host, value_entry), FIELD(berth_host, publish),      FIELD(berth_host, subscribe),
        FIELD(berth_host, unsubscribe), FIELD(berth_host, counter_add),  FIELD(berth_host, gauge_set),
        FIELD(berth_host, spawn),       FIELD(berth_host, supervise),    FIELD(berth_host, query)}},
      {HEAD(berth_module),
       {FIELD(berth_module, struct_size), FIELD(berth_module, magic), FIELD(berth_module, abi_major),
        FIELD(berth_module, abi_minor), FIELD(berth_module, flags), FIELD(berth_module, name),
        FIELD(berth_module, version), FIELD(berth_module, init), FIELD(berth_module, drain),
        FIELD(berth_module, shutdown), FIELD(berth_module, query)}},
      {HEAD(berth_id_mapping),
       {FIELD(berth_id_mapping, inside), FIELD(berth_id_mapping, host), FIELD(berth_id_mapping, count)}},
      {HEAD(berth_snapshot_request),
       {FIELD(berth_snapshot_request, struct_size), FIELD(berth_snapshot_request, kind),
        FIELD(berth_snapshot_request, key), FIELD(berth_snapshot_request, parents),
        FIELD(berth_snapshot_request, parent_count), FIELD(berth_snapshot_request, uid_map),
        FIELD(berth_snapshot_request, uid_map_count), FIELD(berth_snapshot_request, gid_map),
        FIELD(berth_snapshot_request, gid_map_count), FIELD(berth_snapshot_request, quota_bytes),
        FIELD(berth_snapshot_request, labels), FIELD(berth_snapshot_request, label_count)}},
      {HEAD(berth_mount),
       {FIELD(berth_mount, struct_size), FIELD(berth_mount, reserved), FIELD(berth_mount, type),
        FIELD(berth_mount, source), FIELD(berth_mount, target), FIELD(berth_mount, options),
        FIELD(berth_mount, option_count)}},
      {HEAD(berth_prepared),
       {FIELD(berth_prepared, struct_size), FIELD(berth_prepared, owned_directory_fd), FIELD(berth_prepared, whiteouts),
        FIELD(berth_prepared, reserved), FIELD(berth_prepared, mounts), FIELD(berth_prepared, mount_count)}},
      {HEAD(berth_prepared_sink),
       {FIELD(berth_prepared_sink, struct_size), FIELD(berth_prepared_sink, reserved), FIELD(berth_prepared_sink, ctx),
        FIELD(berth_prepared_sink, put)}},
      {HEAD(berth_snapshot_info),
       {FIELD(berth_snapshot_info, struct_size), FIELD(berth_snapshot_info, state), FIELD(berth_snapshot_info, key)}},
      {HEAD(berth_snapshot_info_sink),
       {FIELD(berth_snapshot_info_sink, struct_size), FIELD(berth_snapshot_info_sink, reserved),
        FIELD(berth_snapshot_info_sink, ctx), FIELD(berth_snapshot_info_sink, put)}},
      {HEAD(berth_snapshot_usage),
       {FIELD(berth_snapshot_usage, struct_size), FIELD(berth_snapshot_usage, reserved),
        FIELD(berth_snapshot_usage, bytes), FIELD(berth_snapshot_usage, inodes),
        FIELD(berth_snapshot_usage, fingerprint)}},
      {HEAD(berth_snapshotter),
       {FIELD(berth_snapshotter, struct_size), FIELD(berth_snapshotter, reserved), FIELD(berth_snapshotter, create),
        FIELD(berth_snapshotter, destroy), FIELD(berth_snapshotter, capabilities), FIELD(berth_snapshotter, root),
        FIELD(berth_snapshotter, prepare), FIELD(berth_snapshotter, mounts), FIELD(berth_snapshotter, commit),
        FIELD(berth_snapshotter, remove), FIELD(berth_snapshotter, stat), FIELD(berth_snapshotter, usage),
        FIELD(berth_snapshotter, walk), FIELD(berth_snapshotter, cleanup)}},
      {HEAD(berth_content_descriptor),
       {FIELD(berth_content_descriptor, struct_size), FIELD(berth_content_descriptor, reserved),
        FIELD(berth_content_descriptor, media_type), FIELD(berth_content_descriptor, digest),
        FIELD(berth_content_descriptor, size), FIELD(berth_content_descriptor, data)}},
      {HEAD(berth_content_sink),
       {FIELD(berth_content_sink, struct_size), FIELD(berth_content_sink, reserved), FIELD(berth_content_sink, ctx),
        FIELD(berth_content_sink, put)}},
      {HEAD(berth_credentials),
       {FIELD(berth_credentials, struct_size), FIELD(berth_credentials, reserved), FIELD(berth_credentials, username),
        FIELD(berth_credentials, password), FIELD(berth_credentials, auth), FIELD(berth_credentials, server_address),
        FIELD(berth_credentials, identity_token), FIELD(berth_credentials, registry_token)}},
      {HEAD(berth_registry_request),
       {FIELD(berth_registry_request, struct_size), FIELD(berth_registry_request, reserved),
        FIELD(berth_registry_request, reference), FIELD(berth_registry_request, os),
        FIELD(berth_registry_request, architecture), FIELD(berth_registry_request, variant),
        FIELD(berth_registry_request, runtime_handler), FIELD(berth_registry_request, credentials),
        FIELD(berth_registry_request, annotations), FIELD(berth_registry_request, annotation_count)}},
      {HEAD(berth_fetch_range),
       {FIELD(berth_fetch_range, struct_size), FIELD(berth_fetch_range, reserved), FIELD(berth_fetch_range, what),
        FIELD(berth_fetch_range, offset), FIELD(berth_fetch_range, length)}},
      {HEAD(berth_registry),
       {FIELD(berth_registry, struct_size), FIELD(berth_registry, reserved), FIELD(berth_registry, create),
        FIELD(berth_registry, destroy), FIELD(berth_registry, resolve), FIELD(berth_registry, fetch),
        FIELD(berth_registry, list), FIELD(berth_registry, ping)}},
      {HEAD(berth_port_mapping),
       {FIELD(berth_port_mapping, struct_size), FIELD(berth_port_mapping, container_port),
        FIELD(berth_port_mapping, host_port), FIELD(berth_port_mapping, protocol), FIELD(berth_port_mapping, host_ip)}},
      {HEAD(berth_pod_network), {FIELD(berth_pod_network, struct_size),   FIELD(berth_pod_network, netns_fd),
                                 FIELD(berth_pod_network, pod_id),        FIELD(berth_pod_network, name),
                                 FIELD(berth_pod_network, name_space),    FIELD(berth_pod_network, uid),
                                 FIELD(berth_pod_network, netns_path),    FIELD(berth_pod_network, cgroup_path),
                                 FIELD(berth_pod_network, port_mappings), FIELD(berth_pod_network, port_mapping_count),
                                 FIELD(berth_pod_network, dns_servers),   FIELD(berth_pod_network, dns_server_count),
                                 FIELD(berth_pod_network, dns_searches),  FIELD(berth_pod_network, dns_search_count),
                                 FIELD(berth_pod_network, dns_options),   FIELD(berth_pod_network, dns_option_count),
                                 FIELD(berth_pod_network, labels),        FIELD(berth_pod_network, label_count),
                                 FIELD(berth_pod_network, annotations),   FIELD(berth_pod_network, annotation_count),
                                 FIELD(berth_pod_network, state)}},
      {HEAD(berth_network_result),
       {FIELD(berth_network_result, struct_size), FIELD(berth_network_result, reserved),
        FIELD(berth_network_result, ips), FIELD(berth_network_result, ip_count), FIELD(berth_network_result, state)}},
      {HEAD(berth_network_result_sink),
       {FIELD(berth_network_result_sink, struct_size), FIELD(berth_network_result_sink, reserved),
        FIELD(berth_network_result_sink, ctx), FIELD(berth_network_result_sink, put)}},
      {HEAD(berth_network_status),
       {FIELD(berth_network_status, struct_size), FIELD(berth_network_status, ready),
        FIELD(berth_network_status, reason), FIELD(berth_network_status, message)}},
      {HEAD(berth_network_status_sink),
       {FIELD(berth_network_status_sink, struct_size), FIELD(berth_network_status_sink, reserved),
        FIELD(berth_network_status_sink, ctx), FIELD(berth_network_status_sink, put)}},
      {HEAD(berth_network),
       {FIELD(berth_network, struct_size), FIELD(berth_network, reserved), FIELD(berth_network, create),
        FIELD(berth_network, destroy), FIELD(berth_network, setup), FIELD(berth_network, teardown),
        FIELD(berth_network, check), FIELD(berth_network, status), FIELD(berth_network, gc)}},
      {HEAD(berth_container_request),
       {FIELD(berth_container_request, struct_size), FIELD(berth_container_request, reserved),
        FIELD(berth_container_request, id), FIELD(berth_container_request, pod_id),
        FIELD(berth_container_request, bundle), FIELD(berth_container_request, pid_file),
        FIELD(berth_container_request, console_socket)}},
      {HEAD(berth_exec_request),
       {FIELD(berth_exec_request, struct_size), FIELD(berth_exec_request, reserved),
        FIELD(berth_exec_request, container_id), FIELD(berth_exec_request, exec_id), FIELD(berth_exec_request, pod_id),
        FIELD(berth_exec_request, process_file), FIELD(berth_exec_request, pid_file),
        FIELD(berth_exec_request, console_socket)}},
      {HEAD(berth_container_exit),
       {FIELD(berth_container_exit, struct_size), FIELD(berth_container_exit, wait_status),
        FIELD(berth_container_exit, at_unix_ns)}},
      {HEAD(berth_exit_watch),
       {FIELD(berth_exit_watch, struct_size), FIELD(berth_exit_watch, reserved), FIELD(berth_exit_watch, ctx),
        FIELD(berth_exit_watch, on_exit)}},
      {HEAD(berth_container_state),
       {FIELD(berth_container_state, struct_size), FIELD(berth_container_state, state),
        FIELD(berth_container_state, pid)}},
      {HEAD(berth_executor_features),
       {FIELD(berth_executor_features, struct_size), FIELD(berth_executor_features, id_mapped_mounts),
        FIELD(berth_executor_features, recursive_read_only), FIELD(berth_executor_features, reserved),
        FIELD(berth_executor_features, name), FIELD(berth_executor_features, version),
        FIELD(berth_executor_features, oci_version_max), FIELD(berth_executor_features, json)}},
      {HEAD(berth_executor_features_sink),
       {FIELD(berth_executor_features_sink, struct_size), FIELD(berth_executor_features_sink, reserved),
        FIELD(berth_executor_features_sink, ctx), FIELD(berth_executor_features_sink, put)}},
      {HEAD(berth_container_stats),
       {FIELD(berth_container_stats, struct_size), FIELD(berth_container_stats, reserved),
        FIELD(berth_container_stats, at_unix_ns), FIELD(berth_container_stats, cpu_ns),
        FIELD(berth_container_stats, memory_bytes), FIELD(berth_container_stats, memory_working_set_bytes),
        FIELD(berth_container_stats, memory_limit_bytes), FIELD(berth_container_stats, pids)}},
      {HEAD(berth_sandbox_request),
       {FIELD(berth_sandbox_request, struct_size), FIELD(berth_sandbox_request, netns_fd),
        FIELD(berth_sandbox_request, pod_id), FIELD(berth_sandbox_request, directory),
        FIELD(berth_sandbox_request, netns_path), FIELD(berth_sandbox_request, cgroup_path),
        FIELD(berth_sandbox_request, annotations), FIELD(berth_sandbox_request, annotation_count)}},
      {HEAD(berth_resize_request),
       {FIELD(berth_resize_request, struct_size), FIELD(berth_resize_request, columns),
        FIELD(berth_resize_request, rows), FIELD(berth_resize_request, pod_id),
        FIELD(berth_resize_request, container_id), FIELD(berth_resize_request, exec_id)}},
      {HEAD(berth_checkpoint_request),
       {FIELD(berth_checkpoint_request, struct_size), FIELD(berth_checkpoint_request, leave_running),
        FIELD(berth_checkpoint_request, container), FIELD(berth_checkpoint_request, image_directory),
        FIELD(berth_checkpoint_request, work_directory)}},
      {HEAD(berth_executor),
       {FIELD(berth_executor, struct_size),
        FIELD(berth_executor, reserved),
        FIELD(berth_executor, create),
        FIELD(berth_executor, destroy),
        FIELD(berth_executor, capabilities),
        FIELD(berth_executor, features),
        FIELD(berth_executor, create_container),
        FIELD(berth_executor, start_container),
        FIELD(berth_executor, kill),
        FIELD(berth_executor, delete_container),
        FIELD(berth_executor, exec),
        FIELD(berth_executor, update),
        FIELD(berth_executor, pause),
        FIELD(berth_executor, resume),
        FIELD(berth_executor, state),
        FIELD(berth_executor, stats),
        FIELD(berth_executor, resize),
        FIELD(berth_executor, reattach),
        FIELD(berth_executor, checkpoint),
        FIELD(berth_executor, restore),
        FIELD(berth_executor, start_sandbox),
        FIELD(berth_executor, stop_sandbox),
        FIELD(berth_executor, remove_sandbox),
        FIELD(berth_executor, port_forward)}},
  };
  return structs;
}
// NOLINTEND(bugprone-sizeof-expression)

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

std::string Layout() {
  std::ostringstream out;
  for (const Struct& s : Structs()) {
    out << s.name << " " << s.size << "\n";
    for (const Field& f : s.fields) out << "  " << f.offset << " " << f.size << " " << f.name << "\n";
  }
  return out.str();
}

size_t Aligned(size_t offset, size_t alignment) { return (offset + alignment - 1) / alignment * alignment; }

TEST(AbiLayoutTest, IsAsItWas) {
  if (getenv("UPDATE_GOLDEN") != nullptr) {
    std::ofstream(kGolden) << Layout();
    return;
  }
  EXPECT_EQ(Layout(), Read(kGolden));
}

// A field that the list above forgot leaves a hole that alignment does not explain.
TEST(AbiLayoutTest, EveryFieldIsListed) {
  for (const Struct& s : Structs()) {
    size_t end = 0;
    for (const Field& f : s.fields) {
      EXPECT_EQ(f.offset, Aligned(end, f.alignment)) << s.name << "." << f.name;
      end = f.offset + f.size;
    }
    EXPECT_EQ(s.size, Aligned(end, s.alignment)) << s.name;
  }
}

TEST(AbiLayoutTest, EveryStructIsListed) {
  std::set<std::string> listed, declared;
  for (const Struct& s : Structs()) listed.insert(s.name);
  for (const char* header : {"base", "snapshotter", "registry", "network", "executor"}) {
    std::istringstream text(Read(std::string("core/plugin/abi/") + header + ".h"));
    std::string line;
    while (std::getline(text, line)) {
      const std::string begin = "typedef struct ";
      if (line.rfind(begin, 0) != 0 || line.back() != '{') continue;
      declared.insert(line.substr(begin.size(), line.size() - begin.size() - 2));
    }
  }
  EXPECT_EQ(listed, declared);
}

TEST(AbiLayoutTest, EveryStructButTheLeavesSaysItsSize) {
  const std::set<std::string> leaves = {"berth_str", "berth_pair", "berth_id_mapping"};
  for (const Struct& s : Structs()) {
    EXPECT_EQ(s.fields[0].name == std::string("struct_size"), leaves.count(s.name) == 0) << s.name;
  }
}

}  // namespace
