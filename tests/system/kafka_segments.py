"""Reads the log of an Apache Kafka broker straight from the files in its data folder, without a
line of a Kafka client, so that a checker can hold a server against what the broker stored.

A partition is a folder of segments `<20-digit base offset>.log`, each a row of record batches as
in https://kafka.apache.org/documentation/#recordbatch. All that was written is read: also what
transactions aborted, and what lies before the log's start offset if records were deleted."""

import collections
import os
import pathlib
import re
import struct

from varints import varint

BATCH_HEADER = struct.Struct(">qiibIhiqqqhii")
LENGTH_END = 12  # a batch's length counts from here
CRC_END = 21     # and its checksum covers all from here
MAGIC_AT = 16
MAGIC = 2
COMPRESSION, LOG_APPEND_TIME, CONTROL = 0x07, 0x08, 0x20  # of a batch's attributes

# What would spare a broker the recovery of a log that it believes to know.
STATE_FILES = ("recovery-point-offset-checkpoint", "replication-offset-checkpoint",
               ".kafka_cleanshutdown")

Record = collections.namedtuple("Record", "offset timestamp_ms key value headers control")
Batch = collections.namedtuple("Batch", "place end_place base_offset end_offset attributes "
                                        "base_timestamp_ms max_timestamp_ms count records")


# --- CRC-32C -------------------------------------------------------------------------------------


def _crc_tables():
    """Table n: what a byte does to the checksum when n bytes follow it."""
    first = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        first.append(value)
    tables = [first]
    for _ in range(7):
        tables.append([(value >> 8) ^ first[value & 0xFF] for value in tables[-1]])
    return tables


CRC_TABLES = _crc_tables()


