// The life of a poll as the commands walk it, by two people at least: who drafts does not approve.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <string_view>

#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "engine/model/result.h"
#include "tools/veche/api_client.h"

namespace veche::tools {

// One of the actions of POST .../transitions, and who does it.
struct PollStep {
  std::string_view action;
  auth::Role role;
};
inline constexpr PollStep kSubmit{"submit", auth::Role::kModerator};
inline constexpr PollStep kApprove{"approve", auth::Role::kApprover};
inline constexpr PollStep kReturn{"return", auth::Role::kApprover};
inline constexpr PollStep kOpen{"open", auth::Role::kApprover};
inline constexpr PollStep kClose{"close", auth::Role::kOperator};
inline constexpr PollStep kCancel{"cancel", auth::Role::kApprover};
inline constexpr PollStep kCertify{"certify", auth::Role::kCertifier};

// The poll after the step. An empty reason is left out.
Result<boost::json::value> take_step(ApiClient& client, std::string_view poll, PollStep step,
                                     std::string_view reason);

// From a draft, or from wherever others have brought it meanwhile, to open.
Result<void> bring_to_open(ApiClient& client, const model::PollId& poll, std::string_view reason);
// From nothing to open.
Result<void> draft_and_open(ApiClient& client, const model::PollDefinition& poll,
                            std::string_view reason);

// From open, or from wherever others have brought it meanwhile, to closed.
Result<void> bring_to_close(ApiClient& client, const model::PollId& poll, std::string_view reason);
// The results by territory when nothing changes them any more: of a poll in steps some ticks after
// the close. A fault: they do not come within the patience, or before Ctrl-C, unless that was
// before the call.
Result<boost::json::value> final_results(const ApiClient& client, const model::PollId& poll,
                                         std::chrono::seconds patience);

}  // namespace veche::tools
