#include "ingest/wire/content_coding.h"

#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "engine/model/assert.h"

namespace veche::wire {
namespace {

constexpr std::size_t kStepBytes = 64 * 1'024;

// Grows `out` by a step; false: the limit is reached and one byte past it.
bool grow(std::string& out, std::size_t used, std::size_t limit) {
  if (used > limit) return false;
  out.resize(std::min(used + kStepBytes, limit + 1));
  return true;
}

// A body may have several members, one behind the other (RFC 1952 2.2): their contents are one.
Decoding inflate_gzip(std::string_view body, std::size_t limit, std::string& out) {
  z_stream stream{};
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) return Decoding::broken;
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> owner(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  std::size_t used = out.size();
  for (int status = Z_OK; status != Z_STREAM_END || stream.avail_in != 0;) {
    if (status == Z_STREAM_END && inflateReset(&stream) != Z_OK) return Decoding::broken;
    if (!grow(out, used, limit)) return Decoding::too_large;
    const auto unread = stream.avail_in;
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    stream.avail_out = static_cast<uInt>(out.size() - used);
    status = inflate(&stream, Z_NO_FLUSH);
    const auto end = out.size() - stream.avail_out;
    if (status != Z_OK && status != Z_STREAM_END) return Decoding::broken;
    if (status == Z_OK && end == used && stream.avail_in == unread)
      return Decoding::broken;  // cut short
    used = end;
  }
  if (used > limit) return Decoding::too_large;
  out.resize(used);
  return Decoding::done;
}

// A body may have several frames, and skippable ones among them (RFC 8878 3.1).
Decoding inflate_zstd(std::string_view body, std::size_t limit, std::string& out) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                     ZSTD_freeDCtx);
  if (!context) return Decoding::broken;
  constexpr int kWindowLog = 24;  // 16 MiB: a window larger than the limit is of no use
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kWindowLog);
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  std::size_t used = out.size();
  for (std::size_t hint = 1; hint != 0 || in.pos != in.size;) {
    if (!grow(out, used, limit)) return Decoding::too_large;
    ZSTD_outBuffer to{out.data(), out.size(), used};
    const auto read_before = in.pos;
    hint = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(hint)) return Decoding::broken;
    if (hint != 0 && to.pos == used && in.pos == read_before) return Decoding::broken;
    used = to.pos;
  }
  if (used > limit) return Decoding::too_large;
  out.resize(used);
  return Decoding::done;
}

}  // namespace

Coding coding(std::string_view content_encoding) {
  const auto is = [&](std::string_view name) {
    return content_encoding.size() == name.size() &&
           strncasecmp(content_encoding.data(), name.data(), name.size()) == 0;
  };
  if (content_encoding.empty() || is("identity")) return Coding::identity;
  if (is("gzip") || is("x-gzip")) return Coding::gzip;
  return is("zstd") ? Coding::zstd : Coding::unknown;
}

Decoding decode(Coding coding, std::string_view body, std::size_t limit, std::string& out) {
  switch (coding) {
    case Coding::gzip:
      return inflate_gzip(body, limit, out);
    case Coding::zstd:
      return inflate_zstd(body, limit, out);
    case Coding::identity:
      if (body.size() > limit) return Decoding::too_large;
      out += body;
      return Decoding::done;
    case Coding::unknown:
      break;
  }
  return Decoding::broken;
}

std::string compress_zstd(std::string_view body) {
  constexpr int kLevel = 9;  // written once, kept for ever
  std::string out(ZSTD_compressBound(body.size()), '\0');
  const auto size = ZSTD_compress(out.data(), out.size(), body.data(), body.size(), kLevel);
  VECHE_ASSERT(!ZSTD_isError(size), "a buffer of the bound takes every body");
  out.resize(size);
  return out;
}

}  // namespace veche::wire
