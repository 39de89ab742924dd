import { activate } from '../../../attach/activate.js'
import { dissect } from '../../../image/dissect.js'
import { logicalPartitions } from '../../../image/logical.js'
import { plan } from '../../../image/plan.js'
import { printAttachment } from '../../attachment.js'
import { given } from '../../given.js'
import { untilInterrupted } from '../../interrupt.js'
import { logicalOptions, openLogical } from '../../logical.js'
import { attachment } from '../../shapes.js'
import { superArgument } from '../../super.js'
import { tableOptions } from '../../table.js'
import { text } from '../../values.js'
import { argument, flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'make devices of logical partitions, as the first-stage init of Android does',
  arguments: [
    superArgument,
    argument('[names...]', 'logical partitions (default: all that have bytes and are not disabled)'),
  ],
  options: {
    name: option(
      '--name <name>',
      'name of the attachment, part of its device names (default: from the file name)',
      text,
    ),
    writable: flag('--writable', 'make partitions writable that are not read-only'),
    ...logicalOptions,
    ...tableOptions,
  },
  json: attachment,
  examples: ['ddi-attach android attach super.img --slot a', 'ddi-attach android attach super.img system_a'],
  async run([path, names], options) {
    const { name, writable } = options
    await using image = await openLogical(path, options)
    const planned = plan(await dissect(image), {
      volumes: logicalPartitions(image.volumes, names, path).map(({ label }) => label!),
      writable,
      ...given({ name }),
    })
    await printAttachment(await activate(planned, { signal: untilInterrupted() }), options)
  },
})
