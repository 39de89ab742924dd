{
  "variables": {
    "strict": ["-std=c++20", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections"],
    "sanitize": ["-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
  },
  "targets": [
    {
      "target_name": "hashes",
      "type": "static_library",
      "sources": ["native/sha256.cc", "native/sha256_arm.cc", "native/sha256_x86.cc", "native/sha512.cc"],
      "cflags_cc": ["<@(strict)", "-O2"],
      "configurations": {"Debug": {"cflags_cc": ["<@(sanitize)"]}}
    },
    {
      "target_name": "ddi",
      "dependencies": ["hashes"],
      "sources": [
        "native/addon.cc",
        "native/blkid.cc",
        "native/block_device.cc",
        "native/copy_range.cc",
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
        "native/portable.cc",
        "native/process.cc",
        "native/sha256_stream.cc",
        "native/sparse_write.cc",
        "native/udev_cookie.cc",
        "native/verity_hash.cc",
        "native/xz.cc",
        "native/zstd.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "defines!": ["_FILE_OFFSET_BITS=64"],
      "cflags_cc": ["<@(strict)", "-Os", "-fexceptions"],
      "cflags_cc!": ["-fno-exceptions"],
      "conditions": [["target_arch == 'arm64'", {"cflags_cc": ["-mno-outline-atomics"]}]],
      "ldflags": ["-Wl,-z,relro,-z,now", "-Wl,-z,noseparate-code", "-Wl,--version-script=<(module_root_dir)/native/exports.map"],
      "libraries": ["-lstdc++", "-lgcc", "-lgcc_s"],
      "configurations": {
        "Debug": {"cflags_cc": ["<@(sanitize)"], "ldflags": ["-fsanitize=address,undefined"]},
        "Release": {"ldflags": ["-nodefaultlibs", "-Wl,--gc-sections"]}
      }
    }
  ]
}
