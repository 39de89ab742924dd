// Prints the devices that attaching would make, as JSON, and makes none: plan-as-json IMAGE
import { dissect, openImage, plan } from 'ddi'

const [path = 'os.raw'] = process.argv.slice(2)
await using image = await openImage(path)
console.log(JSON.stringify(plan(await dissect(image), { name: 'os' }), null, 2))
