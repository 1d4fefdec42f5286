// Callbacks that wait in a vector, told without walking it: whoever is told may append to it.
#pragma once

#include <algorithm>
#include <iterator>
#include <vector>

namespace veche::node {

// Takes out what is due, in order.
template <class Waiting, class Predicate>
std::vector<Waiting> take_if(std::vector<Waiting>& waiting, Predicate is_due) {
  const auto first = std::stable_partition(waiting.begin(), waiting.end(),
                                           [&](const auto& each) { return !is_due(each); });
  std::vector<Waiting> due(std::make_move_iterator(first), std::make_move_iterator(waiting.end()));
  waiting.erase(first, waiting.end());
  return due;
}

}  // namespace veche::node
