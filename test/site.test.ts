// The documents as a site: it builds, no link of it is dead, every page can be found by searching; and what it is built with, vite, bundles
// the rooms of the package that are for browsers.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { before, test } from 'node:test'
import { packageRoot, run, temporaryFolder } from './support/run.js'

const site = join(packageRoot, 'build/site')

before(() => run('bash', join(packageRoot, 'scripts/site.sh')))

const pages = () =>
  readdirSync(site, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.html'))
    .map((path) => ({ url: `/${path}`, html: readFileSync(join(site, path), 'utf8') }))

/** The file that a server sends for a path: pages are linked to without their ending. */
const fileOf = (path: string) =>
  ['', '.html', 'index.html']
    .map((ending) => path + ending)
    .find((file) => /[.]\w+$/.test(file) && existsSync(site + file))

test('no link of the site is dead, nor does any lead to a heading that is not there', () => {
  const found = pages()
  const ids = new Map(
    found.map(({ url, html }) => [url, new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!))]),
  )
  const dead = found.flatMap(({ url, html }) =>
    [...html.matchAll(/ (?:href|src)="([^"]+)"/g)]
      .map(([, target]) => target!.replaceAll('&amp;', '&'))
      .filter((target) => !/^(https?|data|mailto):/.test(target))
      .filter((target) => {
        const [path, anchor] = target.split('#') as [string, string?]
        const file = path === '' ? url : fileOf(posix.resolve(posix.dirname(url), path).replace(/^[/]$/, '/index'))
        return file === undefined || (anchor && !ids.get(file)?.has(decodeURIComponent(anchor)))
      })
      .map((target) => `${url}: ${target}`),
  )
  assert.ok(found.length > 25)
  assert.deepEqual(dead, [])
})

test('searching finds every page', () => {
  const chunks = join(site, 'assets/chunks')
  const index = readFileSync(
    join(chunks, readdirSync(chunks).find((name) => name.startsWith('@localSearchIndex'))!),
    'utf8',
  )
  const config = readFileSync(join(packageRoot, 'site/.vitepress/config.mjs'), 'utf8')
  const links = [...config.matchAll(/page\('[^']+', '([^']+)'\)/g)].map(([, link]) => link!)
  assert.ok(links.length > 25)
  for (const link of links) assert.ok(index.includes(`"${link}#`), link)
})

interface Vite {
  build(config: object): Promise<{ readonly output: readonly Chunk[] }>
}
interface Chunk {
  readonly imports: readonly string[]
  readonly moduleIds: readonly string[]
}

test('vite bundles the rooms for browsers, and nothing of Node.js with them', async () => {
  using folder = temporaryFolder()
  mkdirSync(join(folder.path, 'node_modules'))
  symlinkSync(packageRoot, join(folder.path, 'node_modules/ddi'))
  const page = join(folder.path, 'page.js')
  writeFileSync(
    page,
    "export * as gpt from 'ddi/gpt'; export * as verity from 'ddi/verity'; export * as android from 'ddi/android'\n",
  )
  const vite = (await import(join(packageRoot, 'site/node_modules/vite/dist/node/index.js'))) as Vite
  const { output } = await vite.build({
    root: folder.path,
    configFile: false,
    logLevel: 'error',
    resolve: { preserveSymlinks: true },
    build: { write: false, rollupOptions: { input: page, preserveEntrySignatures: 'strict' } },
  })
  const modules = output.flatMap(({ moduleIds }) => moduleIds)
  assert.ok(
    modules.some((id) => id.endsWith('dist/browser/gpt.js')),
    modules.join('\n'),
  )
  assert.deepEqual(
    [...output.flatMap(({ imports }) => imports), ...modules].filter((id) => /node:|external/.test(id)),
    [],
  )
})
