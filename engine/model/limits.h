// Every limit of Veche, in one place, with the relations between them held at compile time.
// A limit is inclusive: exactly the limit is allowed, one more is refused. 0 never means unlimited.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace veche::limits {

using namespace std::chrono_literals;

// --- Polls -------------------------------------------------------------------------------------
inline constexpr std::size_t kQuestionsPerPoll = 32;
inline constexpr std::size_t kOptionsPerQuestion = 512;
inline constexpr std::size_t kOptionsPerPoll = 4'096;
inline constexpr std::size_t kOptionIdBytes = 64;
inline constexpr std::size_t kQuestionIdBytes = 64;
inline constexpr std::size_t kTitleBytes = 1'024;
inline constexpr std::size_t kTargetsPerPoll = 1'024;
inline constexpr std::size_t kExpectedVotersPerPoll = 4'096;
inline constexpr std::uint32_t kPointsPerChoice = 1'000'000;
inline constexpr std::size_t kFaultsTold = 64;  // of one ballot
inline constexpr std::size_t kPolls = 20'000;
inline constexpr std::uint32_t kLeastVotersMin = 2;  // k of disclosure in steps
inline constexpr std::uint32_t kLeastVotersMax = 10'000;
inline constexpr std::uint32_t kDefaultLeastVoters = 10;
inline constexpr std::uint64_t kFewExpectedVoters = 50;  // a cell with fewer is pooled
inline constexpr std::uint64_t kTurnoutStep = 10;        // live turnout in steps is a multiple
inline constexpr std::size_t kDraftChanges = 256;  // drafted, submitted, returned: of one poll
inline constexpr std::size_t kAuditsTold = 256;    // of one poll in its history: the last ones
inline constexpr std::uint8_t kMinLevel = 1;
inline constexpr std::uint8_t kMaxLevel = 3;
inline constexpr std::uint8_t kDefaultLevel = 3;

// --- Territories -------------------------------------------------------------------------------
inline constexpr std::size_t kTerritories = 50'000;
inline constexpr std::size_t kTerritoryDepth = 16;
inline constexpr std::size_t kTerritoryNameBytes = 256;
inline constexpr std::size_t kTerritoryKindBytes = 64;
inline constexpr std::size_t kTreeVersions = 1'000;
inline constexpr std::size_t kDoubtfulRowsTold = 3;  // of each kind, of a tree that is likely wrong

// --- The log -----------------------------------------------------------------------------------
inline constexpr std::uint16_t kPartitions = 1'024;
inline constexpr std::uint16_t kDefaultPartitions = 4;
inline constexpr std::size_t kRecordBytes = 512 * 1'024;
inline constexpr std::size_t kTerritoriesPartBytes = 384 * 1'024;
inline constexpr std::size_t kPublicationPartBytes = 384 * 1'024;
inline constexpr std::size_t kPublicationBytes = 64 * 1'024 * 1'024;  // all parts
inline constexpr std::size_t kPublicationCounts = 3'000'000;  // cells by the numbers of a row
inline constexpr std::size_t kPublicationsKept = 64;          // of a poll, before the last
inline constexpr std::size_t kDefinitionBytes = 480 * 1'024;  // as Protocol Buffers
static_assert(kTerritoriesPartBytes < kRecordBytes && kDefinitionBytes < kRecordBytes,
              "a part, or a definition, and its envelope fit into one record");
inline constexpr std::size_t kCertificatePartBytes = 384 * 1'024;
inline constexpr std::size_t kCertificateBytes = 8 * 1'024 * 1'024;  // all parts, compressed
inline constexpr std::size_t kCertifiedDocumentBytes = 64 * 1'024 * 1'024;
static_assert(kCertificatePartBytes < kRecordBytes, "a part and its envelope fit into one record");
inline constexpr std::size_t kAppendQueueBytes = 64 * 1'024 * 1'024;
static_assert(2 * kPublicationCounts * 10 < kPublicationBytes &&
                  kPublicationBytes <= kAppendQueueBytes,
              "shown and held of every cell can be written, whatever the numbers are");
inline constexpr std::size_t kAppendQueueRecords = 200'000;  // of Kafka: each is an object there
inline constexpr std::uint64_t kDiskReserveBytes = 256ull * 1'024 * 1'024;
inline constexpr std::size_t kDeliveryBytes = 1 * 1'024 * 1'024;  // one read while replaying
inline constexpr std::size_t kMailboxBytes = 16 * 1'024 * 1'024;  // waiting for one shard