def crc32c(data):
    """Eight bytes a step, which makes some 20 MB a second."""
    t0, t1, t2, t3, t4, t5, t6, t7 = CRC_TABLES
    crc, whole = 0xFFFFFFFF, len(data) & ~7
    for word, a, b, c, d in struct.iter_unpack("<IBBBB", data[:whole]):
        word ^= crc
        crc = (t7[word & 0xFF] ^ t6[word >> 8 & 0xFF] ^ t5[word >> 16 & 0xFF] ^ t4[word >> 24]
               ^ t3[a] ^ t2[b] ^ t1[c] ^ t0[d])
    for byte in data[whole:]:
        crc = (crc >> 8) ^ t0[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# --- Batches -------------------------------------------------------------------------------------


def _segments(folder):
    """In order of base offset, which is the order of their names."""
    paths = sorted(path for path in pathlib.Path(folder).glob("*.log")
                   if re.fullmatch("[0-9]{20}", path.stem))
    if not paths:
        raise ValueError(f"{folder} has no segments")
    return paths


def _batches(path, is_last, check_crc):
    """The batches of a segment; the last one of a partition may have a torn tail."""
    with path.open("rb") as file:
        while True:
            place = file.tell()
            try:
                batch = _read_batch(file, check_crc)
            except EOFError as torn:
                if is_last:
                    return
                raise ValueError(f"{path}, byte {place}: {torn}") from None
            except ValueError as fault:
                raise ValueError(f"{path}, byte {place}: {fault}") from None
            if batch is None:
                return
            yield batch


def _read_batch(file, check_crc):
    """None at the end of the file; an EOFError if there is more, but less than a batch."""
    place = file.tell()
    head = file.read(BATCH_HEADER.size)
    if not head:
        return None
    if not any(head) and _only_zeros(file):
        raise EOFError("zero bytes")
    if len(head) > MAGIC_AT and head[MAGIC_AT] != MAGIC:
        raise ValueError(f"magic {head[MAGIC_AT]}")  # first: else its length means nothing
    if len(head) < BATCH_HEADER.size:
        raise EOFError("part of a batch's header")
    (base_offset, length, _, _, crc, attributes, last_offset_delta, base_timestamp_ms,
     max_timestamp_ms, _, _, _, count) = BATCH_HEADER.unpack(head)
    size = LENGTH_END + length - BATCH_HEADER.size
    if size < 0:
        raise ValueError(f"a batch of length {length}")
    records = file.read(size)
    if len(records) < size:
        raise EOFError("part of a batch")
    if check_crc and crc32c(head[CRC_END:] + records) != crc:
        raise ValueError("a broken CRC")
    if attributes & COMPRESSION:
        raise ValueError(f"a compressed batch, type {attributes & COMPRESSION}")
    return Batch(place, file.tell(), base_offset, base_offset + last_offset_delta + 1, attributes,
                 base_timestamp_ms, max_timestamp_ms, count, records)


def _only_zeros(file):
    while chunk := file.read(1 << 20):
        if any(chunk):
            return False
    return True


# --- Records -------------------------------------------------------------------------------------


def _signed(data, at):
    value, at = varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _bytes(data, at):
    """With their length before them; None if it is negative."""
    length, at = _signed(data, at)
    if length < 0:
        return None, at
    return data[at:at + length], at + length


def _headers(data, at):
    count, at = _signed(data, at)
    headers = []
    for _ in range(count):
        key, at = _bytes(data, at)
        value, at = _bytes(data, at)
        if key is None:
            raise ValueError("a header without a key")
        headers.append((key.decode(), value))
    return headers, at


def _record(batch, at):
    data = batch.records
    length, at = _signed(data, at)
    end = at + length
    timestamp_delta, at = _signed(data, at + 1)  # no attribute of a record is in use
    offset_delta, at = _signed(data, at)
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    headers, at = _headers(data, at)
    if at != end:
        raise ValueError("a record ends elsewhere than it says")
    timestamp_ms = batch.base_timestamp_ms + timestamp_delta
    if batch.attributes & LOG_APPEND_TIME:
        timestamp_ms = batch.max_timestamp_ms
    return Record(batch.base_offset + offset_delta, timestamp_ms, key, value, headers,
                  bool(batch.attributes & CONTROL)), at


def _records(batch, expected):
    """The records of a batch, none of them before the offset that is expected."""
    at = 0
    for _ in range(batch.count):
        try:
            record, at = _record(batch, at)
        except IndexError:
            raise ValueError("a record goes beyond its batch") from None
        if not expected <= record.offset < batch.end_offset:
            raise ValueError(f"offset {record.offset} is out of order")
        expected = record.offset + 1
        yield record
    if at != len(batch.records):
        raise ValueError("a batch holds more than its records")


# --- For checkers and tests ----------------------------------------------------------------------


def partitions(data_dir, topic):
    """{partition number: folder}, also of a topic whose name begins as that of another."""
    folder_name = re.compile(re.escape(topic) + "-([0-9]+)")
    found = {}
    for path in pathlib.Path(data_dir).iterdir():
        match = folder_name.fullmatch(path.name)
        if match and path.is_dir():
            found[int(match[1])] = path
    return found


def read_partition(folder, check_crc=True):
    """Every record by its offset, up to a torn tail of the last segment; `control` is true of the
    marks of transactions. Any other strangeness is a ValueError that names file and place.

    Offsets rise, but may have holes where Kafka compacted the log: the caller knows."""
    segments = _segments(folder)
    expected = 0
    for path in segments:
        for batch in _batches(path, path == segments[-1], check_crc):
            try:
                yield from _records(batch, expected)
            except ValueError as fault:
                raise ValueError(f"{path}, byte {batch.place}: {fault}") from None
            expected = batch.end_offset


def cut_tail(folder, records):
    """Damages a stopped broker's log: takes at least the last `records` records (marks of
    transactions do not count) away in whole batches, and makes the broker recover the log when it
    starts. Returns the new end offset. A ValueError if the last segment has fewer."""
    path = _segments(folder)[-1]
    kept = [(batch.end_place, batch.end_offset, 0 if batch.attributes & CONTROL else batch.count)
            for batch in _batches(path, is_last=True, check_crc=False)]
    removed = 0
    while removed < records:
        if not kept:
            raise ValueError(f"{path} has {removed} records, not {records}")
        removed += kept.pop()[2]
    base_offset = int(path.stem)
    end_place, end_offset, _ = kept[-1] if kept else (0, base_offset, 0)
    os.truncate(path, end_place)
    _forget_state(path, base_offset)
    return end_offset


def _forget_state(segment, base_offset):
    for suffix in (".index", ".timeindex"):
        segment.with_suffix(suffix).unlink(missing_ok=True)
    for snapshot in segment.parent.glob("*.snapshot"):  # named by the offset they were taken at
        if int(snapshot.stem) >= base_offset:
            snapshot.unlink()
    for name in STATE_FILES:
        (segment.parent.parent / name).unlink(missing_ok=True)
