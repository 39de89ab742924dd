import { discoverImages } from '../../image/discover.js'
import { imageClasses } from '../../image-classes.js'
import { printJson } from '../output.js'
import { array, boolean, object, string, word } from '../schema.js'
import { path } from '../shapes.js'
import { printTable, tableOptions } from '../table.js'
import { flag, verb } from '../verb.js'

const classes = Object.keys(imageClasses) as (keyof typeof imageClasses)[]

export default verb({
  summary: 'list the images that lie where systemd looks for machines, portable services and extensions',
  arguments: [],
  options: {
    system: flag('--system', 'only those of the system'),
    user: flag('--user', 'only those of the user; with --system, both, which is the default'),
    ...tableOptions,
  },
  json: object({
    images: array(
      object({
        name: string,
        class: word(...classes),
        kind: word('raw', 'directory', 'block-device'),
        path,
        readOnly: boolean,
      }),
    ),
  }),
  examples: ['ddi-attach discover', 'ddi-attach discover --system --json=pretty'],
  async run(_, { json, system, user, ...table }) {
    const images = await discoverImages(system === user ? {} : { system, user })
    if (json !== 'off') {
      printJson({ images }, json)
      return
    }
    await printTable(
      ['NAME', 'CLASS', 'KIND', 'RO', 'PATH'],
      images.map(({ name, kind, path, readOnly, ...image }) => [
        name,
        image.class,
        kind,
        readOnly ? 'yes' : 'no',
        path,
      ]),
      table,
    )
  },
})
