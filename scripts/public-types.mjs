// dist/types/: the declarations that users of the package can reach, and no others.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { formats } from './bundle.mjs'

function reachable(file, found = new Set()) {
  if (found.has(file)) return found
  found.add(file)
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from |import |import\()['"](\.[^'"]+)\.js['"]/g))
    reachable(join(dirname(file), `${path}.d.ts`), found)
  return found
}

/** @param root of the package, compiled */
export function keepPublicTypes(root) {
  const [dist, types] = [join(root, 'dist'), join(root, 'dist/types')]
  rmSync(types, { recursive: true, force: true })
  const found = new Set()
  const entries = ['index', ...formats.flatMap((room) => [`${room}/index`, `${room}/portable`])]
  for (const entry of entries) reachable(join(dist, `lib/${entry}.d.ts`), found)
  for (const file of found) {
    const text = readFileSync(file, 'utf8')
    const copy = join(types, relative(dist, file))
    mkdirSync(dirname(copy), { recursive: true })
    // A consumer may not have named Node.js among its types, and TypeScript drops such a line from what it emits.
    writeFileSync(copy, text.includes("from 'node:") ? `/// <reference types="node" />\n${text}` : text)
  }
}
