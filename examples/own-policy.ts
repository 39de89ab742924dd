// Takes images by rules of one's own, beside those of systemd.image-policy(7): own-policy IMAGE
import { DdiError, type Dissection, dissect, openImage, parseImagePolicy, validate } from 'ddi'

/** No swap, and nothing that is larger than a gigabyte. */
function refuseUnwanted({ volumes }: Dissection): void {
  for (const { designator, label, size } of volumes) {
    if (designator === 'swap') throw new Error(`${label} is swap`)
    if (size > 2 ** 30) throw new Error(`${label} has ${size} bytes`)
  }
}

const [path = 'os.raw'] = process.argv.slice(2)
await using image = await openImage(path)
try {
  const dissection = await dissect(image, { policy: parseImagePolicy('root=verity+signed:home=unprotected+absent') })
  refuseUnwanted(dissection)
  for (const { designator, verified } of validate(dissection)) console.log('accepted', designator, verified)
} catch (error) {
  console.log('refused', error instanceof DdiError ? error.code : String(error))
}
