import { array, boolean, described, either, integer, nullable, object, string, word } from './schema.js'
import { bytes, extent, hexadecimal, path, plannedVolume } from './shapes.js'

const nodeFields = { id: string, size: bytes, readOnly: boolean }

/** What `plan` shows. */
export const planned = object({
  name: string,
  image: path,
  nodes: array(
    either(
      object({
        kind: word('base'),
        role: word('image', 'beside'),
        backing: word('file', 'block-device'),
        shared: boolean,
        path,
        identity: string,
        sectorSize: bytes,
        ...nodeFields,
      }),
      object({ kind: word('linear'), role: word('volume', 'inner'), extents: array(extent), ...nodeFields }),
      object({
        kind: word('verity'),
        role: word('volume', 'inner'),
        data: described(string, 'the id of a node'),
        hash: described(string, 'the id of a node'),
        algorithm: string,
        rootHash: hexadecimal,
        salt: hexadecimal,
        dataBlockSize: bytes,
        hashBlockSize: bytes,
        dataBlocks: integer,
        hashStartBlock: integer,
        signature: nullable(hexadecimal),
        signatureRequired: boolean,
        onCorruption: nullable(word('restart', 'panic')),
        ignoreZeroBlocks: boolean,
        checkAtMostOnce: boolean,
        errorCorrection: nullable(object({ device: string, start: integer, blocks: integer, roots: integer })),
        ...nodeFields,
      }),
    ),
  ),
  volumes: array(object(plannedVolume)),
})
