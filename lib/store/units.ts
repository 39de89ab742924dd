import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { makeDirectories, writeNewFile } from '../bytes/new-file.js'
import { systemError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { transferDirectories } from './transfer.js'

/** The units of a machine that boots from a store, by their names: systemd.unit(5). @param program path of the command */
export function storeUnits(program: string): Readonly<Record<string, string>> {
  return {
    'ddi-store-update.service': service(
      {
        Description: 'Install the newest images into the image store',
        Documentation: 'man:ddi-attach(8)',
        Wants: 'network-online.target',
        // A disk is changed by one program at a time, and the running image is not to lose its tries to a long download.
        After: 'network-online.target ddi-store-good.service',
        ConditionDirectoryNotEmpty: transferDirectories.map((directory) => `|/${directory}`),
      },
      { Type: 'oneshot', ExecStart: `${quoted(program)} store update`, Nice: '10', IOSchedulingClass: 'idle' },
    ),
    'ddi-store-update.timer': unit({
      Unit: { Description: 'Install the newest images into the image store every day' },
      Timer: { OnCalendar: 'daily', RandomizedDelaySec: '6h', Persistent: 'yes' },
      Install: { WantedBy: 'timers.target' },
    }),
    'ddi-store-good.service': service(
      {
        Description: 'Say in the image store that the running image is good',
        Documentation: 'man:ddi-attach(8)',
        // As systemd-bless-boot.service: what has to run for a boot to be a good one, comes before that target.
        Requires: 'boot-complete.target',
        After: 'boot-complete.target',
        ConditionPathExists: '/run/ddi/booted',
      },
      { Type: 'oneshot', RemainAfterExit: 'yes', ExecStart: `${quoted(program)} store good` },
      { WantedBy: 'multi-user.target' },
    ),
  }
}

/** What starts them: the service that updates is started by its timer. */
const wantedBy = { 'ddi-store-update.timer': 'timers.target', 'ddi-store-good.service': 'multi-user.target' } as const

/** Options of {@link installUnits}. */
export interface InstallUnitsOptions {
  /** The root directory of the machine. Default: / */
  readonly root?: string
  /** Writes nothing. Default: false. */
  readonly dryRun?: boolean
}
const installUnitsNames: OptionNames<InstallUnitsOptions> = { root: true, dryRun: true }

/**
 * Writes the units to a machine, and enables them.
 * @param program path of the command
 * @returns the paths of the units
 * @throws ERR_DDI_PERMISSION, ERR_DDI_NO_SPACE
 */
export async function installUnits(program: string, options: InstallUnitsOptions = {}): Promise<readonly string[]> {
  checkOptions(options, installUnitsNames, 'installUnits')
  const { root = '/', dryRun = false } = options
  const directory = join(root, 'etc/systemd/system')
  const units = Object.entries(storeUnits(program))
  if (dryRun) return units.map(([name]) => join(directory, name))
  await makeDirectories(directory)
  const paths: string[] = []
  for (const [name, text] of units) {
    const path = join(directory, name)
    const bytes = Buffer.from(text)
    await writeNewFile(path, bytes.length, (file) => file.write(0, bytes), { replace: true })
    paths.push(path)
  }
  for (const [name, target] of Object.entries(wantedBy)) await enable(join(directory, `${target}.wants`), name)
  return paths
}

async function enable(wants: string, name: string): Promise<void> {
  await makeDirectories(wants)
  if (await exists(join(wants, name))) return
  await symlink(join('..', name), join(wants, name)).catch((error: unknown) => {
    throw systemError(error, `cannot enable ${name}`)
  })
}

/** An option with several values is written several times. */
type Section = Readonly<Record<string, string | readonly string[]>>

/** The path of a program, as a command line has it: systemd.service(5). Of one with quotes or backslashes systemd runs none. */
function quoted(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`
}

function service(ofUnit: Section, ofService: Section, install?: Section): string {
  return unit({ Unit: ofUnit, Service: ofService, ...(install && { Install: install }) })
}

function unit(sections: Readonly<Record<string, Section>>): string {
  const texts = Object.entries(sections).map(([name, options]) => {
    const lines = Object.entries(options).flatMap(([option, values]) =>
      [values].flat().map((value) => `${option}=${value}\n`),
    )
    return `[${name}]\n${lines.join('')}`
  })
  return texts.join('\n')
}
