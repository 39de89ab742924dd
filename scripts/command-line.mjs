// The command line of the package: its code in dist/cli/, the index of its verbs beside it, and the manual page.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { manPage } from './man-page.mjs'

/** The verb of a command line that begins with an image; it is listed first. */
const first = 'attach'

/** @returns `volume/create` for each file of `verbs/`, without `group` files, and apart from them the names of groups */
function findVerbs(directory) {
  const paths = readdirSync(directory, { recursive: true })
    .filter((path) => path.endsWith('.js'))
    .map((path) => path.slice(0, -'.js'.length))
    .sort((a, b) => Number(b === first) - Number(a === first) || (a < b ? -1 : 1))
  const groups = paths.filter((path) => path.endsWith('/group'))
  return { verbs: paths.filter((path) => !groups.includes(path)), groups: groups.map((path) => path.split('/')[0]) }
}

/** What help, completion and manuals need of all verbs, so that they need no verb's code. */
async function makeIndex(root) {
  const verbsDirectory = join(root, 'dist/cli/verbs')
  const { verbs, groups } = findVerbs(verbsDirectory)
  const load = async (path) => (await import(pathToFileURL(join(verbsDirectory, `${path}.js`)).href)).default
  const index = { version: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version, verbs: [], groups: {} }
  const schemas = {}
  for (const path of verbs) {
    const name = path.replace('/', ' ')
    const { facts, json } = await load(path)
    index.verbs.push({ name, ...facts })
    schemas[name] = json
  }
  for (const group of groups) index.groups[group] = (await load(`${group}/group`)).summary
  return { index, schemas }
}

/** What each verb prints with `--json`, a file each. */
async function writeSchemas(root, schemas) {
  const directory = join(root, 'dist/schemas')
  mkdirSync(directory, { recursive: true })
  const { schemaOf } = await import(pathToFileURL(join(root, 'dist/lib/cli/failure.js')).href)
  for (const [name, json] of Object.entries(schemas))
    writeFileSync(
      join(directory, `${name.replace(' ', '-')}.json`),
      `${JSON.stringify(schemaOf(name, json), undefined, 2)}\n`,
    )
}

/**
 * What most verbs load. They import all of it, so that it is one file: otherwise esbuild makes a file of what each
 * combination of verbs has in common, and looking for forty files takes longer than reading a few that are larger.
 */
const shared = [
  'image/dissect',
  'image/open',
  'cli/exit',
  'cli/extents',
  'cli/pictures/layout',
  'cli/notes',
  'cli/options',
  'cli/table',
  'cli/verb-index',
  'store/disks',
]

/** The modules that others load when they need them: verbs have loaded what is shared by then. */
function loadedLater(root) {
  const lib = join(root, 'dist/lib')
  const files = readdirSync(lib, { recursive: true }).filter((path) => path.endsWith('.js'))
  return files.flatMap((path) => {
    const text = readFileSync(join(lib, path), 'utf8')
    return [...text.matchAll(/import\('(\.[^']+)'\)/g)].map(([, target]) => join(lib, dirname(path), target))
  })
}

function importShared(root) {
  const imports = shared.map((path) => `import ${JSON.stringify(join(root, `dist/lib/${path}.js`))}\n`).join('')
  const later = new Set(loadedLater(root))
  const isBehindVerb = (path) =>
    (/dist\/lib\/cli\/verbs\//.test(path) && !path.endsWith('/group.js')) || later.has(path)
  return {
    name: 'import-shared',
    setup({ onLoad, onResolve }) {
      // As package.json has it, an import of nothing is for nothing: these are not.
      onResolve({ filter: /^[./].*\.js$/ }, ({ path, resolveDir }) =>
        resolveDir.startsWith(join(root, 'dist')) ? { path: resolve(resolveDir, path), sideEffects: true } : undefined,
      )
      onLoad({ filter: /dist\/lib\/.*\.js$/ }, ({ path }) =>
        isBehindVerb(path) ? { contents: `${imports}${readFileSync(path, 'utf8')}` } : undefined,
      )
    },
  }
}

/** Bundles what tsc left in dist/lib/cli. @param root of the package */
export async function buildCommandLine(root) {
  rmSync(join(root, 'dist/cli'), { recursive: true, force: true })
  const { verbs, groups } = findVerbs(join(root, 'dist/lib/cli/verbs'))
  const entries = ['main', ...[...verbs, ...groups.map((group) => `${group}/group`)].map((path) => `verbs/${path}`)]
  await build({
    absWorkingDir: root,
    entryPoints: entries.map((path) => `dist/lib/cli/${path}.js`),
    outdir: 'dist/cli',
    outbase: 'dist/lib/cli',
    plugins: [importShared(root)],
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Native modules find their own files, and the others are loaded where they are needed, if ever.
    external: ['asn1js', 'ffi-rs', 'node-gyp-build', 'openpgp', 'pkijs'],
    // Commander and its like are written for require().
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  chmodSync(join(root, 'dist/cli/main.js'), 0o755)
  const { index, schemas } = await makeIndex(root)
  await writeSchemas(root, schemas)
  writeFileSync(join(root, 'dist/cli/verbs.json'), JSON.stringify(index))
  writeFileSync(join(root, 'dist/ddi-attach.8'), manPage(index, join(root, 'docs/ddi-attach.8.in')))
}
