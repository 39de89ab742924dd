// What the four entry points of the package declare, as TypeScript reads it.
import { join } from 'node:path'
import ts from 'typescript'
import { packageRoot } from './run.js'

const faces = ['index', 'gpt/index', 'verity/index', 'android/index'].map((face) =>
  join(packageRoot, `dist/lib/${face}.d.ts`),
)
const program = ts.createProgram(faces, {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  types: ['node'],
  skipLibCheck: true,
})
export const checker = program.getTypeChecker()

/** What programs can import, as it is declared. */
export function* declared(): Generator<{ readonly name: string; readonly symbol: ts.Symbol }> {
  for (const face of faces) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(face)!)!
    for (const one of checker.getExportsOfModule(module)) {
      const isAlias = (one.flags & ts.SymbolFlags.Alias) !== 0
      yield { name: one.name, symbol: isAlias ? checker.getAliasedSymbol(one) : one }
    }
  }
}

/** The type of an interface or alias; of a union, its members. */
export function typesOf(symbol: ts.Symbol): readonly ts.Type[] {
  const type = checker.getDeclaredTypeOfSymbol(symbol)
  return type.isUnion() ? type.types : [type]
}
