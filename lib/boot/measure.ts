import { constants } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { addon } from '../../bindings/addon.js'
import { exists } from '../bytes/exists.js'
import { makeDirectories } from '../bytes/new-file.js'
import { systemError } from '../errors.js'
import { printableJson } from '../text.js'
import { type BankDigest, extendPcr, type Transmit } from './tpm.js'

/** Where systemd-stub measures the command line and companions of a kernel: what decides which system is booted. */
const pcr = 12

/** The kernel’s resource manager first: others may use the TPM too. */
const devices = ['dev/tpmrm0', 'dev/tpm0'] as const

/** The longest response that we ask for, in bytes. */
const longestResponse = 4096

/** What was measured, in the words of the log. */
export interface Measured {
  readonly pcr: number
  readonly text: string
}

/**
 * Extends PCR 12 by texts that say what is booted, each with a record in the log that systemd keeps of such measurements.
 * @param root the directory that has dev/ and run/
 * @returns what was measured; nothing if the machine has no TPM
 * @throws ERR_DDI_TPM, ERR_DDI_PERMISSION, ERR_DDI_KERNEL
 */
export async function measureBoot(root: string, texts: readonly string[]): Promise<readonly Measured[]> {
  for (const path of devices.map((one) => join(root, one))) {
    if (!(await exists(path))) continue
    const handle = await open(path, 'r+').catch((error: unknown) => {
      throw systemError(error, `cannot open ${path}`)
    })
    try {
      return await measure(transmitTo(handle, path), root, texts)
    } finally {
      await handle.close()
    }
  }
  return []
}

/** A character device takes a command in one write, and gives its response in one read. */
function transmitTo(handle: FileHandle, path: string): Transmit {
  return async (command) => {
    try {
      await handle.write(command)
      const response = Buffer.alloc(longestResponse)
      const { bytesRead } = await handle.read(response, 0, response.length)
      return response.subarray(0, bytesRead)
    } catch (error) {
      throw systemError(error, `cannot reach ${path}`)
    }
  }
}

/** @param transmit to the TPM */
export async function measure(
  transmit: Transmit,
  root: string,
  texts: readonly string[],
): Promise<readonly Measured[]> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim().replaceAll('-', '')
  const path = join(root, 'run/log/systemd/tpm2-measure.log')
  await makeDirectories(dirname(path))
  const log = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600)
  try {
    await addon().lockExclusively(log.fd, path)
    for (const text of texts) {
      // The mark of a log that lacks a measurement, if we do not come back: tpm2_log of systemd.
      await log.chmod(0o1600)
      const digests = await extendPcr(transmit, pcr, text)
      await log.appendFile(record(text, digests, bootId))
      await log.sync()
      await log.chmod(0o600)
    }
  } catch (error) {
    throw systemError(error, `cannot measure what is booted`)
  } finally {
    await log.close()
  }
  return texts.map((text) => ({ pcr, text }))
}

/** A record of TCG’s Canonical Event Log as JSON-SEQ, RFC 7464, without its number: as systemd-pcrextend writes it. */
function record(text: string, digests: readonly BankDigest[], bootId: string): string {
  const content = {
    pcr,
    digests: digests.map(({ algorithm, digest }) => ({
      hashAlg: algorithm,
      digest: Buffer.from(digest).toString('hex'),
    })),
    content_type: 'systemd',
    content: {
      eventType: 'ddi-boot',
      string: text,
      bootId,
      timestamp: Number(process.hrtime.bigint() / 1000n),
    },
  }
  return `\u{1e}${printableJson(content)}\n`
}
