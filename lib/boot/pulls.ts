import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { addon, mountFlags } from '../../bindings/addon.js'
import type { Attachment } from '../attach/activate.js'
import { attach } from '../attach/attach.js'
import { exists } from '../bytes/new-file.js'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError, systemError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { imageName, imagePath } from '../pull/names.js'
import { openTransport } from '../pull/open-transport.js'
import { type PullOptions, pullOptionNames, settingsOf } from '../pull/options.js'
import { type Pulled, pull } from '../pull/pull.js'
import type { Progress } from '../work.js'
import { parameterValues } from './command-line.js'
import { besideOrigin, findBootOrigin } from './origin.js'
import { expressionsIn, type PullRequest, parsePullExpression } from './pull-expression.js'

export interface BootPullOptions extends Omit<PullOptions, 'verify'> {
  /** In the initrd, `rd.systemd.pull=` is used, and images go below /run; otherwise `systemd.pull=`, and they stay. Default: whether /etc/initrd-release exists */
  readonly initrd?: boolean
  /** Where to bind the one tree of class machine, as a root file system. */
  readonly sysroot?: string
}

const { verify: _, ...pullNames } = pullOptionNames
const bootPullOptionNames: OptionNames<BootPullOptions> = { ...pullNames, initrd: true, sysroot: true }

/** The result of one request; one that fails does not affect the others. */
export type BootPull = { readonly expression: string } & (
  | { readonly pulled: Pulled; readonly attachment: Attachment | null; readonly error: null }
  /** It existed already, from an earlier boot. */
  | { readonly pulled: null; readonly attachment: Attachment | null; readonly path: string; readonly error: null }
  | { readonly error: DdiError }
)

/** The requests of the kernel command line and of the `import.pull` credential, as text. */
async function bootRequests(initrd: boolean): Promise<readonly string[]> {
  const commandLine = await readFile('/proc/cmdline', 'utf8').catch((error: unknown) => {
    throw systemError(error, 'cannot read /proc/cmdline')
  })
  const directory = process.env['CREDENTIALS_DIRECTORY'] ?? '/run/credentials/@system'
  const credential = (await readIfThere(join(directory, 'import.pull')))?.toString('utf8') ?? ''
  return [...parameterValues(commandLine, `${initrd ? 'rd.' : ''}systemd.pull`), ...expressionsIn(credential)]
}

/**
 * Pulls everything that the machine is to pull as it boots, at the same time; attaches what is to be a block device, and binds a
 * tree to the place of the root file system.
 * @param options `onProgress` is called with the name of the image as `part`
 * @throws ERR_DDI_USAGE if it is not clear which tree is for `sysroot`; errors of single requests are in their results
 */
export async function pullAtBoot(options: BootPullOptions = {}): Promise<readonly BootPull[]> {
  checkOptions(options, bootPullOptionNames, 'pullAtBoot')
  const { initrd = await exists('/etc/initrd-release'), sysroot, ...rest } = options
  // Wrong options are an error of this call, not of each request.
  settingsOf(rest)
  const requests = (await bootRequests(initrd)).map((expression) => {
    try {
      return { expression, request: parsePullExpression(expression) }
    } catch (error) {
      return { expression, error: systemError(error, `cannot parse ${expression}`) }
    }
  })
  const roots = requests.filter(({ request }) => request?.kind === 'tar' && request.class === 'machine')
  if (sysroot !== undefined && roots.length !== 1)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `exactly one tree of class machine can be bound to ${sysroot}, but ${roots.length} are requested`,
    )
  return await Promise.all(
    requests.map(async ({ expression, request, error }): Promise<BootPull> => {
      if (!request) return { expression, error: error! }
      try {
        const isRoot = sysroot !== undefined && roots[0]!.request === request
        return { expression, ...(await fulfil(request, initrd, rest, isRoot ? sysroot : undefined)) }
      } catch (error) {
        return { expression, error: systemError(error, `cannot fulfil ${expression}`) }
      }
    }),
  )
}

async function fulfil(request: PullRequest, initrd: boolean, options: PullOptions, sysroot: string | undefined) {
  const url = await addressOf(request, options)
  const { kind, readOnly, verify, blockDevice } = request
  const name = imageName(url, request.local ?? undefined)
  const path = imagePath(request.class, name, kind, request.runtime ?? initrd)
  const isThere = await exists(path)
  const { onProgress, signal } = options
  const named = onProgress && { onProgress: (progress: Progress) => onProgress({ ...progress, part: name }) }
  const pulled = isThere ? null : await pull(url, { kind, path, readOnly }, { ...options, ...named, verify })
  const attachment = blockDevice ? await attach(path, { name, signal }) : null
  if (sysroot !== undefined) await bind(path, resolve(sysroot), readOnly)
  return pulled ? { pulled, attachment, error: null } : { pulled, path, attachment, error: null }
}

/** The URL of a request, found beside the boot origin if it says so. @throws ERR_DDI_NO_BOOT_ORIGIN, ERR_DDI_PULL_NOT_FOUND */
async function addressOf({ bootOrigin, remote }: PullRequest, options: PullOptions): Promise<URL> {
  if (!bootOrigin) return new URL(remote)
  const origin = await findBootOrigin()
  if (!origin)
    throw new DdiError(
      'ERR_DDI_NO_BOOT_ORIGIN',
      'this machine did not boot from a URL: give a complete one, without bootorigin',
    )
  const candidates = besideOrigin(origin.url, remote)
  if (candidates.length === 1) return candidates[0]!
  await using transport = await openTransport(settingsOf(options))
  for (const candidate of candidates) if (await transport.has(candidate)) return candidate
  throw new DdiError('ERR_DDI_PULL_NOT_FOUND', `none of ${candidates.join(', ')} exists beside ${origin.url}`)
}

async function bind(tree: string, target: string, readOnly: boolean): Promise<void> {
  try {
    await addon().mount(tree, target, '', mountFlags.bind, '')
    if (readOnly) await addon().mount('', target, '', mountFlags.bind | mountFlags.remount | mountFlags.readOnly, '')
  } catch (error) {
    throw systemError(error, `cannot bind ${tree} to ${target}`, { ENOENT: 'ERR_DDI_MOUNT_POINT' })
  }
}
