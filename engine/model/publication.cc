#include "engine/model/publication.h"

#include "engine/model/limits.h"

namespace veche::model {

std::vector<v1::Publication> to_messages(const PollId& poll, const Publication& publication,
                                         const Publication* before) {
  std::vector<v1::Publication> parts;
  std::size_t bytes = 0;
  const auto begin_part = [&] {
    auto& part = parts.emplace_back();
    part.set_poll(poll.str());
    part.set_version(publication.version);
    part.set_part(static_cast<std::uint32_t>(parts.size() - 1));
    bytes = 0;
  };
  begin_part();
  for (std::size_t cell = 0; cell < publication.cells.size(); ++cell) {
    const auto& now = publication.cells[cell];
    if (before ? now == before->cells[cell] : now == nullptr) continue;
    v1::PublishedCell message;
    message.set_cell(static_cast<std::uint32_t>(cell));
    if (now) {
      message.mutable_shown()->Add(now->shown.begin(), now->shown.end());
      message.mutable_held()->Add(now->held.begin(), now->held.end());
      message.set_judged(now->judged);
    }
    const auto size = message.ByteSizeLong();
    if (bytes > 0 && bytes + size > limits::kPublicationPartBytes) begin_part();
    bytes += size;
    *parts.back().add_cells() = std::move(message);
  }
  auto& last = parts.back();
  last.set_last(true);
  last.set_unix_ms(publication.at.time_since_epoch().count());
  for (const auto offset : publication.cut) last.add_cut(offset.value);
  last.set_turnout(publication.turnout);
  last.set_final(publication.is_final);
  for (const auto end : publication.group_ends) last.add_group_ends(end);
  return parts;
}

}  // namespace veche::model
