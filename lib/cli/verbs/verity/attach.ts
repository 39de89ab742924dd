import { activate } from '../../../attach/activate.js'
import { openFile } from '../../../bytes/file.js'
import { plan } from '../../../image/plan.js'
import { dissectVerityDevices } from '../../../image/verity-devices.js'
import { parseRootHash } from '../../../verity/root-hash.js'
import { printAttachment } from '../../attachment.js'
import { given } from '../../given.js'
import { openTree, treeOptions } from '../../hash-tree.js'
import { untilInterrupted } from '../../interrupt.js'
import { checkingOf, checkingOptions, signatureGiven } from '../../options.js'
import { openParity, parityOptions } from '../../parity.js'
import { attachment } from '../../shapes.js'
import { tableOptions } from '../../table.js'
import { rootHash, text } from '../../values.js'
import { argument, option, verb } from '../../verb.js'

export default verb({
  summary: 'make a device that checks all that is read against a hash tree, as veritysetup open does',
  arguments: [
    argument('<data>', 'image file or block device'),
    argument('<hash>', 'file with the tree'),
    argument('<root-hash>', 'in hexadecimal', rootHash),
  ],
  options: {
    name: option(
      '--name <name>',
      'name of the attachment, part of its device name (default: from the data file)',
      text,
    ),
    rootHashSignature: option(
      '--root-hash-signature <file>',
      'signature of the root hash for the kernel to verify, or base64:TEXT',
      text,
    ),
    ...checkingOptions,
    ...treeOptions,
    ...parityOptions,
    ...tableOptions,
  },
  json: attachment,
  examples: [
    'ddi-attach verity attach root.erofs root.verity 4f2a…',
    'ddi-attach verity attach root.img root.img 4f2a… --hash-offset 8M --fec-device root.fec',
  ],
  async run([dataPath, hashPath, rootHash], options) {
    await using data = await openFile(dataPath)
    await using tree = await openTree(hashPath, options, data.size)
    const { superblock, source } = tree
    await using parity = await openParity(options, { superblock, data, tree })
    const signature = await signatureGiven(options.rootHashSignature)
    const hash = { kind: 'file', path: hashPath, source } as const
    const trust = given({ signature, parity: parity?.inBlocks })
    const dissection = await dissectVerityDevices(data, hash, superblock, parseRootHash(rootHash), trust)
    const planned = plan(dissection, { ...given({ name: options.name }), ...checkingOf(options) })
    await printAttachment(await activate(planned, { signal: untilInterrupted() }), options)
  },
})
