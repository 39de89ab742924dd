// The code of the package, bundled from what tsc left in dist/lib: one copy of everything, shared by the library, the command
// line and the boot program, in a few files. Looking for a hundred files takes longer than reading a few that are larger.
import { chmodSync, copyFileSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { rolldown } from 'rolldown'
import { thirdPartyNotices } from './notices.mjs'

/** Rooms of dist/lib/ that programs can import by themselves. */
export const formats = ['gpt', 'android', 'verity']

/** Verbs that people and scripts wait for, the lightest first: each tier loads a file of its own and those of the tiers before. */
const tiers = {
  listing: ['store/list'],
  inspection: ['volume/list', 'inspect', 'list'],
  core: ['attach', 'detach', 'verify'],
}

const cryptography = /node_modules\/(pkijs|asn1js|bytestreamjs|pvtsutils|pvutils|tslib|@noble\/hashes)\//

function verbsOf(lib) {
  const files = readdirSync(join(lib, 'cli/verbs'), { recursive: true }).filter((path) => path.endsWith('.js'))
  return files.map((path) => `cli/verbs/${path.slice(0, -'.js'.length)}`)
}

/** Files of dist/, without `.js`, by the modules of dist/lib/ that they begin with. */
function entriesOf(lib) {
  const same = ['cli/main', 'boot/main', 'boot/service', ...verbsOf(lib)]
  return {
    ...Object.fromEntries(same.map((path) => [path, `${path}.js`])),
    'library/index': 'index.js',
    ...Object.fromEntries(formats.map((room) => [`library/${room}`, `${room}/index.js`])),
    'library/luks-process': '../bindings/luks-process.js',
  }
}

/** The modules that the given ones import, and themselves. */
function reachable(ids, graph, found = new Set()) {
  for (const id of ids) {
    if (found.has(id)) continue
    found.add(id)
    reachable(graph.getModuleInfo(id)?.importedIds ?? [], graph, found)
  }
  return found
}

/** Files of dist/chunks/ that are of one purpose each: a module goes into the first that it can be of. */
function groupsOf(lib) {
  const at = (paths) => paths.map((path) => join(lib, `${path}.js`))
  const isCommand = (id) => id.startsWith(join(lib, 'cli/')) && !id.startsWith(join(lib, 'cli/verbs/'))
  const isLibrary = (id) => !id.includes('/node_modules/') && !id.startsWith(join(lib, 'cli/'))
  const start = at(['cli/run'])
  const downloads = (verb, graph) => reachable([verb], graph).has('node:https')
  const local = (graph) => at(verbsOf(lib)).filter((verb) => !downloads(verb, graph))
  const of = (roots, isOne) => {
    let found
    return (id, graph) => {
      found ??= reachable(typeof roots === 'function' ? roots(graph) : roots, graph)
      return found.has(id) && isOne(id)
    }
  }
  const tierGroups = Object.entries(tiers).flatMap(([name, verbs]) => {
    const roots = at(verbs.map((verb) => `cli/verbs/${verb}`))
    return [
      [name, of(roots, isLibrary)],
      [`${name}-verbs`, of(roots, isCommand)],
    ]
  })
  const groups = {
    openpgp: (id) => id.includes('/node_modules/openpgp/'),
    pkijs: (id) => cryptography.test(id),
    ground: of(start, isLibrary),
    start: of(start, (id) => !isLibrary(id)),
    ...Object.fromEntries(tierGroups),
    ...Object.fromEntries(formats.map((room) => [room, of(at([`${room}/index`]), isLibrary)])),
    // What downloads loads much of Node.js, and other verbs do without.
    local: of(local, isLibrary),
    library: of(at(['index']), isLibrary),
  }
  return Object.entries(groups).map(([debugName, isOne], place, { length }) => ({
    debugName,
    name: (id, graph) => (isOne(id, graph) ? debugName : undefined),
    priority: length - place,
  }))
}

/** What the boot program loads, now or later: the files of an initrd. */
function filesOfBoot(chunks) {
  const found = new Set()
  const add = (name) => {
    if (found.has(name) || !chunks.has(name)) return
    found.add(name)
    for (const other of [...chunks.get(name).imports, ...chunks.get(name).dynamicImports]) add(other)
  }
  for (const name of ['boot/main.js', 'boot/service.js']) add(name)
  return [...found].sort()
}

/** What pages load of the rooms of formats: NAME.browser.js takes the place of NAME.js. */
async function bundleForBrowsers(dist, lib) {
  const bundle = await rolldown({
    input: Object.fromEntries(formats.map((room) => [room, join(lib, room, 'portable.js')])),
    platform: 'browser',
    plugins: [
      {
        name: 'browser-modules',
        resolveId(path, importer) {
          const other =
            importer && path.startsWith('.') && resolve(dirname(importer), path.replace(/\.js$/, '.browser.js'))
          return other && existsSync(other) ? other : undefined
        },
      },
    ],
  })
  await bundle.write({ dir: join(dist, 'browser'), format: 'esm', minify: true, entryFileNames: '[name].js' })
  await bundle.close()
}

/** Commander starts no program for us: what it would start them with takes time to load. */
const withoutPrograms = {
  name: 'without-programs',
  resolveId: (id, importer) =>
    id === 'node:child_process' && importer?.includes('/node_modules/commander/') ? '\0none' : undefined,
  load: (id) => (id === '\0none' ? 'module.exports = {}' : undefined),
}

/** @param root of the package */
export async function bundlePackage(root) {
  const [dist, lib] = [join(root, 'dist'), join(root, 'dist/lib')]
  for (const folder of ['boot', 'browser', 'cli', 'chunks', 'library'])
    rmSync(join(dist, folder), { recursive: true, force: true })
  const bundle = await rolldown({
    input: Object.fromEntries(Object.entries(entriesOf(lib)).map(([name, path]) => [name, join(lib, path)])),
    platform: 'node',
    plugins: [withoutPrograms],
    preserveEntrySignatures: 'allow-extension',
    // As package.json has it, an import of nothing is for nothing: programs are run by one.
    treeshake: { moduleSideEffects: [{ test: /\/dist\/lib\/(boot|cli)\//, sideEffects: true }] },
  })
  const { output } = await bundle.write({
    dir: dist,
    format: 'esm',
    minify: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    codeSplitting: { groups: groupsOf(lib), includeDependenciesRecursively: false },
  })
  await bundle.close()
  await bundleForBrowsers(dist, lib)
  const chunks = new Map(output.map((chunk) => [chunk.fileName, chunk]))
  chmodSync(join(dist, 'cli/main.js'), 0o755)
  copyFileSync(join(root, 'lib/boot/udhcpc.sh'), join(dist, 'boot/udhcpc.sh'))
  chmodSync(join(dist, 'boot/udhcpc.sh'), 0o755)
  writeFileSync(join(dist, 'boot/files.json'), JSON.stringify([...filesOfBoot(chunks), 'boot/udhcpc.sh']))
  const modules = output.flatMap(({ moduleIds = [] }) => moduleIds)
  writeFileSync(join(dist, 'THIRD-PARTY-NOTICES'), thirdPartyNotices(modules))
}
