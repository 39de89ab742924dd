import assert from 'node:assert/strict'
import { attachmentName } from '../../../lib/image/plan.js'
import { parseAddress } from '../../../lib/pull/address.js'
import { parseAnswer } from '../../../lib/pull/answer.js'
import { imageName } from '../../../lib/pull/names.js'
import type { Target } from '../target.js'

/** An address, and the fields of an answer in the lines after it. */
export default {
  seeds: [
    'http://u:p@h/a%20b/os_1.raw.xz\n206\nbytes 10-19/20\n10\n"tag"',
    'https://h/..%2f..%2fetc.tar.gz?x#y\n200\n\n20\n',
    'file:///x/os.raw\n416\nbytes */10\n\n',
  ].map((text) => Buffer.from(text)),
  words: [
    'http://',
    'u:p@',
    '%2f',
    '%00',
    '%',
    '..',
    '.raw',
    '.tar',
    '206\n',
    '200\n',
    'bytes ',
    '-',
    '/*',
    '"',
    'W/"',
  ],
  run(bytes) {
    const [address = '', status = '', range, length, etag] = bytes.toString('utf8').split('\n')
    assert.match(attachmentName(address), /^[A-Za-z0-9][A-Za-z0-9._+@=-]{0,39}$/)
    const { url } = parseAddress(address)
    assert.equal(url.username + url.password, '')
    const fields = { 'content-range': range, 'content-length': length, etag }
    parseAnswer(
      { url, verified: false, from: 10, until: null, size: 20, validator: '"tag"' },
      Number(status) || 0,
      fields,
    )
    assert.doesNotMatch(imageName(url), /^\.|[/\0]/)
  },
} satisfies Target
