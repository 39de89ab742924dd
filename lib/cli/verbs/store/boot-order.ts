import { readStore } from '../../../store/disks.js'
import type { StoreImage } from '../../../store/image.js'
import { candidates } from '../../../store/select.js'
import { diskArgument } from '../../disk-arguments.js'
import { printJson } from '../../output.js'
import { array, object, string } from '../../schema.js'
import { image } from '../../shapes.js'
import { describeImage } from '../../store.js'
import { type Cell, printTable, tableOptions } from '../../table.js'
import { text } from '../../values.js'
import { flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'show which image of each product would boot now, and which next if that fails; nothing is changed',
  arguments: [diskArgument],
  options: {
    product: option('--product <name>', 'only this product (default: all)', text),
    readOnly: flag('--read-only', 'as if no try could be counted: good images only'),
    ...tableOptions,
  },
  json: object({ products: array(object({ product: string, images: array(image) })) }),
  examples: ['ddi-attach store boot-order /dev/sda', 'ddi-attach store boot-order /dev/sda --product acme'],
  async run([path], { product, readOnly, json, ...table }) {
    const { images } = await readStore(path)
    const products = product === undefined ? [...new Set(images.map((image) => image.product))] : [product]
    const orders = products.map((one) => ({ product: one, images: candidates(images, one, !readOnly) }))
    if (json !== 'off')
      printJson({ products: orders.map((one) => ({ ...one, images: one.images.map(describeImage) })) }, json)
    else
      await printTable(
        ['PRODUCT', 'ORDER', 'IMAGE', 'STATE', 'BOOTS'],
        orders.flatMap((order) => rows(order.product, order.images)),
        table,
      )
  },
})

function rows(product: string, images: readonly StoreImage[]): readonly Cell[][] {
  if (images.length === 0) return [[product, null, 'none', null, null]]
  return images.map(({ label, state, tries }, n) => [
    product,
    n + 1,
    label,
    state,
    state === 'new' ? tries : 'any number',
  ])
}
