import { unmountImage } from '../../mount/unmount.js'
import { json } from '../options.js'
import { print, printJson } from '../output.js'
import { argument, verb } from '../verb.js'

export default verb({
  summary: 'unmount and detach an image, even if the process that mounted it was killed',
  arguments: [argument('<what>', 'directory, image or name')],
  options: json,
  examples: ['ddi-attach umount /mnt'],
  async run([what], { json }) {
    const names = await unmountImage(what)
    if (json !== 'off') printJson({ unmounted: names }, json)
    else for (const name of names) print(name)
  },
})
