import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { type Image, imageOn } from '../image/open.js'
import type { StoreImage } from './image.js'

/** Opens an image that lies on a disk as others open one in a file. @param path of the disk @throws as {@link imageOn} */
export async function openStored(path: string, { label, volume }: StoreImage): Promise<Image> {
  const disk = await openFile(path)
  try {
    const image = await imageOn(extentSource(disk, volume.extents), { name: label })
    image.keepOpen(disk)
    return image
  } catch (error) {
    await disk.close()
    throw error
  }
}
