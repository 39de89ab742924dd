// What decoders of system libraries have in common: the library's functions are found on first use, so that the addon
// works without it, and a decoder lives as long as JavaScript or a call that is under way has it.
#pragma once

#include <dlfcn.h>

#include "async.h"

namespace ddi {

// Leaves a function null that the library does not have; the library may be null.
template <typename Function>
void Find(void* library, const char* name, Function& function) {
  if (library) function = reinterpret_cast<Function>(dlsym(library, name));
}

template <typename Decoder>
using Shared = std::shared_ptr<Decoder>;

template <typename Decoder>
Napi::Value Hold(Napi::Env env, Shared<Decoder> decoder) {
  return Napi::External<Shared<Decoder>>::New(env, new Shared<Decoder>(std::move(decoder)),
                                              [](Napi::Env, Shared<Decoder>* held) { delete held; });
}

template <typename Decoder>
Shared<Decoder> Held(const Napi::Value& value) {
  return *value.As<Napi::External<Shared<Decoder>>>().Data();
}

// What a call of a library came to, or why it failed, and how far it got.
struct Progress {
  double result;
  const char* error;
  size_t produced, consumed;
};

inline Napi::Value ToJs(Napi::Env env, const Progress& progress) {
  Napi::Array array = Napi::Array::New(env, 3);
  if (progress.error) {
    array[0u] = Napi::String::New(env, progress.error);
  } else {
    array[0u] = Napi::Number::New(env, progress.result);
  }
  array[1u] = Napi::Number::New(env, static_cast<double>(progress.produced));
  array[2u] = Napi::Number::New(env, static_cast<double>(progress.consumed));
  return array;
}

}  // namespace ddi
