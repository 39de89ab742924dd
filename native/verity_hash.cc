// dm-verity's hashing: every block of a volume, salted, against the digests of the level above it.
// Format: Documentation/admin-guide/device-mapper/verity.rst and cryptsetup's DMVerity page (hash type 1).
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <vector>

#include "async.h"
#include "sha256.h"
#include "sha512.h"

namespace ddi {
namespace {

// How much of a volume one thread reads at once.
constexpr size_t kReadBytes = 256 * 1024;

struct Sha256 {
  using Word = uint32_t;
  static constexpr size_t kBlock = 64;
  static constexpr size_t kDigest = 32;
  static constexpr const Word* kInitial = kSha256Initial;
  const Sha256Implementation* implementation;

  void One(Word* state, const uint8_t* data, size_t count) const { implementation->one(state, data, count); }
  void Two(Word* a, const uint8_t* dataA, Word* b, const uint8_t* dataB, size_t count) const {
    implementation->two(a, dataA, b, dataB, count);
  }
};

struct Sha512 {
  using Word = uint64_t;
  static constexpr size_t kBlock = 128;
  static constexpr size_t kDigest = 64;
  static constexpr const Word* kInitial = kSha512Initial;

  void One(Word* state, const uint8_t* data, size_t count) const { Sha512Compress(state, data, count); }
  void Two(Word* a, const uint8_t* dataA, Word* b, const uint8_t* dataB, size_t count) const {
    Sha512Compress(a, dataA, count);
    Sha512Compress(b, dataB, count);
  }
};

// Hashes salt || block for blocks of one length.
class SaltedHash {
 public:
  virtual ~SaltedHash() = default;
  virtual size_t digestSize() const = 0;
  virtual void One(const uint8_t* block, uint8_t* digest) const = 0;
  virtual void Two(const uint8_t* a, const uint8_t* b, uint8_t* digestA, uint8_t* digestB) const = 0;
};

// All messages have one layout, so the salt's whole blocks are folded in once, and of every message only the seam
// between salt and data and the padded tail are copied: the middle is hashed in place.
template <typename Algorithm>
class SaltedHashOf final : public SaltedHash {
 public:
  SaltedHashOf(Algorithm algorithm, const std::string& salt, size_t blockSize) : algorithm_(algorithm) {
    constexpr size_t unit = Algorithm::kBlock;
    std::copy_n(Algorithm::kInitial, 8, initial_);
    const auto* bytes = reinterpret_cast<const uint8_t*>(salt.data());
    algorithm_.One(initial_, bytes, salt.size() / unit);
    seam_.assign(bytes + salt.size() / unit * unit, bytes + salt.size());
    // A block may be shorter than what completes the seam (512-byte blocks never are: a unit has at most 128).
    head_ = seam_.empty() ? 0 : unit - seam_.size();
    middle_ = (blockSize - head_) / unit;
    tail_ = blockSize - head_ - middle_ * unit;
    size_t lengthBytes = unit / 8;
    padded_ = tail_ + 1 + lengthBytes <= unit ? unit : 2 * unit;
    bits_ = static_cast<uint64_t>(salt.size() + blockSize) * 8;
  }

  size_t digestSize() const override { return Algorithm::kDigest; }

  void One(const uint8_t* block, uint8_t* digest) const override {
    Word state[8];
    uint8_t edge[2 * Algorithm::kBlock];
    std::copy_n(initial_, 8, state);
    if (head_ > 0) algorithm_.One(state, Seam(block, edge), 1);
    algorithm_.One(state, block + head_, middle_);
    algorithm_.One(state, Tail(block, edge), padded_ / Algorithm::kBlock);
    Store(state, digest);
  }

  void Two(const uint8_t* a, const uint8_t* b, uint8_t* digestA, uint8_t* digestB) const override {
    Word stateA[8], stateB[8];
    uint8_t edgeA[2 * Algorithm::kBlock], edgeB[2 * Algorithm::kBlock];
    std::copy_n(initial_, 8, stateA);
    std::copy_n(initial_, 8, stateB);
    if (head_ > 0) algorithm_.Two(stateA, Seam(a, edgeA), stateB, Seam(b, edgeB), 1);
    algorithm_.Two(stateA, a + head_, stateB, b + head_, middle_);
    algorithm_.Two(stateA, Tail(a, edgeA), stateB, Tail(b, edgeB), padded_ / Algorithm::kBlock);
    Store(stateA, digestA);
    Store(stateB, digestB);
  }

 private:
  using Word = typename Algorithm::Word;

