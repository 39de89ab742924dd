// Writing to a new file with holes instead of pages of zeroes, and dropping its pages from the page cache.
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "async.h"

namespace ddi {
namespace {

constexpr size_t kPage = 4096;

class SparseWrite {
 public:
  SparseWrite(int fd, std::string path, std::vector<Pinned> chunks, off_t position)
      : fd_(fd), path_(std::move(path)), chunks_(std::move(chunks)), position_(position) {}

  Outcome<Nothing> Run() const {
    // Pages are those of the file, not of the chunks; `run` holds what is to be written next, up to `end`.
    std::vector<iovec> run;
    off_t end = position_;
    bool hole = false;
    size_t chunk = 0, at = 0;
    while (SkipEmpty(chunk, at)) {
      std::vector<iovec> page;
      size_t wanted = kPage - static_cast<size_t>(end) % kPage;
      bool zero = true;
      while (wanted > 0 && SkipEmpty(chunk, at)) {
        const size_t part = std::min(wanted, chunks_[chunk].size - at);
        page.push_back({chunks_[chunk].data + at, part});
        zero = zero && IsZero(chunks_[chunk].data + at, part);
        wanted -= part;
        at += part;
      }
      if (zero || run.size() + page.size() > kMaximum) {
        if (int error = Write(run, end); error != 0) return KernelError{error, "pwritev", path_};
        run.clear();
      }
      for (const iovec& part : page) {
        end += static_cast<off_t>(part.iov_len);
        if (!zero) Append(run, part);
      }
      hole = zero;
    }
    if (int error = Write(run, end); error != 0) return KernelError{error, "pwritev", path_};
    if (int error = hole ? Extend(end) : 0; error != 0) return KernelError{error, "ftruncate", path_};
    return Nothing{};
  }

 private:
  // The most pieces that one pwritev(2) takes.
  static constexpr size_t kMaximum = IOV_MAX;

  bool SkipEmpty(size_t& chunk, size_t& at) const {
    while (chunk < chunks_.size() && at == chunks_[chunk].size) chunk++, at = 0;
    return chunk < chunks_.size();
  }

  static void Append(std::vector<iovec>& run, const iovec& part) {
    if (!run.empty() && static_cast<uint8_t*>(run.back().iov_base) + run.back().iov_len == part.iov_base)
      run.back().iov_len += part.iov_len;
    else
      run.push_back(part);
  }

  // Writes a run that ends before byte `end` of the file.
  int Write(std::vector<iovec> run, off_t end) const {
    for (const iovec& part : run) end -= static_cast<off_t>(part.iov_len);
    for (size_t first = 0; first < run.size();) {
      const ssize_t written = pwritev(fd_, run.data() + first, static_cast<int>(run.size() - first), end);
      if (written < 0 && errno != EINTR) return errno;
      end += std::max<ssize_t>(written, 0);
      for (size_t left = static_cast<size_t>(std::max<ssize_t>(written, 0)); left > 0;) {
        const size_t part = std::min(left, run[first].iov_len);
        run[first].iov_base = static_cast<uint8_t*>(run[first].iov_base) + part;
        run[first].iov_len -= part;
        left -= part;
        if (run[first].iov_len == 0) first++;
      }
    }
    return 0;
  }

  // A hole at the end counts for the length of the file, too.
  int Extend(off_t end) const {
    struct stat status;
    if (fstat(fd_, &status) < 0) return errno;
    return status.st_size < end && ftruncate(fd_, end) < 0 ? errno : 0;
  }

  int fd_;
  std::string path_;
  std::vector<Pinned> chunks_;
  off_t position_;
};

// (fd, path, chunks, position)
Napi::Value Write(const Napi::CallbackInfo& info) {
  SparseWrite write(Int(info, 0), Text(info, 1), PinAll(info[2]), static_cast<off_t>(Number(info, 3)));
  return Task<Nothing>::Run(info.Env(), [write = std::move(write)] { return write.Run(); });
}

// (fd, path, position, length)
Napi::Value Drop(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(),
                            [fd = Int(info, 0), path = Text(info, 1), position = static_cast<off_t>(Number(info, 2)),
                             length = static_cast<off_t>(Number(info, 3))]() -> Outcome<Nothing> {
                              if (int error = posix_fadvise(fd, position, length, POSIX_FADV_DONTNEED); error != 0)
                                return KernelError{error, "posix_fadvise", path};
                              return Nothing{};
                            });
}

}  // namespace

void ExportSparseWrite(Napi::Env env, Napi::Object exports) {
  exports["writeSparse"] = Napi::Function::New(env, Write);
  exports["dropCached"] = Napi::Function::New(env, Drop);
}

}  // namespace ddi
