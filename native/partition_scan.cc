// GPT discovery: what lib/gpt/read.ts does, a second time and on purpose. A GUID Partition Table (UEFI specification
// 2.10, section 5.3) is what hostile bytes reach first; two readers written apart and held equal by a property test
// catch what one of them gets wrong. This one reads straight off a file descriptor or a buffer in memory.
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "async.h"

namespace ddi {
namespace {

constexpr uint32_t kSectorSizes[] = {512, 1024, 2048, 4096};
constexpr uint64_t kLargestArray = 4 * 1024 * 1024;
constexpr uint32_t kSmallestEntry = 128;
constexpr uint32_t kLargestEntry = 4096;
constexpr uint32_t kSmallestHeader = 92;

constexpr char kNoTable[] = "ERR_DDI_NO_TABLE";
constexpr char kAmbiguous[] = "ERR_DDI_GPT_AMBIGUOUS";
constexpr char kNoHeader[] = "ERR_DDI_GPT_NO_HEADER";
constexpr char kHeaderSize[] = "ERR_DDI_GPT_HEADER_SIZE";
constexpr char kHeaderCrc[] = "ERR_DDI_GPT_HEADER_CRC";
constexpr char kRevision[] = "ERR_DDI_GPT_REVISION";
constexpr char kHeaderLba[] = "ERR_DDI_GPT_HEADER_LBA";
constexpr char kEntrySize[] = "ERR_DDI_GPT_ENTRY_SIZE";
constexpr char kEntryCount[] = "ERR_DDI_GPT_ENTRY_COUNT";
constexpr char kTruncated[] = "ERR_DDI_GPT_TRUNCATED";
constexpr char kUsableRange[] = "ERR_DDI_GPT_USABLE_RANGE";
constexpr char kArrayRange[] = "ERR_DDI_GPT_ARRAY_RANGE";
constexpr char kArrayCrc[] = "ERR_DDI_GPT_ARRAY_CRC";
constexpr char kEntryRange[] = "ERR_DDI_GPT_ENTRY_RANGE";
constexpr char kOverlap[] = "ERR_DDI_GPT_OVERLAP";
constexpr char kDuplicateUuid[] = "ERR_DDI_GPT_DUPLICATE_UUID";
constexpr char kCopiesDiffer[] = "ERR_DDI_GPT_COPIES_DIFFER";
constexpr char kBackupNotAtEnd[] = "ERR_DDI_GPT_BACKUP_NOT_AT_END";
constexpr char kLeftover[] = "ERR_DDI_GPT_LEFTOVER";
constexpr char kNoProtectiveMbr[] = "ERR_DDI_GPT_NO_PROTECTIVE_MBR";

using ByteVector = std::vector<uint8_t>;

template <typename Integer>
Integer Little(const uint8_t* at) {
  Integer value;
  memcpy(&value, at, sizeof value);
  if constexpr (std::endian::native == std::endian::big) {
    auto* bytes = reinterpret_cast<uint8_t*>(&value);
    std::reverse(bytes, bytes + sizeof value);
  }
  return value;
}

uint32_t Crc32(const uint8_t* data, size_t size) {
  static const auto table = [] {
    std::array<uint32_t, 256> values{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >> 1) : value >> 1;
      values[i] = value;
    }
    return values;
  }();
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; i++) crc = table[(crc ^ data[i]) & 0xff] ^ (crc >> 8);
  return ~crc;
}

// GPT keeps the first three fields of a UUID little-endian.
std::string UuidText(const uint8_t* at) {
  static constexpr int order[] = {3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15};
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (int index : order) {
    if (index < 0) {
      text += '-';
    } else {
      text += digits[at[index] >> 4];
      text += digits[at[index] & 15];
    }
  }
  return text;
}

// Random access to what is scanned. `read` fills `length` bytes from `offset`, which the caller keeps within `size`.
struct Source {
  uint64_t size;
  std::function<std::optional<KernelError>(uint64_t offset, uint8_t* to, size_t length)> read;
};

