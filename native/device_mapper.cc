// Device-mapper: <linux/dm-ioctl.h>, drivers/md/dm-ioctl.c. One exported function per command, all of them
// through one call that keeps the buffer, grows it when the kernel says it is too small, and names what failed.
#include <linux/dm-ioctl.h>
#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "async.h"

namespace ddi {
namespace {

// The interface version that every kernel since 2.6 answers; newer fields are read only where flags announce them.
constexpr uint32_t kVersion[3] = {4, 0, 0};
constexpr size_t kFirstBuffer = 16 * 1024;
constexpr size_t kLargestBuffer = 16 * 1024 * 1024;

struct Target {
  uint64_t startSector;
  uint64_t sectorCount;
  std::string type;
  std::string parameters;
};

struct Request {
  int fd = -1;
  unsigned long command = 0;
  const char* syscall = "";
  std::string name;
  std::string uuid;
  uint32_t flags = 0;
  uint32_t event = 0;
  std::string newName;
  std::vector<Target> targets;
  // A key that the kernel looks for while it runs the command, in the keyring of the thread that calls.
  std::string keyDescription;
  std::string key;
};

struct Reply {
  std::vector<char> buffer;

  const dm_ioctl& header() const { return *reinterpret_cast<const dm_ioctl*>(buffer.data()); }
  // The payload, as far as the kernel says it filled the buffer.
  const char* begin() const { return buffer.data() + std::min<size_t>(header().data_start, buffer.size()); }
  const char* end() const { return buffer.data() + std::min<size_t>(header().data_size, buffer.size()); }
};

void CopyName(char* to, const std::string& from, size_t capacity) { strncpy(to, from.c_str(), capacity - 1); }

std::string Payload(const Request& request) {
  std::string payload;
  if (!request.newName.empty()) payload.assign(request.newName.c_str(), request.newName.size() + 1);
  for (const Target& target : request.targets) {
    dm_target_spec spec{};
    spec.sector_start = target.startSector;
    spec.length = target.sectorCount;
    CopyName(spec.target_type, target.type, DM_MAX_TYPE_NAME);
    size_t size = (sizeof spec + target.parameters.size() + 1 + 7) & ~size_t{7};
    spec.next = static_cast<uint32_t>(size);
    size_t at = payload.size();
    payload.resize(at + size);
    memcpy(&payload[at], &spec, sizeof spec);
    memcpy(&payload[at + sizeof spec], target.parameters.c_str(), target.parameters.size() + 1);
  }
  return payload;
}

Outcome<Reply> Call(const Request& request) {
  std::string payload = Payload(request);
  size_t size = std::max(kFirstBuffer, sizeof(dm_ioctl) + payload.size());
  for (;;) {
    Reply reply;
    reply.buffer.resize(size);
    auto* header = reinterpret_cast<dm_ioctl*>(reply.buffer.data());
    memcpy(header->version, kVersion, sizeof kVersion);
    header->data_size = static_cast<uint32_t>(size);
    header->data_start = sizeof(dm_ioctl);
    header->flags = request.flags;
    header->event_nr = request.event;
    header->target_count = static_cast<uint32_t>(request.targets.size());
    CopyName(header->name, request.name, DM_NAME_LEN);
    CopyName(header->uuid, request.uuid, DM_UUID_LEN);
    if (!payload.empty()) memcpy(reply.buffer.data() + sizeof(dm_ioctl), payload.data(), payload.size());
    if (ioctl(request.fd, request.command, header) < 0) {
      std::string device = request.name.empty() ? "/dev/mapper/control" : request.name;
      return KernelError{errno, request.syscall, device};
    }
    if (!(header->flags & DM_BUFFER_FULL_FLAG)) return reply;
    if (size >= kLargestBuffer) return KernelError{ENOBUFS, request.syscall, request.name};
    size *= 4;
  }
}

// A NUL-terminated text within [at, end), however the buffer ends.
std::string TextAt(const char* at, const char* end) { return at < end ? std::string(at, strnlen(at, end - at)) : ""; }

template <typename Struct>
bool Fits(const char* at, const char* end) {
  return at >= end ? false : static_cast<size_t>(end - at) >= sizeof(Struct);
}

Napi::Object DeviceToJs(Napi::Env env, const dm_ioctl& header) {
  Napi::Object value = Napi::Object::New(env);
  value["name"] = Napi::String::New(env, header.name, strnlen(header.name, DM_NAME_LEN));
  value["uuid"] = Napi::String::New(env, header.uuid, strnlen(header.uuid, DM_UUID_LEN));
  value["major"] = Napi::Number::New(env, major(header.dev));
  value["minor"] = Napi::Number::New(env, minor(header.dev));
  value["openCount"] = Napi::Number::New(env, header.open_count);
  value["readOnly"] = Napi::Boolean::New(env, header.flags & DM_READONLY_FLAG);
  value["suspended"] = Napi::Boolean::New(env, header.flags & DM_SUSPEND_FLAG);
  value["active"] = Napi::Boolean::New(env, header.flags & DM_ACTIVE_PRESENT_FLAG);
  value["eventSent"] = Napi::Boolean::New(env, header.flags & DM_UEVENT_GENERATED_FLAG);
  return value;
}

using Convert = Napi::Value (*)(Napi::Env, const Reply&);

struct Answer {
  Reply reply;
  Convert convert;
};

Napi::Value ToJs(Napi::Env env, const Answer& answer) { return answer.convert(env, answer.reply); }

Napi::Value Run(const Napi::CallbackInfo& info, Request request, Convert convert) {
  return Task<Answer>::Run(info.Env(), [request = std::move(request), convert]() -> Outcome<Answer> {
    long key = 0;
    if (!request.keyDescription.empty()) {
      key = syscall(SYS_add_key, "user", request.keyDescription.c_str(), request.key.data(), request.key.size(),
                    KEY_SPEC_THREAD_KEYRING);
      if (key < 0) return KernelError{errno, "add_key", request.name};
    }
    Outcome<Reply> outcome = Call(request);
    if (key > 0) syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_THREAD_KEYRING);
    if (auto* error = std::get_if<KernelError>(&outcome)) return *error;
    return Answer{std::move(std::get<Reply>(outcome)), convert};
  });
}

Napi::Value Device(Napi::Env env, const Reply& reply) { return DeviceToJs(env, reply.header()); }

Napi::Value Interface(Napi::Env env, const Reply& reply) {
  const uint32_t* version = reply.header().version;
  return Napi::String::New(
      env, std::to_string(version[0]) + "." + std::to_string(version[1]) + "." + std::to_string(version[2]));
}

Napi::Value Versions(Napi::Env env, const Reply& reply) {
  Napi::Object value = Napi::Object::New(env);
  const char* at = reply.begin();
  while (Fits<dm_target_versions>(at, reply.end())) {
    const auto* entry = reinterpret_cast<const dm_target_versions*>(at);
    std::string version = std::to_string(entry->version[0]) + "." + std::to_string(entry->version[1]) + "." +
                          std::to_string(entry->version[2]);
    value[TextAt(entry->name, reply.end())] = Napi::String::New(env, version);
    if (entry->next == 0) break;
    at += entry->next;
  }
  return value;
}

Napi::Value Devices(Napi::Env env, const Reply& reply) {
  Napi::Array value = Napi::Array::New(env);
  const char* at = reply.begin();
  while (Fits<dm_name_list>(at, reply.end())) {
    const auto* entry = reinterpret_cast<const dm_name_list*>(at);
    if (entry->dev == 0) break;
    Napi::Object device = Napi::Object::New(env);
    device["name"] = Napi::String::New(env, TextAt(entry->name, reply.end()));
    device["major"] = Napi::Number::New(env, major(entry->dev));
    device["minor"] = Napi::Number::New(env, minor(entry->dev));
    value[value.Length()] = device;
    if (entry->next == 0) break;
    at += entry->next;
  }
  return value;
}

Napi::Value Dependencies(Napi::Env env, const Reply& reply) {
  Napi::Array value = Napi::Array::New(env);
  if (!Fits<dm_target_deps>(reply.begin(), reply.end())) return value;
  const auto* deps = reinterpret_cast<const dm_target_deps*>(reply.begin());
  size_t room = (reply.end() - reply.begin() - sizeof *deps) / sizeof deps->dev[0];
  for (uint32_t i = 0; i < std::min<size_t>(deps->count, room); i++) {
    Napi::Object device = Napi::Object::New(env);
    device["major"] = Napi::Number::New(env, major(deps->dev[i]));
    device["minor"] = Napi::Number::New(env, minor(deps->dev[i]));
    value[i] = device;
  }
  return value;
}

Napi::Value Table(Napi::Env env, const Reply& reply) {
  Napi::Array targets = Napi::Array::New(env);
  const char* at = reply.begin();
  for (uint32_t i = 0; i < reply.header().target_count && Fits<dm_target_spec>(at, reply.end()); i++) {
    const auto* spec = reinterpret_cast<const dm_target_spec*>(at);
    Napi::Object target = Napi::Object::New(env);
    target["startSector"] = Napi::Number::New(env, static_cast<double>(spec->sector_start));
    target["sectorCount"] = Napi::Number::New(env, static_cast<double>(spec->length));
    target["type"] = Napi::String::New(env, spec->target_type, strnlen(spec->target_type, DM_MAX_TYPE_NAME));
    target["parameters"] = Napi::String::New(env, TextAt(at + sizeof *spec, reply.end()));
    targets[i] = target;
    // The kernel counts `next` from the payload's start here, unlike in a table load.
    at = reply.begin() + spec->next;
  }
  return targets;
}

Request Named(const Napi::CallbackInfo& info, unsigned long command, const char* syscall) {
  Request request;
  request.fd = Int(info, 0);
  request.command = command;
  request.syscall = syscall;
  if (info.Length() > 1) request.name = Text(info, 1);
  return request;
}

// (control fd) -> "4.47.0"
Napi::Value Version(const Napi::CallbackInfo& info) {
  return Run(info, Named(info, DM_VERSION, "DM_VERSION"), Interface);
}

// (control fd) -> {linear: "1.4.0", …}
Napi::Value TargetVersions(const Napi::CallbackInfo& info) {
  return Run(info, Named(info, DM_LIST_VERSIONS, "DM_LIST_VERSIONS"), Versions);
}

// (control fd) -> [{name, major, minor}]
Napi::Value List(const Napi::CallbackInfo& info) {
  return Run(info, Named(info, DM_LIST_DEVICES, "DM_LIST_DEVICES"), Devices);
}

// (control fd, name, uuid)
Napi::Value Create(const Napi::CallbackInfo& info) {
  Request request = Named(info, DM_DEV_CREATE, "DM_DEV_CREATE");
  request.uuid = Text(info, 2);
  return Run(info, request, Device);
}

// (control fd, name, [{startSector, sectorCount, type, parameters}], read-only)
Napi::Value Load(const Napi::CallbackInfo& info) {
  Request request = Named(info, DM_TABLE_LOAD, "DM_TABLE_LOAD");
  Napi::Array targets = info[2].As<Napi::Array>();
  for (uint32_t i = 0; i < targets.Length(); i++) {
    Napi::Object target = targets.Get(i).As<Napi::Object>();
    request.targets.push_back({static_cast<uint64_t>(target.Get("startSector").ToNumber().Int64Value()),
                               static_cast<uint64_t>(target.Get("sectorCount").ToNumber().Int64Value()),
                               target.Get("type").ToString().Utf8Value(),
                               target.Get("parameters").ToString().Utf8Value()});
  }
  if (Flag(info, 3)) request.flags |= DM_READONLY_FLAG;
  if (info[4].IsObject()) {
    Napi::Object key = info[4].As<Napi::Object>();
    request.keyDescription = key.Get("description").ToString().Utf8Value();
    request.key = Bytes(key.Get("bytes"));
  }
  return Run(info, request, Device);
}

// (control fd, name)
Napi::Value Suspend(const Napi::CallbackInfo& info) {
  Request request = Named(info, DM_DEV_SUSPEND, "DM_DEV_SUSPEND");
  request.flags = DM_SUSPEND_FLAG;
  return Run(info, request, Device);
}

// (control fd, name, event: udev cookie and flags, or 0); makes a loaded table live
Napi::Value Resume(const Napi::CallbackInfo& info) {
  Request request = Named(info, DM_DEV_SUSPEND, "DM_DEV_SUSPEND");
  request.event = info[2].ToNumber().Uint32Value();
  return Run(info, request, Device);
}

// (control fd, name, new name, event)
Napi::Value Rename(const Napi::CallbackInfo& info) {
  Request request = Named(info, DM_DEV_RENAME, "DM_DEV_RENAME");
  request.newName = Text(info, 2);
  request.event = info[3].ToNumber().Uint32Value();
  return Run(info, request, Device);
}

// (control fd, name, deferred, event)
Napi::Value Remove(const Napi::CallbackInfo& info) {
  Request request = Named(info, DM_DEV_REMOVE, "DM_DEV_REMOVE");
#ifdef DM_DEFERRED_REMOVE
  if (Flag(info, 2)) request.flags |= DM_DEFERRED_REMOVE;
#endif
  request.event = info[3].ToNumber().Uint32Value();
  return Run(info, request, Device);
}

// (control fd, name) -> {name, uuid, major, minor, openCount, readOnly, suspended, active}
Napi::Value Info(const Napi::CallbackInfo& info) {
  return Run(info, Named(info, DM_DEV_STATUS, "DM_DEV_STATUS"), Device);
}

// (control fd, name, "table" | "status") -> [{startSector, sectorCount, type, parameters}]
Napi::Value Status(const Napi::CallbackInfo& info) {
  Request request = Named(info, DM_TABLE_STATUS, "DM_TABLE_STATUS");
  if (Text(info, 2) == "table") request.flags |= DM_STATUS_TABLE_FLAG;
  return Run(info, request, Table);
}

// (control fd, name, "live" | "inactive") -> [{major, minor}]
Napi::Value Deps(const Napi::CallbackInfo& info) {
  Request request = Named(info, DM_TABLE_DEPS, "DM_TABLE_DEPS");
  if (Text(info, 2) == "inactive") request.flags |= DM_QUERY_INACTIVE_TABLE_FLAG;
  return Run(info, request, Dependencies);
}

}  // namespace

void ExportDeviceMapper(Napi::Env env, Napi::Object exports) {
  exports["dmVersion"] = Napi::Function::New(env, Version);
  exports["dmTargetVersions"] = Napi::Function::New(env, TargetVersions);
  exports["dmList"] = Napi::Function::New(env, List);
  exports["dmCreate"] = Napi::Function::New(env, Create);
  exports["dmLoad"] = Napi::Function::New(env, Load);
  exports["dmSuspend"] = Napi::Function::New(env, Suspend);
  exports["dmResume"] = Napi::Function::New(env, Resume);
  exports["dmRename"] = Napi::Function::New(env, Rename);
  exports["dmRemove"] = Napi::Function::New(env, Remove);
  exports["dmInfo"] = Napi::Function::New(env, Info);
  exports["dmStatus"] = Napi::Function::New(env, Status);
  exports["dmDependencies"] = Napi::Function::New(env, Deps);
}

}  // namespace ddi
