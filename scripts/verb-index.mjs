// What is made of all verbs: their index, beside the code in dist/cli/, and the manual page.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
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
    writeFileSync(join(directory, `${name.replace(' ', '-')}.json`), `${JSON.stringify(schemaOf(name, json))}\n`)
}

/** @param root of the package, which is bundled */
export async function describeCommandLine(root) {
  const { index, schemas } = await makeIndex(root)
  await writeSchemas(root, schemas)
  const names = { ...index, verbs: index.verbs.map(({ name, summary }) => ({ name, summary })) }
  writeFileSync(join(root, 'dist/cli/verbs.json'), JSON.stringify(index))
  writeFileSync(join(root, 'dist/cli/names.json'), JSON.stringify(names))
  writeFileSync(join(root, 'dist/ddi-attach.8'), manPage(index, join(root, 'docs/ddi-attach.8.in')))
}