struct Problem {
  const char* copy;
  const char* code;
  uint32_t partition;  // 0: none
};

struct Header {
  uint64_t lba, alternate, firstUsable, lastUsable, array;
  uint32_t entryCount, entrySize, arrayCrc;
  uint8_t diskUuid[16];
};

struct Entry {
  uint32_t number;
  uint64_t first, last, attributes;
  ByteVector bytes;
};

struct Scan {
  const char* code = nullptr;  // why there is no table; null if there is one
  const char* copy = nullptr;  // "primary" | "backup": where `code` was found, or which copy was read
  uint32_t partition = 0;
  uint32_t sectorSize = 0;
  Header header{};
  std::vector<Entry> entries;
  std::vector<Problem> problems;
};

class Reader {
 public:
  explicit Reader(const Source& source) : source_(source) {}

  Outcome<Scan> Read() {
    Scan scan = Locate();
    if (failure_) return *failure_;
    return scan;
  }

 private:
  // A header that its own checksum covers, or the code of its first defect.
  const char* ReadHeader(uint32_t sector, uint64_t lba, Header& header) {
    if (lba >= source_.size / sector) return kNoHeader;
    ByteVector bytes = ReadBytes(lba * sector, sector);
    if (failure_ || memcmp(bytes.data(), "EFI PART", 8) != 0) return kNoHeader;
    uint32_t size = Little<uint32_t>(&bytes[12]);
    if (size < kSmallestHeader || size > sector) return kHeaderSize;
    uint32_t crc = Little<uint32_t>(&bytes[16]);
    std::fill_n(&bytes[16], 4, 0);
    if (Crc32(bytes.data(), size) != crc) return kHeaderCrc;
    if (Little<uint16_t>(&bytes[10]) != 1) return kRevision;
    header.lba = Little<uint64_t>(&bytes[24]);
    header.alternate = Little<uint64_t>(&bytes[32]);
    if (header.lba != lba || header.alternate == lba) return kHeaderLba;
    header.firstUsable = Little<uint64_t>(&bytes[40]);
    header.lastUsable = Little<uint64_t>(&bytes[48]);
    memcpy(header.diskUuid, &bytes[56], 16);
    header.array = Little<uint64_t>(&bytes[72]);
    header.entryCount = Little<uint32_t>(&bytes[80]);
    header.entrySize = Little<uint32_t>(&bytes[84]);
    header.arrayCrc = Little<uint32_t>(&bytes[88]);
    return nullptr;
  }

  const char* CheckGeometry(uint32_t sector, const Header& h) const {
    if (h.entrySize < kSmallestEntry || h.entrySize > kLargestEntry || !std::has_single_bit(h.entrySize))
      return kEntrySize;
    uint64_t arrayBytes = uint64_t{h.entryCount} * h.entrySize;
    if (h.entryCount == 0 || arrayBytes > kLargestArray) return kEntryCount;
    uint64_t sectors = source_.size / sector;
    if (h.lastUsable >= sectors || h.alternate >= sectors) return kTruncated;
    if (h.firstUsable > h.lastUsable || (h.lba >= h.firstUsable && h.lba <= h.lastUsable)) return kUsableRange;
    uint64_t arraySectors = (arrayBytes + sector - 1) / sector;
    if (h.array < 2 || h.array >= sectors || arraySectors > sectors - h.array) return kArrayRange;
    uint64_t last = h.array + arraySectors - 1;
    if (h.lba >= h.array && h.lba <= last) return kArrayRange;
    if (h.array <= h.lastUsable && last >= h.firstUsable) return kArrayRange;
    return nullptr;
  }

  // One copy of the table: header and entry array, verified; the entries' own ranges are not looked at here.
  const char* ReadCopy(uint32_t sector, uint64_t lba, Header& header, ByteVector& array) {
    const char* code = ReadHeader(sector, lba, header);
    if (!code) code = CheckGeometry(sector, header);
    if (code) return code;
    array = ReadBytes(header.array * sector, size_t{header.entryCount} * header.entrySize);
    if (failure_) return kNoHeader;
    return Crc32(array.data(), array.size()) == header.arrayCrc ? nullptr : kArrayCrc;
  }

