// Handing a process over to another program: chroot(2), and execve(2) with what Node.js changed put back.
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "async.h"

namespace ddi {
namespace {

// (path)
Napi::Value ChangeRoot(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [path = Text(info, 0)]() -> Outcome<Nothing> {
    if (chroot(path.c_str()) < 0) return KernelError{errno, "chroot", path};
    return Nothing{};
  });
}

std::vector<std::string> Texts(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < array.Length(); i++) texts.push_back(array.Get(i).ToString().Utf8Value());
  return texts;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Ignored signals and blocked ones outlive execve. The two signals that glibc keeps to itself are never ignored.
void ResetSignals() {
  for (int number = 1; number <= SIGRTMAX; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void KeepOnlyStandardDescriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    fcntl(fd, F_SETFD, 0);
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
  if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Before Linux 5.11.
  for (int fd = STDERR_FILENO + 1, end = static_cast<int>(sysconf(_SC_OPEN_MAX)); fd < end; fd++)
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

// Node.js raises the soft limit to the hard one; the kernel starts its first process with INR_OPEN_CUR.
void ResetOpenFilesLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 1024);
  setrlimit(RLIMIT_NOFILE, &limit);
}

// (path, arguments, environment): at once and on this thread, whose signal mask it is. Returns only if it fails.
Napi::Value Execute(const Napi::CallbackInfo& info) {
  std::string path = Text(info, 0);
  std::vector<std::string> arguments = Texts(info[1]), environment = Texts(info[2]);
  std::vector<char*> argv = Pointers(arguments), envp = Pointers(environment);
  ResetSignals();
  KeepOnlyStandardDescriptors();
  ResetOpenFilesLimit();
  execve(path.c_str(), argv.data(), envp.data());
  KernelError error{errno, "execve", path};
  Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(info.Env());
  deferred.Reject(ToError(info.Env(), error));
  return deferred.Promise();
}

}  // namespace

void ExportProcess(Napi::Env env, Napi::Object exports) {
  exports["changeRoot"] = Napi::Function::New(env, ChangeRoot);
  exports["execute"] = Napi::Function::New(env, Execute);
}

}  // namespace ddi
