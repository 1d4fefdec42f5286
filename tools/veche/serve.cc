// `veche serve`: one node. The whole object graph is built here, from what depends on nothing to
// what answers requests, and taken down in the written order of Service::stop.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <iterator>
#include <memory>
#include <thread>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "engine/node/node.h"
#include "engine/node/stop_reason.h"
#include "ingest/api/api.h"
#include "ingest/api/documents.h"
#include "ingest/api/live.h"
#include "ingest/api/metrics.h"
#include "ingest/api/writers.h"
#include "ingest/auth/jwks.h"
#include "ingest/auth/voter.h"
#include "ingest/http/server.h"
#include "ingest/wire/time_zone.h"
#include "storage/index/checkpointed_index.h"
#include "storage/kafka/kafka_log.h"
#include "storage/kafka/topics.h"
#include "storage/log/embedded_log.h"
#include "tools/veche/command.h"
#include "tools/veche/data_folder.h"
#include "tools/veche/input.h"
#include "tools/veche/open_files.h"
#include "tools/veche/options.h"
#include "tools/veche/output.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kEmbedded = "embedded";

struct ServeOptions {
  std::string data;
  std::string log = std::string(kEmbedded);
  bool allow_unsafe_topic = false;
  std::string listen = "127.0.0.1:8080";
  std::string metrics = "127.0.0.1:9464";
  std::string jwks;
  std::string voter_secret;
  std::string territories;
  bool force = false;
  std::string access_log;
  bool test_data = false;
  std::uint16_t partitions = limits::kDefaultPartitions;
  std::uint16_t shards = 1;
  std::uint16_t threads = 0;
  std::uint64_t disk_reserve_mib = limits::kDiskReserveBytes >> 20;
  std::string tick = "1s";
  std::uint32_t drain_delay_seconds = 0;
  std::string time_zone;
};

