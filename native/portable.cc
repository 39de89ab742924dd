// What the headers of a newer glibc and libstdc++ refer to, and glibc 2.31, musl or libstdc++ 10 lack. With this, one
// file works with all of them: it has no version of the C library, which Node.js has loaded already.
// test/prebuilds.test.ts finds what is missing here.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <new>
#include <string>

#undef major
#undef minor
#undef makedev

extern "C" {

// glibc 2.32 tells std::shared_ptr by it whether there are threads; Node.js has them.
char __libc_single_threaded = 0;

// glibc 2.33. The kernel's structure is that of the C library on 64-bit machines.
int fstat(int fd, struct stat* status) noexcept { return static_cast<int>(syscall(SYS_fstat, fd, status)); }

int mknod(const char* path, mode_t mode, dev_t device) noexcept {
  return static_cast<int>(syscall(SYS_mknodat, AT_FDCWD, path, mode, device));
}

// Of glibc alone; elsewhere they are macros. Bits of a number: 12 of the minor's upper ones lie above the major's
// lower 12.
unsigned gnu_dev_major(dev_t device) noexcept { return ((device >> 8) & 0xfff) | ((device >> 32) & 0xfffff000); }
unsigned gnu_dev_minor(dev_t device) noexcept { return (device & 0xff) | ((device >> 12) & 0xffffff00); }
dev_t gnu_dev_makedev(unsigned major, unsigned minor) noexcept {
  return (minor & 0xff) | ((dev_t{major} & 0xfff) << 8) | ((dev_t{minor} & 0xffffff00) << 12) |
         ((dev_t{major} & 0xfffff000) << 32);
}

}  // extern "C"

// libstdc++ 11.
void std::__throw_bad_array_new_length() { throw std::bad_array_new_length(); }
