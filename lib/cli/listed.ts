import type { Listed } from './parser.js'

/** The words of `ddi-attach` that list what a shell completes, before and behind the path of the disk. */
export const listings: Readonly<Record<Listed, { readonly words: string; readonly column: string }>> = {
  attachments: { words: 'list', column: 'NAME' },
  volumes: { words: 'volume list', column: 'LABEL' },
  images: { words: 'store list', column: 'IMAGE' },
}