  Scan Locate() {
    std::vector<uint32_t> found;
    std::optional<Problem> seen;
    auto look = [&](const char* copy, auto lbaOf) {
      for (uint32_t sector : kSectorSizes) {
        uint64_t lba = lbaOf(sector);
        if (lba == 0) continue;
        Header header;
        const char* code = ReadHeader(sector, lba, header);
        if (!code) {
          found.push_back(sector);
        } else if (code != kNoHeader && !seen) {
          seen = Problem{copy, code, 0};
        }
      }
    };
    look("primary", [](uint32_t) { return uint64_t{1}; });
    if (found.size() > 1) return Failed("primary", kAmbiguous);
    if (found.size() == 1) return FromPrimary(found[0]);
    look("backup", [&](uint32_t sector) {
      uint64_t sectors = source_.size / sector;
      return sectors > 2 ? sectors - 1 : 0;
    });
    if (found.size() > 1) return Failed("backup", kAmbiguous);
    if (found.size() == 1) {
      Header unused;
      const char* code = ReadHeader(found[0], 1, unused);
      return FromBackup(found[0], code, 0);
    }
    return seen ? Failed(seen->copy, seen->code) : Failed("primary", kNoTable);
  }

  Scan FromPrimary(uint32_t sector) {
    Scan scan;
    ByteVector array;
    const char* code = ReadCopy(sector, 1, scan.header, array);
    uint64_t sectors = source_.size / sector;
    uint64_t alternate = scan.header.alternate;
    if (code) return FromBackup(sector, code, alternate);
    scan.copy = "primary";
    scan.sectorSize = sector;
    Header backup;
    ByteVector backupArray;
    const char* wrong = ReadCopy(sector, alternate, backup, backupArray);
    if (!wrong && !Same(scan.header, backup)) wrong = kCopiesDiffer;
    if (wrong) scan.problems.push_back({"backup", wrong, 0});
    if (alternate != sectors - 1) scan.problems.push_back({"backup", kBackupNotAtEnd, 0});
    return Finish(std::move(scan), array);
  }

  // `alternate` is where the primary says that its backup is, or 0; where it is not, it may be at the end.
  Scan FromBackup(uint32_t sector, const char* primaryCode, uint64_t alternate) {
    Scan scan;
    scan.copy = "backup";
    scan.sectorSize = sector;
    scan.problems.push_back({"primary", primaryCode, 0});
    ByteVector array;
    uint64_t last = source_.size / sector - 1;
    bool found = alternate >= 2 && alternate < last && !ReadCopy(sector, alternate, scan.header, array);
    const char* code = found ? nullptr : ReadCopy(sector, last, scan.header, array);
    // What ails the primary is what to tell, unless there is no primary at all.
    if (code) return primaryCode == kNoHeader ? Failed("backup", code) : Failed("primary", primaryCode);
    if (!HasProtectiveMbr() || HasSuperblock()) return Failed("backup", kLeftover);
    return Finish(std::move(scan), array);
  }

