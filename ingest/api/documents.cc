#include "ingest/api/documents.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <utility>

#include "engine/model/limits.h"
#include "ingest/http/worker.h"

namespace veche::api {
namespace {

// Whether documents made of `before` may be given out for `now`, but that they say of another
// moment that it is theirs.
bool is_same(const node::Collected& before, const node::Collected& now) {
  return before.poll == now.poll && now.as_of - before.as_of < limits::kDocumentFreshness &&
         std::equal(before.partials.begin(), before.partials.end(), now.partials.begin(),
                    now.partials.end(), [](const auto& a, const auto& b) {
                      return a.partition == b.partition && a.changes == b.changes &&
                             a.closed == b.closed && !a.tally == !b.tally;
                    });
}

std::size_t bytes_of(const node::Collected& counts) {
  constexpr std::size_t kBesideCounts = 96;  // code, hash table
  std::size_t bytes = 0;
  for (const auto& partial : counts.partials)
    if (partial.tally)
      bytes += partial.tally->territories().size() *
               (partial.tally->shape().width() * sizeof(std::uint64_t) + kBesideCounts);
  return bytes;
}

std::size_t bytes_of(const publish::Published& published) {
  const auto* snapshot = std::get_if<publish::Snapshot>(&published);
  if (!snapshot) return 0;
  std::size_t bytes = 0;
  for (const auto& row : snapshot->territories)
    bytes += sizeof row + row.counts.size() * sizeof row.counts[0];
  for (const auto& group : snapshot->groups)
    bytes += sizeof group + group.counts.size() * sizeof group.counts[0] +
             (group.leaves.size() + group.not_below.size()) * sizeof(model::TerritoryCode);
  return bytes;
}

}  // namespace

bool Documents::of_counts(const std::shared_ptr<const model::PollEntry>& poll, const Look& look,
                          Form form, MakeOfCounts make, Take take, Writers::Order order) {
  Key key{nullptr, look, std::move(form)};
  if (!publish::needs_tallies(*poll, look.viewer)) {
    key.state = poll;
    key.look->detail = publish::Detail::by_territory;  // the log tells all at once
  }
  return ask(
      poll->definition->id.str(), std::move(key),
      [make = std::move(make)](const auto* of, const auto* published) {
        return make(*of, published);
      },
      std::move(take), order);
}

bool Documents::of_state(const std::string& subject, std::shared_ptr<const void> state, Form form,
                         Make make, Take take, Writers::Order order) {
  return ask(
      subject, {std::move(state), std::nullopt, std::move(form)},
      [make = std::move(make)](const auto*, const auto*) { return make(); }, std::move(take),
      order);
}

// --- Questions -----------------------------------------------------------------------------------

bool Documents::ask(const std::string& subject, Key key, MakeAny make, Take take,
                    Writers::Order order) {
  std::unique_lock lock(mutex_);
  if (const auto document = key.state ? find_kept(subject, key) : nullptr) {
    lock.unlock();
    take(document);
    return true;
  }
  auto& asked = subjects_[subject];
  if (!add(asked, std::move(key), std::move(make), take, order)) {
    forget_unless_wanted(subject, asked);
    return false;
  }
  const bool becomes_urgent =
      order == Writers::Order::first && !std::exchange(asked.is_urgent, true);
  if (!asked.is_in_turn && (asked.turns_queued == 0 || becomes_urgent))
    queue_turn(subject, asked, order);
  return true;
}

Documents::Document Documents::find_kept(const std::string& subject, const Key& key) {
  const auto place = places_.find(subject);
  if (place == places_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, place->second);
  return kept_.front().find(key);
}

bool Documents::add(Subject& subject, Key key, MakeAny make, Take& take, Writers::Order order) {
  const bool is_urgent = order == Writers::Order::first;
  if (!is_urgent && askers_ >= limits::kDocumentAskers) return false;
  auto& wanted = subject.wanted;
  auto found = std::find_if(wanted.begin(), wanted.end(),
                            [&](const auto& other) { return other.key == key; });
  if (found == wanted.end()) {
    if (!is_urgent &&
        (documents_waiting_ >= limits::kDocumentsWaiting || !has_room(subject, key.form)))
      return false;
    ++documents_waiting_;
    found = wanted.insert(is_urgent ? wanted.begin() : wanted.end(),
                          Wanted{std::move(key), std::move(make), {}});
  }
  ++askers_;
  found->askers.push_back({std::move(take), Clock::now()});
  return true;
}

bool Documents::has_room(const Subject& subject, const Form& form) {
  const auto& wanted = subject.wanted;
  const auto of_many = std::count_if(wanted.begin(), wanted.end(),
                                     [](const auto& each) { return each.key.form.is_of_many; });
  return wanted.size() < limits::kDocumentsWaitingPerSubject &&
         (!form.is_of_many || static_cast<std::size_t>(of_many) < limits::kOfManyWaitingPerSubject);
}

void Documents::queue_turn(const std::string& name, Subject& subject, Writers::Order order) {
  ++subject.turns_queued;
  writers_.run([this, name] { take_turn(name); }, order);
}

// --- Turns ---------------------------------------------------------------------------------------

void Documents::take_turn(const std::string& subject) {
  std::vector<Wanted> wanted;
  if (!begin_turn(subject, wanted)) return;
  auto kept = take_kept(subject);
  renew_counts(kept, wanted);
  for (const auto& each : wanted) make(kept, each);
  keep(std::move(kept));
  end_turn(subject);
}

// Who has waited too long is told so: nobody works for those that have gone. False: there is
// nothing to do, for a turn that came first has done it, or goes on.
bool Documents::begin_turn(const std::string& name, std::vector<Wanted>& wanted) {
  std::vector<Asker> late;
  {
    const std::lock_guard lock(mutex_);
    auto& subject = subjects_.at(name);
    --subject.turns_queued;
    if (subject.is_in_turn) return false;
    if (subject.wanted.empty()) {
      forget_unless_wanted(name, subject);
      return false;
    }
    subject.is_in_turn = true;
    subject.is_urgent = false;
    const auto too_late = Clock::now() - limits::kDocumentDeadline;
    while (!subject.wanted.empty() && wanted.size() < limits::kDocumentsPerTurn) {
      auto next = std::move(subject.wanted.front());
      subject.wanted.pop_front();
      --documents_waiting_;
      askers_ -= next.askers.size();
      const auto in_time = std::partition(next.askers.begin(), next.askers.end(),
                                          [&](const auto& asker) { return asker.at < too_late; });
      std::move(next.askers.begin(), in_time, std::back_inserter(late));
      next.askers.erase(next.askers.begin(), in_time);
      if (!next.askers.empty()) wanted.push_back(std::move(next));
    }
  }
  for (const auto& asker : late) asker.take(nullptr);
  return true;
}

void Documents::end_turn(const std::string& name) {
  const std::lock_guard lock(mutex_);
  auto& subject = subjects_.at(name);
  subject.is_in_turn = false;
  if (subject.wanted.empty()) return forget_unless_wanted(name, subject);
  if (subject.is_urgent)
    queue_turn(name, subject, Writers::Order::first);
  else if (subject.turns_queued == 0)
    queue_turn(name, subject, Writers::Order::in_turn);
}

// A turn that is queued finds its subject.
void Documents::forget_unless_wanted(const std::string& name, const Subject& subject) {
  if (subject.wanted.empty() && subject.turns_queued == 0 && !subject.is_in_turn)
    subjects_.erase(name);
}

void Documents::renew_counts(Kept& kept, const std::vector<Wanted>& wanted) {
  const bool needs_counts =
      std::any_of(wanted.begin(), wanted.end(), [](const auto& each) { return !each.key.state; });
  if (!needs_counts) return;
  auto counts = gather(*model::PollId::parse(kept.subject));
  if (is_same(kept.counts, counts)) return;
  kept.forget_counts();
  kept.counts = std::move(counts);
}

node::Collected Documents::gather(const model::PollId& poll) {
  const auto collected = std::make_shared<std::promise<node::Collected>>();
  collect_(poll, [collected](node::Collected counts) { collected->set_value(std::move(counts)); });
  return collected->get_future().get();
}

// An auditor's is made anew: it says what of the whole log is not applied.
void Documents::make(Kept& kept, const Wanted& wanted) {
  const auto& key = wanted.key;
  if (key.state) kept.forget_other_states(key.state);
  auto document = kept.find(key);
  if (!document) {
    const auto published = key.look ? show(kept, key) : nullptr;
    auto made = wanted.make(poll_of(kept, key), published.get());
    made.body.share();  // all who ask are sent the same bytes
    document = std::make_shared<const http::Response>(std::move(made));
    if (!key.form.is_of_many && (!key.look || key.look->viewer != publish::Viewer::auditor))
      kept.made.push_front({key, document});
  }
  for (const auto& asker : wanted.askers) asker.take(document);
}

const model::PollEntry* Documents::poll_of(const Kept& kept, const Key& key) {
  if (!key.look) return nullptr;
  return key.state ? static_cast<const model::PollEntry*>(key.state.get()) : kept.counts.poll.get();
}

std::shared_ptr<const publish::Published> Documents::show(Kept& kept, const Key& key) {
  const auto& look = *key.look;
  for (const auto& shown : kept.shown)
    if (shown.state == key.state && shown.look == look) return shown.published;
  std::optional<publish::Published> published;
  const auto poll = std::static_pointer_cast<const model::PollEntry>(key.state);
  if (!poll)
    published = publish::publish(kept.counts, look.viewer, look.detail);
  else if (!look.version)
    published = publish::publish(poll, look.viewer);
  else
    published =
        publish::publish_version(poll, look.version->number, look.version->state, look.viewer);
  if (!published) return nullptr;
  const auto shared = std::make_shared<const publish::Published>(*std::move(published));
  if (look.viewer != publish::Viewer::auditor && !look.version)
    kept.shown.push_back({key.state, look, shared});
  return shared;
}

// --- What is kept --------------------------------------------------------------------------------

Documents::Document Documents::Kept::find(const Key& key) const {
  const auto found =
      std::find_if(made.begin(), made.end(), [&](const auto& each) { return each.key == key; });
  return found == made.end() ? nullptr : found->document;
}

void Documents::Kept::forget_counts() {
  std::erase_if(made, [](const auto& each) { return !each.key.state; });
  std::erase_if(shown, [](const auto& each) { return !each.state; });
}

// What was made of an earlier state nobody will ask for again.
void Documents::Kept::forget_other_states(const std::shared_ptr<const void>& state) {
  std::erase_if(made, [&](const auto& each) { return each.key.state && each.key.state != state; });
  std::erase_if(shown, [&](const auto& each) { return each.state && each.state != state; });
}

void Documents::Kept::measure() {
  bytes = bytes_of(counts);
  for (const auto& each : shown) bytes += bytes_of(*each.published);
  for (const auto& each : made) bytes += each.document->body.size();
}

// Nothing else has it until it is kept again.
Documents::Kept Documents::take_kept(const std::string& subject) {
  const std::lock_guard lock(mutex_);
  const auto place = places_.find(subject);
  if (place == places_.end()) return {.subject = subject, .counts = {}, .shown = {}, .made = {}};
  auto kept = std::move(*place->second);
  kept_bytes_ -= kept.bytes;
  kept_.erase(place->second);
  places_.erase(place);
  return kept;
}

// Beyond the limit goes what was not used for the longest.
void Documents::keep(Kept kept) {
  while (kept.made.size() > limits::kDocumentsKept) kept.made.pop_back();
  for (kept.measure(); kept.bytes > limits::kDocumentBytesKept; kept.measure()) {
    if (kept.made.empty()) return;
    kept.made.pop_back();
  }
  const std::lock_guard lock(mutex_);
  kept_bytes_ += kept.bytes;
  kept_.push_front(std::move(kept));
  places_[kept_.front().subject] = kept_.begin();
  while (kept_bytes_ > limits::kDocumentBytesKept || kept_.size() > limits::kSubjectsKept) {
    kept_bytes_ -= kept_.back().bytes;
    places_.erase(kept_.back().subject);
    kept_.pop_back();
  }
}

Documents::Take sender(const http::Responder& responder, http::Response late) {
  return [responder, late = std::move(late)](const Documents::Document& made) {
    responder.worker().post([responder, response = made ? *made : late]() mutable {
      responder.send(std::move(response));
    });
  };
}

}  // namespace veche::api