// "50ms", "1s".
std::optional<std::chrono::milliseconds> parse_tick(std::string_view text) {
  const bool is_milliseconds = text.ends_with("ms");
  if (!text.ends_with('s')) return std::nullopt;
  text.remove_suffix(is_milliseconds ? 2 : 1);
  const auto number = model::parse_number<std::uint16_t>(text);
  if (!number) return std::nullopt;
  const std::chrono::milliseconds tick(is_milliseconds ? *number : *number * 1'000);
  const bool is_allowed = tick >= limits::kLiveTickMin && tick <= limits::kLiveTickMax;
  return is_allowed ? std::optional(tick) : std::nullopt;
}

std::string check_tick(const std::string& text) {
  return parse_tick(text) ? std::string()
                          : fmt::format("{} is not a time from 20ms to 60s, as 50ms or 1s", text);
}

std::string check_time_zone(const std::string& name) {
  const auto zone = wire::TimeZone::find(name);
  return zone ? std::string() : zone.error().message;
}

constexpr std::size_t kFewClients = 1'000;  // that it is worth telling the operator

constexpr int kTreeTries = 10;  // several nodes may start with a new tree at once

constexpr int kExitBroken = 70;  // EX_SOFTWARE of sysexits.h: something must be mended by hand

[[noreturn]] void stop_at_once(const std::string& why) {
  log_line("veche: {}", why);
  std::_Exit(kExitBroken);
}

void tell(const std::string& what) { log_line("veche: {}", what); }

void print_position(const char* when, model::PartitionId partition,
                    const model::Position& position) {
  log_line("position {} partition {} offset {} hash {:02x}", when, node::name_of(partition),
           position.next.value, fmt::join(position.hash.bytes, ""));
}

// Signals are taken by the main thread alone; every thread started later inherits the mask.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

class Service {
 public:
  Service(const ServeOptions& options, const sigset_t& signals, std::size_t open_files)
      : options_(options),
        signals_(signals),
        open_files_(open_files),
        metrics_(options.log == kEmbedded ? api::Metrics::LogKind::embedded
                                          : api::Metrics::LogKind::kafka) {}
  ~Service() { stop(); }

  Result<void> start() {
    for (const auto step : {&Service::open_storage, &Service::read_keys, &Service::start_http,
                            &Service::start_node, &Service::load_territories})
      if (auto done = (this->*step)(); !done) return done;
    return {};
  }

  std::string url() const { return server_->url(); }

  void reload_keys() {
    auto keys = auth::KeySet::load(options_.jwks);
    if (!keys) {
      log_line("veche: the keys stay as they are: {}", keys.error().message);
      return;
    }
    app_->replace_keys(std::make_shared<const auth::KeySet>(*std::move(keys)));
    log_line("veche: keys read again from {}", options_.jwks);
  }

  // Balancers see that it will end while it still serves, until the delay is over or somebody asks
  // for the end again.
  void announce_end() {
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::seconds(options_.drain_delay_seconds);
    app_->announce_drain();
    constexpr timespec kStep{0, 100'000'000};
    while (std::chrono::steady_clock::now() < until) {
      const int signal = sigtimedwait(&signals_, nullptr, &kStep);
      if (signal == SIGHUP) reload_keys();
      if (signal == SIGTERM || signal == SIGINT) return;
    }
  }

  // 1. New requests are refused, connections taken no more.  2. What was taken is answered.
  // 3. Nothing is streamed any more, and no document made.  4. The log is closed, what was in it
  // applied, and the last checkpoint written.
  void stop() {
    if (app_) app_->start_draining();
    if (server_) server_->drain(limits::kDrainDeadline);
    if (metrics_server_) metrics_server_->drain(1s);
    if (live_) live_->stop();
    writers_.stop();
    if (node_) node_->drain();
    server_.reset();
    metrics_server_.reset();
    live_.reset();
    documents_.reset();
    node_.reset();
  }

 private:
  Result<void> open_storage() {
    auto folder = DataFolder::open(options_.data);
    if (!folder) return folder.error();
    folder_.emplace(*std::move(folder));
    if (const auto open = why_not_private(options_.data)) log_line("veche: {}", *open);
    auto secret = auth::VoterSecret::load(options_.voter_secret);
    if (!secret) return secret.error();
    secret_.emplace(*std::move(secret));
    const bool embedded = options_.log == kEmbedded;
    if (auto opened = embedded ? open_embedded_log() : open_kafka_log(); !opened) return opened;
    if (auto removed = remove_wrong_index(); !removed) return removed;
    auto store = storage::IndexStore::open(folder_->index(), log_->id());
    if (!store) return store.error();
    index_store_ = *std::move(store);
    return {};
  }

  // Of this log alone: an index of another is the last that is known of it.
  Result<void> remove_wrong_index() {
    const auto is_wrong = folder_->is_index_wrong();
    if (!is_wrong) return is_wrong.error();
    if (!*is_wrong) return {};
    if (auto of_this_log = storage::IndexStore::open(folder_->index(), log_->id()); !of_this_log)
      return of_this_log.error();
    log_line("veche: the index was wrong: it is rebuilt from the log");
    return folder_->remove_wrong_index();
  }

  Result<void> open_embedded_log() {
    storage::EmbeddedLogOptions log_options;
    log_options.folder = folder_->log();
    log_options.partitions = options_.partitions;
    log_options.secret_check = secret_->check_value();
    log_options.disk_reserve_bytes = options_.disk_reserve_mib << 20;
    log_options.on_fatal = stop_at_once;
    log_options.on_synced = [this](auto took) { metrics_.log_synced(took); };
    auto log = storage::EmbeddedLog::open(std::move(log_options));
    if (!log) return log.error();
    embedded_ = log->get();
    log_ = *std::move(log);
    return {};
  }

  Result<void> open_kafka_log() {
    auto address = storage::KafkaAddress::parse(options_.log);
    if (!address) return address.error();
    const storage::KafkaSource source{*std::move(address), kafka_properties()};
    storage::KafkaLogOptions log_options;
    log_options.source = source;
    log_options.secret_check = secret_->check_value();
    log_options.on_failure = [this](storage::KafkaFailure failure, const std::string& why) {
      if (failure == storage::KafkaFailure::log_changed) stop_and_rebuild(why);
      stop_at_once(why);
    };
    log_options.on_news = tell;
    log_options.on_acknowledged = [this](auto waited) { metrics_.log_acknowledged(waited); };
    log_options.on_round_trip = [this](auto waited) { metrics_.log_round_trip(waited); };
    auto log = storage::KafkaLog::open(std::move(log_options));
    if (!log) return log.error();
    kafka_ = log->get();
    log_ = *std::move(log);
    return check_topics(source);
  }

  Result<void> check_topics(const storage::KafkaSource& source) {
    const auto topics = storage::inspect_topics(source);
    if (!topics) return topics.error();
    log_line("veche: the log is {}; an answer survives {}", source.address.str(), topics->survives);
    if (topics->unsafe.empty()) return {};
    if (options_.allow_unsafe_topic) {
      for (const auto& unsafe : topics->unsafe) log_line("veche: UNSAFE: {}", unsafe);
      return {};
    }
    return Fault{
        fmt::format("a setting of the topics is unsafe: {}. Change it, or accept the risk "
                    "with --allow-unsafe-topic",
                    fmt::join(topics->unsafe, "; "))};
  }

  // The log is the truth whatever happened to it; what was made from what it held before is not.
  [[noreturn]] void stop_and_rebuild(const std::string& why) { stop_at_once(why + rebuild()); }

  std::string rebuild() const {
    if (folder_->mark_index_wrong())
      return ". The index is rebuilt from the log at the next start: start again";
    return fmt::format(". Delete {}, which is wrong, before the next start: it could not be marked",
                       folder_->index().string());
  }

  void on_fatal(node::StopReason reason, const std::string& why) {
    if (kafka_ && reason == node::StopReason::diverged) {
      kafka_->await_acknowledgements(2s);  // of its last tail, by which the other nodes learn of it
      stop_and_rebuild(why);
    }
    stop_at_once(why);
  }

  Result<void> read_keys() {
    auto keys = auth::KeySet::load(options_.jwks);
    if (!keys) return keys.error();
    has_shared_keys_ = std::all_of(keys->keys().begin(), keys->keys().end(), [](const auto& key) {
      return key.algorithm == auth::Algorithm::kHs256;
    });
    std::vector<model::Index*> indexes;
    const auto shards = std::min(options_.shards, log_->partitions());
    for (std::uint16_t s = 0; s < shards; ++s)
      indexes.push_back(
          indexes_.emplace_back(std::make_unique<storage::CheckpointedIndex>(*index_store_)).get());
    node::NodeOptions node_options;
    const auto boot = node_options.boot = random_id();
    node_options.node_id = folder_->node_id();
    node_options.on_position = print_position;
    node_options.on_fatal = [this](node::StopReason reason, const std::string& why) {
      on_fatal(reason, why);
    };
    node_options.on_applied = [this](auto waited) { metrics_.records_applied(waited); };
    node_options.publish_interval = *parse_tick(options_.tick);
    node_ = std::make_unique<node::Node>(*log_, std::move(indexes), std::move(node_options));
    live_ = std::make_unique<api::Live>(*node_, metrics_, *parse_tick(options_.tick), boot);
    documents_ = std::make_unique<api::Documents>(
        [this](const auto& poll, auto done) { node_->collect(poll, std::move(done)); }, writers_);
    app_ = std::make_unique<api::App>(*node_, *live_, writers_, *documents_, std::move(*secret_),
                                      std::make_shared<const auth::KeySet>(*std::move(keys)),
                                      metrics_);
    if (options_.test_data) app_->mark_test_data();
    if (!options_.time_zone.empty()) app_->use_time_zone(*wire::TimeZone::find(options_.time_zone));
    if (!options_.access_log.empty() && !metrics_.log_requests_to(options_.access_log))
      return Fault(fmt::format("the access log {} cannot be opened", options_.access_log));
    return {};
  }

  // To verify RSA and Ed25519 costs more than all the rest of a ballot, and wants every core. HS256
  // costs so little that ballots are counted faster when a core is left to the shard and the log.
  std::size_t default_threads() const {
    const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
    return has_shared_keys_ && cores > 1 ? cores - 1 : cores;
  }

  Result<void> start_http() {
    http::ServerOptions http;
    http.listen = options_.listen;
    http.threads = options_.threads != 0 ? options_.threads : default_threads();
    http.observer = &metrics_;
    http.on_news = tell;
    const auto clients = files_for_clients(open_files_);
    http.sockets_per_thread = std::min(http.sockets_per_thread, clients / http.threads);
    if (clients < kFewClients)
      tell(
          fmt::format("{} files may be open, which is room for {} connections: raise the limit "
                      "(`ulimit -n`)",
                      open_files_, clients));
    auto server = http::Server::start(
        http, [this](http::Worker& worker) { return std::make_unique<api::Api>(*app_, worker); });
    if (!server) return server.error();
    server_ = *std::move(server);
    http::ServerOptions metrics_http;
    metrics_http.listen = options_.metrics;
    metrics_http.sockets_per_thread = kOperatorFiles;
    auto metrics_server = http::Server::start(metrics_http, [this](http::Worker&) {
      return std::make_unique<api::MetricsApi>(metrics_, [this] { return facts(); });
    });
    if (!metrics_server) return metrics_server.error();
    metrics_server_ = *std::move(metrics_server);
    log_line("veche: metrics at {}/metrics", metrics_server_->url());
    return {};
  }

  // A long replay can be watched, and ended.
  Result<void> start_node() {
    if (auto started = node_->start(); !started) return started.error();
    Progress progress;
    constexpr timespec kStep{0, 2'000'000};
    while (!node_->serves()) {
      const int signal = sigtimedwait(&signals_, nullptr, &kStep);
      if (signal == SIGHUP) reload_keys();
      if (signal == SIGTERM || signal == SIGINT) {
        log_->abandon_replay();
        return Fault("told to stop while it caught up with the log; nothing is lost");
      }
      // Kafka comes back; a disk needs somebody.
      if (const auto why = embedded_ ? embedded_->trouble() : std::string(); !why.empty())
        return Fault("a start must write into the log: " + why);
      if (progress.is_due()) progress.show(replay_line());
    }
    return {};
  }

  std::string replay_line() {
    std::uint64_t applied = 0, all = 0;
    for (const auto& [partition, next] : node_->status().applied) {
      applied += next.value;
      all += log_->end(partition).offset.value;
    }
    return fmt::format("replaying the log: {} of {} records", applied, all);
  }

  // The file becomes a new version of the tree unless a version says the same already: a start
  // with the file of last year must not undo what was put since.
  Result<void> load_territories() {
    if (options_.territories.empty()) return {};
    const auto csv = read_file(options_.territories);
    if (!csv) return csv.error();
    const auto sent = model::TerritoryTree::parse_sent(*csv);
    if (!sent) return Fault(fmt::format("{}: {}", options_.territories, sent.error().message));
    const auto& tree = sent->tree;
    if (tree.to_csv().size() > limits::kTreeBodyBytes)
      return Fault(
          fmt::format("{} is larger than {} bytes", options_.territories, limits::kTreeBodyBytes));
    if (!sent->doubts.empty() && !options_.force && !has_tree(tree))
      return Fault(fmt::format("{}: {}; if it is right as it is, start with --force",
                               options_.territories, sent->doubts));
    for (int tries = 0; tries < kTreeTries; ++tries) {
      if (has_tree(tree) || add_tree(tree) == node::ChangeOutcome::done) return {};
      std::this_thread::sleep_for(1s);
    }
    return Fault(fmt::format("{} could not be written into the log. {}", options_.territories,
                             log_->trouble(model::kControl)));
  }

  bool has_tree(const model::TerritoryTree& tree) const {
    const auto directory = node_->directory();
    return std::any_of(directory->trees.begin(), directory->trees.end(), [&](const auto& version) {
      return version.tree->to_csv() == tree.to_csv();
    });
  }

  node::ChangeOutcome add_tree(const model::TerritoryTree& tree) {
    std::promise<node::ChangeOutcome> added;
    node_->add_tree(tree.to_csv(), api::today(app_->time_zone()), "operator serve",
                    [&](const node::ChangeResult& result) { added.set_value(result.outcome); });
    return added.get_future().get();
  }

  api::EngineFacts facts() {
    api::EngineFacts facts;
    const auto status = node_->status();
    facts.ready = node_->why_not_ready().empty() && !app_->leaving();
    facts.invalid_records = static_cast<double>(status.invalid);
    facts.duplicate_ballots = static_cast<double>(status.duplicates);
    for (const auto& [partition, applied] : status.applied)
      facts.partitions.push_back(
          {node::name_of(partition), applied.value, log_->end(partition).offset.value});
    if (embedded_) {
      facts.log_records = static_cast<double>(embedded_->records());
    } else {
      const auto log = kafka_->stats();
      facts.kafka = {{log.reachable,
                      static_cast<double>(log.produced),
                      static_cast<double>(log.acknowledged),
                      static_cast<double>(log.produce_errors),
                      static_cast<double>(log.consume_errors),
                      static_cast<double>(log.in_flight),
                      {}}};
      for (std::uint16_t p = 0; p < log_->partitions(); ++p) note_stuck({p}, *facts.kafka);
      note_stuck(model::kControl, *facts.kafka);
    }
    return facts;
  }

  void note_stuck(model::PartitionId partition, api::KafkaLogFacts& facts) const {
    facts.stuck.emplace_back(node::name_of(partition), !log_->trouble(partition).empty());
  }

  const ServeOptions& options_;
  bool has_shared_keys_ = false;  // HS256
  const sigset_t signals_;
  const std::size_t open_files_;  // that this process may have
  api::Metrics metrics_;
  std::optional<DataFolder> folder_;
  std::optional<auth::VoterSecret> secret_;
  std::unique_ptr<model::Log> log_;
  storage::EmbeddedLog* embedded_ = nullptr;  // log_, if it is that
  storage::KafkaLog* kafka_ = nullptr;        // or that
  std::unique_ptr<storage::IndexStore> index_store_;
  std::vector<std::unique_ptr<storage::CheckpointedIndex>> indexes_;
  std::unique_ptr<node::Node> node_;
  std::unique_ptr<api::Live> live_;
  api::Writers writers_;
  std::unique_ptr<api::Documents> documents_;
  std::unique_ptr<api::App> app_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Server> metrics_server_;
};

Result<Exit> serve(const ServeOptions& options) {
  const auto signals = block_signals();
  umask(S_IRWXG | S_IRWXO);  // whatever a server writes tells of ballots
  Service service(options, signals, allow_many_files());
  if (auto started = service.start(); !started) return started.error();
  if (!model::write_line(model::Stream::out, service.url()))
    log_line("veche: serves at {}, which could not be printed on stdout", service.url());
  for (int signal = 0; sigwait(&signals, &signal) == 0 && signal == SIGHUP;) service.reload_keys();
  if (options.drain_delay_seconds > 0) {
    log_line("veche: /readyz says draining; the drain begins in {} s", options.drain_delay_seconds);
    service.announce_end();
  }
  log_line("veche: draining");
  service.stop();
  return Exit::ok;
}

}  // namespace