  // What file systems and the like leave on a disk without overwriting its protective MBR: lib/gpt/superblock.ts.
  bool HasSuperblock() {
    static constexpr struct {
      uint64_t at;
      std::string_view magic;
    } kinds[] = {
        {512, "LABELONE"},
        {1024, "\xe2\xe1\xf5\xe0"},
        {1024, "\x10\x20\xf5\xf2"},
        {1080, "\x53\xef"},
        {4086, "SWAPSPACE2"},
        {8182, "SWAPSPACE2"},
        {16374, "SWAPSPACE2"},
        {65526, "SWAPSPACE2"},
        {4096, "\xfc\x4e\x2b\xa9"},
        {4120, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"},
        {4120, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"},
        {32768, "JFS1"},
        {32769, "CD001"},
        {65588, "ReIsEr"},
        {65600, "_BHRfS_M"},
    };
    for (const auto& [at, magic] : kinds) {
      if (at + magic.size() > source_.size) continue;
      ByteVector bytes = ReadBytes(at, magic.size());
      if (!failure_ && memcmp(bytes.data(), magic.data(), magic.size()) == 0) return true;
    }
    return false;
  }

  static bool Same(const Header& a, const Header& b) {
    return a.firstUsable == b.firstUsable && a.lastUsable == b.lastUsable && a.entryCount == b.entryCount &&
           a.entrySize == b.entrySize && a.arrayCrc == b.arrayCrc && a.lba == b.alternate && a.alternate == b.lba &&
           memcmp(a.diskUuid, b.diskUuid, 16) == 0;
  }

  // The checksum of the array is right: its entries are as they were written, and the other copy has the same.
  Scan Finish(Scan scan, const ByteVector& array) {
    static constexpr uint8_t unused[16] = {};
    const Header& h = scan.header;
    for (uint32_t i = 0; i < h.entryCount; i++) {
      const uint8_t* at = &array[size_t{i} * h.entrySize];
      if (memcmp(at, unused, 16) == 0) continue;
      Entry entry{i + 1, Little<uint64_t>(at + 32), Little<uint64_t>(at + 40), Little<uint64_t>(at + 48),
                  ByteVector(at, at + kSmallestEntry)};
      if (entry.first > entry.last || entry.first < h.firstUsable || entry.last > h.lastUsable)
        return Failed(scan.copy, kEntryRange, entry.number);
      scan.entries.push_back(std::move(entry));
    }
    std::vector<const Entry*> order;
    for (const Entry& entry : scan.entries) order.push_back(&entry);
    std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->first < b->first; });
    for (size_t i = 1; i < order.size(); i++) {
      if (order[i]->first <= order[i - 1]->last) return Failed(scan.copy, kOverlap, order[i]->number);
    }
    std::unordered_set<std::string_view> uuids;
    for (const Entry& entry : scan.entries) {
      std::string_view uuid(reinterpret_cast<const char*>(&entry.bytes[16]), 16);
      if (uuid == std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16)) continue;
      if (!uuids.insert(uuid).second) scan.problems.push_back({scan.copy, kDuplicateUuid, entry.number});
    }
    if (!HasProtectiveMbr()) scan.problems.push_back({"primary", kNoProtectiveMbr, 0});
    return scan;
  }

  bool HasProtectiveMbr() {
    ByteVector mbr = ReadBytes(0, 512);
    if (failure_ || mbr[510] != 0x55 || mbr[511] != 0xaa) return false;
    for (size_t at = 446; at < 510; at += 16) {
      if (mbr[at + 4] == 0xee) return true;
    }
    return false;
  }

  static Scan Failed(const char* copy, const char* code, uint32_t partition = 0) {
    Scan scan;
    scan.code = code;
    scan.copy = copy;
    scan.partition = partition;
    return scan;
  }

  ByteVector ReadBytes(uint64_t offset, size_t length) {
    ByteVector bytes(length);
    if (!failure_) failure_ = source_.read(offset, bytes.data(), length);
    return bytes;
  }

  const Source& source_;
  std::optional<KernelError> failure_;
};

double Bytes(uint64_t lba, uint32_t sector) { return static_cast<double>(lba * sector); }

