import { DdiError } from '../errors.js'
import { parameterValue } from '../kernel-command-line.js'
import { parseLabel, requireProduct } from '../store/names.js'
import { parseUuid } from '../uuid.js'

/** Which images of which disk a machine boots. */
export interface StoreParameters {
  /** `ddi.product=` */
  readonly product: string
  /** `ddi.store=`: whichever disk has images of the product, or the one whose table has that UUID, or that device. */
  readonly disk:
    | { readonly by: 'product' }
    | { readonly by: 'uuid'; readonly uuid: string }
    | { readonly by: 'path'; readonly path: string }
  /** `ddi.image=`: the label of the only image that boots; who says so has taken its try. */
  readonly label: string | null
}

/** @returns null if nothing is to boot from a store @throws ERR_DDI_USAGE, ERR_DDI_STORE_NAME */
export function parseStoreParameters(text: string): StoreParameters | null {
  const label = parameterValue(text, 'ddi.image') ?? null
  const name = label === null ? undefined : parseLabel(label)
  if (label !== null && !name) throw refuse(`ddi.image=${label}`, 'it has to be PRODUCT_VERSION')
  const product = parameterValue(text, 'ddi.product') ?? name?.product
  const disk = parameterValue(text, 'ddi.store')
  if (product === undefined) {
    if (disk === undefined) return null
    throw refuse(`ddi.store=${disk}`, 'ddi.product= has to say which images boot')
  }
  requireProduct(product)
  if (name && name.product !== product) throw refuse(`ddi.image=${label}`, `it is no image of ddi.product=${product}`)
  return { product, disk: parseDisk(disk ?? 'auto'), label }
}

function parseDisk(text: string): StoreParameters['disk'] {
  if (text === 'auto') return { by: 'product' }
  if (parseUuid(text)) return { by: 'uuid', uuid: text.toLowerCase() }
  if (text.startsWith('/dev/')) return { by: 'path', path: text }
  throw refuse(`ddi.store=${text}`, 'it has to be auto, the UUID of the table of a disk, or a path below /dev')
}

function refuse(parameter: string, why: string): DdiError {
  return new DdiError('ERR_DDI_USAGE', `${parameter} on the kernel command line: ${why}`)
}
