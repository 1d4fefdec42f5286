// apply of the control partition: the life of polls and the versions of the territory tree. Pure
// like apply::Partition. It is replayed from its beginning at each start: it is small, and needs no
// checkpoint. Owned by one thread; the directory that it makes is shared.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/apply/publications.h"
#include "engine/apply/trail.h"
#include "engine/model/directory.h"
#include "engine/model/ids.h"
#include "engine/model/record.h"

namespace veche::apply {

enum class ControlEffect : std::uint8_t {
  noted,
  poll_changed,  // the directory has a new entry for `poll`
  poll_read,     // the same, but only its history is longer
  published,     // the directory has a new publication of `poll`
  tree_added,    // the directory has a new version of the tree
  void_change,   // a change that does not fit the poll's state: another one came first
  invalid,       // not ours, or not well formed: skipped
  already_applied,
  gap,
  unknown_kind,
  diverged,  // applied as any Tail; its writer had read other records than we did
};

struct ControlApplied {
  ControlEffect effect = ControlEffect::noted;
  model::Offset offset;
  const v1::Record* record = nullptr;  // null for invalid; valid until the next apply
  model::PollId poll;                  // of a change, where its id is well formed
  // It was not applied, and nothing behind it may be: the process must stop.
  bool stops() const {
    return effect == ControlEffect::gap || effect == ControlEffect::unknown_kind;
  }
};

class Control {
 public:
  ControlApplied apply(model::Offset offset, std::string_view bytes);

  const model::Position& position() const { return trail_.position(); }
  // A snapshot of the directory, made when it is first asked for after a change.
  std::shared_ptr<const model::Directory> directory();

 private:
  // Parts of a certificate that is still being read, written one right after the other.
  struct CertificateParts {
    std::string boot;
    std::uint64_t first_counter = 0;
    std::string poll;
    std::uint32_t based_on = 0;
    std::uint32_t parts = 0;
    std::string compressed;
  };
  // Parts of a version of the tree that is still being read, all of one writer.
  struct TreeParts {
    std::string boot;
    std::uint64_t first_counter = 0;
    std::uint32_t version = 0;
    std::uint32_t parts = 0;
    std::string csv;
  };

  void apply_record(const v1::Record& record, ControlApplied& applied);
  void apply_territories(const v1::Record& record, ControlApplied& applied);
  void compare(const v1::Tail& tail, ControlApplied& applied) const;
  void apply_change(const v1::PollChange& change, ControlApplied& applied);
  void apply_publication(const v1::Record& record, ControlApplied& applied);
  void apply_audit(const v1::AuditRead& audit, ControlApplied& applied);
  void apply_certificate(const v1::Record& record, ControlApplied& applied);
  bool append_part(const v1::Record& record);
  bool take_definition(const v1::PollChange& change, model::PollEntry& entry) const;

  Trail trail_{model::Position()};
  model::Directory current_;
  std::shared_ptr<const model::Directory> snapshot_;  // null after a change
  TreeParts tree_parts_;
  CertificateParts certificate_parts_;
  Publications publications_;
  std::uint32_t partitions_ = 0;  // as GENESIS says
  v1::Record record_;
};

// The phase after a change, or nullopt: the change is not one of that phase. DRAFTED here is
// another definition of a poll that there is.
std::optional<model::PollPhase> next_phase(model::PollPhase phase, v1::PollAction action);

// What becomes of a change of a poll if nothing comes before it.
enum class Verdict : std::uint8_t {
  fits,
  unknown_poll,
  poll_exists,
  wrong_phase,
  other_version,  // based on a definition that is not the poll's
  own_draft,      // nobody approves what he wrote or submitted
  limit_reached,
};
Verdict judge(const model::Directory& directory, const model::PollId& poll, v1::PollAction action,
              std::uint32_t based_on, std::string_view by);

}  // namespace veche::apply
