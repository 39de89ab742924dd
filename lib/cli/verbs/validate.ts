import { dissect } from '../../image/dissect.js'
import { openImage } from '../../image/open.js'
import { validate } from '../../image/validate.js'
import { noteProblems } from '../notes.js'
import { dissectOptions, imageArgument, imageOptions } from '../options.js'
import { printJson } from '../output.js'
import { array, boolean, object, string } from '../schema.js'
import { path } from '../shapes.js'
import { verb } from '../verb.js'

export default verb({
  summary: 'tell by the exit status whether an image is acceptable, also under a policy',
  arguments: [imageArgument],
  options: imageOptions,
  json: object({
    image: path,
    valid: boolean,
    volumes: array(object({ node: string, verified: boolean })),
  }),
  examples: ['ddi-attach validate image.raw --image-policy=root=signed'],
  async run([path], options) {
    const { json, nested } = options
    await using image = await openImage(path, { nested })
    const dissection = await dissect(image, await dissectOptions(options))
    noteProblems([...image.table.problems, ...dissection.problems])
    const shown = validate(dissection).map(({ node, verified }) => ({ node, verified }))
    if (json !== 'off') printJson({ image: path, valid: true, volumes: shown }, json)
  },
})
