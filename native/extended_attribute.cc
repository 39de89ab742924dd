// Extended attributes: getxattr(2).
#include <sys/xattr.h>

#include "async.h"

namespace ddi {
namespace {

// Longer values are refused with E2BIG: what we read (root hashes) is at most a few hundred bytes.
constexpr size_t kMaximum = 4096;

// getxattr(path, name) -> string; ENODATA if the attribute is absent
Napi::Value Get(const Napi::CallbackInfo& info) {
  return Task<std::string>::Run(info.Env(), [path = Text(info, 0), name = Text(info, 1)]() -> Outcome<std::string> {
    std::string value(kMaximum, '\0');
    ssize_t length = getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (length < 0) return KernelError{errno == ERANGE ? E2BIG : errno, "getxattr", path};
    value.resize(static_cast<size_t>(length));
    return value;
  });
}

}  // namespace

void ExportExtendedAttribute(Napi::Env env, Napi::Object exports) {
  exports["getExtendedAttribute"] = Napi::Function::New(env, Get);
}

}  // namespace ddi
