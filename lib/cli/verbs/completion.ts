import { completionScript } from '../completion.js'
import { print } from '../output.js'
import { choice } from '../values.js'
import { argument, verb } from '../verb.js'
import { readIndex } from '../verb-index.js'

export default verb({
  summary: 'print a completion script for a shell',
  arguments: [argument('<shell>', 'bash, zsh or fish', choice('bash', 'zsh', 'fish'))],
  options: {},
  examples: [
    'source <(ddi-attach completion bash)',
    'ddi-attach completion fish > ~/.config/fish/completions/ddi-attach.fish',
  ],
  async run([shell]) {
    print(completionScript(shell, readIndex()))
  },
})
