"""The reader of a broker's files, held against files that are built here byte by byte: what Kafka
stores is read as it was stored, and what Kafka would not store is refused."""

import pathlib
import struct
import tempfile
import unittest

import kafka_segments
from kafka_segments import Record, crc32c

GZIP, LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 1, 0x08, 0x10, 0x20
BEGIN_MS = 1_700_000_000_000
COMMIT = (b"\0\0\0\1", b"\0\0\0\0\0\0")


# --- The builder ---------------------------------------------------------------------------------


def bitwise_crc32c(data):
    """By the definition: slow, and nothing of the tables that are tested."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def signed(value):
    value = value << 1 if value >= 0 else (-value << 1) - 1
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def sized(data):
    return signed(-1) if data is None else signed(len(data)) + data


def record_bytes(offset_delta, key, value, headers=(), timestamp_delta=0):
    body = b"\0" + signed(timestamp_delta) + signed(offset_delta) + sized(key) + sized(value)
    body += signed(len(headers))
    for name, content in headers:
        body += sized(name) + sized(content)
    return sized(body)


def batch_of(base_offset, records, count, attributes=0, last=None, magic=2, max_ms=BEGIN_MS):
    """`last` is the last offset's distance, if it is not that of `count` records in a row."""
    covered = struct.pack(">hiqqqhii", attributes, count - 1 if last is None else last, BEGIN_MS,
                          max_ms, -1, -1, -1, count) + records
    behind_length = struct.pack(">ibI", 0, magic, bitwise_crc32c(covered)) + covered
    return struct.pack(">qi", base_offset, len(behind_length)) + behind_length


def batch(base_offset, *pairs, attributes=0):
    """Of pairs (key, value), each the record behind the one before."""
    records = b"".join(record_bytes(place, *pair) for place, pair in enumerate(pairs))
    return batch_of(base_offset, records, len(pairs), attributes)


def record(offset, key, value, headers=(), timestamp_ms=BEGIN_MS, control=False):
    return Record(offset, timestamp_ms, key, value, list(headers), control)


