import { attachVerity } from '../../../attach/verity.js'
import { parseRootHash } from '../../../verity/root-hash.js'
import { printAttachment } from '../../attachment.js'
import { given } from '../../given.js'
import { treeFileOf, treeOptions } from '../../hash-tree.js'
import { untilInterrupted } from '../../interrupt.js'
import { checkingOf, checkingOptions, signatureGiven } from '../../options.js'
import { parityOf, parityOptions } from '../../parity.js'
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
    const signature = await signatureGiven(options.rootHashSignature)
    const attachment = await attachVerity(dataPath, hashPath, parseRootHash(rootHash), {
      ...treeFileOf(options),
      ...checkingOf(options),
      ...given({ name: options.name, signature, parity: parityOf(options) }),
      signal: untilInterrupted(),
    })
    await printAttachment(attachment, options)
  },
})
