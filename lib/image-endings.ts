/** A DDI, or a tree of files. */
export type ImageKind = 'raw' | 'tar'

const compressed = /\.(xz|gz|bz2|zst|zstd|lz4|lzma)$/i
const rawEndings = /\.(raw|img|bin|qcow2)$/i
const tarEndings = /\.(tar|tgz|txz|tlz|tbz|tbz2|tzst)$/i

function withoutCompression(name: string): string {
  return name.replace(compressed, '')
}

/** The name of a file without the endings of raw images, and of what it is compressed by. */
export function withoutRawEnding(name: string): string {
  return withoutCompression(name).replace(rawEndings, '')
}

/** Without those of archives either. */
export function withoutEnding(name: string): string {
  return withoutRawEnding(name).replace(tarEndings, '')
}

/** What a file is, by its name. */
export function kindOf(name: string): ImageKind {
  return tarEndings.test(withoutCompression(name)) ? 'tar' : 'raw'
}
