// Tells errors apart by their codes, never by their text: handle-errors IMAGE
import { DdiError, dissect, openImage } from 'ddi'

const [path = 'os.raw'] = process.argv.slice(2)
try {
  await using image = await openImage(path)
  const { volumes } = await dissect(image)
  console.log(`${image.table.type}, ${volumes.length} volumes`)
} catch (error) {
  if (!(error instanceof DdiError)) throw error
  if (error.code === 'ERR_DDI_NOT_FOUND') console.log('there is no such file')
  else if (error.code === 'ERR_DDI_NO_TABLE') console.log('this is no disk image')
  // What kind of cause it is, where the code does not matter: usage, image, permission or system.
  else if (error.kind === 'image') console.log(`get the image again: ${error.code}`)
  else throw error
}