// --- The log in Kafka --------------------------------------------------------------------------
inline constexpr std::uint16_t kKafkaPartitions = 12;  // of a log that is made now
inline constexpr auto kKafkaStartDeadline = 10s;       // for brokers to answer a node that starts
inline constexpr auto kKafkaProbeInterval = 1s;        // how often the ends are asked for
inline constexpr auto kKafkaProbeDeadline = 2s;        // of one such question
inline constexpr auto kKafkaUnreachable = 5s;          // then appends are refused: not ready
inline constexpr auto kKafkaCloseDeadline = 5s;        // for what is on its way at the end
// A broker that hangs or starts on busy cores may tell for some seconds what is no longer so.
inline constexpr auto kKafkaDoubt = 10s;        // how long a loss is told before it is believed,
inline constexpr int kKafkaDoubtAnswers = 5;    // and how often
inline constexpr auto kKafkaLookAgain = 1s;     // then it is read again
inline constexpr auto kKafkaTopicAppears = 3s;  // how long a topic may be missing

// --- Shards ------------------------------------------------------------------------------------
inline constexpr std::size_t kBallotsInFlight = 65'536;  // asked and not yet answered, per node
inline constexpr int kFilesOfDatabase = 96;  // kept open: two databases, and what they write
inline constexpr std::size_t kIndexCacheBytes = 128 * 1'024 * 1'024;
inline constexpr std::size_t kCheckpointKeys = 500'000;
inline constexpr auto kCheckpointInterval = 60s;
inline constexpr auto kTick = 50ms;  // of a shard
inline constexpr auto kStewardTick = 250ms;
inline constexpr auto kTailProofInterval = 60s;  // a node's NOOP in every partition, so often
inline constexpr auto kProveAfter = 20ms;  // an answer that waits for proof so long gets a NOOP
inline constexpr auto kPeerMemory = 150s;  // so long a tail counts, and an answer is waited for
static_assert(2 * kTailProofInterval < kPeerMemory, "the last two tails of a node are remembered");
inline constexpr auto kCloseGrace = 15s;  // the longest request plus clock skew
inline constexpr auto kClockSkew = 2s;
inline constexpr auto kParkDeadline = 8s;  // how long a ballot waits for its record, OPEN or CLOSE
inline constexpr auto kRewriteInterval = 8s;  // what the log did not bring back is written again

// --- HTTP --------------------------------------------------------------------------------------
inline constexpr std::size_t kConnectionsPerThread = 8'192;
inline constexpr std::size_t kPipelineDepth = 64;      // requests of one connection in work at once
inline constexpr std::size_t kRefusedPerThread = 256;  // connections being told "overloaded"
inline constexpr std::size_t kPipelineAnswerBytes = 1 * 1'024 * 1'024;  // then take no more
inline constexpr std::size_t kHeaderBytes = 8 * 1'024;
inline constexpr std::size_t kReadBufferBytes = 16 * 1'024;
inline constexpr std::size_t kChunkHeaderBytes = 4 * 1'024;  // also all trailers together
static_assert(kHeaderBytes < kReadBufferBytes && kChunkHeaderBytes < kReadBufferBytes,
              "a full read buffer can always be parsed further or refused");
