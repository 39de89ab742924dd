import { execFileSync } from 'node:child_process'

// What the initrd executes as its first process.
process.stdout.write('ddi: the boot program runs\n')
execFileSync('/bin/poweroff', ['-f'])
