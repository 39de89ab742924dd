import { rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { copy } from '../bytes/copy.js'
import { refuseExisting, writeNewFile } from '../bytes/new-file.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import { DdiError, systemError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { toolPath } from '../tool.js'
import { bootProgram } from './boot-program.js'
import { cpioArchive } from './cpio.js'
import { type InitrdFilesOptions, initrdFilesOptionNames, timeOf } from './initrd.js'
import { stageFiles, type TreeFile } from './stage.js'
import { treeEntries } from './tree-entries.js'
import { trustFiles, trustInputs } from './trust-files.js'

/** Options of {@link buildExtraInitrd}. */
export interface ExtraInitrdOptions extends InitrdFilesOptions {
  /** `cpio`: an archive; `directory`: what would be in one, for tools that take a tree. Default: cpio */
  readonly format?: 'cpio' | 'directory'
}
const extraInitrdOptionNames: OptionNames<ExtraInitrdOptions> = { ...initrdFilesOptionNames, format: true }

/**
 * Makes what an initrd of somebody else lacks to boot from a downloaded image: the boot program, and `ddi-boot.service`, which
 * runs before `initrd-root-fs.target`. Modules and the network are the other's. All is below /usr/lib/ddi, libraries included,
 * but for units and what images are held against.
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_TOOL, ERR_DDI_NOT_FOUND, ERR_DDI_EXISTS, ERR_DDI_NO_SPACE, ERR_DDI_USAGE,
 *   ERR_DDI_ABORTED; nothing is left then
 */
export async function buildExtraInitrd(path: string, options: ExtraInitrdOptions = {}): Promise<void> {
  checkOptions(options, extraInitrdOptionNames, 'buildExtraInitrd')
  const { format = 'cpio', replace = false, signal, onProgress } = options
  if (format === 'directory' && replace)
    throw new DdiError('ERR_DDI_USAGE', 'a directory is not replaced: remove it first')
  if (!replace) await refuseExisting(path)
  const epoch = timeOf(options)
  await using scratch = await openScratchDirectory(path)
  const tree = join(scratch.path, 'tree')
  await stageFiles(await extraFiles(options), tree, epoch, signal)
  if (format === 'cpio') {
    const archive = cpioArchive(await treeEntries(tree), epoch)
    await writeNewFile(path, archive.size, (target) => copy(archive, target, { signal, onProgress }), {
      replace,
      from: trustInputs(options),
    })
  } else
    await rename(tree, path).catch((error: unknown) => {
      throw systemError(error, `cannot create ${path}`)
    })
}

const home = 'usr/lib/ddi'
const units = 'usr/lib/systemd/system'
const unit = 'ddi-boot.service'

async function extraFiles(options: ExtraInitrdOptions): Promise<TreeFile[]> {
  const others = options.tar
    ? [{ path: 'lib/ddi/bin/tar', from: await toolPath({ command: ['tar'], package: 'tar' }) }]
    : []
  const { files, libraries } = await bootProgram('lib/ddi/bin/node', others)
  const { loader } = libraries
  if (loader === null)
    throw new DdiError('ERR_DDI_LIBRARY_MISSING', 'Node.js is linked statically: take one that is not')
  const libraryFiles = [...libraries.libraries, [basename(loader), loader] as const]
  return [
    ...files.map((one): TreeFile => ({ ...one, path: `usr/${one.path}` })),
    ...libraryFiles.map(([name, from]): TreeFile => ({ path: `${home}/lib/${name}`, kind: 'program', from })),
    { path: `${units}/${unit}`, kind: 'content', content: unitText(basename(loader)) },
    { path: `${units}/initrd-root-fs.target.wants/${unit}`, kind: 'link', target: `../${unit}` },
    ...(await trustFiles(options)).map((one): TreeFile => ({ ...one, kind: 'content' })),
  ]
}

/** The dynamic loader is told where its libraries are: programs that the boot program starts have those of the other initrd. */
function unitText(loader: string): string {
  return `[Unit]
Description=Root image of this machine
Documentation=man:ddi-attach(8)
DefaultDependencies=no
ConditionPathExists=/etc/initrd-release
ConditionKernelCommandLine=rd.systemd.pull
Wants=network-online.target
After=network-online.target dracut-initqueue.service
Before=initrd-root-fs.target
OnFailure=emergency.target
OnFailureJobMode=replace-irreversibly

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/${home}/lib/${loader} --library-path /${home}/lib /${home}/bin/node /${home}/boot/service.js
`
}
