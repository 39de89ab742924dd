import { parseOsRelease } from '../image/os-release.js'
import type { Tree } from './entries.js'
import { readExtensionRelease } from './extension.js'
import { isMissing, type Root, readTextInRoot } from './root.js'

/** What the files of an image say about it. */
export interface ImageFacts {
  readonly hostname: string | null
  readonly machineId: string | null
  readonly machineInfo: Readonly<Record<string, string>>
  readonly osRelease: Readonly<Record<string, string>>
  readonly initrdRelease: Readonly<Record<string, string>>
  readonly sysextRelease: Readonly<Record<string, string>>
  readonly confextRelease: Readonly<Record<string, string>>
  /** What the image can be used as, by the rules of systemd-dissect. */
  readonly uses: readonly ImageUse[]
}

/** What an image can be used as. */
export type ImageUse =
  | 'container'
  | 'portable-service'
  | 'initrd'
  | `sysext-${ExtensionScope}`
  | `confext-${ExtensionScope}`
export type ExtensionScope = 'system' | 'initrd' | 'portable'

const scopes: readonly ExtensionScope[] = ['system', 'initrd', 'portable']
/** Where an init system would be. */
const inits = ['usr/lib/systemd/systemd', 'lib/systemd/systemd', 'sbin/init', 'usr/sbin/init']

/**
 * Reads what a tree says of itself. Links lead nowhere out of it.
 * @param image its path or name: the release files of extensions carry it
 */
export async function readFacts(tree: Tree, image: string): Promise<ImageFacts> {
  const { root } = tree
  const text = async (...paths: readonly string[]) => {
    for (const one of paths) {
      const found = await readTextInRoot(root, one)
      if (found !== undefined) return found
    }
    return ''
  }
  const osRelease = parseOsRelease(await text('etc/os-release', 'usr/lib/os-release'))
  const initrdRelease = parseOsRelease(await text('etc/initrd-release', 'usr/lib/initrd-release'))
  const sysextRelease = parseOsRelease((await readExtensionRelease(tree, image, 'usr/lib')) ?? '')
  const confextRelease = parseOsRelease((await readExtensionRelease(tree, image, 'etc')) ?? '')
  const machineId = (await text('etc/machine-id')).trim()
  const uses: ImageUse[] = []
  if (initrdRelease.size > 0) uses.push('initrd')
  else if (osRelease.size > 0 && (await hasInit(root))) uses.push('container')
  if (osRelease.has('PORTABLE_PREFIXES')) uses.push('portable-service')
  for (const [kind, fields] of [
    ['sysext', sysextRelease],
    ['confext', confextRelease],
  ] as const) {
    if (fields.size === 0) continue
    const allowed = (fields.get(`${kind.toUpperCase()}_SCOPE`) ?? 'system portable').split(/\s+/)
    for (const scope of scopes) if (allowed.includes(scope)) uses.push(`${kind}-${scope}`)
  }
  return {
    hostname: firstLine(await text('etc/hostname')),
    machineId: /^[0-9a-f]{32}$/.test(machineId) ? machineId : null,
    machineInfo: Object.fromEntries(parseOsRelease(await text('etc/machine-info'))),
    osRelease: Object.fromEntries(osRelease),
    initrdRelease: Object.fromEntries(initrdRelease),
    sysextRelease: Object.fromEntries(sysextRelease),
    confextRelease: Object.fromEntries(confextRelease),
    uses,
  }
}

function firstLine(text: string): string | null {
  const line = text.split('\n').find((one) => one.trim() !== '' && !one.startsWith('#'))
  return line?.trim() ?? null
}

async function hasInit(root: Root): Promise<boolean> {
  for (const path of inits) {
    try {
      await using _ = await root.open(path)
      return true
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
  return false
}
