// Libraries of the system: loaded at first use, so that the addon works without them.
#pragma once

#include <dlfcn.h>

#include "async.h"

namespace ddi {

// Leaves a function null that the library does not have; the library may be null.
template <typename Function>
void Find(void* library, const char* name, Function& function) {
  if (library) function = reinterpret_cast<Function>(dlsym(library, name));
}

// Throws what dlopen(3) says.
inline void* OpenLibrary(Napi::Env env, const char* name) {
  void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library) throw Napi::Error::New(env, dlerror());
  return library;
}

// The same for a function without which the library is of no use.
template <typename Function>
void Need(Napi::Env env, void* library, const char* name, Function& function) {
  Find(library, name, function);
  if (!function) throw Napi::Error::New(env, dlerror());
}

// An object that lives as long as JavaScript or a call that is under way has it.
template <typename Object>
using Shared = std::shared_ptr<Object>;

template <typename Object>
Napi::Value Hold(Napi::Env env, Shared<Object> object) {
  return Napi::External<Shared<Object>>::New(env, new Shared<Object>(std::move(object)),
                                             [](Napi::Env, Shared<Object>* held) { delete held; });
}

template <typename Object>
Shared<Object> Held(const Napi::Value& value) {
  return *value.As<Napi::External<Shared<Object>>>().Data();
}

}  // namespace ddi
