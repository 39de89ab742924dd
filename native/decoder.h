// What decoders of system libraries have in common.
#pragma once

#include "library.h"

namespace ddi {

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
