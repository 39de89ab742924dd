// The links of the documents lead somewhere: to files of the repository, and to headings of pages.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from './support/run.js'

const pages = [
  ...readdirSync(packageRoot).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(packageRoot, 'docs'), { recursive: true })
    .map((path) => `docs/${String(path)}`)
    .filter((path) => path.endsWith('.md')),
]
const textOf = (page: string) => readFileSync(join(packageRoot, page), 'utf8').replace(/^```[\s\S]*?^```$/gm, '')

/** As GitHub, npm and the site make them. */
function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  )
}

test('links of documents lead to files and headings that are there', () => {
  for (const page of pages)
    for (const [, target] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue
      const [path, anchor] = target!.split('#') as [string, string?]
      const file = path === '' ? page : normalize(join(dirname(page), path))
      assert.ok(existsSync(join(packageRoot, file)), `${page}: ${target}`)
      if (anchor !== undefined) assert.ok(anchorsOf(file).includes(anchor), `${page}: ${target}`)
    }
})

test('every document can be found from the README, and is in the site', () => {
  const linked = [...textOf('README.md').matchAll(/\]\((docs\/[^)#]+\.md)/g)].map(([, path]) => path)
  const config = readFileSync(join(packageRoot, 'site/.vitepress/config.mjs'), 'utf8')
  for (const page of pages.filter((path) => path.startsWith('docs/'))) {
    assert.ok(linked.includes(page), `the README leads to ${page}`)
    assert.ok(config.includes(`'/${page.replace(/\.md$/, '')}'`), `the site leads to ${page}`)
  }
})
