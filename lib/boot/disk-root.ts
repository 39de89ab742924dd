import { basename, join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { DdiError } from '../errors.js'
import { parameterValue } from '../kernel-command-line.js'
import { runTool } from '../tool.js'
import type { BootContext } from './context.js'
import { lookFor } from './look-for.js'
import { type RootImage, requireTrusted } from './root-image.js'
import { decideTrust, readTrustAnchors, warningOf } from './trust.js'

/** How long a disk may take to be found by its driver, in milliseconds. */
const longestWait = 30_000

/**
 * The image on the disk that `root=` names: what a machine boots that did not boot from a URL, by the same rules of trust.
 * @returns undefined if the command line names no disk
 * @throws ERR_DDI_NOT_FOUND if there is no such device, and as `obtainRoot`
 */
export async function findDiskRoot({ root, parameters, log, signal }: BootContext): Promise<RootImage | undefined> {
  const device = deviceNamed(parameterValue(parameters.text, 'root') ?? '')
  if (!device) return undefined
  const anchors = await readTrustAnchors(root, parameters)
  const trust = decideTrust({ kind: 'raw', use: 'root', verify: 'no', requestedBy: 'command-line' }, anchors)
  const look = async () => {
    const found = device.by === 'path' ? device.path : await taggedDevice(device.tag)
    return found !== undefined && (await exists(join(root, found))) ? join(root, found) : undefined
  }
  const path = await lookFor(look, longestWait, signal)
  if (path === undefined)
    throw new DdiError(
      'ERR_DDI_NOT_FOUND',
      `there is no ${device.by === 'path' ? device.path : device.tag}, which root= names`,
    )
  const warning = warningOf(trust, path)
  if (warning !== undefined) log.say(warning)
  const { policy } = anchors
  const rootHashes = await requireTrusted({ path }, trust, { policy, whole: false, signal })
  const here = { url: null, sha256: null, readOnly: true }
  return { kind: 'raw', name: basename(path), path, ...here, trust, policy, rootHashes }
}

/** How a disk is named: by its device, or by what it holds (`UUID=…`, `LABEL=…`, `PARTUUID=…`). */
type NamedDevice = { readonly by: 'path'; readonly path: string } | { readonly by: 'tag'; readonly tag: string }

/**
 * The device that `root=` names, as the kernel, systemd and udev’s links have it.
 * @returns undefined if it names none that is there before something is pulled
 */
export function deviceNamed(text: string): NamedDevice | undefined {
  if (/^(UUID|LABEL|PARTUUID)=./.test(text)) return { by: 'tag', tag: text }
  const [, kind, value] = /^\/dev\/disk\/by-(uuid|label|partuuid)\/([^/]+)$/.exec(text) ?? []
  // An initrd of ours has no udev that would make links.
  if (kind !== undefined && value !== undefined)
    return {
      by: 'tag',
      tag: `${kind.toUpperCase()}=${value.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))}`,
    }
  return /^\/dev\/(?!disk\/by-loop-ref\/)/.test(text) ? { by: 'path', path: text } : undefined
}

/** Looks into all block devices, by busybox or util-linux. */
async function taggedDevice(tag: string): Promise<string | undefined> {
  const found = await runTool({ command: ['findfs', tag], package: 'busybox-static' }).catch(() => '')
  return found.trim() || undefined
}
