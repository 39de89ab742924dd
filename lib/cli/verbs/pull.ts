import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { lstat, mkdir, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { makeDirectories } from '../../bytes/new-file.js'
import { nestedTypeUuid } from '../../disk/chain.js'
import { DdiError, systemCode, systemError } from '../../errors.js'
import { requireTypeUuid } from '../../image/volume-head.js'
import type { SideFile } from '../../pull/names.js'
import { imageKind, imageName, imagePath } from '../../pull/names.js'
import type { PullOptions } from '../../pull/options.js'
import type { Pulled, PullTarget } from '../../pull/pull.js'
import { tuneForDownloads } from '../../pull/tune.js'
import { printable } from '../../text.js'
import { throwIfAborted } from '../../work.js'
import { choice } from '../choice.js'
import { given } from '../given.js'
import { counted, formatSize, print, printJson, refuseJson } from '../output.js'
import { downloadProgress } from '../progress.js'
import { type From, pullFrom, sourceOf } from '../pull-from.js'
import { pullOptions, pullWork } from '../pull-options.js'
import { array, described, either, nullable, object, string, word } from '../schema.js'
import { path, problem, receivedFields, volume } from '../shapes.js'
import { label, rootHash, sideFileList, text, typeName, verifyMode } from '../values.js'
import { argument, flag, type JsonValues, option, type ValuesOf, verb } from '../verb.js'
import { describeVolume } from '../volume.js'

const targetOptions = {
  type: option('--type <type>', 'an image, or a tree of files (default: by the URL)', choice('raw', 'tar')),
  output: option(
    '--output <path>',
    'new file or directory; - is standard output (default: where systemd looks for the class)',
    text,
  ),
  disk: option('--disk <disk>', 'write it to a new volume of this disk; needs --volume', text),
  volume: option('--volume <label>', 'label of the new volume', label),
  volumeType: option(
    '--volume-type <type>',
    'nested (an image with its own table), root, usr, home, … or a type UUID',
    typeName,
    'nested',
  ),
  class: option(
    '--class <class>',
    'what the image is for',
    choice('machine', 'portable', 'sysext', 'confext'),
    'machine',
  ),
  rootHash: option('--root-hash <hex>', 'root hash that the image must have', rootHash),
  readOnly: flag('--read-only', 'protect the result against writing'),
  force: flag('--force', 'replace what exists'),
  lossy: flag('--lossy', 'unpack a tree without the attributes and access lists that its file system cannot keep'),
  progress: option('--progress <how>', 'json: print events on standard error, one a line', choice('json')),
}

type TargetValues = ValuesOf<typeof targetOptions>

export default verb({
  summary: 'download an image or a tree, verified and resumable; it appears only after verification',
  arguments: [
    argument(
      '[url]',
      'http, https, file, or a path; - is standard input; plain, or packed by xz, gzip, bzip2, zstd, lz4 or lzma',
    ),
    argument('[name]', 'name of the image (default: from the URL)'),
  ],
  options: {
    ...targetOptions,
    ...pullOptions,
    verify: option(
      '--verify <how>',
      'no, checksum (by SHA256SUMS or URL.sha256), signature (of the checksums), or a SHA-256 (default: signature; no for a path and standard input)',
      verifyMode,
    ),
    with: option(
      '--with <list>',
      'files beside the image that are pulled too: roothash, signature, verity',
      sideFileList,
    ),
    fromCmdline: flag(
      '--from-cmdline',
      'pull what systemd.pull= on the kernel command line and the credential import.pull request',
    ),
    initrd: flag('--initrd', 'with --from-cmdline: act as in an initrd (default: if /etc/initrd-release exists)'),
    sysroot: option('--sysroot <directory>', 'with --from-cmdline: bind the tree of class machine here', text),
  },
  json: either(
    object({
      url: nullable(string),
      path,
      volume: described(nullable(volume), 'of a disk'),
      ...receivedFields,
    }),
    object({
      pulls: array(
        object({
          expression: string,
          state: word('pulled', 'installed', 'present', 'skipped', 'failed'),
          path: nullable(path),
          devices: array(path),
          error: nullable(problem),
        }),
      ),
    }),
  ),
  examples: [
    'ddi-attach pull https://example.com/os_1.4.raw.xz',
    'ddi-attach pull https://example.com/os_1.4.raw.xz --verify=checksum --output os.raw',
    'ddi-attach pull https://example.com/tools.tar.zst --class sysext --read-only',
    'ddi-attach pull https://example.com/os_1.4.raw.xz --disk /dev/sda --volume os_1.4 --root-hash 4f2a…',
    'ddi-attach pull https://example.com/os_1.4.raw.xz --with roothash,signature,verity',
    'ssh server cat os_1.4.raw | ddi-attach pull - os_1.4',
    'ddi-attach pull --from-cmdline --initrd --sysroot /sysroot',
  ],
  async run([address, name], options) {
    const { json, fromCmdline, initrd, sysroot } = options
    if (fromCmdline) {
      if (address !== undefined) throw new DdiError('ERR_DDI_USAGE', 'give either a URL or --from-cmdline')
      const { runBootPulls } = await import('../boot-pulls.js')
      return await runBootPulls(
        options,
        await pullWork(undefined, { ...options, verify: options.verify ?? 'signature' }),
      )
    }
    if (address === undefined) throw new DdiError('ERR_DDI_USAGE', 'a URL is missing')
    if (initrd || sysroot !== undefined)
      throw new DdiError('ERR_DDI_USAGE', '--initrd and --sysroot need --from-cmdline')
    tuneForDownloads()
    const from = await sourceOf(address)
    const { url } = from
    const verify = options.verify ?? (from.isHere ? 'no' : 'signature')
    const work = await pullWork(from.isHere ? undefined : address, { ...options, verify })
    if (options.output === '-') return await pullToOutput(from, name, options, work)
    const target = targetOf(url, name, options)
    const pulled = await withProgress(options, (onProgress) =>
      pullFrom(from, target, options.with ?? [], { ...work, onProgress }),
    )
    if (json !== 'off') printJson({ url: from.stream ? null : url.href, ...describe(pulled) }, json)
    else print(summary(pulled))
  },
})

function targetOf(url: URL, name: string | undefined, options: TargetValues): PullTarget {
  const { disk, volume: label, output, rootHash, readOnly, force: replace } = options
  if ((disk === undefined) !== (label === undefined))
    throw new DdiError('ERR_DDI_USAGE', '--disk and --volume need each other')
  if ([name, output, disk].filter((one) => one !== undefined).length > 1)
    throw new DdiError('ERR_DDI_USAGE', 'give only one of a name, --output and --disk')
  const kind = options.type ?? imageKind(url)
  if (kind === 'tar' && rootHash !== undefined)
    throw new DdiError('ERR_DDI_USAGE', '--root-hash is for images, and this is a tree: see --type')
  if (kind === 'raw' && options.lossy) throw new DdiError('ERR_DDI_USAGE', '--lossy is for trees, and this is an image')
  if (disk === undefined || label === undefined) {
    const path = output ?? imagePath(options.class, imageName(url, name), kind)
    return kind === 'raw'
      ? { kind, path, readOnly, replace, ...given({ rootHash }) }
      : { kind, path, readOnly, replace, lossy: options.lossy }
  }
  if (kind === 'tar') throw new DdiError('ERR_DDI_USAGE', 'a tree of files cannot be a volume: see --type')
  if (readOnly || replace)
    throw new DdiError('ERR_DDI_USAGE', '--read-only and --force are for files and directories, not for volumes')
  const typeUuid = options.volumeType === 'nested' ? nestedTypeUuid : requireTypeUuid(options.volumeType)
  return { kind: 'volume', disk, label, typeUuid, ...given({ rootHash }) }
}

async function withProgress(
  { progress: how }: TargetValues,
  work: (onProgress: NonNullable<PullOptions['onProgress']>) => Promise<Pulled>,
): Promise<Pulled> {
  const progress = await downloadProgress(how === 'json')
  return await work(progress.update).finally(() => progress.stop())
}

/** Nothing is written to standard output before it is verified: it waits in a file, which a next pull resumes too. */
async function pullToOutput(
  from: From,
  name: string | undefined,
  options: TargetValues & JsonValues & { readonly with: readonly SideFile[] | undefined },
  work: PullOptions,
): Promise<void> {
  const { disk, rootHash, readOnly, force, json } = options
  if (options.with !== undefined)
    throw new DdiError('ERR_DDI_USAGE', '--with needs a place for files: a name or --output')
  if (name !== undefined || disk !== undefined || readOnly || force)
    throw new DdiError('ERR_DDI_USAGE', '--output=- excludes a name, --disk, --read-only and --force')
  refuseJson('image', json)
  const path = join(await cacheDirectory(), createHash('sha256').update(`${from.address}`).digest('hex').slice(0, 16))
  const target = { kind: 'raw', path, replace: true, ...given({ rootHash }) } as const
  await withProgress(options, (onProgress) => pullFrom(from, target, options.with ?? [], { ...work, onProgress }))
  const image = createReadStream(path, { highWaterMark: 1024 * 1024 })
  try {
    await once(image, 'open')
  } finally {
    // From now on it has no name: whatever becomes of us, it is gone.
    await rm(path, { force: true })
  }
  const { signal } = work
  try {
    await pipeline(image, process.stdout, { ...(signal && { signal }) })
  } catch (error) {
    throwIfAborted(signal)
    // What standard output does not take is said where all output is.
    if ((error as NodeJS.ErrnoException).syscall !== 'write') throw systemError(error, `cannot read ${path}`)
  }
}

/** Where nobody else can exchange what was verified. @throws ERR_DDI_USAGE if it is not known where, ERR_DDI_PERMISSION, ERR_DDI_NOT_FOUND */
async function cacheDirectory(): Promise<string> {
  const path = join(cacheHome(), 'ddi')
  await makeDirectories(dirname(path))
  await mkdir(path, 0o700).catch((error: unknown) => {
    if (systemCode(error) !== 'EEXIST') throw systemError(error, `cannot make the directory ${path}`, missing)
  })
  const stats = await lstat(path)
  if (stats.isDirectory() && stats.uid === process.geteuid!() && (stats.mode & 0o022) === 0) return path
  throw new DdiError('ERR_DDI_PERMISSION', `others can write to ${path}: it has to be a directory of this user alone`)
}

const missing = { ENOENT: 'ERR_DDI_NOT_FOUND', ENOTDIR: 'ERR_DDI_NOT_FOUND' } as const

/** According to the XDG Base Directory Specification, relative paths do not count. */
function cacheHome(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? ''
  if (isAbsolute(cache)) return cache
  const home = homeDirectory()
  if (home !== undefined && isAbsolute(home)) return join(home, '.cache')
  throw new DdiError('ERR_DDI_USAGE', 'this user has no home directory to store the download in: set XDG_CACHE_HOME')
}

function homeDirectory(): string | undefined {
  try {
    return homedir()
  } catch {
    // The user has no entry in the password file.
    return undefined
  }
}

function describe({ volume, ...rest }: Pulled) {
  return { ...rest, volume: volume && describeVolume(volume) }
}

function summary({ path, volume, size, downloaded, resumed, sha256 }: Pulled): string {
  const before = resumed > 0 ? `, ${formatSize(resumed)} of it before` : ''
  const where = volume ? ` ${printable(volume.label!)} in ${counted(volume.extents.length, 'segment')}` : ''
  return `${printable(path)}${where}: ${formatSize(size)}, ${formatSize(downloaded + resumed)} downloaded${before}, SHA-256 ${sha256}`
}
