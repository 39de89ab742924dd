#!/bin/bash
# A Debian package, unpacked once and not installed: for programs whose installation would change this machine. Prints the folder.
#   unpacked-package.sh PACKAGE
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ddi-test-packages
package=$1
mkdir -p "$cache"
# Tests that run at the same time unpack it once.
exec 9>"$cache/lock"
flock 9
if [ ! -e "$cache/$package" ]; then
  work=$(mktemp -d "$cache/new.XXXXXX")
  (cd "$work" && apt-get download -qq "$package" >&2 && dpkg-deb --extract ./*.deb . && rm -- *.deb)
  mv "$work" "$cache/$package"
fi
echo "$cache/$package"
