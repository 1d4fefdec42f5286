// What `veche results` prints for people.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace veche::tools {

enum class TitleLanguage { ru, en };  // en: where there is no English title, the Russian one

// `poll` as GET /v1/polls/{poll} answers, `results` as GET .../results does: the counts of each
// question, and the territories and groups where there are some.
std::string results_text(const boost::json::value& poll, const boost::json::value& results,
                         TitleLanguage language);

// As GET .../turnout answers: how many ballots by the end of each step, and how many in it.
std::string turnout_text(const boost::json::value& turnout);

}  // namespace veche::tools
