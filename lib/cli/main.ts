#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { DdiError } from '../errors.js'
import { packageRoot } from '../package-root.js'
import { exitStatus, statusOf } from './exit.js'
import { withImageOptions, withJson } from './options.js'
import { note } from './output.js'

const version = () =>
  (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version

/** The whole command line. Each verb’s code is loaded when it runs, so that none pays for another’s. */
export function program(): Command {
  const ddi = new Command('ddi-attach')
    .description('Attach, inspect and verify Discoverable Disk Images.')
    .usage('[attach] IMAGE | VERB …')
    .option('--version', 'print the version')
    .helpCommand('help [verb]', 'explain a verb')
    .showHelpAfterError('(see ddi-attach --help)')
    .addHelpText(
      'after',
      examples('ddi-attach image.raw', 'ddi-attach inspect image.raw', 'ddi-attach detach image.raw'),
    )
    .addHelpText(
      'after',
      '\nExit status: 0 done, 1 failed, 2 wrong usage, 3 the image is not acceptable, 4 not permitted.',
    )
  ddi.on('option:version', () => {
    process.stdout.write(`${version()}\n`)
    process.exit(exitStatus.done)
  })

  withImageOptions(ddi.command('attach', { isDefault: true }))
    .description('make devices of an image’s volumes: loop, dm-linear, and dm-verity where a root hash covers one')
    .argument('<image>', 'image file or block device')
    .option('--name <name>', 'of the attachment; device names carry it (default: from the file name)')
    .option('--read-write', 'let volumes be written that nothing protects')
    .addHelpText(
      'after',
      examples('ddi-attach os_1.2.raw --root-hash 4f2a…', 'ddi-attach attach data.raw --read-write --name data'),
    )
    .action(async (image, options) => (await import('./attach.js')).runAttach(image, options))

  withImageOptions(ddi.command('inspect'))
    .description('say what an image holds; nothing is attached')
    .argument('<image>', 'image file or block device')
    .addHelpText(
      'after',
      examples('ddi-attach inspect image.raw', 'ddi-attach inspect image.raw --json=short | jq .volumes[].label'),
    )
    .action(async (image, options) => (await import('./inspect.js')).runInspect(image, options))

  withImageOptions(ddi.command('plan'))
    .description('show the devices that attach would make; nothing is touched')
    .argument('<image>', 'image file or block device')
    .option('--name <name>', 'of the attachment')
    .option('--read-write', 'as for attach')
    .addHelpText('after', examples('ddi-attach plan image.raw', 'ddi-attach plan image.raw --json=pretty'))
    .action(async (image, options) => (await import('./plan.js')).runPlan(image, options))

  withJson(ddi.command('list'))
    .description('list what is attached, by whichever process')
    .addHelpText('after', examples('ddi-attach list', 'ddi-attach list --json=pretty'))
    .action(async (options) => (await import('./list.js')).runList(options))

  withJson(ddi.command('detach'))
    .description('remove the devices of an attachment')
    .argument('[what]', 'image, name or device')
    .option('--all', 'detach everything that ddi-attach attached')
    .option('--lazy', 'remove devices in use as soon as they no longer are')
    .addHelpText('after', examples('ddi-attach detach image.raw', 'ddi-attach detach --all'))
    .action(async (what, options) => (await import('./detach.js')).runDetach(what, options))

  withImageOptions(ddi.command('verify'))
    .description('read all that a root hash covers, and name every bad block')
    .argument('<image>', 'image file or block device')
    .addHelpText('after', examples('ddi-attach verify image.raw', 'ddi-attach verify /dev/sda --root-hash 4f2a…'))
    .action(async (image, options) => (await import('./verify.js')).runVerify(image, options))

  addVolumeVerbs(
    ddi
      .command('volume')
      .description('change the volumes of a disk, in extension partitions where one run is not enough'),
  )

  ddi
    .command('completion')
    .description('print a completion script for a shell')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      examples(
        'source <(ddi-attach completion bash)',
        'ddi-attach completion fish > ~/.config/fish/completions/ddi-attach.fish',
      ),
    )
    .action(async (shell) => (await import('./completion.js')).runCompletion(shell, ddi))

  for (const command of [ddi, ...ddi.commands, ...ddi.commands.flatMap(({ commands }) => commands)])
    command.exitOverride()
  return ddi
}

