{
  "targets": [
    {
      "target_name": "ddi",
      "sources": [
        "native/addon.cc",
        "native/blkid.cc",
        "native/block_device.cc",
        "native/cryptsetup.cc",
        "native/device_mapper.cc",
        "native/extended_attribute.cc",
        "native/kexec.cc",
        "native/loop.cc",
        "native/lz4.cc",
        "native/machine.cc",
        "native/memory.cc",
        "native/module.cc",
        "native/mount.cc",
        "native/partition_scan.cc",
        "native/process.cc",
        "native/sha256.cc",
        "native/sha256_arm.cc",
        "native/sha256_stream.cc",
        "native/sha256_x86.cc",
        "native/sha512.cc",
        "native/copy_range.cc",
        "native/sparse_write.cc",
        "native/udev_cookie.cc",
        "native/verity_hash.cc",
        "native/xz.cc",
        "native/zstd.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "_FILE_OFFSET_BITS=64"],
      "cflags_cc": ["-std=c++20", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fvisibility=hidden", "-fexceptions"],
      "cflags_cc!": ["-fno-exceptions"],
      "conditions": [["target_arch == 'arm64'", {"cflags_cc": ["-march=armv8-a+crypto"]}]],
      "ldflags": ["-static-libstdc++", "-static-libgcc", "-Wl,-z,relro,-z,now"],
      "configurations": {
        "Debug": {
          "cflags_cc": ["-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"],
          "ldflags": ["-fsanitize=address,undefined"]
        }
      }
    }
  ]
}
