// The layers of the house, lowest first. A file imports only its own room and rooms of lower layers; rooms that share a
// layer do not see each other. Imports of types count.
const layers = [
  { ground: '^lib/(?!index[.])[^/]+[.]ts$' },
  { bytes: '^lib/bytes/' },
  { gpt: '^lib/gpt/', verity: '^lib/verity/', android: '^lib/android/' },
  { kernel: '^lib/kernel/' },
  { disk: '^lib/disk/' },
  { image: '^lib/image/' },
  { attach: '^lib/attach/' },
  { mount: '^lib/mount/' },
  { build: '^lib/build/', pull: '^lib/pull/', uki: '^lib/uki/' },
  { store: '^lib/store/' },
  { install: '^lib/install/' },
  { boot: '^lib/boot/' },
  { face: '^lib/index[.]ts$' },
  { cli: '^lib/cli/' },
]

const patterns = layers.flatMap((layer) => Object.values(layer))
const downwards = layers.flatMap((layer, level) =>
  Object.entries(layer).map(([room, path]) => ({
    name: `${room}-imports-down`,
    comment: `lib/${room} imports only what lies below it`,
    severity: 'error',
    from: { path },
    to: {
      path: [
        ...Object.values(layer).filter((beside) => beside !== path),
        ...layers.slice(level + 1).flatMap((above) => Object.values(above)),
      ],
    },
  })),
)

export default {
  forbidden: [
    ...downwards.filter(({ to }) => to.path.length > 0),
    {
      name: 'every-file-has-a-room',
      comment: 'a directory of lib/ has its place in the list of layers',
      severity: 'error',
      from: {},
      to: { path: '^lib/', pathNot: patterns },
    },
    {
      name: 'bindings-import-errors-only',
      comment: 'bindings/ knows nothing of lib/ but its errors',
      severity: 'error',
      from: { path: '^bindings/' },
      to: { path: '^lib/', pathNot: '^lib/errors[.]ts$' },
    },
    {
      name: 'no-import-of-tests',
      comment: 'what is shipped imports nothing that is not',
      severity: 'error',
      from: { path: '^(lib|bindings)/' },
      to: { path: '^(test|bench|scripts|dist)/' },
    },
    // Who imports ddi/gpt, ddi/verity or ddi/android loads these rooms and the addon's door, and no package but theirs.
    ...Object.entries({
      gpt: '^(lib/(gpt|bytes)/|bindings/(addon|exhausted|package-root|steps)[.]ts$)',
      android: '^(lib/(android|bytes)/|bindings/(addon|exhausted|package-root|steps)[.]ts$)',
      verity: '^(lib/(verity|bytes)/|bindings/|node_modules/pkijs/)',
    }).map(([room, allowed]) => ({
      name: `${room}-stands-alone`,
      comment: `ddi/${room} loads no more than its own graph`,
      severity: 'error',
      from: { path: `^lib/${room}/index[.]ts$` },
      to: { reachable: true, path: '^(lib|bindings|node_modules)/', pathNot: [allowed, layers[0].ground] },
    })),
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-missing-file', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: { tsPreCompilationDeps: true, doNotFollow: { path: 'node_modules' } },
}
