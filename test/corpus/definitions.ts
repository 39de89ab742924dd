// What public projects build their images and partition their disks from: each definition is read, or refused for a reason that
// docs/building.md gives.
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseDefinition, readDefinitions } from '../../lib/build/definitions.js'
import type { Specifiers } from '../../lib/definition.js'
import { DdiError } from '../../lib/errors.js'
import { parseOsRelease } from '../../lib/image/os-release.js'
import { run } from '../support/run.js'
import { corpus, repositoryOf } from './repository.js'

const projects = [
  ...['systemd/mkosi', 'systemd/particleos', 'lxc/incus-os', 'ConferLabs/confer-image', 'NekkoDroid/NekkOS'],
  ...['TimelessOS/TimelessOS', 'Vasu77df/mkosi-immutable-ubuntu-build', 'Zena-Linux/Zena-X', 'aide-gg/CarbideOS'],
  ...['b1-systems/openstack-ironic-images', 'edgelesssys/reproducible-mkosi', 'hanthor/bluefin-duranium'],
  ...['kelianor/arch-mkosi', 'michaelmnemonic/atomic', 'mkbrechtel/mkrescue', 'nextcloud-atomic/distro'],
  ...['nosada/mkosi-files', 'p1x3l101-10/osi', 'sirspudd/kde-linux', 'swiftraccoon/learn-mkosi'],
  ...['swsnr/steam-deck-sd-card-image', 'thkukuk/opensuse-mkosi-images', 'tinfoilsh/cvmimage', 'valtzu/rpi-mkosi'],
]

/** Folders of definitions, by their names. */
const isDefinition = /(^|\/)([^/]*repart\.d|mkosi\.repart)\/[^/]+\.conf(\.d\/[^/]+\.conf)?$/

/** Why a definition may be refused: all else is a finding. */
const reasons: Readonly<Record<string, RegExp>> = {
  'a TPM2': /tpm2 is not supported/,
  'a hash partition without data': /has no partition with Verity=data/,
}

const specifiers: Specifiers = {
  architecture: 'x86-64',
  osRelease: parseOsRelease('ID=os\nVERSION_ID=1\nBUILD_ID=2\nIMAGE_ID=image\nIMAGE_VERSION=3\nVARIANT_ID=server\n'),
  machine: { bootId: '0'.repeat(32), hostName: 'host', kernel: '6.1.0', machineId: '0'.repeat(32) },
}

/** Unpacks the definitions of a project, links as links. */
function unpackDefinitions(name: string, cache: string): string {
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  const repository = repositoryOf(name)
  const paths = run('git', '-C', repository, 'ls-tree', '-r', '-z', '--name-only', 'HEAD').split('\0')
  mkdirSync(folder, { recursive: true })
  const wanted = paths.filter((path) => isDefinition.test(path))
  const archive = join(folder, 'definitions.tar')
  run('git', '-C', repository, 'archive', `--output=${archive}`, 'HEAD', '--', ...wanted)
  run('tar', '--extract', `--file=${archive}`, `--directory=${folder}`)
  return folder
}

const counts = new Map<string, number>()
const count = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1)
let findings = 0

/** Reads something, counts what became of it, and tells of what should have been read. */
async function attemptTo(read: () => unknown, kind: 'files' | 'folders', path: string): Promise<void> {
  try {
    await read()
    count(`${kind} read`)
  } catch (error) {
    if (!(error instanceof DdiError) || error.code !== 'ERR_DDI_DEFINITION') throw error
    const { message } = error
    const reason = Object.keys(reasons).find((name) => reasons[name]!.test(message))
    count(`${kind} refused for ${reason ?? 'no good reason'}`)
    if (reason !== undefined) return
    findings++
    console.error(`${path}: ${message}`)
  }
}

const cache = join(corpus, 'definitions')
for (const project of projects) {
  const top = unpackDefinitions(project, cache)
  const entries = readdirSync(top, { recursive: true, withFileTypes: true })
  const files = entries.filter(({ name, parentPath }) => name.endsWith('.conf') && !parentPath.endsWith('.conf.d'))
  for (const folder of new Set(files.map(({ parentPath }) => parentPath)))
    await attemptTo(() => readDefinitions([folder], specifiers), 'folders', relative(cache, folder))
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name)
    await attemptTo(() => parseDefinition(readFileSync(path, 'utf8'), name, specifiers), 'files', relative(cache, path))
  }
}
for (const [what, number] of counts) console.log(`${number} ${what}`)
if (findings > 0 || (counts.get('files read') ?? 0) < 110) process.exit(1)
