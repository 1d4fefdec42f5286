// `veche doctor`: is this machine fit to serve, and what should be mended first.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <boost/version.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>

#include "engine/model/limits.h"
#include "ingest/auth/crypto_version.h"
#include "ingest/wire/time.h"
#include "storage/log/rocksdb_version.h"
#include "tools/veche/command.h"
#include "tools/veche/data_folder.h"
#include "tools/veche/output.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int kSyncedAppends = 200;
constexpr std::size_t kAppendBytes = 4'096;
constexpr Milliseconds kSlowSync = 20ms;        // p99: voters feel it
constexpr Milliseconds kUnlikelySync = 0.02ms;  // p50: no disk is as fast
constexpr std::uint64_t kSmallDisk = 4 * limits::kDiskReserveBytes;
constexpr std::uint64_t kSmallMemory = 1ull << 30;
constexpr std::uint64_t kOtherFiles = 1'024;  // of the log, the index, and what a process has open
constexpr auto kEarliestClock = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);

enum class State { ok, warning, unsafe };

struct Finding {
  std::string name;
  std::string value;
  State state = State::ok;
  std::string advice = {};  // what to do, unless ok
};

std::string_view name_of(State state) {
  switch (state) {
    case State::ok:
      return "ok";
    case State::warning:
      return "warning";
    case State::unsafe:
      return "UNSAFE";
  }
  return "";
}

std::string size_text(std::uint64_t bytes) {
  const auto mib = bytes >> 20;
  return mib < 10'240 ? fmt::format("{} MiB", mib) : fmt::format("{} GiB", mib >> 10);
}

// --- Disk --------------------------------------------------------------------------------------

