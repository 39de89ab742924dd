// Writes docs/cli.md from the index of verbs; with --stdout it prints the page.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { placeholder } from './man-page.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Text in a cell of a table. */
const cell = (text) => text.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('<', '&lt;')

const code = (text) => `\`${text.replaceAll('|', '\\|')}\``

function table(rows) {
  return rows.length > 0 ? ['', '| | |', '|---|---|', ...rows.map((row) => `| ${row.join(' | ')} |`)] : []
}

const common = ['--quiet', '--verbose', '--json']

/** Not an option that every verb has. */
const isOwn = ({ flags }) => !common.some((name) => flags.includes(name))

function verb({ name, summary, arguments: given, options, examples }) {
  const synopsis = [
    'ddi-attach',
    name,
    ...(options.length > 0 ? ['[options]'] : []),
    ...given.map(({ spec }) => placeholder(spec)),
  ]
  return [
    '',
    `## ${name}`,
    '',
    `${summary[0].toUpperCase()}${summary.slice(1)}.`,
    '',
    '```',
    synopsis.join(' '),
    '```',
    ...table([
      ...given.map(({ spec, description }) => [code(placeholder(spec)), cell(description)]),
      ...options
        .filter(isOwn)
        .map(({ flags, description, required }) => [
          code(flags),
          `${cell(description)}${required ? '; required' : ''}`,
        ]),
    ]),
    '',
    '```sh',
    ...examples,
    '```',
  ]
}

function reference({ verbs, groups }) {
  const listed = [
    ...verbs.filter(({ name }) => !name.includes(' ')).map(({ name, summary }) => [name, summary]),
    ...Object.entries(groups).map(([name, summary]) => [`${name} …`, summary]),
  ]
  const anchor = (name) =>
    verbs.find((one) => one.name === name.replace(' …', '') || one.name.startsWith(name.replace('…', ''))).name
  return `${[
    '# Command line',
    '',
    '<!-- Made by `npm run docs` from the verbs in lib/cli/verbs/: change those, not this page. -->',
    '',
    'An image is attached by `ddi-attach IMAGE`; everything else is a verb. `ddi-attach help VERB` prints what is here of one verb.',
    'Data goes to standard output, everything else to standard error.',
    ...table(listed.map(([name, summary]) => [`[${code(name)}](#${anchor(name).replace(' ', '-')})`, cell(summary)])),
    '',
    '| exit status | |',
    '|---|---|',
    '| 0 | done |',
    '| 1 | failed |',
    '| 2 | wrong usage |',
    '| 3 | the image is not acceptable |',
    '| 4 | not permitted |',
    '| 10 | nothing new (`store update --check`) |',
    '| 126, 127 | of `with`: the command cannot be executed, is not found |',
    '| 129, 130, 143 | interrupted by SIGHUP, SIGINT, SIGTERM; what was begun is undone |',
    '',
    'Every verb has these:',
    ...table(
      verbs[0].options.filter((one) => !isOwn(one)).map(({ flags, description }) => [code(flags), cell(description)]),
    ),
    '',
    'With `--json=pretty` or `--json=short`, each verb prints JSON, failures too: [json.md](json.md).',
    ...verbs.flatMap(verb),
  ].join('\n')}\n`
}

const page = reference(JSON.parse(readFileSync(join(root, 'dist/cli/verbs.json'), 'utf8')))
if (process.argv.includes('--stdout')) process.stdout.write(page)
else writeFileSync(join(root, 'docs/cli.md'), page)