inline constexpr std::size_t kQueryParameters = 16;
inline constexpr std::size_t kBallotBodyBytes = 64 * 1'024;
inline constexpr std::size_t kPollBodyBytes = 1 * 1'024 * 1'024;
inline constexpr std::size_t kTreeBodyBytes = 8 * 1'024 * 1'024;
inline constexpr std::size_t kBatchBodyBytes = 16 * 1'024 * 1'024;  // after decompression
// A client may send its whole body before it reads why nobody wants it.
inline constexpr std::size_t kBytesReadAfterRefusal = kBatchBodyBytes;
inline constexpr std::size_t kBatchLines = 10'000;
inline constexpr std::size_t kBatchLineBytes = 64 * 1'024;
inline constexpr std::size_t kBatchesPerThread = 8;  // bodies of up to kBatchBodyBytes each
inline constexpr std::size_t kTreesPerThread = 2;    // being read, of up to kTreeBodyBytes each
inline constexpr auto kSlice = 2ms;  // of long work on an HTTP thread; then others get their turn
static_assert(kBatchLines <= kBallotsInFlight, "a full batch fits into an idle node");
inline constexpr std::size_t kPollSecretsPerThread = 1'024;
inline constexpr std::size_t kAccessLogQueue = 65'536;  // lines
inline constexpr std::size_t kJsonDepth = 16;
inline constexpr std::size_t kListLimit = 500;
inline constexpr std::size_t kListBytes = 1 * 1'024 * 1'024;  // of a page, unless one poll has more
inline constexpr std::size_t kReadersPerThread = 16'384;      // of streams, besides connections
inline constexpr std::size_t kStreamsWrittenAtOnce = 32;      // then others get their turn
inline constexpr std::size_t kPollsPerStream = 32;
inline constexpr std::size_t kLiveViews = 4'096;  // narrowed ones, of each thread, in all
inline constexpr std::chrono::milliseconds kLiveTick{1'000};
inline constexpr std::chrono::milliseconds kLiveTickMin{20};
inline constexpr std::chrono::milliseconds kLiveTickMax{60'000};
inline constexpr auto kLiveFreshness = 1s;             // a stream never begins with what is older
inline constexpr int kStreamUnsentBytes = 16 * 1'024;  // that the kernel holds for a reader
inline constexpr auto kStreamWriteDeadline = 10s;      // a reader that takes nothing so long goes
inline constexpr auto kHeartbeatInterval = 15s;        // of a stream without news
inline constexpr std::chrono::milliseconds kByeRetryMin{1'000};  // when to come back after a drain
inline constexpr std::chrono::milliseconds kByeRetryMax{5'000};
inline constexpr auto kHeaderDeadline = 10s;
inline constexpr auto kBodyDeadline = 30s;
inline constexpr auto kHandlerDeadline = 10s;
inline constexpr auto kWriteDeadline = 30s;
inline constexpr auto kIdleDeadline = 60s;
inline constexpr auto kRetryAfter = 1s;
inline constexpr auto kLingerDeadline = 2s;    // for a refused client to see why
inline constexpr auto kSweepInterval = 250ms;  // how late a deadline may be noticed
inline constexpr auto kDrainDeadline = 20s;
static_assert(kStreamWriteDeadline < kDrainDeadline, "a drain ends before it has to be ended");
static_assert(kParkDeadline < kHandlerDeadline, "the shard gives up before the connection does");
static_assert(kHandlerDeadline + kClockSkew < kCloseGrace,
              "CLOSE is written only after every request admitted before closes_at has ended");

// --- Documents: results, pages, certificates, the tree -------------------------------------------
inline constexpr std::size_t kDocumentsAtOnce = 2;     // made in the whole process
inline constexpr std::size_t kDocumentsPerTurn = 4;    // of one subject, then others get their turn
inline constexpr std::size_t kDocumentsWaiting = 256;  // different ones, in all
inline constexpr std::size_t kDocumentsWaitingPerSubject = 64;
inline constexpr std::size_t kOfManyWaitingPerSubject = 16;  // of these: see Documents::Form
inline constexpr std::size_t kDocumentAskers = 16'384;  // who wait for them, without counted voters
inline constexpr auto kDocumentDeadline = 5s;           // who has waited longer is refused
inline constexpr auto kDocumentFreshness = 1s;          // an older one is made again
inline constexpr std::size_t kDocumentsKept = 64;       // of one subject
inline constexpr std::size_t kSubjectsKept = 4'096;
inline constexpr std::size_t kDocumentBytesKept = 64 * 1'024 * 1'024;  // with their counts, in all
static_assert(kDocumentDeadline < kHandlerDeadline, "who waits too long is told by the writers");
static_assert(kCertifiedDocumentBytes <= kDocumentBytesKept, "every certificate can be kept");

// --- Tokens ------------------------------------------------------------------------------------
inline constexpr std::size_t kTokenBytes = 2'048;
inline constexpr std::size_t kKeyIdBytes = 64;
inline constexpr std::size_t kKeysPerSet = 64;
inline constexpr std::size_t kKeyFileBytes = 256 * 1'024;
inline constexpr std::size_t kIssuerBytes = 256;  // `iss`, and as much for `aud`
inline constexpr std::size_t kStaffSubjectBytes = 128;
inline constexpr std::size_t kAddressesPerToken = 16;
inline constexpr auto kTokenLifetime = 600s;
inline constexpr auto kStaffTokenLifetime = std::chrono::hours{24 * 31};
inline constexpr auto kTokenSkew = 30s;
inline constexpr std::size_t kRsaMinBits = 2'048;
inline constexpr std::size_t kRsaMaxBits = 4'096;
inline constexpr std::size_t kHmacSecretMinBytes = 32;
inline constexpr std::size_t kVoterSecretBytes = 32;
static_assert(kRsaMaxBits / 8 * 4 / 3 < kTokenBytes / 2, "the longest signature leaves room");
static_assert(kTokenBytes < kHeaderBytes, "a request with the longest token fits into its header");

// --- Pages -------------------------------------------------------------------------------------
inline constexpr std::size_t kPollsPerPage = 50;
inline constexpr std::size_t kPageTerritories = 1'000;   // rows of a table
inline constexpr std::size_t kPageOptionColumns = 6;     // more options get no columns
inline constexpr std::size_t kSearchBytes = 256;         // what is looked for
inline constexpr std::size_t kSearchTerritories = 32;    // of one name: polls of these are found
inline constexpr std::size_t kTurnoutPointsShown = 240;  // of a drawing and its table

// --- Tools -------------------------------------------------------------------------------------
inline constexpr std::size_t kPabulibBytes = 256 * 1'024 * 1'024;  // after decompression
inline constexpr std::size_t kArrivalsBytes = 256 * 1'024 * 1'024;

}  // namespace veche::limits