Napi::Value ToJs(Napi::Env env, const Scan& scan) {
  Napi::Object value = Napi::Object::New(env);
  value["copy"] = Napi::String::New(env, scan.copy);
  if (scan.code) {
    value["code"] = Napi::String::New(env, scan.code);
    if (scan.partition) value["partition"] = Napi::Number::New(env, scan.partition);
    return value;
  }
  const Header& h = scan.header;
  Napi::Object table = Napi::Object::New(env);
  table["sectorSize"] = Napi::Number::New(env, scan.sectorSize);
  table["uuid"] = Napi::String::New(env, UuidText(h.diskUuid));
  table["entrySize"] = Napi::Number::New(env, h.entrySize);
  table["entryCount"] = Napi::Number::New(env, h.entryCount);
  table["usableStart"] = Napi::Number::New(env, Bytes(h.firstUsable, scan.sectorSize));
  table["usableEnd"] = Napi::Number::New(env, Bytes(h.lastUsable + 1, scan.sectorSize));
  Napi::Array partitions = Napi::Array::New(env, scan.entries.size());
  Napi::Function fromCharCode = env.Global().Get("String").As<Napi::Object>().Get("fromCharCode").As<Napi::Function>();
  for (size_t i = 0; i < scan.entries.size(); i++) {
    const Entry& entry = scan.entries[i];
    Napi::Object partition = Napi::Object::New(env);
    partition["number"] = Napi::Number::New(env, entry.number);
    partition["typeUuid"] = Napi::String::New(env, UuidText(&entry.bytes[0]));
    partition["uuid"] = Napi::String::New(env, UuidText(&entry.bytes[16]));
    partition["start"] = Napi::Number::New(env, Bytes(entry.first, scan.sectorSize));
    partition["length"] = Napi::Number::New(env, Bytes(entry.last - entry.first + 1, scan.sectorSize));
    partition["attributes"] = Napi::BigInt::New(env, entry.attributes);
    std::vector<napi_value> label;
    for (size_t unit = 0; unit < 36; unit++) {
      uint16_t c = Little<uint16_t>(&entry.bytes[56 + 2 * unit]);
      if (c == 0) break;
      label.push_back(Napi::Number::New(env, c));
    }
    // napi_create_string_utf16() replaces halves of surrogate pairs: a name that is written back would be another.
    partition["label"] = fromCharCode.Call(label);
    partitions[i] = partition;
  }
  table["partitions"] = partitions;
  value["table"] = table;
  Napi::Array problems = Napi::Array::New(env, scan.problems.size());
  for (size_t i = 0; i < scan.problems.size(); i++) {
    Napi::Object problem = Napi::Object::New(env);
    problem["copy"] = Napi::String::New(env, scan.problems[i].copy);
    problem["code"] = Napi::String::New(env, scan.problems[i].code);
    if (scan.problems[i].partition) problem["partition"] = Napi::Number::New(env, scan.problems[i].partition);
    problems[i] = problem;
  }
  value["problems"] = problems;
  return value;
}

// (fd, path, size) -> Scan
Napi::Value ScanDescriptor(const Napi::CallbackInfo& info) {
  return Task<Scan>::Run(
      info.Env(),
      [fd = Int(info, 0), path = Text(info, 1), size = static_cast<uint64_t>(Number(info, 2))]() -> Outcome<Scan> {
        Source source{size, [&](uint64_t offset, uint8_t* to, size_t length) -> std::optional<KernelError> {
                        while (length > 0) {
                          ssize_t got = pread(fd, to, length, static_cast<off_t>(offset));
                          if (got < 0 && errno == EINTR) continue;
                          if (got <= 0) return KernelError{got < 0 ? errno : ENODATA, "pread", path};
                          to += got, offset += got, length -= got;
                        }
                        return std::nullopt;
                      }};
        return Reader(source).Read();
      });
}

// (bytes) -> Scan, at once: the bytes are in memory and the table is small
Napi::Value ScanBytes(const Napi::CallbackInfo& info) {
  Napi::Uint8Array bytes = info[0].As<Napi::Uint8Array>();
  Source source{bytes.ByteLength(), [&](uint64_t offset, uint8_t* to, size_t length) -> std::optional<KernelError> {
                  memcpy(to, bytes.Data() + offset, length);
                  return std::nullopt;
                }};
  Outcome<Scan> outcome = Reader(source).Read();
  return ToJs(info.Env(), std::get<Scan>(outcome));
}

}  // namespace

void ExportPartitionScan(Napi::Env env, Napi::Object exports) {
  exports["scanPartitions"] = Napi::Function::New(env, ScanDescriptor);
  exports["scanPartitionsInBytes"] = Napi::Function::New(env, ScanBytes);
}

}  // namespace ddi
