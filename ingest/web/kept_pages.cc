#include "ingest/web/kept_pages.h"

#include <algorithm>
#include <utility>

#include "engine/model/limits.h"

namespace veche::web {

const http::Response* KeptPages::find(const std::shared_ptr<const model::PollEntry>& poll,
                                      const PageView& view) {
  const auto found = std::find_if(pages_.begin(), pages_.end(), [&](const auto& page) {
    return page.poll == poll && page.view == view;
  });
  if (found == pages_.end()) return nullptr;
  std::rotate(pages_.begin(), found, found + 1);
  return &pages_.front().page;
}

void KeptPages::keep(std::shared_ptr<const model::PollEntry> poll, PageView view,
                     http::Response page) {
  std::erase_if(pages_, [&](const auto& kept) {
    const bool is_old = kept.poll != poll && kept.poll->definition->id == poll->definition->id;
    if (is_old) bytes_ -= kept.page.body.size();
    return is_old;
  });
  bytes_ += page.body.size();
  pages_.push_front({std::move(poll), std::move(view), std::move(page)});
  while (pages_.size() > limits::kPagesKept || bytes_ > limits::kPageBytesKept) {
    bytes_ -= pages_.back().page.body.size();
    pages_.pop_back();
  }
}

}  // namespace veche::web