  const uint8_t* Seam(const uint8_t* block, uint8_t* edge) const {
    memcpy(edge, seam_.data(), seam_.size());
    memcpy(edge + seam_.size(), block, head_);
    return edge;
  }

  const uint8_t* Tail(const uint8_t* block, uint8_t* edge) const {
    memset(edge, 0, padded_);
    memcpy(edge, block + head_ + middle_ * Algorithm::kBlock, tail_);
    edge[tail_] = 0x80;
    uint64_t length = __builtin_bswap64(bits_);
    memcpy(edge + padded_ - 8, &length, 8);
    return edge;
  }

  static void Store(const Word state[8], uint8_t* digest) {
    for (size_t i = 0; i < 8; i++) {
      Word word = sizeof(Word) == 4 ? __builtin_bswap32(state[i]) : __builtin_bswap64(state[i]);
      memcpy(digest + i * sizeof word, &word, sizeof word);
    }
  }

  Algorithm algorithm_;
  Word initial_[8];
  std::vector<uint8_t> seam_;
  size_t head_, middle_, tail_, padded_;
  uint64_t bits_;
};

// `implementation` names one of Sha256Implementations(), or is empty for the fastest; null if there is no such one.
std::shared_ptr<const SaltedHash> MakeHash(const std::string& algorithm, const std::string& salt, size_t blockSize,
                                           const std::string& implementation) {
  if (blockSize < Sha512::kBlock) return nullptr;
  if (algorithm == "sha512") return std::make_shared<SaltedHashOf<Sha512>>(Sha512{}, salt, blockSize);
  if (algorithm != "sha256") return nullptr;
  for (const Sha256Implementation* one : Sha256Implementations()) {
    if (implementation.empty() || implementation == one->name)
      return std::make_shared<SaltedHashOf<Sha256>>(Sha256{one}, salt, blockSize);
  }
  return nullptr;
}

std::shared_ptr<const SaltedHash> MakeHash(const Napi::Object& options, size_t blockSize) {
  Napi::Value implementation = options.Get("implementation");
  return MakeHash(options.Get("algorithm").ToString().Utf8Value(), Bytes(options.Get("salt")), blockSize,
                  implementation.IsString() ? implementation.ToString().Utf8Value() : "");
}

// Bytes that lie in open files: runs of them, or zeroes, one after the other.
struct Located {
  struct Extent {
    bool zeroes;  // which no file stores
    int fd;
    uint64_t start, length;
    std::string path;
  };

  std::vector<Extent> extents;

  static Located From(const Napi::Value& value) {
    Located located;
    Napi::Array list = value.As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); i++) {
      Napi::Object extent = list.Get(i).As<Napi::Object>();
      uint64_t length = static_cast<uint64_t>(extent.Get("length").ToNumber().Int64Value());
      if (extent.Get("kind").ToString().Utf8Value() == "zero") {
        located.extents.push_back({true, -1, 0, length, ""});
        continue;
      }
      Napi::Object base = extent.Get("base").As<Napi::Object>();
      located.extents.push_back({false, base.Get("fd").ToNumber().Int32Value(),
                                 static_cast<uint64_t>(extent.Get("start").ToNumber().Int64Value()), length,
                                 base.Get("path").ToString().Utf8Value()});
    }
    return located;
  }

  // Whether [offset, offset + length) is all holes of its files; false if that cannot be determined.
  bool IsHole(uint64_t offset, size_t length) const {
    bool hole = true;
    uint64_t missing = Visit(offset, length, [&](const Extent& in, uint64_t start, size_t part) {
      if (in.zeroes) return true;
      off_t data = lseek(in.fd, static_cast<off_t>(start), SEEK_DATA);
      // ENXIO: there is no data from here on, which may be because the file ended.
      hole = data >= 0 && static_cast<uint64_t>(data) >= start + part;
      return hole;
    });
    return hole && missing == 0;
  }

  // Lets the kernel begin to read all of it into its cache.
  void ReadAhead() const {
    for (const Extent& extent : extents)
      if (!extent.zeroes)
        posix_fadvise(extent.fd, static_cast<off_t>(extent.start), static_cast<off_t>(extent.length),
                      POSIX_FADV_WILLNEED);
  }

