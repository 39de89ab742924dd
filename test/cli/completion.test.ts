import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { emptyFile, MiB } from '../support/images.js'
import { attempt, cli, cliPath, temporaryFolder } from '../support/run.js'

/** What zsh shows for a command line: its completion runs in a terminal alone, of which this is one. */
const zshScript = `
zmodload zsh/zpty
zpty shell "zsh -f -i"
send() { zpty -w shell "$1" }
send 'PS1=; autoload -U compinit; compinit -u -D'
send "source $1"
send "zstyle ':completion:*' list-rows-first yes; zstyle ':completion:*' force-list always; LISTMAX=1000; print rea''dy"
zpty -r shell seen '*ready*'
zpty -w -n shell "$2"$'\\t\\t'
sleep 1.5
zpty -w -n shell $'\\C-u'
send 'print do''ne'
zpty -r shell seen '*done*'
print -r -- "$seen"
`

/** @returns what the shell offers for a command line that ends where the cursor is */
function complete(shell: string, folder: string, script: string, line: string): string {
  const environment = ['env', '-C', folder, `PATH=${folder}/bin:${process.env['PATH']}`, `HOME=${folder}`] as const
  if (shell === 'fish')
    return attempt(...environment, 'fish', '-c', `source ${script}; complete -C ${quote(line)}`).stdout
  if (shell === 'zsh') return attempt(...environment, 'zsh', '-f', '-c', zshScript, 'zsh', script, line).stdout
  const words = line.replaceAll('=', ' = ').split(' ')
  const told = `. ${script}; COMP_WORDS=(${words.map(quote).join(' ')}); COMP_CWORD=${words.length - 1}; _ddi_attach; printf '%s\\n' "\${COMPREPLY[@]}"`
  return attempt(...environment, 'bash', '-c', told).stdout
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

for (const shell of ['bash', 'zsh', 'fish'] as const)
  test(`${shell} completes verbs, options, values, what is attached and what a disk has`, () => {
    using folder = temporaryFolder()
    const at = (name: string) => join(folder.path, name)
    emptyFile(at('disk.raw'), 16 * MiB)
    assert.equal(cli('volume', 'init', at('disk.raw')).status, 0)
    const planted = at('planted')
    for (const label of ['first', `$(touch ${planted})`.slice(0, 36)])
      assert.equal(cli('volume', 'create', at('disk.raw'), '--type=home', '--size=1M', `--label=${label}`).status, 0)
    mkdirSync(at('bin'))
    const wrapper = `#!/bin/sh
case "$1" in list) echo one-attached; exit ;; esac
exec '${process.execPath}' '${cliPath}' "$@"
`
    writeFileSync(at('bin/ddi-attach'), wrapper)
    chmodSync(at('bin/ddi-attach'), 0o755)
    writeFileSync(at('script'), cli('completion', shell).stdout)
    for (const [line, ...expected] of [
      ['ddi-attach insp', 'inspect'],
      ['ddi-attach volume gr', 'grow'],
      ['ddi-attach verify --root-h', '--root-hash', '--root-hash-signature'],
      ['ddi-attach volume create disk.raw --type ', 'root', 'usr', 'linux-generic'],
      ['ddi-attach volume create disk.raw --architecture=x86', 'x86-64'],
      ['ddi-attach inspect --image-policy ', 'sysext', 'container'],
      ['ddi-attach detach ', 'one-attached'],
      ['ddi-attach umount ', 'one-attached'],
      ['ddi-attach volume remove disk.raw ', 'first'],
      ['ddi-attach completion ', 'bash', 'zsh', 'fish'],
      ['ddi-attach inspect di', 'disk.raw'],
    ] as const) {
      const offered = complete(shell, folder.path, at('script'), line)
      for (const one of expected) assert.ok(offered.includes(one), `${line}: ${JSON.stringify(offered)}`)
    }
    assert.equal(attempt('test', '-e', planted).status, 1, 'a label was run')
  })
