import { DdiError } from '../errors.js'

// docs/image-store.md, "An image".

/** What names an image in a store: its label is `PRODUCT_VERSION`. */
export interface ImageName {
  readonly product: string
  readonly version: string
}

const productForm = /^[A-Za-z0-9._+-]{1,24}$/
const versionForm = /^[A-Za-z0-9.^~+-]+$/
/** What a GPT stores of a label, in UTF-16 units. */
const longestLabel = 36

/** The product and version that a label says; undefined if it is not that of an image. */
export function parseLabel(label: string): ImageName | undefined {
  const parting = label.lastIndexOf('_')
  const [product, version] = [label.slice(0, Math.max(parting, 0)), label.slice(parting + 1)]
  return productForm.test(product) && versionForm.test(version) ? { product, version } : undefined
}

/** The label of an image. @throws ERR_DDI_STORE_NAME if a product, a version, or both together cannot be one */
export function formatLabel({ product, version }: ImageName): string {
  requireProduct(product)
  if (!versionForm.test(version))
    throw new DdiError(
      'ERR_DDI_STORE_NAME',
      `${JSON.stringify(version)} is not a version: use A-Z a-z 0-9 . ^ ~ + -, at least one of them`,
    )
  const label = `${product}_${version}`
  if (label.length > longestLabel)
    throw new DdiError(
      'ERR_DDI_STORE_NAME',
      `${label} has ${label.length} characters, and the label of a partition has at most ${longestLabel}: shorten the product or the version`,
    )
  return label
}

/** @throws ERR_DDI_STORE_NAME */
export function requireProduct(product: string): void {
  if (!productForm.test(product))
    throw new DdiError(
      'ERR_DDI_STORE_NAME',
      `${JSON.stringify(product)} is not a product: use 1 to 24 of A-Z a-z 0-9 . _ + -`,
    )
}
