import { detach, detachAll } from '../../attach/detach.js'
import { DdiError } from '../../errors.js'
import { print, printJson } from '../output.js'
import { suggesting } from '../parser.js'
import { array, object, string } from '../schema.js'
import { argument, flag, verb } from '../verb.js'

export default verb({
  summary: 'remove the devices of an attachment',
  arguments: [argument('[what]', 'image, name or device', suggesting('attachments'))],
  options: {
    all: flag('--all', 'detach everything that ddi-attach attached'),
    lazy: flag('--lazy', 'remove devices in use once they are no longer used'),
  },
  json: object({ detached: array(string) }),
  examples: ['ddi-attach detach image.raw', 'ddi-attach detach --all'],
  async run([what], { json, all, lazy }) {
    if ((what === undefined) !== all)
      throw new DdiError('ERR_DDI_USAGE', 'say what to detach: an image, a name or a device; or --all alone')
    const names = what === undefined ? await detachAll({ lazy }) : await detach(what, { lazy })
    if (json !== 'off') printJson({ detached: names }, json)
    else for (const name of names) print(name)
  },
})
