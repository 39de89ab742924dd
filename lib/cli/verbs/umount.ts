import { unmountImage } from '../../mount/unmount.js'
import { print, printJson } from '../output.js'
import { suggesting } from '../parser.js'
import { array, object, string } from '../schema.js'
import { argument, verb } from '../verb.js'

export default verb({
  summary: 'unmount and detach an image, even if the process that mounted it was killed',
  arguments: [argument('<what>', 'directory, image or name', suggesting('attachments'))],
  options: {},
  json: object({ unmounted: array(string) }),
  examples: ['ddi-attach umount /mnt'],
  async run([what], { json }) {
    const names = await unmountImage(what)
    if (json !== 'off') printJson({ unmounted: names }, json)
    else for (const name of names) print(name)
  },
})
