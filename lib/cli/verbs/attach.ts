import { attach } from '../../attach/attach.js'
import { printAttachment } from '../attachment.js'
import { given } from '../given.js'
import { untilInterrupted } from '../interrupt.js'
import { checkingOf, dissectOptions, imageArgument, imageOptions, planOptions } from '../options.js'
import { note } from '../output.js'
import { attachment } from '../shapes.js'
import { tableOptions } from '../table.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'make devices of the volumes of an image: loop, dm-linear, and dm-verity if a root hash covers one',
  arguments: [imageArgument],
  options: { ...planOptions, ...imageOptions, ...tableOptions },
  json: attachment,
  examples: ['ddi-attach os_1.2.raw --root-hash 4f2a…', 'ddi-attach attach data.raw --writable --name data'],
  async run([path], options) {
    const { name, nested, volume, writable } = options
    const attachment = await attach(path, {
      ...(await dissectOptions(options)),
      ...given({ name, volumes: volume.length > 0 ? volume : undefined }),
      ...checkingOf(options),
      nested,
      writable,
      signal: untilInterrupted(),
    })
    const noExec = attachment.volumes.filter((one) => one.noExec).map(({ node }) => node)
    if (noExec.length > 0)
      note(`no root hash covers ${noExec.join(', ')} of ${path}, while one covers the system: mount with noexec`)
    for (const { designator, verified, noExec } of attachment.volumes)
      if (!verified && !noExec && (designator === 'root' || designator === 'usr'))
        note(`${designator} of ${path} is not verified: no root hash is known for it`)
    await printAttachment(attachment, options)
  },
})
