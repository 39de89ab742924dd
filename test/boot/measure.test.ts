// Measurements against swtpm, a TPM in software, whose PCRs tpm2-tools read.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { measure, measureBoot } from '../../lib/boot/measure.js'
import { extendPcr, parseSelections, type Transmit } from '../../lib/boot/tpm.js'
import { DdiError } from '../../lib/index.js'
import { freePort } from '../support/nginx.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

interface Tpm extends AsyncDisposable {
  readonly transmit: Transmit
  /** The value of a PCR in a bank, in hexadecimal. */
  read(bank: string, pcr: number): string
}

async function startTpm(state: string): Promise<Tpm> {
  mkdirSync(state)
  const port = await freePort()
  const server = (type: string, number: number) => [`--${type}`, `type=tcp,port=${number},bindaddr=127.0.0.1`]
  const options = ['--tpmstate', `dir=${state}`, ...server('server', port), ...server('ctrl', port + 1)]
  const swtpm = spawn('swtpm', ['socket', '--tpm2', ...options, '--flags', 'not-need-init,startup-clear'])
  const read = (bank: string, pcr: number) => {
    const { stdout } = attempt('tpm2_pcrread', '-T', `swtpm:host=127.0.0.1,port=${port}`, `${bank}:${pcr}`)
    return /0x([0-9A-F]+)/.exec(stdout)?.[1]?.toLowerCase() ?? ''
  }
  for (let tries = 0; read('sha256', 12) === '' && tries < 100; tries++) await sleep(50)
  return {
    read,
    async transmit(command) {
      const socket = connect(port, '127.0.0.1')
      try {
        return await new Promise<Buffer>((resolve, reject) => {
          let response = Buffer.alloc(0)
          socket.on('data', (chunk) => {
            response = Buffer.concat([response, chunk])
            if (response.length >= 6 && response.length >= response.readUInt32BE(2)) resolve(response)
          })
          socket.on('error', reject)
          socket.write(command)
        })
      } finally {
        // It serves one client at a time.
        socket.destroy()
      }
    },
    async [Symbol.asyncDispose]() {
      await stop(swtpm)
    },
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill()
  await once(child, 'exit')
}

/** What a PCR is after it was extended by texts. */
function extended(algorithm: string, texts: readonly string[]): string {
  const hash = (bytes: Uint8Array | string) => createHash(algorithm).update(bytes).digest()
  return texts
    .reduce<Buffer>((value, text) => hash(Buffer.concat([value, hash(text)])), Buffer.alloc(hash('').length))
    .toString('hex')
}

test('what is booted is in PCR 12 of each active bank, and in systemd’s log', async () => {
  using folder = temporaryFolder()
  await using tpm = await startTpm(join(folder.path, 'tpm'))
  const texts = ['url=http://boot.example/os.raw', `roothash=${'ab'.repeat(32)}`]
  await measure(tpm.transmit, folder.path, texts.slice(0, 1))
  await measure(tpm.transmit, folder.path, texts.slice(1))
  for (const bank of ['sha256', 'sha384']) assert.equal(tpm.read(bank, 12), extended(bank, texts), bank)
  const path = join(folder.path, 'run/log/systemd/tpm2-measure.log')
  // The sticky bit would say that a record is missing.
  assert.equal(statSync(path).mode & 0o7777, 0o600)
  const records = readFileSync(path, 'utf8').split('\u{1e}').slice(1)
  const parsed = records.map(
    (text) =>
      JSON.parse(text) as { pcr: number; digests: { hashAlg: string; digest: string }[]; content: { string: string } },
  )
  assert.deepEqual(
    parsed.map(({ pcr, content }) => [pcr, content.string]),
    texts.map((text) => [12, text]),
  )
  for (const { digests, content } of parsed)
    for (const { hashAlg, digest } of digests)
      assert.equal(digest, createHash(hashAlg).update(content.string).digest('hex'))
})

test('a machine without a TPM measures nothing; a TPM that refuses is an error', async () => {
  using folder = temporaryFolder()
  assert.deepEqual(await measureBoot(folder.path, ['url=x']), [])
  await using tpm = await startTpm(join(folder.path, 'tpm'))
  // There is no such PCR in any bank.
  await assert.rejects(extendPcr(tpm.transmit, 24, 'x'), { code: 'ERR_DDI_TPM' })
  const refusing: Transmit = async () => Buffer.from('80010000000a00000100', 'hex')
  await assert.rejects(extendPcr(refusing, 12, 'x'), { code: 'ERR_DDI_TPM', message: /0x100/ })
})

test('banks of newer hashes get theirs', async () => {
  const numbers = { sm3: 0x12, 'sha3-256': 0x27, 'sha3-384': 0x28, 'sha3-512': 0x29 }
  const selections = Object.values(numbers).flatMap((number) => [0, number, 3, 0, 0x10, 0])
  const listed = Buffer.from([
    0x80,
    1,
    0,
    0,
    0,
    19 + selections.length,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    5,
    0,
    0,
    0,
    4,
    ...selections,
  ])
  const sent: Buffer[] = []
  const transmit: Transmit = async (command) => {
    sent.push(Buffer.from(command))
    return sent.length === 1 ? listed : Buffer.from('80020000000a00000000', 'hex')
  }
  const digests = await extendPcr(transmit, 12, 'url=x')
  assert.deepEqual(
    digests.map(({ algorithm }) => algorithm),
    ['sm3_256', 'sha3_256', 'sha3_384', 'sha3_512'],
  )
  for (const [index, [name, number]] of Object.entries(numbers).entries()) {
    const expected = run('sh', '-c', `printf url=x | openssl dgst -${name} -r`).split(' ')[0]!
    assert.equal(Buffer.from(digests[index]!.digest).toString('hex'), expected)
    assert.ok(sent[1]!.includes(Buffer.from(`00${number.toString(16)}${expected}`, 'hex')), name)
  }
})

test('any answer of a TPM is parsed or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const header = Buffer.from([0x80, 1, 0, 0, 0, 10 + bytes.length, 0, 0, 0, 0])
      for (const response of [bytes, Buffer.concat([header, bytes])]) {
        try {
          for (const { selected } of parseSelections(response)) assert.ok(selected.length <= bytes.length)
        } catch (error) {
          assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_TPM', String(error))
        }
      }
    }),
    { numRuns: 3000 },
  )
})
