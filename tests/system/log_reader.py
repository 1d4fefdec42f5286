"""Reads the log of a stopped server, without a line of the server's code: first RocksDB's files,
then the groups of records in them, then Protocol Buffers. Or the log in a Kafka, from the files of a
broker.

The embedded log writes each key once and never deletes, so all tables and write-ahead logs together hold
it, whatever RocksDB's manifest says of them. Both formats are described in RocksDB's wiki."""

import collections
import pathlib
import struct

import kafka_segments
from varints import varint

CONTROL = 0xFFFF  # the control partition's number
TABLE_MAGIC = 0x88E241B785F4CFF7
WAL_BLOCK = 32 * 1024
BLOCK_TRAILER = 5  # compression and checksum

Record = collections.namedtuple("Record", "partition offset kind message")


# --- RocksDB -------------------------------------------------------------------------------------


def block_end(block):
    """Where the entries end and the restart points begin."""
    restarts = struct.unpack_from("<I", block, len(block) - 4)[0] & 0x7FFFFFFF
    return len(block) - 4 - 4 * restarts


def block_entries(block):
    """(key, value) of a data block; a key is told as a difference to the one before."""
    at, end, key = 0, block_end(block), b""
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at:at + fresh]
        at += fresh
        yield key, block[at:at + length]
        at += length


def index_handles(block):
    """(offset, size) of the data blocks: whole at a restart point, else the size's difference."""
    at, end, offset, size = 0, block_end(block), 0, 0
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        value, at = varint(block, at + fresh)
        if shared:
            offset += size + BLOCK_TRAILER
            size += (value >> 1) ^ -(value & 1)
        else:
            offset = value
            size, at = varint(block, at)
        yield offset, size


def table_entries(path):
    """(user key, value) of a table file; nothing if it was never finished."""
    data = path.read_bytes()
    if len(data) < 53 or struct.unpack_from("<Q", data, len(data) - 8)[0] != TABLE_MAGIC:
        return
    footer = data[-53:]
    _, at = varint(footer, 1)
    _, at = varint(footer, at)
    index_at, at = varint(footer, at)
    index_size, at = varint(footer, at)
    for offset, size in index_handles(data[index_at:index_at + index_size]):
        if data[offset + size] != 0:
            raise ValueError(f"{path} is compressed")
        for key, value in block_entries(data[offset:offset + size]):
            yield key[:-8], value  # without sequence number and type


def wal_records(path):
    """The whole records of a write-ahead log, up to a torn tail."""
    data = path.read_bytes()
    at, parts = 0, b""
    while at + 7 <= len(data):
        if WAL_BLOCK - at % WAL_BLOCK < 7:
            at += WAL_BLOCK - at % WAL_BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        if kind not in (1, 2, 3, 4) or at + 7 + length > len(data):
            return
        parts += data[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


def batch_entries(batch):
    at = 12  # sequence and count
    while at < len(batch):
        if batch[at] != 1:
            raise ValueError(f"a write batch holds something else than a put: {batch[at]}")
        length, at = varint(batch, at + 1)
        key, at = batch[at:at + length], at + length
        length, at = varint(batch, at)
        yield key, batch[at:at + length]
        at += length


def stored_groups(folder):
    folder = pathlib.Path(folder)
    groups = {}
    for path in folder.glob("*.sst"):
        groups.update(table_entries(path))
    for path in folder.glob("*.log"):
        for batch in wal_records(path):
            groups.update(batch_entries(batch))
    return groups


# --- Protocol Buffers ----------------------------------------------------------------------------


def fields(message):
    """{field number: [values]}: numbers as int, the rest as bytes."""
    found, at = collections.defaultdict(list), 0
    while at < len(message):
        tag, at = varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = varint(message, at)
        elif wire == 1:
            value, at = message[at:at + 8], at + 8
        elif wire == 2:
            length, at = varint(message, at)
            value, at = message[at:at + length], at + length
        elif wire == 5:
            value, at = message[at:at + 4], at + 4
        else:
            raise ValueError(f"wire type {wire}")
        found[tag >> 3].append(value)
    return found


def first(message, number, otherwise=b""):
    return message.get(number, [otherwise])[0]


def numbers(message, number):
    """A repeated whole number, packed or not."""
    result = []
    for value in message.get(number, []):
        if isinstance(value, int):
            result.append(value)
            continue
        at = 0
        while at < len(value):
            item, at = varint(value, at)
            result.append(item)
    return result


# --- The log -------------------------------------------------------------------------------------

KINDS = {10: "genesis", 11: "hello", 12: "noop", 13: "territories", 14: "poll_change",
         15: "publication", 16: "audit_read", 17: "certificate", 20: "open", 21: "close",
         22: "ballot"}
QUESTION_KINDS = {1: "single", 2: "approval", 3: "ranked", 4: "points"}


def read_log(folder):
    """Every record in the order of its partition. A hole or strange bytes are a ValueError."""
    expected = collections.Counter()
    for key, value in sorted(stored_groups(folder).items()):
        partition, offset = struct.unpack(">HQ", key)
        if offset != expected[partition]:
            raise ValueError(f"partition {partition}: {offset} follows {expected[partition]}")
        at = 0
        while at < len(value):
            length, = struct.unpack_from("<I", value, at)
            yield _record(partition, offset, value[at + 4:at + 4 + length])
            at += 4 + length
            offset += 1
        expected[partition] = offset


def read_kafka(cluster, name, broker=1):
    """The same of a log in Kafka, as one broker has it. A record of somebody else is "foreign"."""
    folders = {CONTROL: cluster.partitions(f"{name}.control", broker)[0],
               **cluster.partitions(f"{name}.ballots", broker)}
    for partition, folder in sorted(folders.items()):
        expected = 0
        for stored in kafka_segments.read_partition(folder, check_crc=False):
            if stored.offset != expected:
                raise ValueError(f"partition {partition}: {stored.offset} follows {expected}")
            if stored.timestamp_ms % 3_600_000 or stored.key is not None or stored.headers:
                if not _is_foreign(stored.value):
                    raise ValueError(f"{stored} tells more than a record should")
            expected += 1
            if _is_foreign(stored.value):
                yield Record(partition, stored.offset, "foreign", {})
            else:
                yield _record(partition, stored.offset, stored.value)


def _is_foreign(data):
    return data is None or not data.startswith(b"\x0d\x31\x48\x43\x56")


def _record(partition, offset, data):
    record = fields(data)
    kinds = [number for number in record if number in KINDS]
    if first(record, 1) != bytes.fromhex("31484356") or len(kinds) != 1:
        raise ValueError(f"partition {partition}, offset {offset}: not a record of Veche")
    return Record(partition, offset, KINDS[kinds[0]], fields(first(record, kinds[0])))


def definition(message):
    """Poll id and, for each question, its id, kind and options."""
    questions = []
    for data in message.get(10, []):
        question = fields(data)
        questions.append({"id": first(question, 1).decode(),
                          "kind": QUESTION_KINDS[first(question, 3, 0)],
                          "points": numbers(question, 6),
                          "options": [first(fields(option), 1).decode()
                                      for option in question.get(7, [])]})
    return first(message, 1).decode(), questions


def named_answers(ballot, questions):
    """The answers of a ballot record as the interface writes them."""
    named = []
    for data in fields(first(ballot, 5)).get(1, []):
        answer = fields(data)
        question = questions[first(answer, 1, 0)]
        chosen = [question["options"][place] for place in numbers(answer, 2)]
        if question["kind"] == "points":
            chosen = dict(zip(chosen, numbers(answer, 3)))
        named.append({"question": question["id"], "choices": chosen})
    return named