class Files(unittest.TestCase):
    """A broker's data folder with one partition."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data_dir = pathlib.Path(folder.name)
        self.folder = self.data_dir / "votes-0"
        self.folder.mkdir()

    def segment(self, base_offset, *parts):
        path = self.folder / f"{base_offset:020}.log"
        path.write_bytes(b"".join(parts))
        return path

    def read(self, **options):
        return list(kafka_segments.read_partition(self.folder, **options))

    def offsets(self):
        return [record.offset for record in self.read()]

    def assert_refused(self, path, place, text, **options):
        with self.assertRaises(ValueError) as refusal:
            self.read(**options)
        self.assertTrue(str(refusal.exception).startswith(f"{path}, byte {place}: {text}"),
                        refusal.exception)


# --- CRC-32C -------------------------------------------------------------------------------------


class Crc(unittest.TestCase):
    def test_known_answers(self):  # the check value of the CRC catalogues, and RFC 3720, B.4
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(crc32c(bytes(32)), 0x8A9136AA)
        self.assertEqual(crc32c(b"\xff" * 32), 0x62A8AB43)
        self.assertEqual(crc32c(bytes(range(32))), 0x46DD794E)
        self.assertEqual(crc32c(b""), 0)

    def test_every_length_around_the_step(self):
        data = bytes(value * 37 % 251 for value in range(40))
        for length in range(len(data)):
            self.assertEqual(crc32c(data[:length]), bitwise_crc32c(data[:length]), length)


# --- Reading -------------------------------------------------------------------------------------


class Reading(Files):
    def test_records_of_several_batches_and_segments_in_order(self):
        self.segment(3, batch(3, (b"d", b"4")), batch(4, (b"e", b"5")))
        self.segment(0, batch(0, (b"a", b"1"), (b"b", b"2")), batch(2, (b"c", b"3")))
        self.segment(5)  # as a broker has it that just began it
        self.assertEqual(self.read(), [record(0, b"a", b"1"), record(1, b"b", b"2"),
                                       record(2, b"c", b"3"), record(3, b"d", b"4"),
                                       record(4, b"e", b"5")])

    def test_null_is_told_from_empty(self):
        self.segment(0, batch(0, (None, b"v"), (b"k", None), (b"", b""), (None, None)))
        self.assertEqual(self.read(), [record(0, None, b"v"), record(1, b"k", None),
                                       record(2, b"", b""), record(3, None, None)])

    def test_headers(self):
        headers = [("a", b"1"), ("a", b"2"), ("\u0436", None), ("", b"")]
        raw = [(name.encode(), content) for name, content in headers]
        self.segment(0, batch_of(0, record_bytes(0, b"k", b"v", raw), 1))
        self.assertEqual(self.read(), [record(0, b"k", b"v", headers)])

    def test_lengths_of_several_bytes(self):
        value = bytes(range(256)) * 300
        self.segment(0, batch(0, (b"k" * 64, value), (b"l", b"w")))
        self.assertEqual(self.read(), [record(0, b"k" * 64, value), record(1, b"l", b"w")])

    def test_timestamps_may_lie_before_the_first(self):
        self.segment(0, batch_of(0, record_bytes(0, b"a", b"1")
                                 + record_bytes(1, b"b", b"2", timestamp_delta=-70_000)
                                 + record_bytes(2, b"c", b"3", timestamp_delta=1 << 40), 3))
        self.assertEqual([record.timestamp_ms - BEGIN_MS for record in self.read()],
                         [0, -70_000, 1 << 40])

    def test_a_broker_s_own_time_is_that_of_the_whole_batch(self):
        self.segment(0, batch_of(0, record_bytes(0, b"a", b"1", timestamp_delta=7), 1,
                                 LOG_APPEND_TIME, max_ms=BEGIN_MS + 900))
        self.assertEqual([record.timestamp_ms for record in self.read()], [BEGIN_MS + 900])

    def test_control_batch(self):
        self.segment(0, batch(0, (b"a", b"1"), attributes=TRANSACTIONAL),
                     batch(1, COMMIT, attributes=TRANSACTIONAL | CONTROL))
        self.assertEqual(self.read(), [record(0, b"a", b"1"), record(1, *COMMIT, control=True)])

    def test_holes_of_a_compacted_log(self):
        self.segment(0, batch_of(0, record_bytes(2, b"c", b"3"), 1, last=4),
                     batch_of(5, b"", 0, last=3), batch(20, (b"d", b"4")))
        self.assertEqual(self.read(), [record(2, b"c", b"3"), record(20, b"d", b"4")])

    def test_other_files_are_no_segments(self):
        self.segment(0, batch(0, (b"a", b"1")))
        for name in ("00000000000000000001.log.deleted", "00000000000000000000.index", "1.log"):
            (self.folder / name).write_bytes(b"anything" * 20)
        self.assertEqual(self.read(), [record(0, b"a", b"1")])

    def test_partitions_of_exactly_this_topic(self):
        for name in ("votes-1", "votes-12", "votes-2-0", "my-votes-0", "votes.of-0", "votesXof-0",
                     "votes-3.5f1c-delete", "votes-x", "votes-"):
            (self.data_dir / name).mkdir()
        (self.data_dir / "votes-7").write_bytes(b"a file")
        for topic, numbers in (("votes", (0, 1, 12)), ("votes-2", (0,)), ("votes.of", (0,)),
                               ("vote", ())):
            self.assertEqual(kafka_segments.partitions(self.data_dir, topic),
                             {number: self.data_dir / f"{topic}-{number}" for number in numbers})


class TornTail(Files):
    def setUp(self):
        super().setUp()
        self.whole = batch(0, (b"a", b"1"))
        self.next = batch(1, (b"b", b"2"), (b"c", b"3"))

    def test_ends_the_last_segment_wherever_it_is_torn(self):
        for length in range(len(self.next)):
            self.segment(0, self.whole, self.next[:length])
            self.assertEqual(self.offsets(), [0], length)

    def test_zero_bytes_of_a_preallocated_file(self):
        for length in (1, 16, 17, 61, 5000, 3 << 20):
            self.segment(0, self.whole, bytes(length))
            self.assertEqual(self.offsets(), [0], length)

    def test_is_refused_before_other_segments(self):
        self.segment(1, self.next)
        for tail, fault in ((self.next[:-1], "part of a batch"), (self.next[:9], "part of"),
                            (bytes(100), "zero bytes")):
            path = self.segment(0, self.whole, tail)
            self.assert_refused(path, len(self.whole), fault)

    def test_is_nothing_that_more_follows(self):
        path = self.segment(0, self.whole, bytes(200), self.next)
        self.assert_refused(path, len(self.whole), "magic 0")


class Refusals(Files):
    def setUp(self):
        super().setUp()
        self.first = batch(0, (b"a", b"1"))

    def assert_second_refused(self, second, text, **options):
        path = self.segment(0, self.first, second)
        self.assert_refused(path, len(self.first), text, **options)

    def test_any_changed_byte_that_the_crc_covers(self):
        good = batch(1, (b"b", b"2"))
        for place in range(17, len(good)):
            bad = bytearray(good)
            bad[place] ^= 1
            self.assert_second_refused(bytes(bad), "a broken CRC")

    def test_a_broken_crc_is_read_only_by_those_who_do_not_check_it(self):
        good = batch(1, (b"b", b"2"))
        self.segment(0, self.first, good[:17] + b"\0\0\0\0" + good[21:])
        self.assertEqual(self.read(check_crc=False), [record(0, b"a", b"1"), record(1, b"b", b"2")])

    def test_a_compressed_batch(self):
        self.assert_second_refused(batch_of(1, b"anything", 1, GZIP), "a compressed batch, type 1")
        self.assert_second_refused(batch_of(1, b"anything", 1, GZIP), "a compressed batch, type 1",
                                   check_crc=False)

    def test_another_magic(self):
        for magic in (0, 1, 3):
            self.assert_second_refused(batch_of(1, b"", 0, magic=magic), f"magic {magic}")

    def test_a_length_shorter_than_the_header(self):
        good = batch(1, (b"b", b"2"))
        for length in (-1, 0, 48):
            self.assert_second_refused(good[:8] + struct.pack(">i", length) + good[12:],
                                       f"a batch of length {length}")

    def test_an_offset_that_was_there_before(self):
        self.assert_second_refused(batch(0, (b"b", b"2")), "offset 0 is out of order")
        self.segment(0, self.first)
        path = self.segment(1, batch(0, (b"b", b"2")))
        self.assert_refused(path, 0, "offset 0 is out of order")

    def test_an_offset_outside_of_its_batch(self):
        one = record_bytes(0, b"b", b"2")
        self.assert_second_refused(batch_of(1, one + one, 2), "offset 1 is out of order")
        self.assert_second_refused(batch_of(1, one + record_bytes(2, b"c", b"3"), 2), "offset 3")

    def test_records_that_do_not_fit_their_batch(self):
        one = record_bytes(0, b"b", b"2")
        self.assert_second_refused(batch_of(1, one + b"\0", 1), "a batch holds more")
        self.assert_second_refused(batch_of(1, one, 2), "a record goes beyond")
        self.assert_second_refused(batch_of(1, one[:-1], 1), "a record goes beyond")
        self.assert_second_refused(batch_of(1, signed(len(one)) + one[1:] + b"\0", 1), "a record")

    def test_a_header_that_is_no_text(self):
        for name in (None, b"\xff"):
            self.assert_second_refused(
                batch_of(1, record_bytes(0, b"b", b"2", [(name, b"1")]), 1), "")

    def test_a_folder_without_segments(self):
        for folder in (self.folder, self.data_dir / "votes-9"):
            with self.assertRaisesRegex(ValueError, "has no segments"):
                list(kafka_segments.read_partition(folder))


# --- Cutting -------------------------------------------------------------------------------------


class CutTail(Files):
    def setUp(self):
        """Offsets 0 to 1 in the first segment; 2 to 4, 5 and 6 to 7 in the last."""
        super().setUp()
        self.first = self.segment(0, batch(0, (b"a", b"1"), (b"b", b"2")))
        self.batches = [batch(2, (b"c", b"3"), (b"d", b"4"), (b"e", b"5")), batch(5, (b"f", b"6")),
                        batch(6, (b"g", b"7"), (b"h", b"8"))]
        self.last = self.segment(2, *self.batches)

    def test_takes_whole_batches(self):
        for records, kept, end_offset in ((0, 3, 8), (1, 2, 6), (2, 2, 6), (3, 1, 5), (4, 0, 2),
                                          (6, 0, 2)):
            self.segment(2, *self.batches)
            self.assertEqual(kafka_segments.cut_tail(self.folder, records), end_offset, records)
            self.assertEqual(self.last.read_bytes(), b"".join(self.batches[:kept]), records)
            self.assertEqual(self.offsets(), list(range(end_offset)), records)

    def test_takes_a_torn_tail_along_that_counts_for_nothing(self):
        for tail in (self.batches[2][:-1], bytes(1000)):
            self.segment(2, *self.batches[:2], tail)
            self.assertEqual(kafka_segments.cut_tail(self.folder, 1), 5)
            self.assertEqual(self.last.read_bytes(), self.batches[0])

    def test_marks_of_transactions_do_not_count(self):
        self.segment(2, *self.batches, batch(8, COMMIT, attributes=TRANSACTIONAL | CONTROL))
        self.assertEqual(kafka_segments.cut_tail(self.folder, 1), 6)

    def test_the_end_is_behind_the_offsets_that_compaction_took(self):
        self.segment(2, batch_of(2, record_bytes(1, b"c", b"3"), 1, last=7),
                     batch(10, (b"d", b"4")))
        self.assertEqual(kafka_segments.cut_tail(self.folder, 1), 10)

    def test_more_than_the_last_segment_has_changes_nothing(self):
        index = self.last.with_suffix(".index")
        index.write_bytes(b"index")
        with self.assertRaisesRegex(ValueError, "has 6 records, not 7"):
            kafka_segments.cut_tail(self.folder, 7)
        self.assertEqual(self.last.read_bytes(), b"".join(self.batches))
        self.assertTrue(index.exists())

    def test_makes_the_broker_recover_the_log(self):
        forgotten = [self.folder / f"{2:020}{suffix}" for suffix in
                     (".index", ".timeindex", ".snapshot")] + [self.folder / f"{8:020}.snapshot"]
        forgotten += [self.data_dir / name for name in
                      ("recovery-point-offset-checkpoint", "replication-offset-checkpoint",
                       ".kafka_cleanshutdown")]
        kept = [self.folder / f"{0:020}{suffix}" for suffix in
                (".index", ".timeindex", ".snapshot")]
        kept += [self.folder / "leader-epoch-checkpoint", self.folder / "partition.metadata",
                 self.data_dir / "meta.properties", self.first, self.last]
        for path in forgotten + kept[:-2]:
            path.write_bytes(b"state")
        kafka_segments.cut_tail(self.folder, 1)
        self.assertEqual([path for path in forgotten if path.exists()], [])
        self.assertEqual([path for path in kept if not path.exists()], [])


if __name__ == "__main__":
    unittest.main()
