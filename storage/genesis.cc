#include "storage/genesis.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "engine/model/limits.h"
#include "engine/model/record.h"

namespace veche::storage {

Genesis make_genesis(std::uint16_t partitions, const SecretCheck& secret_check) {
  std::random_device device;
  Genesis genesis{{}, partitions, secret_check};
  for (auto& byte : genesis.log_id.bytes) byte = static_cast<std::uint8_t>(device());
  return genesis;
}

std::string serialize(const Genesis& genesis) {
  v1::Record record;
  auto& message = *record.mutable_genesis();
  message.set_log_id(genesis.log_id.bytes.data(), genesis.log_id.bytes.size());
  message.set_partitions(genesis.partitions);
  message.set_partition_hash(std::string(model::kPartitionHash));
  message.set_format(model::kLogFormat);
  message.set_secret_check(genesis.secret_check.data(), genesis.secret_check.size());
  model::RecordWriter(model::BootId{genesis.log_id.bytes}, 0).stamp(record);
  return record.SerializeAsString();
}

Result<Genesis> read_genesis(std::string_view bytes, std::string_view where) {
  v1::Record record;
  if (model::decode(bytes, record) != model::Decoded::ours || !record.has_genesis())
    return Fault{fmt::format("{} holds no log of Veche: its first record is not GENESIS", where)};
  const auto& message = record.genesis();
  const auto id = model::LogId::parse(message.log_id());
  if (!id || message.format() != model::kLogFormat ||
      message.partition_hash() != model::kPartitionHash || message.partitions() < 1 ||
      message.partitions() > limits::kPartitions)
    return Fault{
        fmt::format("the log in {} has format {} with partition hash {}; this program "
                    "reads format {} with {}: start the version that wrote it",
                    where, message.format(), message.partition_hash(), model::kLogFormat,
                    model::kPartitionHash)};
  Genesis genesis{*id, static_cast<std::uint16_t>(message.partitions()), {}};
  const auto& check = message.secret_check();
  std::copy_n(check.begin(), std::min(check.size(), genesis.secret_check.size()),
              genesis.secret_check.begin());
  return genesis;
}

Result<void> check_secret(const Genesis& genesis, const SecretCheck& ours, std::string_view where) {
  if (genesis.secret_check == ours) return {};
  return Fault{
      fmt::format("the log in {} was made with another voter secret: with this one "
                  "every voter would be a new one. Give the right --voter-secret",
                  where)};
}

}  // namespace veche::storage