  // Reads all of [offset, offset + length); ENODATA if the extents or a file end before.
  Outcome<Nothing> Read(uint64_t offset, uint8_t* to, size_t length) const {
    int error = 0;
    std::string path = extents.empty() ? "" : extents.front().path;
    uint64_t missing = Visit(offset, length, [&](const Extent& in, uint64_t start, size_t part) {
      if (in.zeroes) memset(to, 0, part);
      for (size_t done = in.zeroes ? part : 0; done < part;) {
        ssize_t got = pread(in.fd, to + done, part - done, static_cast<off_t>(start + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
          error = got < 0 ? errno : ENODATA;
          path = in.path;
          return false;
        }
        done += static_cast<size_t>(got);
      }
      to += part;
      return true;
    });
    if (error != 0 || missing > 0) return KernelError{error != 0 ? error : ENODATA, "pread", path};
    return Nothing{};
  }

 private:
  // The pieces of files that [offset, offset + length) is made of, while `visit` says so: in which extent, at which
  // byte of its file, and how long. Returns how many bytes are lacking.
  template <typename Visitor>
  uint64_t Visit(uint64_t offset, uint64_t length, Visitor visit) const {
    for (const Extent& extent : extents) {
      if (length == 0) break;
      if (offset >= extent.length) {
        offset -= extent.length;
        continue;
      }
      uint64_t part = std::min<uint64_t>(length, extent.length - offset);
      if (!visit(extent, extent.start + offset, static_cast<size_t>(part))) return 0;
      length -= part;
      offset = 0;
    }
    return length;
  }
};

struct BlockList {
  std::vector<double> indexes;
};

Napi::Value ToJs(Napi::Env env, const BlockList& list) {
  Napi::Float64Array array = Napi::Float64Array::New(env, list.indexes.size());
  std::copy(list.indexes.begin(), list.indexes.end(), array.Data());
  return array;
}

struct Check {
  Located blocks, digests;
  std::shared_ptr<const SaltedHash> hash;
  uint64_t blockSize, count, digestBlockSize, firstDigest;

  Outcome<BlockList> Run() const {
    // The digests of one level lie `stride` apart, as many as fit whole in a hash block.
    const uint64_t stride = std::bit_ceil(hash->digestSize());
    const uint64_t perBlock = digestBlockSize / stride;
    const uint64_t step = std::max<uint64_t>(2, kReadBytes / blockSize);
    std::vector<uint8_t> data(step * blockSize), expected(digestBlockSize);
    std::vector<uint8_t> actual(step * hash->digestSize());
    uint64_t loaded = UINT64_MAX;
    BlockList bad;
    for (uint64_t at = 0; at < count; at += step) {
      uint64_t here = std::min(step, count - at);
      Outcome<Nothing> read = blocks.Read(at * blockSize, data.data(), here * blockSize);
      if (auto* error = std::get_if<KernelError>(&read)) return *error;
      Hash(data.data(), here, actual.data());
      for (uint64_t i = 0; i < here; i++) {
        uint64_t index = firstDigest + at + i;
        if (index / perBlock != loaded) {
          loaded = index / perBlock;
          read = digests.Read(loaded * digestBlockSize, expected.data(), digestBlockSize);
          if (auto* error = std::get_if<KernelError>(&read)) return *error;
        }
        if (memcmp(actual.data() + i * hash->digestSize(), expected.data() + index % perBlock * stride,
                   hash->digestSize()) != 0)
          bad.indexes.push_back(static_cast<double>(at + i));
      }
    }
    return bad;
  }

  void Hash(const uint8_t* data, uint64_t blocks, uint8_t* to) const { HashAll(*hash, data, blockSize, blocks, to); }

  static void HashAll(const SaltedHash& hash, const uint8_t* data, size_t size, uint64_t blocks, uint8_t* to) {
    const size_t digest = hash.digestSize();
    uint64_t i = 0;
    for (; i + 2 <= blocks; i += 2)
      hash.Two(data + i * size, data + (i + 1) * size, to + i * digest, to + (i + 1) * digest);
    if (i < blocks) hash.One(data + i * size, to + i * digest);
  }
};

uint64_t Whole(const Napi::Object& options, const char* name) {
  return static_cast<uint64_t>(options.Get(name).ToNumber().Int64Value());
}

KernelError Unsupported() { return KernelError{EOPNOTSUPP, "verity", "algorithm or implementation"}; }

// ({algorithm, salt, implementation?, blocks: Located, blockSize, count, digests: Located, digestBlockSize,
// firstDigest})
//   -> Float64Array of the indexes of the blocks whose digest differs
Napi::Value CheckBlocks(const Napi::CallbackInfo& info) {
  Napi::Object options = info[0].As<Napi::Object>();
  Check check{Located::From(options.Get("blocks")),
              Located::From(options.Get("digests")),
              MakeHash(options, Whole(options, "blockSize")),
              Whole(options, "blockSize"),
              Whole(options, "count"),
              Whole(options, "digestBlockSize"),
              Whole(options, "firstDigest")};
  return Task<BlockList>::Run(info.Env(), [check = std::move(check)]() -> Outcome<BlockList> {
    if (!check.hash) return Unsupported();
    return check.Run();
  });
}

struct Digests {
  std::vector<uint8_t> bytes;
};

Napi::Value ToJs(Napi::Env env, const Digests& digests) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, digests.bytes.size());
  std::copy(digests.bytes.begin(), digests.bytes.end(), array.Data());
  return array;
}