function addVolumeVerbs(volume: Command): void {
  const disk = ['<disk>', 'disk image or block device'] as const
  const name = ['<name>', 'label or UUID of the volume'] as const

  withJson(volume.command('list'))
    .description('list the volumes, with a picture of the disk')
    .argument(...disk)
    .addHelpText('after', examples('ddi-attach volume list disk.raw'))
    .action(async (path, options) => (await import('./volume.js')).runListVolumes(path, options))

  withJson(volume.command('create'))
    .description('make a volume: in one run of free space where one is large enough, else chained')
    .argument(...disk)
    .requiredOption('--type <type>', 'root, usr, home, srv, var, linux-generic, …, or a type UUID')
    .option('--arch <name>', 'processor of the type (default: this machine’s)')
    .option('--size <size>', 'such as 512M or 2G (default: that of --from)')
    .option('--label <label>', 'at most 36 characters')
    .option('--uuid <uuid>', 'partition UUID (default: a random one)')
    .option('--from <file>', 'what the volume begins with')
    .addHelpText(
      'after',
      examples('ddi-attach volume create disk.raw --type root --size 2G --label acme_1.4 --from root.erofs'),
    )
    .action(async (path, options) => (await import('./volume.js')).runCreate(path, options))

  withJson(volume.command('grow'))
    .description('append space to a volume')
    .argument(...disk)
    .argument(...name)
    .requiredOption('--size <size>', 'how much more, such as +1G')
    .option('--resize-fs', 'let the file system of the attached volume fill it: ext2 to ext4, xfs, btrfs')
    .addHelpText('after', examples('ddi-attach volume grow disk.raw home --size +1G'))
    .action(async (path, which, options) => (await import('./volume.js')).runGrow(path, which, options))

  withJson(volume.command('shrink'))
    .description('cut space off the end of a volume; never below what its file system claims')
    .argument(...disk)
    .argument(...name)
    .requiredOption('--size <size>', 'how much less, such as 1G')
    .option('--force', 'cut even what the file system claims')
    .addHelpText('after', examples('ddi-attach volume shrink disk.raw home --size 1G'))
    .action(async (path, which, options) => (await import('./volume.js')).runShrink(path, which, options))

  volume
    .command('remove')
    .description('remove a volume with all its segments')
    .argument(...disk)
    .argument(...name)
    .addHelpText('after', examples('ddi-attach volume remove disk.raw acme_1.3'))
    .action(async (path, which) => (await import('./volume.js')).runRemove(path, which))

  withJson(volume.command('rename'))
    .description('give a volume another label or UUID')
    .argument(...disk)
    .argument(...name)
    .option('--label <label>', 'the new label')
    .option('--uuid <uuid>', 'the new UUID; extensions follow')
    .addHelpText('after', examples('ddi-attach volume rename disk.raw acme_1.4 --label acme_1.5'))
    .action(async (path, which, options) => (await import('./volume.js')).runRename(path, which, options))

  withJson(volume.command('check'))
    .description('say what is wrong with the table; --repair heals a lost copy and frees orphans')
    .argument(...disk)
    .option('--repair', 'heal it')
    .addHelpText('after', examples('ddi-attach volume check disk.raw --repair'))
    .action(async (path, options) => (await import('./volume.js')).runCheck(path, options))

  withJson(volume.command('defragment'))
    .description('copy volumes to where they have fewer segments, safe against power cuts')
    .argument(...disk)
    .addHelpText('after', examples('ddi-attach volume defragment disk.raw'))
    .action(async (path, options) => (await import('./volume.js')).runDefragment(path, options))
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

/** Runs a command line. @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(argv, { from: 'user' })
    return exitStatus.done
  } catch (error) {
    // Commander has said what is wrong by then, and help asked for is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.done : exitStatus.usage
    note(error instanceof DdiError ? `${error.message} (${error.code})` : ((error as Error).stack ?? String(error)))
    return statusOf(error)
  }
}

// Whoever reads us may stop reading (`| head`), which is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})
process.exitCode = await main(process.argv.slice(2))
