import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { packageRoot } from '../../bindings/package-root.js'
import { exitStatus } from './exit.js'
import { collect, parseSlot, withImageOptions, withJson } from './options.js'

const version = () =>
  (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version

/** The whole command line. Each verb’s code is loaded when it runs, so that none pays for another’s. */
export function program(): Command {
  const ddi = new Command('ddi-attach')
    .enablePositionalOptions()
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
    .option('--volume <name>', 'attach this volume, by label or UUID, whatever it is for; may be repeated', collect)
    .option('--read-write', 'let volumes be written that nothing protects')
    .addHelpText(
      'after',
      examples('ddi-attach os_1.2.raw --root-hash 4f2a…', 'ddi-attach attach data.raw --read-write --name data'),
    )
    .action(async (image, options) => (await import('./attach.js')).runAttach(image, options))

  withImageOptions(ddi.command('inspect'))
    .description('say what an image holds; nothing is attached')
    .argument('<image>', 'image file or block device')
    .option(
      '--contents',
      'read its files too: os-release, hostname, what it can be used as; mounts it for that where we may',
    )
    .addHelpText(
      'after',
      examples('ddi-attach inspect image.raw', 'ddi-attach inspect image.raw --json=short | jq .volumes[].label'),
    )
    .action(async (image, options) => (await import('./inspect.js')).runInspect(image, options))

  withImageOptions(ddi.command('plan'))
    .description('show the devices that attach would make; nothing is touched')
    .argument('<image>', 'image file or block device')
    .option('--name <name>', 'of the attachment')
    .option('--volume <name>', 'as for attach', collect)
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

  addMountVerbs(ddi)

  withJson(ddi.command('pull'))
    .description(
      'download an image or a tree, verified and resumable: it has its name only when all of it is checked and on the disk',
    )
    .argument('[url]', 'http, https or file; plain, or packed by xz, gzip, bzip2 or zstd')
    .argument('[name]', 'of the image (default: from the URL)')
    .addOption(
      new Option('--type <type>', 'an image, or a tree of files (default: by the URL)').choices(['raw', 'tar']),
    )
    .option(
      '--output <path>',
      'the new file or folder; - is standard output (default: where systemd looks for the class)',
    )
    .option('--disk <disk>', 'make a volume of this disk of it; needs --volume')
    .option('--volume <label>', 'of the new volume')
    .option(
      '--volume-type <type>',
      'nested (an image with a table of its own), root, usr, home, … or a type UUID',
      'nested',
    )
    .addOption(
      new Option('--class <class>', 'what the image is for')
        .choices(['machine', 'portable', 'sysext', 'confext'])
        .default('machine'),
    )
    .option('--verify <how>', 'no, checksum (SHA256SUMS or URL.sha256), signature (of that), or a SHA-256', 'signature')
    .option(
      '--keyring <file>',
      'OpenPGP keys for signatures (default: import-pubring in /etc/systemd or /usr/lib/systemd)',
    )
    .option('--root-hash <hex>', 'root hash that the image has to have')
    .option('--max-size <size>', 'of the image, unpacked', '64G')
    .option('--rate-limit <size>', 'bytes a second at most')
    .option('--connections <count>', 'how many parts of the file to download at once', '1')
    .option('--header <line>', 'more to ask with, NAME: VALUE; may be repeated', collect)
    .option('--netrc <file>', 'names and passwords for servers, netrc(5)')
    .option('--ca <file>', 'more certificate authorities, PEM')
    .option('--cert <file>', 'client certificate, PEM')
    .option('--key <file>', 'its private key, PEM (default: in the file of the certificate)')
    .option('--retries <count>', 'how often in a row a transfer that makes no progress is begun again', '5')
    .option('--connect-timeout <seconds>', 'for connecting', '30')
    .option('--stall-timeout <seconds>', 'for an answer, and for each next byte', '60')
    .option('--read-only', 'nobody may write to what was pulled')
    .option('--force', 'replace what exists')
    .addOption(new Option('--progress <how>', 'json: events, one a line, on standard error').choices(['json']))
    .option(
      '--from-cmdline',
      'pull what systemd.pull= on the kernel’s command line and the credential import.pull ask for',
    )
    .option('--initrd', 'with --from-cmdline: do as rd.systemd.pull= says (default: where /etc/initrd-release is)')
    .option('--sysroot <folder>', 'with --from-cmdline: bind the tree of class machine to this folder')
    .addHelpText(
      'after',
      examples(
        'ddi-attach pull https://example.com/os_1.4.raw.xz',
        'ddi-attach pull https://example.com/os_1.4.raw.xz --verify=checksum --output os.raw',
        'ddi-attach pull https://example.com/tools.tar.zst --class sysext --read-only',
        'ddi-attach pull https://example.com/os_1.4.raw.xz --disk /dev/sda --volume os_1.4 --root-hash 4f2a…',
        'ddi-attach pull --from-cmdline --initrd --sysroot /sysroot',
      ),
    )
    .action(async (url, name, options) => (await import('./pull.js')).runPull(url, name, options))

  withJson(ddi.command('boot-origin'))
    .description('show the URL that the firmware booted this machine from')
    .addHelpText('after', examples('ddi-attach boot-origin', 'ddi-attach boot-origin --json=short | jq -r .source'))
    .action(async (options) => (await import('./boot.js')).runBootOrigin(options))

  withJson(ddi.command('build'))
    .description('build an image from definitions of its partitions, repart.d(5)')
    .requiredOption('--definitions <folder>', 'with the definitions, *.conf')
    .requiredOption('-o, --output <file>', 'the new image')
    .option('--root <folder>', 'the tree that files are copied from', '/')
    .option('--seed <uuid>', 'what all UUIDs are derived from (default: a random one)')
    .option('--size <size>', 'of the image (default: as small as the definitions allow)')
    .option('--sector-size <size>', '512, 1024, 2048 or 4096', '512')
    .option('--arch <name>', 'the processor that types without one are for (default: this machine’s)')
    .option('--key <file>', 'private key for signatures, PEM: RSA or EC')
    .option('--certificate <file>', 'of the signer, PEM or DER')
    .option('--signer <command>', 'signs instead of a key: root hash on standard input, PKCS#7 on standard output')
    .option('--split', 'write a file for each partition with SplitName= too')
    .option('--force', 'replace files that exist')
    .addHelpText(
      'after',
      examples(
        'ddi-attach build --definitions repart.d --root tree -o image.raw',
        'ddi-attach build --definitions repart.d --root tree -o image.raw --key key.pem --certificate cert.pem --split',
      ),
    )
    .action(async (options) => (await import('./build.js')).runBuild(options))

  addVerityVerbs(ddi.command('verity').description('hash trees of dm-verity: make, verify, show and sign them'))

  addVolumeVerbs(
    ddi
      .command('volume')
      .description('change the volumes of a disk, in extension partitions where one run is not enough'),
  )

  addAndroidVerbs(
    ddi
      .command('android')
      .description('Android super partitions, whose logical partitions liblp describes, and Android sparse images'),
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

function addMountVerbs(ddi: Command): void {
  const image = ['<image>', 'image file or block device'] as const
  const withKeys = (command: Command) =>
    withImageOptions(command)
      .option('--passphrase-file <file>', 'first line opens LUKS volumes; - is standard input')
      .option('--key-file <file>', 'opens LUKS volumes with all of its bytes')
  const withMountOptions = (command: Command) =>
    withKeys(command)
      .option('--read-write', 'mount writable what nothing protects, and not executable')
      .option('--mount-options <designator:options>', 'words of mount(8) for a volume; may be repeated', collect)
      .addOption(
        new Option('--discard <where>', 'give freed blocks back').choices(['disabled', 'loop', 'all']).default('loop'),
      )
      .option('--no-check', 'do not check writable file systems first')
      .option('--no-grow', 'do not let file systems fill volumes whose flag asks for it')
      .option('--in-memory-overlay', 'writes go to memory, and are gone with the mount')
      .option('--owners <inside:outside:count>', 'show files of owners from INSIDE as those of owners from OUTSIDE')
      .addOption(new Option('--policy <policy>', 'wx: refuse what would be writable and executable').choices(['wx']))

  withMountOptions(ddi.command('mount'))
    .description('attach an image, and mount what of it this machine would use')
    .argument(...image)
    .argument('<folder>', 'where to')
    .addHelpText(
      'after',
      examples(
        'ddi-attach mount os_1.2.raw /mnt',
        'ddi-attach mount data.raw /mnt --read-write --mount-options home:noatime',
      ),
    )
    .action(async (path, folder, options) => (await import('./mount.js')).runMount(path, folder, options))

  withJson(ddi.command('umount'))
    .description('unmount and detach an image, also what a mount left that was killed')
    .argument('<what>', 'folder, image or name')
    .addHelpText('after', examples('ddi-attach umount /mnt'))
    .action(async (what, options) => (await import('./mount.js')).runUnmount(what, options))

  withMountOptions(ddi.command('with'))
    .description('run a command in an image’s root folder, mounted for just that and for nobody else')
    .argument(...image)
    .argument('<command...>', 'runs there; DDI_ROOT has the folder')
    .passThroughOptions()
    .addHelpText(
      'after',
      examples('ddi-attach with image.raw cat etc/os-release', "ddi-attach with image.raw sh -c 'du -sh usr'"),
    )
    .action(async (path, command, options) => (await import('./mount.js')).runWith(path, command, options))

  withKeys(ddi.command('list-files'))
    .description('list all that is in an image')
    .argument(...image)
    .addHelpText('after', examples('ddi-attach list-files image.raw'))
    .action(async (path, options) => (await import('./mount.js')).runListFiles(path, options))

  withKeys(ddi.command('copy-from'))
    .description('copy a file or folder out of an image')
    .argument(...image)
    .argument('<source>', 'path in the image')
    .argument('[target]', 'new path; - or nothing is standard output')
    .addHelpText(
      'after',
      examples('ddi-attach copy-from image.raw etc/os-release', 'ddi-attach copy-from image.raw usr/share ./share'),
    )
    .action(async (path, source, target, options) =>
      (await import('./mount.js')).runCopyFrom(path, source, target, options),
    )

  withKeys(ddi.command('copy-to'))
    .description('copy a file or folder into an image that is not protected')
    .argument(...image)
    .argument('<source>', 'file or folder')
    .argument('<target>', 'path in the image')
    .addHelpText('after', examples('ddi-attach copy-to image.raw ./motd etc/motd'))
    .action(async (path, source, target, options) =>
      (await import('./mount.js')).runCopyTo(path, source, target, options),
    )

  withKeys(ddi.command('digest'))
    .description('print a manifest of all files with their SHA-256, mtree(5)')
    .argument(...image)
    .addHelpText('after', examples('ddi-attach digest image.raw > image.mtree'))
    .action(async (path, options) => (await import('./mount.js')).runDigest(path, options))

  withImageOptions(ddi.command('validate'))
    .description('say by the exit status whether an image is acceptable, under a policy too')
    .argument(...image)
    .addHelpText('after', examples('ddi-attach validate image.raw --image-policy=root=signed'))
    .action(async (path, options) => (await import('./mount.js')).runValidate(path, options))
}

function addVerityVerbs(verity: Command): void {
  const withOffset = (command: Command) =>
    withJson(command).option('--hash-offset <bytes>', 'where the superblock lies in the hash file', '0')

  withJson(verity.command('format'))
    .description('make a hash tree, the same as veritysetup format; prints the root hash')
    .argument('<data>', 'image file or block device')
    .argument('[hash]', 'new file, or block device (default: DATA.verity)')
    .option('--append', 'put the tree behind the data in its file')
    .option('--hash <algorithm>', 'sha256 or sha512', 'sha256')
    .option('--salt <hex>', 'at most 256 bytes, - for none (default: 32 random bytes)')
    .option('--data-block-size <size>', 'a power of two from 512', '4096')
    .option('--hash-block-size <size>', 'a power of two from 512', '4096')
    .option('--data-blocks <count>', 'how many count (default: all that are whole)')
    .option('--uuid <uuid>', 'of the tree (default: a random one)')
    .option('--root-hash-file <file>', 'write the root hash there')
    .option('--force', 'replace files that exist')
    .addHelpText(
      'after',
      examples(
        'ddi-attach verity format root.erofs --root-hash-file root.roothash',
        'ddi-attach verity format root.erofs --append',
      ),
    )
    .action(async (data, hash, options) => (await import('./verity.js')).runFormat(data, hash, options))

  withOffset(verity.command('verify'))
    .description('read all of a volume and its tree, and name every bad block')
    .argument('<data>', 'image file or block device')
    .argument('<hash>', 'file with the tree')
    .argument('<root-hash>', 'in hexadecimal')
    .addHelpText('after', examples('ddi-attach verity verify root.erofs root.verity 4f2a…'))
    .action(async (data, hash, rootHash, options) =>
      (await import('./verity.js')).runVerifyTree(data, hash, rootHash, options),
    )

  verity
    .command('sign')
    .description('sign a root hash; the result is what IMAGE.roothash.p7s has')
    .argument('<root-hash>', 'in hexadecimal, or a file that has it')
    .argument('<output>', 'new file for the PKCS#7 signature, in DER')
    .requiredOption('--certificate <file>', 'of the signer, PEM or DER')
    .option('--key <file>', 'its private key, PEM: RSA or EC')
    .option('--signer <command>', 'gets the root hash on its standard input, and answers with PKCS#7')
    .option('--record', 'write what a signature partition holds')
    .option('--force', 'replace a file that exists')
    .addHelpText(
      'after',
      examples(
        'ddi-attach verity sign image.roothash image.roothash.p7s --key key.pem --certificate cert.pem',
        "ddi-attach verity sign 4f2a… signature --certificate cert.pem --signer 'openssl cms -sign -binary -outform DER …'",
      ),
    )
    .action(async (rootHash, output, options) => (await import('./verity.js')).runSign(rootHash, output, options))

  withOffset(verity.command('dump'))
    .description('show the superblock of a hash tree')
    .argument('<hash>', 'file with the tree')
    .addHelpText('after', examples('ddi-attach verity dump root.verity --json=pretty'))
    .action(async (hash, options) => (await import('./verity.js')).runDumpTree(hash, options))
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

function addAndroidVerbs(android: Command): void {
  const image = [
    '<image>',
    'super partition: image file, sparse or not, block device, or a disk with one in its GPT',
  ] as const
  const name = ['<name>', 'name of the logical partition'] as const
  const withSlot = (command: Command) =>
    withJson(command).addOption(
      new Option('--slot <slot>', 'whose metadata counts: a, b, … or 0, 1, …').default(0, 'a').argParser(parseSlot),
    )
  const withVolume = (command: Command) =>
    withSlot(command).option('--volume <name>', 'label or UUID of the volume of a GPT that is the super partition')
  const withDevices = (command: Command) =>
    withSlot(command).option(
      '--device <name=path>',
      'where a further device of the super partition is (default: NAME.img or NAME beside the image)',
      collect,
    )

  withVolume(android.command('dump'))
    .description('show partitions, groups, devices and layout of a super partition (lpdump)')
    .argument(...image)
    .addHelpText(
      'after',
      examples('ddi-attach android dump super.img', 'ddi-attach android dump super.img --slot b --json=pretty'),
    )
    .action(async (path, options) => (await import('./android.js')).runDump(path, options))

  withJson(android.command('make'))
    .description('make a super partition (lpmake); with several devices a folder of images')
    .argument('<output>', 'file, or folder for several devices')
    .option('--device-size <size>', 'of the device that holds the metadata')
    .option('--super-name <name>', 'its name', 'super')
    .option(
      '--device <name:size>',
      'a device as NAME:SIZE[:ALIGNMENT[:OFFSET]]; the first one holds the metadata',
      collect,
    )
    .option('--metadata-size <size>', 'room for each copy of the metadata', '64K')
    .option('--metadata-slots <count>', 'slots, of two copies each', '2')
    .option('--block-size <size>', 'logical blocks', '4096')
    .option('--alignment <size>', 'of extents', '1M')
    .option('--alignment-offset <size>', 'shift of the alignment', '0')
    .option('--group <name:size>', 'a group as NAME:MAXIMUM, 0 for any', collect)
    .option(
      '--partition <spec>',
      'as NAME:ATTRIBUTES:SIZE[:GROUP]; attributes none, readonly, …; size 0 for that of its image',
      collect,
    )
    .option('--image <name=file>', 'what a partition begins with', collect)
    .option('--auto-slot-suffixing', 'names get the suffix of the slot that they are read for')
    .option('--virtual-ab', 'mark it as of a Virtual A/B device')
    .option('--sparse', 'write Android sparse images')
    .option('--force', 'replace what exists')
    .addHelpText(
      'after',
      examples(
        'ddi-attach android make super.img --device-size 4G --group main:3G --partition system_a:readonly:0:main --image system_a=system.img',
        'ddi-attach android make super.img --device-size 4G --partition data:none:1G --sparse',
      ),
    )
    .action(async (output, options) => (await import('./android.js')).runMake(output, options))

  withVolume(android.command('add'))
    .description('add a logical partition (lpadd)')
    .argument(...image)
    .argument(...name)
    .option('--size <size>', 'such as 512M; 0 for none yet (default: that of --from)')
    .option('--from <file>', 'what the partition begins with, sparse or not')
    .option('--group <name>', 'its group (default: default)')
    .option('--attributes <list>', 'none, readonly, updated, disabled', 'none')
    .addHelpText(
      'after',
      examples('ddi-attach android add super.img product_a --from product.img --attributes readonly'),
    )
    .action(async (path, which, options) => (await import('./android.js')).runAdd(path, which, options))

  withVolume(android.command('resize'))
    .description('give a logical partition another size')
    .argument(...image)
    .argument(...name)
    .requiredOption('--size <size>', 'new size, or +1G, or -1G')
    .option('--force', 'cut even what the file system claims')
    .addHelpText('after', examples('ddi-attach android resize super.img system_a --size +256M'))
    .action(async (path, which, options) => (await import('./android.js')).runResize(path, which, options))

  withVolume(android.command('remove'))
    .description('remove a logical partition')
    .argument(...image)
    .argument(...name)
    .addHelpText('after', examples('ddi-attach android remove super.img product_b'))
    .action(async (path, which, options) => (await import('./android.js')).runRemovePartition(path, which, options))

  withDevices(android.command('extract'))
    .description('write logical partitions to files NAME.img (lpunpack)')
    .argument(...image)
    .argument('[names...]', 'logical partitions (default: all)')
    .option('--output <folder>', 'where to', '.')
    .option('--sparse', 'write Android sparse images')
    .option('--force', 'replace what exists')
    .addHelpText(
      'after',
      examples('ddi-attach android extract super.img --output parts', 'ddi-attach android extract super.img system_a'),
    )
    .action(async (path, names, options) => (await import('./android.js')).runExtract(path, names, options))

  withDevices(android.command('attach'))
    .description('make devices of logical partitions, as the first-stage init of Android does')
    .argument(...image)
    .argument('[names...]', 'logical partitions (default: all that have bytes and are not disabled)')
    .option('--name <name>', 'of the attachment; device names carry it (default: from the file name)')
    .option('--read-write', 'let partitions be written that are not read-only')
    .addHelpText(
      'after',
      examples('ddi-attach android attach super.img --slot a', 'ddi-attach android attach super.img system_a'),
    )
    .action(async (path, names, options) => (await import('./android.js')).runAttachLogical(path, names, options))

  android
    .command('convert')
    .description('expand an Android sparse image, or with --sparse make one (simg2img, img2simg)')
    .argument('<image>', 'image file, sparse or not')
    .argument('<output>', 'new file')
    .option('--sparse', 'write a sparse image')
    .option('--force', 'replace what exists')
    .addHelpText(
      'after',
      examples(
        'ddi-attach android convert system.simg system.img',
        'ddi-attach android convert system.img system.simg --sparse',
      ),
    )
    .action(async (path, output, options) => (await import('./android.js')).runConvert(path, output, options))
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}
