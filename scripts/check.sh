#!/bin/bash
# Checks the code without running it: format, types, promises, sizes, layers, what is unused.
. "$(dirname "$0")/setup.sh"
needs clang-format=clang-format
PATH="$PWD/node_modules/.bin:$PATH"
status=0
check() { "$@" || { echo "check failed: $*" >&2; status=1; }; }

check biome check .
check tsc --noEmit
# no-floating-promises and its like, the lengths of functions (.oxlintrc.json)
check oxlint --quiet --format=unix --type-aware lib bindings test bench scripts
# what a room may import (.dependency-cruiser.mjs)
check depcruise --output-type err-long lib bindings
# exports, files and dependencies that nothing uses (.knip.json)
check knip --no-progress
check clang-format --dry-run --Werror native/*.cc native/*.h
# warnings of the compiler are errors (binding.gyp); compiling all of it anew would take longer than all the rest
if [ -f build/Makefile ]; then
  check node scripts/build.mjs --addon
else
  echo "C++ is not compiled by this check: npm run build does" >&2
fi
exit $status
