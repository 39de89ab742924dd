import { parseStoreParameters } from '../../../boot/store-parameters.js'
import { DdiError } from '../../../errors.js'
import { inspectUki } from '../../../uki/inspect.js'
import type { SecureBootKey } from '../../../uki/secure-boot.js'
import { buildUki } from '../../../uki/uki.js'
import { given } from '../../given.js'
import { initrdOptions, initrdWork, moduleOptions, noteUnstripped } from '../../initrd-options.js'
import { formatSize, print, printJson } from '../../output.js'
import { object, string } from '../../schema.js'
import { initrdFields, sections } from '../../shapes.js'
import { plainTableOptions } from '../../table.js'
import { printSections } from '../../uki.js'
import { rootHash, text, verifyMode } from '../../values.js'
import { option, requiredOption, verb } from '../../verb.js'

export default verb({
  summary: 'build a UKI: one file for the firmware, which downloads an image, verifies it and boots it',
  arguments: [],
  options: {
    ...initrdOptions,
    kernel: requiredOption('--kernel <file>', 'the kernel, such as /boot/vmlinuz-VERSION', text),
    image: option('--image <name>', 'the root image: a file beside the UKI on its server, or a URL', text),
    product: option('--product <name>', 'boot the newest image of this product that works, from a store', text),
    store: option(
      '--store <disk>',
      'the store: auto for the disk that has images of the product, the UUID of its table, or a path below /dev (default: auto)',
      text,
    ),
    network: option('--network <how>', 'ip= of the kernel: dhcp, or an address', text),
    rootHash: option('--root-hash <hex>', 'root hash that the root volume must have', rootHash),
    verify: option(
      '--verify <mode>',
      'how the download is verified: no, checksum, signature, or a SHA-256 (default: by its signature with a keyring; not, if a root hash protects the image)',
      verifyMode,
    ),
    cmdline: option('--cmdline <parameters>', 'further kernel parameters', text),
    ...moduleOptions,
    modulesFrom: option('--modules-from <directory>', 'modules of the kernel (default: /lib/modules/VERSION)', text),
    stub: option('--stub <file>', 'program that starts the kernel (default: that of systemd)', text),
    osRelease: option('--os-release <file>', 'description of what boots: os-release(5)', text),
    uname: option('--uname <version>', 'version of the kernel, where its file does not tell', text),
    sbat: option('--sbat <file>', 'lines of SBAT besides those of stub and kernel', text),
    splash: option('--splash <file>', 'picture to show, BMP', text),
    deviceTree: option('--device-tree <file>', 'device tree, DTB', text),
    microcode: option('--microcode <file>', 'archive with microcode, cpio', text),
    secureBootKey: option('--secure-boot-key <file>', 'sign for UEFI Secure Boot with this key, PEM', text),
    secureBootCertificate: option('--secure-boot-certificate <file>', 'certificate of that key, PEM', text),
    ...plainTableOptions,
  },
  json: object({ ...initrdFields, kernelVersion: string, commandLine: string, sections }),
  examples: [
    'ddi-attach uki build -o acme.efi --kernel /boot/vmlinuz-6.1.0-50-amd64 --certificate cert.pem --image acme_1.raw.xz --network dhcp',
    'ddi-attach uki build -o acme.efi --kernel vmlinuz --modules-from lib/modules/6.1.0-50-amd64 --root-hash 4d0f… --image acme_1.raw.xz --network dhcp --cmdline console=ttyS0',
    'ddi-attach uki build -o acme.efi --kernel /boot/vmlinuz-6.1.0-50-amd64 --certificate cert.pem --product acme --store auto --image acme_1.raw.xz --network dhcp',
  ],
  async run(_, options) {
    const { output, kernel, image, product, store, network, rootHash, verify, cmdline, modulesFrom } = options
    // What the boot program would refuse.
    if (product !== undefined) parseStoreParameters(`ddi.product=${product} ddi.store=${store ?? 'auto'}`)
    const { stub, osRelease, uname, sbat, splash, deviceTree, microcode } = options
    const built = await buildUki(output, {
      ...(await initrdWork(options)),
      ...given({ image, product, store, network, rootHash, verify, commandLine: cmdline, modulesFrom }),
      ...given({ stub, osRelease, uname, sbat, splash, deviceTree, microcode }),
      ...given({ secureBoot: secureBootKey(options.secureBootKey, options.secureBootCertificate) }),
      kernel,
      ...{ modules: options.module, installer: options.withInstaller },
    })
    noteUnstripped(built)
    const { sections } = await inspectUki(output)
    if (options.json !== 'off') return printJson({ ...built, sections }, options.json)
    print(`${built.path}: ${formatSize(built.size)}, Linux ${built.kernelVersion}\n`)
    await printSections(sections, { noheadings: options.noheadings, bytes: options.bytes })
    print(`\nkernel command line: ${built.commandLine || '-'}`)
  },
})

function secureBootKey(key: string | undefined, certificate: string | undefined): SecureBootKey | undefined {
  if (key !== undefined && certificate !== undefined) return { key, certificate }
  if (key === undefined && certificate === undefined) return undefined
  throw new DdiError('ERR_DDI_USAGE', '--secure-boot-key and --secure-boot-certificate belong together')
}