// The digests of a run of blocks, read as they are hashed; blocks of zeroes are hashed once.
struct Digest {
  Located blocks;
  std::shared_ptr<const SaltedHash> hash;
  uint64_t blockSize, count;

  Outcome<Digests> Run() const {
    const size_t size = hash->digestSize();
    const uint64_t step = std::max<uint64_t>(2, kReadBytes / blockSize);
    std::vector<uint8_t> data(step * blockSize), ofZeroes(size);
    hash->One(data.data(), ofZeroes.data());
    Digests digests{std::vector<uint8_t>(count * size)};
    blocks.ReadAhead();
    for (uint64_t at = 0; at < count; at += step) {
      const uint64_t here = std::min(step, count - at);
      const uint64_t offset = at * blockSize;
      uint8_t* to = digests.bytes.data() + at * size;
      if (blocks.IsHole(offset, here * blockSize)) {
        for (uint64_t i = 0; i < here; i++) memcpy(to + i * size, ofZeroes.data(), size);
        continue;
      }
      Outcome<Nothing> read = blocks.Read(offset, data.data(), here * blockSize);
      if (auto* error = std::get_if<KernelError>(&read)) return *error;
      HashNonzero(data.data(), here, ofZeroes.data(), to);
    }
    return digests;
  }

  // Two streams at a time, also if blocks of zeroes are between them.
  void HashNonzero(const uint8_t* data, uint64_t blocks, const uint8_t* ofZeroes, uint8_t* to) const {
    const size_t size = hash->digestSize();
    uint64_t waiting = UINT64_MAX;
    for (uint64_t i = 0; i < blocks; i++) {
      const uint8_t* block = data + i * blockSize;
      if (IsZero(block, blockSize)) {
        memcpy(to + i * size, ofZeroes, size);
      } else if (waiting == UINT64_MAX) {
        waiting = i;
      } else {
        hash->Two(data + waiting * blockSize, block, to + waiting * size, to + i * size);
        waiting = UINT64_MAX;
      }
    }
    if (waiting != UINT64_MAX) hash->One(data + waiting * blockSize, to + waiting * size);
  }
};

// ({algorithm, salt, implementation?, blocks: Located, blockSize, count}) -> digests, one after the other
Napi::Value DigestBlocks(const Napi::CallbackInfo& info) {
  Napi::Object options = info[0].As<Napi::Object>();
  Digest digest{Located::From(options.Get("blocks")), MakeHash(options, Whole(options, "blockSize")),
                Whole(options, "blockSize"), Whole(options, "count")};
  return Task<Digests>::Run(info.Env(), [digest = std::move(digest)]() -> Outcome<Digests> {
    if (!digest.hash) return Unsupported();
    return digest.Run();
  });
}

// (bytes, blockSize, {algorithm, salt, implementation?}) -> the digests of its blocks, one after the other
Napi::Value HashBlocks(const Napi::CallbackInfo& info) {
  size_t blockSize = info[1].ToNumber().Uint32Value();
  return Task<Digests>::Run(info.Env(),
                            [bytes = Bytes(info[0]), blockSize,
                             hash = MakeHash(info[2].As<Napi::Object>(), blockSize)]() -> Outcome<Digests> {
                              if (!hash) return Unsupported();
                              uint64_t blocks = bytes.size() / blockSize;
                              Digests digests{std::vector<uint8_t>(blocks * hash->digestSize())};
                              Check::HashAll(*hash, reinterpret_cast<const uint8_t*>(bytes.data()), blockSize, blocks,
                                             digests.bytes.data());
                              return digests;
                            });
}

// () -> ["sha-ni", "portable"]
Napi::Value Implementations(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (const Sha256Implementation* one : Sha256Implementations())
    names[names.Length()] = Napi::String::New(info.Env(), one->name);
  return names;
}

}  // namespace

void ExportVerityHash(Napi::Env env, Napi::Object exports) {
  exports["verityCheckBlocks"] = Napi::Function::New(env, CheckBlocks);
  exports["verityDigestBlocks"] = Napi::Function::New(env, DigestBlocks);
  exports["verityHashBlocks"] = Napi::Function::New(env, HashBlocks);
  exports["sha256Implementations"] = Napi::Function::New(env, Implementations);
}

}  // namespace ddi
