import { createHash } from 'node:crypto'
import type { Dissection, HashTree, UntrustedVerity, Verity } from '../../image/dissection.js'
import type { ImageFacts } from '../../mount/facts.js'
import { formatSize } from '../output.js'
import { usedFor } from '../used-for.js'
import { flagNames } from '../volume-flags.js'
import { type Markup, markup } from './markup.js'
import { drawDisk, hueOf } from './report-map.js'
import { reportStyle } from './report-style.js'

export interface Reported {
  readonly dissection: Dissection
  readonly contents: ReportedContents
  readonly made: Date
}

/** What the files of an image say, or why they could not be read. */
export type ReportedContents =
  | { readonly facts: ImageFacts; readonly paths: readonly string[]; readonly more: boolean }
  | { readonly problem: string }

/** One page that shows an image and loads nothing: whatever the image holds, it is text on it. */
export function reportPage({ dissection, contents, made }: Reported): string {
  const { image, problems } = dissection
  const style = reportStyle.toString()
  const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'`
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${image.name}</title>
<style>${reportStyle}</style>
</head>
<body>
<h1>${image.name}</h1>
<p class="facts">${tableFacts(dissection)}</p>
${[...image.table.problems, ...problems].map(({ message }) => markup`<p class="problem">${message}</p>`)}
<h2>Disk</h2>
<div class="wide">${drawDisk(image)}</div>
<h2>Volumes</h2>
${volumeTable(dissection)}
<h2>Verity</h2>
${verityState(dissection)}
<h2>Contents</h2>
${contentsOf(contents)}
<footer>Made by <code>ddi-attach inspect --report</code> on ${made.toISOString().slice(0, 16).replace('T', ' ')} UTC.</footer>
</body>
</html>`.toString()
}

function tableFacts({ image }: Dissection): string {
  const { type, uuid, source } = image.table
  const kind = { gpt: 'GPT', mbr: 'MBR', super: 'Android super partition', none: 'no partition table' }[type]
  const copy = source === null ? [] : [`${source} copy`]
  return [formatSize(image.size), uuid ? `${kind} ${uuid}` : kind, ...copy, `${image.sectorSize}-byte sectors`].join(
    ' · ',
  )
}

function volumeTable(dissection: Dissection): Markup {
  const rows = dissection.volumes.map((volume, n) => {
    const cells = [
      volume.architecture,
      volume.label,
      formatSize(volume.size),
      volume.fileSystem?.type,
      flagNames(volume),
      usedFor(dissection, volume),
    ]
    return markup`<tr><td><span class="dot ${hueOf(n)}"></span>${volume.designator ?? '–'}</td>${cells.map((cell) => markup`<td>${cell || '–'}</td>`)}<td class="mono">${volume.uuid || '–'}</td></tr>
`
  })
  return markup`<div class="wide"><table>
<tr><th>Volume</th><th>Arch</th><th>Label</th><th>Size</th><th>File system</th><th>Flags</th><th>Used as</th><th>UUID</th></tr>
${rows}</table></div>`
}

function verityState({ verity }: Dissection): Markup {
  if (verity.size === 0) return markup`<p>No volume has a hash tree: nothing shows whether the image is unchanged.</p>`
  const states = [...verity].map(([designator, pair]) => {
    const [kind, text] = trustOf(pair)
    return markup`<p><strong>${designator}</strong> <span class="state ${kind}">${text}</span></p>
${list(pair.trusted || pair.forKernel ? coverage(pair) : [['Hash tree', placeOf(pair.hash)]])}`
  })
  const isKnown = [...verity.values()].some((pair) => pair.trusted)
  return markup`${states}${isKnown ? compared : ''}`
}

const compared = markup`<p class="facts">The root hash matches the top of the tree. Blocks are compared with the tree as they are read; <code>ddi-attach verify</code> reads them all.</p>`

function trustOf(pair: Verity): readonly ['good' | 'warn', string] {
  if (pair.trusted) {
    const origin = {
      option: 'given',
      file: 'from beside the image',
      'extended-attribute': 'from an extended attribute',
      signature: 'from its signature',
    }
    return [
      'good',
      pair.signature ? 'root hash signed by a trusted certificate' : `root hash ${origin[pair.rootHashSource]}`,
    ]
  }
  return ['warn', pair.forKernel ? 'signature left to the kernel' : 'no trusted root hash is known']
}

function coverage(pair: Exclude<Verity, { readonly forKernel: false; readonly trusted: false }>): [string, string][] {
  const { algorithm, dataBlocks, dataBlockSize, hashBlockSize } = pair.superblock
  return [
    ['Root hash', Buffer.from(pair.rootHash).toString('hex')],
    ['Hash', `${algorithm}, hash blocks of ${formatSize(hashBlockSize)}`],
    [
      'Covers',
      `${dataBlocks} blocks of ${formatSize(dataBlockSize)}, ${formatSize(dataBlocks * dataBlockSize)} of ${formatSize(pair.data.size)}`,
    ],
    ['Hash tree', placeOf(pair.hash)],
    ...(pair.parity ? [['Parity', `${pair.parity.roots} bytes a code`] as [string, string]] : []),
    ...(pair.trusted && pair.signature
      ? [['Signer', `certificate with SHA-256 ${pair.signature.signer}`] as [string, string]]
      : []),
  ]
}

function placeOf(hash: HashTree | UntrustedVerity['hash']): string {
  if (hash.kind === 'volume') return `in volume ${hash.volume.label || hash.volume.uuid}`
  return hash.kind === 'file' ? `in ${hash.path}` : 'behind the data'
}

function contentsOf(contents: ReportedContents): Markup {
  if ('problem' in contents) return markup`<p class="facts">The files were not read: ${contents.problem}</p>`
  const { facts, paths, more } = contents
  const releases = {
    ...facts.machineInfo,
    ...facts.initrdRelease,
    ...facts.sysextRelease,
    ...facts.confextRelease,
    ...facts.osRelease,
  }
  const known: [string, string][] = [
    ...(facts.hostname === null ? [] : [['Hostname', facts.hostname] as [string, string]]),
    ...(facts.machineId === null ? [] : [['Machine ID', facts.machineId] as [string, string]]),
    ['Use as', facts.uses.join(', ') || '–'],
    ...Object.entries(releases),
  ]
  return markup`${list(known)}
<details><summary>${more ? `The first ${paths.length} files` : `${paths.length} files`}</summary>
<pre class="mono">${paths.map(
    (path) => markup`${path}
`,
  )}</pre></details>`
}

function list(rows: readonly (readonly [string, string])[]): Markup {
  return markup`<dl>${rows.map(
    ([name, value]) => markup`<dt>${name}</dt><dd class="mono">${value}</dd>
`,
  )}</dl>`
}
