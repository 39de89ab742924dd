#!/bin/bash
# Builds the documents as a site, in build/site. Its dependencies are its own: those of the package stay few.
. "$(dirname "$0")/setup.sh"
[ -f dist/lib/index.d.ts ] || build
node scripts/api.mjs
cd site
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error >&2
fi
npm run --silent build