// The folder, or the nearest one above it that exists.
fs::path existing(fs::path folder) {
  folder = fs::absolute(folder).lexically_normal();
  while (!fs::exists(folder) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

struct FileSystem {
  long magic;
  const char* name;
  const char* advice;  // null: good for data
};

constexpr const char* kInMemory =
    "it is kept in memory: everything is lost when the machine stops; put --data on a disk";
constexpr const char* kRemote =
    "a remote file system may answer a sync before the data is safe; put --data on a local disk";

constexpr FileSystem kFileSystems[] = {
    {0xEF53, "ext4", nullptr},
    {0x58465342, "xfs", nullptr},
    {0x9123683E, "btrfs", nullptr},
    {0x2FC12FC1, "zfs", nullptr},
    {0xF2F52010, "f2fs", nullptr},
    {0x01021994, "tmpfs", kInMemory},
    {0x858458F6, "ramfs", kInMemory},
    {0x6969, "nfs", kRemote},
    {0xFF534D42, "cifs", kRemote},
    {0xFE534D42, "smb2", kRemote},
    {0x65735546, "fuse", kRemote},
    {0x01021997, "9p", kRemote},
    {0x794C7630, "overlayfs",
     "it is the file system of a container, gone with it: mount a volume for --data"}};

Finding check_file_system(const fs::path& folder) {
  struct statfs info {};
  if (statfs(folder.c_str(), &info) != 0)
    return {"file system", std::strerror(errno), State::unsafe, "choose another --data"};
  const auto known = std::find_if(std::begin(kFileSystems), std::end(kFileSystems),
                                  [&](const auto& each) { return each.magic == info.f_type; });
  if (known == std::end(kFileSystems))
    return {"file system", fmt::format("type {:#x}", info.f_type), State::warning,
            "it is not known here whether it keeps what was synced; ext4 and xfs do"};
  if (!known->advice) return {"file system", known->name};
  return {"file system", known->name, State::warning, known->advice};
}

Finding check_free_space(const fs::path& folder) {
  std::error_code error;
  const auto space = fs::space(folder, error);
  if (error) return {"free space", error.message(), State::unsafe, "choose another --data"};
  Finding finding{"free space", size_text(space.available)};
  if (space.available < limits::kDiskReserveBytes) {
    finding.state = State::unsafe;
    finding.advice =
        fmt::format("below {} no ballot is taken: make room", size_text(limits::kDiskReserveBytes));
  } else if (space.available < kSmallDisk) {
    finding.state = State::warning;
    finding.advice = fmt::format(
        "below {} no ballot is taken, and a million ballots are some "
        "200 MiB: make room",
        size_text(limits::kDiskReserveBytes));
  }
  return finding;
}

// How long each append took to be safe; a fault if the folder takes no file.
Result<std::vector<Milliseconds>> time_synced_appends(const fs::path& folder) {
  const auto path = (folder / fmt::format("veche-doctor.{}", getpid())).string();
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return Fault{std::strerror(errno)};
  unlink(path.c_str());  // gone whatever happens
  const std::string block(kAppendBytes, 'v');
  std::vector<Milliseconds> times;
  for (int i = 0; i < kSyncedAppends; ++i) {
    const auto begin = Clock::now();
    const bool done =
        write(file, block.data(), block.size()) == static_cast<ssize_t>(block.size()) &&
        fdatasync(file) == 0;
    times.push_back(Clock::now() - begin);
    if (done) continue;
    const Fault fault{std::strerror(errno)};
    close(file);
    return fault;
  }
  close(file);
  std::sort(times.begin(), times.end());
  return times;
}

Finding check_privacy(const fs::path& folder) {
  const auto open = why_not_private(folder);
  if (!open) return {"privacy", "the owner's alone, or not made yet"};
  return {"privacy", "open to others", State::warning, *open};
}

void check_writing(const fs::path& folder, std::vector<Finding>& findings) {
  const auto times = time_synced_appends(folder);
  if (!times) {
    findings.push_back(
        {"data folder",
         fmt::format("{} cannot be written: {}", folder.string(), times.error().message),
         State::unsafe, "give its owner's rights to who runs veche, or make room"});
    return;
  }
  findings.push_back({"data folder", folder.string()});
  const auto p50 = (*times)[times->size() / 2];
  const auto p99 = (*times)[times->size() * 99 / 100];
  Finding sync{"synced append",
               fmt::format("p50 {:.3f} ms, p99 {:.3f} ms", p50.count(), p99.count())};
  if (p99 > kSlowSync) {
    sync.state = State::warning;
    sync.advice =
        "every ballot waits for one: use a disk of its own, best one that survives a "
        "power cut with its cache";
  } else if (p50 < kUnlikelySync) {
    sync.state = State::warning;
    sync.advice =
        "no disk is as fast: something answers before the data is safe, and a power cut "
        "may lose ballots that were confirmed";
  }
  findings.push_back(std::move(sync));
}

// --- Machine -----------------------------------------------------------------------------------

unsigned cores() { return std::max(1u, std::thread::hardware_concurrency()); }

Finding check_cores() {
  if (cores() > 1) return {"cores", std::to_string(cores())};
  return {"cores", "1", State::warning, "HTTP, counting and the log share it: give it two or more"};
}

// Bytes, of a line such as "MemAvailable:  123 kB".
std::uint64_t memory_line(std::string_view name) {
  std::ifstream file("/proc/meminfo");
  for (std::string key, unit; file >> key;) {
    std::uint64_t kib = 0;
    file >> kib;
    std::getline(file, unit);
    if (key == name) return kib << 10;
  }
  return 0;
}

Finding check_memory() {
  const auto available = memory_line("MemAvailable:");
  Finding finding{"memory", fmt::format("{} available of {}", size_text(available),
                                        size_text(memory_line("MemTotal:")))};
  if (available < kSmallMemory) {
    finding.state = State::warning;
    finding.advice = "a busy node takes about half a GiB, and the disk's cache wants the rest";
  }
  return finding;
}

Finding check_open_files() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const auto wanted = cores() * limits::kConnectionsPerThread + kOtherFiles;
  Finding finding{"open files",
                  files.rlim_cur == RLIM_INFINITY ? "no limit" : std::to_string(files.rlim_cur)};
  if (files.rlim_cur >= wanted) return finding;
  finding.state = files.rlim_cur < kOtherFiles ? State::unsafe : State::warning;
  finding.advice = fmt::format(
      "{} connections to each of {} threads want {}: ulimit -n {}, or LimitNOFILE={} in a unit",
      limits::kConnectionsPerThread, cores(), wanted, wanted, wanted);
  return finding;
}

Finding check_clock() {
  const auto now = std::chrono::system_clock::now();
  Finding finding{"clock", wire::format_time(std::chrono::floor<std::chrono::milliseconds>(now))};
  timex state{};
  if (now < kEarliestClock) {
    finding.state = State::unsafe;
    finding.advice = "it is before this program was made: tokens and opening times depend on it";
  } else if (adjtimex(&state) == TIME_ERROR) {
    finding.state = State::warning;
    finding.advice = fmt::format(
        "nothing keeps it right: run chrony or systemd-timesyncd. A token "
        "may be {} s off, nodes {} s from each other",
        limits::kTokenSkew.count(), limits::kClockSkew.count());
  }
  return finding;
}

// --- Facts -------------------------------------------------------------------------------------

using Facts = std::vector<std::pair<std::string, std::string>>;

Facts versions() {
  utsname kernel{};
  uname(&kernel);
  std::string boost = BOOST_LIB_VERSION;
  std::replace(boost.begin(), boost.end(), '_', '.');
  return {{"veche", VECHE_VERSION},
          {"RocksDB", storage::rocksdb_version()},
          {"OpenSSL", auth::openssl_version()},
          {"libsodium", auth::sodium_version()},
          {"Boost", boost},
          {"kernel", fmt::format("{} {}", kernel.sysname, kernel.release)}};
}

Facts limits_to_know() {
  using namespace limits;
  return {{"polls", std::to_string(kPolls)},
          {"territories", std::to_string(kTerritories)},
          {"questions of a poll", std::to_string(kQuestionsPerPoll)},
          {"options of a question", std::to_string(kOptionsPerQuestion)},
          {"partitions", std::to_string(kPartitions)},
          {"connections of a thread", std::to_string(kConnectionsPerThread)},
          {"ballots in work", std::to_string(kBallotsInFlight)},
          {"lines of a batch", std::to_string(kBatchLines)},
          {"body of a batch", size_text(kBatchBodyBytes)},
          {"body of a tree", size_text(kTreeBodyBytes)},
          {"disk kept free", size_text(kDiskReserveBytes)},
          {"life of a voter's token", fmt::format("{} s", kTokenLifetime.count())},
          {"counting after closes_at", fmt::format("{} s", kCloseGrace.count())},
          {"drain at the end", fmt::format("{} s", kDrainDeadline.count())}};
}

// --- The report --------------------------------------------------------------------------------

json::object json_of(const Facts& facts) {
  json::object object;
  for (const auto& [name, value] : facts) object[name] = value;
  return object;
}

void print_json(const std::vector<Finding>& findings, bool safe) {
  json::array checks;
  for (const auto& finding : findings)
    checks.push_back(json::object{{"name", finding.name},
                                  {"value", finding.value},
                                  {"state", finding.state == State::ok        ? "ok"
                                            : finding.state == State::warning ? "warning"
                                                                              : "unsafe"},
                                  {"advice", finding.advice}});
  print("{}\n", json::serialize(json::object{{"safe", safe},
                                             {"checks", std::move(checks)},
                                             {"versions", json_of(versions())},
                                             {"limits", json_of(limits_to_know())}}));
}

void print_facts(std::string_view title, const Facts& facts) {
  std::vector<std::vector<std::string>> rows{{std::string(title), ""}};
  for (const auto& [name, value] : facts) rows.push_back({name, value});
  print("\n{}", format_table(rows, {Align::left, Align::left}));
}

void print_findings(const std::vector<Finding>& findings, bool safe) {
  std::vector<std::vector<std::string>> rows{{"CHECK", "", "VALUE"}};
  for (const auto& finding : findings)
    rows.push_back({finding.name, std::string(name_of(finding.state)), finding.value});
  print("{}", format_table(rows, {Align::left, Align::left, Align::left}));
  for (const auto& finding : findings)
    if (finding.state != State::ok) print("\n{}: {}\n", finding.name, finding.advice);
  print_facts("VERSION", versions());
  print_facts("LIMIT", limits_to_know());
  print("\n{}\n", safe ? "fit to serve" : "NOT FIT TO SERVE: mend what is unsafe first");
}

struct DoctorOptions {
  std::string data = ".";
  bool json = false;
};

Result<Exit> doctor(const DoctorOptions& options) {
  const auto folder = existing(options.data);
  std::vector<Finding> findings;
  check_writing(folder, findings);
  for (auto finding :
       {check_privacy(options.data), check_file_system(folder), check_free_space(folder),
        check_cores(), check_memory(), check_open_files(), check_clock()})
    findings.push_back(std::move(finding));
  const bool safe = std::none_of(findings.begin(), findings.end(), [](const auto& finding) {
    return finding.state == State::unsafe;
  });
  options.json ? print_json(findings, safe) : print_findings(findings, safe);
  return safe ? Exit::ok : Exit::failed;
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto& command = add_command(app, "doctor", "Check whether this machine is fit to serve",
                              {"veche doctor --data /var/lib/veche"});
  const auto options = std::make_shared<DoctorOptions>();
  command.add_option("--data", options->data, "Folder that the data is to be in")
      ->capture_default_str()
      ->type_name("DIR");
  command.add_flag("--json", options->json, "Print JSON");
  on_run(command, [options] { return doctor(*options); });
}

}  // namespace veche::tools
