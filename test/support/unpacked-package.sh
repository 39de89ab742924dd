#!/bin/bash
# A Debian package, unpacked once and not installed: for programs whose installation would change this machine. Prints the folder.
#   unpacked-package.sh PACKAGE [ARCHITECTURE]: of another architecture, with lists of packages of its own
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ddi-test-packages
package=$1
folder=$cache/$package${2:+-$2}
mkdir -p "$cache"
# Tests that run at the same time unpack it once.
exec 9>"$cache/lock"
flock 9
if [ ! -e "$folder" ]; then
  work=$(mktemp -d "$cache/new.XXXXXX")
  options=()
  if [ $# -gt 1 ]; then
    apt=$(mktemp -d "$cache/apt.XXXXXX")
    trap 'rm -rf "$apt"' EXIT
    mkdir -p "$apt"/{lists,archives}/partial
    options=(-o "APT::Architecture=$2" -o "APT::Architectures::=$2" -o "Dir::State::lists=$apt/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$apt")
    apt-get "${options[@]}" update -qq >&2
  fi
  (cd "$work" && apt-get "${options[@]}" download -qq "$package" >&2 && dpkg-deb --extract ./*.deb . && rm -- *.deb)
  mv "$work" "$folder"
fi
echo "$folder"