void add_serve(CLI::App& app) {
  auto& command =
      add_command(app, "serve", "Run a node: take ballots, count them, show results",
                  {"veche serve --data data --jwks keys/jwks.json --voter-secret keys/voter.secret "
                   "--territories oktmo.csv",
                   "veche serve --data data --jwks keys/jwks.json --voter-secret keys/voter.secret "
                   "--log kafka://k1:9092,k2:9092,k3:9092/region"});
  const auto options = std::make_shared<ServeOptions>();
  command.add_option("--data", options->data, "Folder of the embedded log and the index")
      ->required()
      ->type_name("DIR");
  command
      .add_option("--log", options->log,
                  "embedded, or kafka://HOST:PORT[,HOST:PORT]/NAME, shared by equal nodes")
      ->capture_default_str()
      ->type_name("LOG");
  command.add_flag("--allow-unsafe-topic", options->allow_unsafe_topic,
                   "Serve although a setting of the topics may lose ballots");
  command
      .add_option("--jwks", options->jwks, "Keys that tokens are checked with; SIGHUP reads again")
      ->required()
      ->type_name("FILE");
  command.add_option("--voter-secret", options->voter_secret, "32 bytes that make voter keys")
      ->required()
      ->type_name("FILE");
  command
      .add_option("--territories", options->territories,
                  "CSV of the territory tree; a new version unless it was one before")
      ->type_name("FILE");
  command.add_flag("--force", options->force,
                   "Take the tree of --territories although it looks wrong");
  command.add_option("--listen", options->listen, "Address and port; port 0 takes a free one")
      ->capture_default_str();
  command.add_option("--metrics", options->metrics, "Address and port of GET /metrics")
      ->capture_default_str();
  command.add_option("--access-log", options->access_log, "One JSON line a request; - is stderr")
      ->type_name("FILE");
  command.add_flag("--test-data", options->test_data,
                   "The pages say that these polls are not real");
  command.add_option("--partitions", options->partitions, "Of an embedded log that is made now")
      ->check(CLI::Range(std::uint16_t{1}, limits::kPartitions))
      ->capture_default_str();
  command.add_option("--shards", options->shards, "Threads that count")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command
      .add_option("--threads", options->threads,
                  "Threads that speak HTTP; default: the cores, with HS256 one less")
      ->check(CLI::Range(1, 256));
  command
      .add_option("--disk-reserve-mib", options->disk_reserve_mib,
                  "Ballots are refused when the disk has less room")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--tick", options->tick, "How often live results move: 20ms to 60s")
      ->check(CLI::Validator(check_tick, "TIME"))
      ->capture_default_str();
  command
      .add_option("--drain-delay", options->drain_delay_seconds,
                  "After SIGTERM /readyz is 503 for so long before the drain; another ends that")
      ->check(CLI::Range(0, 3'600))
      ->capture_default_str()
      ->type_name("SECONDS");
  command
      .add_option("--time-zone", options->time_zone,
                  "The region's, as Asia/Yekaterinburg: the day there on which a poll opens says "
                  "which tree it gets; default: the day as opens_at writes it")
      ->check(CLI::Validator(check_time_zone, "NAME"));
  on_run(command, [options] { return serve(*options); });
}

}  // namespace veche::tools
