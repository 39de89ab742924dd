// Copying between files without the bytes passing through this process, and where a file has data.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "async.h"

namespace ddi {
namespace {

// copy_file_range(fromFd, fromOffset, toFd, toOffset, length) until all is copied -> how much was: less if the source
// ends
Napi::Value Copy(const Napi::CallbackInfo& info) {
  return Task<double>::Run(info.Env(),
                           [from = Int(info, 0), path = Text(info, 1), start = static_cast<off_t>(Number(info, 2)),
                            to = Int(info, 3), target = static_cast<off_t>(Number(info, 4)),
                            length = static_cast<size_t>(Number(info, 5))]() -> Outcome<double> {
                             off_t in = start, out = target;
                             for (size_t left = length; left > 0;) {
                               const ssize_t copied = copy_file_range(from, &in, to, &out, left, 0);
                               if (copied < 0 && errno == EINTR) continue;
                               if (copied < 0) return KernelError{errno, "copy_file_range", path};
                               if (copied == 0) return static_cast<double>(length - left);
                               left -= static_cast<size_t>(copied);
                             }
                             return static_cast<double>(length);
                           });
}

// sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE)
Napi::Value StartWriteback(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(),
                            [fd = Int(info, 0), path = Text(info, 1), offset = static_cast<off_t>(Number(info, 2)),
                             length = static_cast<off_t>(Number(info, 3))]() -> Outcome<Nothing> {
                              if (sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE) < 0)
                                return KernelError{errno, "sync_file_range", path};
                              return Nothing{};
                            });
}

// lseek(fd, offset, SEEK_DATA or SEEK_HOLE) -> the offset found, -1 if there is none up to the end
Napi::Promise Seek(const Napi::CallbackInfo& info, int whence) {
  return Task<double>::Run(info.Env(),
                           [fd = Int(info, 0), path = Text(info, 1), offset = static_cast<off_t>(Number(info, 2)),
                            whence]() -> Outcome<double> {
                             const off_t found = lseek(fd, offset, whence);
                             if (found < 0 && errno != ENXIO) return KernelError{errno, "lseek", path};
                             return static_cast<double>(found);
                           });
}

Napi::Value SeekData(const Napi::CallbackInfo& info) { return Seek(info, SEEK_DATA); }
Napi::Value SeekHole(const Napi::CallbackInfo& info) { return Seek(info, SEEK_HOLE); }

}  // namespace

void ExportCopyRange(Napi::Env env, Napi::Object exports) {
  exports["copyRange"] = Napi::Function::New(env, Copy);
  exports["startWriteback"] = Napi::Function::New(env, StartWriteback);
  exports["seekData"] = Napi::Function::New(env, SeekData);
  exports["seekHole"] = Napi::Function::New(env, SeekHole);
}

}  // namespace ddi
