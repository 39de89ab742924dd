import { realpath } from 'node:fs/promises'
import { DdiError } from '../errors.js'
import { runTool, toolPath } from '../tool.js'
import { readElfFile } from './libraries.js'

/** For /init, the network, modules that the kernel asks for, and who looks for what is wrong in an emergency shell. */
const applets = [
  ...[
    'sh',
    'mount',
    'umount',
    'insmod',
    'modprobe',
    'lsmod',
    'ip',
    'udhcpc',
    'udhcpc6',
    'poweroff',
    'reboot',
    'switch_root',
  ],
  ...[
    'cat',
    'chroot',
    'clear',
    'cp',
    'cut',
    'date',
    'dd',
    'df',
    'dmesg',
    'echo',
    'env',
    'find',
    'findfs',
    'free',
    'grep',
    'head',
    'hexdump',
  ],
  ...[
    'hostname',
    'kill',
    'less',
    'ln',
    'losetup',
    'ls',
    'mkdir',
    'mknod',
    'more',
    'mv',
    'nslookup',
    'ping',
    'ps',
    'pwd',
    'readlink',
  ],
  ...[
    'rm',
    'route',
    'sed',
    'setsid',
    'sleep',
    'sort',
    'stat',
    'sync',
    'sysctl',
    'tail',
    'test',
    'top',
    'touch',
    'tr',
    'traceroute',
  ],
  ...['true', 'uname', 'vi', 'wc', 'wget'],
] as const

export interface Busybox {
  readonly path: string
  /** The names that it is called by. */
  readonly names: readonly string[]
}

/** @throws ERR_DDI_LIBRARY_MISSING if there is none, or it is not linked statically: /init runs before there are libraries */
export async function findBusybox(signal?: AbortSignal): Promise<Busybox> {
  const tool = { command: ['busybox', '--list'], package: 'busybox-static' } as const
  const path = await realpath(await toolPath(tool))
  if ((await readElfFile(path)).interpreter !== null)
    throw new DdiError('ERR_DDI_LIBRARY_MISSING', `${path} is not linked statically: install busybox-static`)
  const known = new Set((await runTool(tool, signal)).split('\n'))
  return { path, names: applets.filter((name) => known.has(name)) }
}
