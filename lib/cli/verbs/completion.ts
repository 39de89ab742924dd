import { choice } from '../choice.js'
import { completionScript } from '../completion.js'
import { print, printJson } from '../output.js'
import { object, string } from '../schema.js'
import { argument, verb } from '../verb.js'
import { readIndex } from '../verb-index.js'

export default verb({
  summary: 'print a completion script for a shell',
  arguments: [argument('<shell>', 'bash, zsh or fish', choice('bash', 'zsh', 'fish'))],
  options: {},
  json: object({ shell: string, script: string }),
  examples: [
    'source <(ddi-attach completion bash)',
    'ddi-attach completion fish > ~/.config/fish/completions/ddi-attach.fish',
  ],
  async run([shell], { json }) {
    const script = completionScript(shell, readIndex())
    if (json !== 'off') printJson({ shell, script }, json)
    else print(script)
  },
})
