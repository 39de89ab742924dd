// Writes site/api.md, the reference of the library, from the declarations in dist/: names, signatures and docstrings.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const entries = { ddi: 'index', 'ddi/gpt': 'gpt/index', 'ddi/verity': 'verity/index', 'ddi/android': 'android/index' }
const files = Object.values(entries).map((entry) => join(root, `dist/lib/${entry}.d.ts`))
const program = ts.createProgram(files, {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  types: ['node'],
  skipLibCheck: true,
})
const checker = program.getTypeChecker()

/** Docstrings as they are written, but for what Markdown or Vue would take for theirs. */
function prose(parts) {
  const text = ts.displayPartsToString(parts).replace(/\{@link ([^}]+)\}/g, '`$1`')
  return text
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith('`') ? part : part.replaceAll('<', '&lt;').replaceAll('{{', '{ {')))
    .join('')
}

function describeTag({ name, text }) {
  const said = prose(text).replaceAll('\n', ' ')
  return name === 'param' ? said.replace(/^(\S+)\s+/, '- `$1`: ') : `- ${name}: ${said}`
}

function describe(name, symbol) {
  const code = symbol.declarations.map((one) => (ts.isVariableDeclaration(one) ? one.parent.parent : one).getText())
  const signature = code.join('\n').replaceAll(/^export (declare )?/gm, '')
  const tags = symbol.getJsDocTags(checker).map(describeTag)
  const text = prose(symbol.getDocumentationComment(checker))
  return `### ${name}\n\n${text}\n\n${tags.length > 0 ? `${tags.join('\n')}\n\n` : ''}\`\`\`ts\n${signature}\n\`\`\`\n`
}

function section(entry, file) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(file))
  const exported = checker.getExportsOfModule(module).map((one) => ({
    name: one.name,
    symbol: one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one,
  }))
  const isType = ({ symbol }) =>
    (symbol.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Variable | ts.SymbolFlags.Class)) === 0
  const sorted = exported.sort((a, b) => isType(a) - isType(b) || (a.name < b.name ? -1 : 1))
  return `## ${entry}\n\n${sorted.map(({ name, symbol }) => describe(name, symbol)).join('\n')}`
}

const head = `# Library\n\nWhat programs can import, from the docstrings. Calls come first, then types. Errors are \`DdiError\`s: [error codes](../docs/errors.md).\n\n`
const sections = Object.keys(entries).map((entry, index) => section(entry, files[index]))
writeFileSync(join(root, 'site/api.md'), `${head}${sections.join('\n')}`)
