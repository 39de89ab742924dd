import assert from 'node:assert/strict'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { attempt, packageRoot, run, temporaryFolder } from '../support/run.js'

const verb = `
import { print, printJson } from '../output.js'
import { integer, object, string } from '../schema.js'
import { size } from '../values.js'
import { argument, option, verb } from '../verb.js'

export default verb({
  summary: 'say hello',
  arguments: [argument('<name>', 'whom to greet')],
  options: { size: option('--size <size>', 'how loud', size, '1K') },
  json: object({ name: string, size: integer }),
  examples: ['ddi-attach hello world'],
  async run([name], { json, size }) {
    if (json === 'off') print(\`hello \${name} \${size.toFixed(0)}\`)
    else printJson({ name, size }, json)
  },
})
`

test('a new verb is one new file: it runs, and is in help, completion, manual and reference', () => {
  using folder = temporaryFolder()
  const at = (...path: string[]) => join(folder.path, ...path)
  for (const name of ['lib', 'bindings', 'scripts', 'docs', 'package.json'])
    cpSync(join(packageRoot, name), at(name), { recursive: true })
  symlinkSync(join(packageRoot, 'node_modules'), at('node_modules'))
  writeFileSync(
    at('tsconfig.json'),
    JSON.stringify({
      extends: join(packageRoot, 'tsconfig.json'),
      compilerOptions: { rootDir: '.', outDir: 'dist' },
      include: ['lib', 'bindings'],
    }),
  )
  writeFileSync(at('lib/cli/verbs/hello.ts'), verb)
  mkdirSync(at('lib/cli/verbs/group-of-one'))
  writeFileSync(at('lib/cli/verbs/group-of-one/group.ts'), "export default { summary: 'hold one verb' }\n")
  writeFileSync(at('lib/cli/verbs/group-of-one/hello.ts'), verb.replaceAll("'../", "'../../"))
  run(process.execPath, join(packageRoot, 'node_modules/@typescript/native/bin/tsc'), '--project', folder.path)
  const [bundle, index] = ['bundle', 'verb-index'].map((name) => pathToFileURL(at(`scripts/${name}.mjs`)).href)
  run(
    process.execPath,
    ...(['--input-type=module', '-e'] as const),
    `import { bundlePackage } from '${bundle}'; import { describeCommandLine } from '${index}'
    await bundlePackage('${folder.path}'); await describeCommandLine('${folder.path}')`,
  )

  const cli = (...args: string[]) => attempt(process.execPath, at('dist/cli/main.js'), ...args)
  assert.equal(cli('hello', 'world').stdout, 'hello world 1024\n')
  assert.equal(cli('group-of-one', 'hello', 'you', '--size=2K', '--json=short').stdout, '{"name":"you","size":2048}\n')
  for (const wrong of [[], ['--nonsense']]) assert.equal(cli('hello', ...wrong).status, 2)
  const { anyOf } = JSON.parse(run('cat', at('dist/schemas/group-of-one-hello.json')))
  assert.deepEqual(anyOf[0].required, ['name', 'size'])
  const refused = cli('hello', 'world', '--size=large')
  assert.equal(refused.status, 2)
  assert.match(refused.stderr, /--size: invalid size "large".*ERR_DDI_USAGE/)
  const page = run(process.execPath, at('scripts/reference.mjs'), '--stdout')
  const manual = run('cat', at('dist/ddi-attach.8')).replaceAll('\\-', '-')
  for (const text of [
    cli('--help').stdout,
    cli('completion', 'bash').stdout,
    cli('completion', 'fish').stdout,
    page,
    manual,
  ]) {
    assert.match(text, /hello/)
    assert.match(text, /group-of-one/)
  }
  for (const text of [cli('hello', '--help').stdout, page, manual]) assert.match(text, /--size <size>(.|\n)*?how loud/)

  // Only the code of the verb that is named is loaded.
  writeFileSync(at('dist/cli/verbs/hello.js'), 'throw new Error("loaded")\n')
  assert.match(cli('hello', 'world').stderr, /loaded/)
  for (const args of [['group-of-one', 'hello', 'you'], ['--help'], ['--version'], ['completion', 'fish']])
    assert.equal(cli(...args).status, 0, args.join(' '))
})
