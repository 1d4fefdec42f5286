#include "ingest/web/assets.h"

namespace veche::web {

const Asset* find_asset(std::string_view path) {
  for (const auto* asset : {&kStyle, &kPageScript, &kLoadScript, &kIcon})
    if (asset->path == path) return asset;
  return nullptr;
}

}  // namespace veche::web
