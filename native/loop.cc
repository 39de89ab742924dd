// Loop devices: <linux/loop.h>, drivers/block/loop.c.
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cstring>

#include "async.h"

#ifndef LOOP_CONFIGURE
#error "kernel headers older than 5.8: LOOP_CONFIGURE is missing"
#endif

namespace ddi {
namespace {

Outcome<Nothing> Call(int fd, unsigned long request, unsigned long argument, const char* name,
                      const std::string& device) {
  if (ioctl(fd, request, argument) < 0) return KernelError{errno, name, device};
  return Nothing{};
}

loop_info64 ReadInfo(const Napi::Object& options) {
  loop_info64 info{};
  info.lo_offset = static_cast<uint64_t>(options.Get("offset").ToNumber().Int64Value());
  info.lo_sizelimit = static_cast<uint64_t>(options.Get("sizeLimit").ToNumber().Int64Value());
  info.lo_flags = options.Get("flags").ToNumber().Uint32Value();
  std::string reference = options.Get("reference").ToString().Utf8Value();
  strncpy(reinterpret_cast<char*>(info.lo_file_name), reference.c_str(), LO_NAME_SIZE - 1);
  return info;
}

// LOOP_CTL_GET_FREE(control) -> number
Napi::Value GetFree(const Napi::CallbackInfo& info) {
  return Task<double>::Run(info.Env(), [fd = Int(info, 0)]() -> Outcome<double> {
    int number = ioctl(fd, LOOP_CTL_GET_FREE);
    if (number < 0) return KernelError{errno, "LOOP_CTL_GET_FREE", "/dev/loop-control"};
    return static_cast<double>(number);
  });
}

// LOOP_CONFIGURE(device fd, device, backing fd, {offset, sizeLimit, flags, reference, blockSize})
Napi::Value Configure(const Napi::CallbackInfo& info) {
  Napi::Object options = info[3].As<Napi::Object>();
  loop_config config{};
  config.fd = static_cast<uint32_t>(Int(info, 2));
  config.block_size = options.Get("blockSize").ToNumber().Uint32Value();
  config.info = ReadInfo(options);
  return Task<Nothing>::Run(info.Env(), [fd = Int(info, 0), device = Text(info, 1), config]() mutable {
    return Call(fd, LOOP_CONFIGURE, reinterpret_cast<unsigned long>(&config), "LOOP_CONFIGURE", device);
  });
}

// LOOP_SET_FD(device fd, device, backing fd)
Napi::Value SetFd(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [fd = Int(info, 0), device = Text(info, 1), backing = Int(info, 2)] {
    return Call(fd, LOOP_SET_FD, static_cast<unsigned long>(backing), "LOOP_SET_FD", device);
  });
}

// LOOP_SET_STATUS64(device fd, device, {offset, sizeLimit, flags, reference})
Napi::Value SetStatus(const Napi::CallbackInfo& info) {
  loop_info64 status = ReadInfo(info[2].As<Napi::Object>());
  return Task<Nothing>::Run(info.Env(), [fd = Int(info, 0), device = Text(info, 1), status]() mutable {
    return Call(fd, LOOP_SET_STATUS64, reinterpret_cast<unsigned long>(&status), "LOOP_SET_STATUS64", device);
  });
}

struct Status {
  loop_info64 info;
};

Napi::Value ToJs(Napi::Env env, const Status& kernel) {
  const loop_info64& info = kernel.info;
  Napi::Object status = Napi::Object::New(env);
  status["number"] = Napi::Number::New(env, info.lo_number);
  // A string: a device number has 64 bits, of which a double keeps 53.
  status["backingDevice"] = Napi::String::New(env, std::to_string(info.lo_device));
  status["backingInode"] = Napi::String::New(env, std::to_string(info.lo_inode));
  status["offset"] = Napi::Number::New(env, static_cast<double>(info.lo_offset));
  status["sizeLimit"] = Napi::Number::New(env, static_cast<double>(info.lo_sizelimit));
  status["flags"] = Napi::Number::New(env, info.lo_flags);
  const char* name = reinterpret_cast<const char*>(info.lo_file_name);
  status["reference"] = Napi::String::New(env, name, strnlen(name, LO_NAME_SIZE));
  return status;
}

// LOOP_GET_STATUS64(device fd, device) -> {number, backingDevice, backingInode, offset, sizeLimit, flags, reference}
Napi::Value GetStatus(const Napi::CallbackInfo& info) {
  return Task<Status>::Run(info.Env(), [fd = Int(info, 0), device = Text(info, 1)]() -> Outcome<Status> {
    Status status{};
    if (ioctl(fd, LOOP_GET_STATUS64, &status.info) < 0) return KernelError{errno, "LOOP_GET_STATUS64", device};
    return status;
  });
}

// The ioctls that take one number or none: (device fd, device[, number])
template <unsigned long Request, const char* Name>
Napi::Value Simple(const Napi::CallbackInfo& info) {
  unsigned long argument = info.Length() > 2 ? static_cast<unsigned long>(info[2].ToNumber().Int64Value()) : 0;
  return Task<Nothing>::Run(info.Env(), [fd = Int(info, 0), device = Text(info, 1), argument] {
    return Call(fd, Request, argument, Name, device);
  });
}

constexpr char kClearFd[] = "LOOP_CLR_FD";
constexpr char kSetCapacity[] = "LOOP_SET_CAPACITY";
constexpr char kSetDirectIo[] = "LOOP_SET_DIRECT_IO";
constexpr char kSetBlockSize[] = "LOOP_SET_BLOCK_SIZE";

}  // namespace

void ExportLoop(Napi::Env env, Napi::Object exports) {
  exports["loopGetFree"] = Napi::Function::New(env, GetFree);
  exports["loopConfigure"] = Napi::Function::New(env, Configure);
  exports["loopSetFd"] = Napi::Function::New(env, SetFd);
  exports["loopSetStatus"] = Napi::Function::New(env, SetStatus);
  exports["loopGetStatus"] = Napi::Function::New(env, GetStatus);
  exports["loopClearFd"] = Napi::Function::New(env, Simple<LOOP_CLR_FD, kClearFd>);
  exports["loopSetCapacity"] = Napi::Function::New(env, Simple<LOOP_SET_CAPACITY, kSetCapacity>);
  exports["loopSetDirectIo"] = Napi::Function::New(env, Simple<LOOP_SET_DIRECT_IO, kSetDirectIo>);
  exports["loopSetBlockSize"] = Napi::Function::New(env, Simple<LOOP_SET_BLOCK_SIZE, kSetBlockSize>);
}

}  // namespace ddi
