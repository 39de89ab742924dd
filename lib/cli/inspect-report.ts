import { writeNewFile } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import type { Dissection } from '../image/dissection.js'
import type { MountOptions } from '../mount/options.js'
import type { ReportedContents } from './pictures/report-page.js'

/** How many files a page lists: it is to be sent around. */
const mostPaths = 1000

export interface ReportOptions extends MountOptions {
  readonly replace: boolean
}

/**
 * Writes a page that shows an image.
 * @param path of the page
 * @returns what the page says of its files
 * @throws as {@link writeNewFile}, ERR_DDI_ABORTED
 */
export async function writeReport(
  path: string,
  dissection: Dissection,
  options: ReportOptions,
): Promise<ReportedContents> {
  const { replace, ...reading } = options
  const { reportPage } = await import('./pictures/report-page.js')
  const contents = await contentsOf(dissection, reading)
  const page = Buffer.from(`${reportPage({ dissection, contents, made: new Date() })}\n`)
  const from = dissection.image.path === null ? [] : [dissection.image.path]
  await writeNewFile(path, page.length, (target) => target.write(0, page), { replace, from })
  return contents
}

/** An image whose files cannot be read has a page nevertheless, which says why. */
async function contentsOf({ image }: Dissection, options: MountOptions): Promise<ReportedContents> {
  const [{ withTree }, { readFacts }] = await Promise.all([import('../mount/tree.js'), import('../mount/facts.js')])
  try {
    return await withTree(image, options, async (tree) => {
      const paths: string[] = []
      let more = false
      for await (const { path } of tree.entries()) {
        more = paths.length >= mostPaths
        if (more) break
        paths.push(path)
      }
      return { facts: await readFacts(tree, image.name), paths, more }
    })
  } catch (error) {
    if (!(error instanceof DdiError) || error.code === 'ERR_DDI_ABORTED') throw error
    return { problem: error.message }
  }
}
