import { bashCompletion } from './completion-bash.js'
import { fishCompletion } from './completion-fish.js'
import type { VerbIndex } from './verb-index.js'

type Shell = 'bash' | 'zsh' | 'fish'

/** A script that completes verbs, options, their values, what is attached, what a disk has, and file names. */
export function completionScript(shell: Shell, index: VerbIndex): string {
  if (shell === 'fish') return fishCompletion(index)
  const script = bashCompletion(index)
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script
}
