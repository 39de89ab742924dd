import { createHash } from 'node:crypto'
import { attachmentName } from '../image/plan.js'

/** What the image's name may take up of an attachment's: the mark of the directory needs the rest. */
const longestStem = 31

/**
 * The name of an attachment that is mounted on a directory: `unmount` finds it by that, however much of it was made.
 * @param directory without links
 */
export function mountName(imagePath: string, directory: string): string {
  return `${attachmentName(imagePath).slice(0, longestStem)}${mountMark(directory)}`
}

/** What the names of attachments that are mounted on a directory end with. @param directory without links */
export function mountMark(directory: string): string {
  return `@${createHash('sha256').update(directory).digest('hex').slice(0, 8)}`
}

/** The name that the root in memory of an attachment has among mounts. */
export function memoryRoot(attachment: string): string {
  return `ddi:${attachment}`
}
