import assert from 'node:assert/strict'
import { filesInHtml, parseBucketListing } from '../../../lib/store/listing.js'
import type { Target } from '../target.js'

const directory = new URL('http://server/images/')

/** How servers list their files. */
export default {
  seeds: [
    '<a href="acme_1.raw">acme_1.raw</a> <a href=\'./a%2bb&amp;c\'>x</a> <a href="../">..</a>',
    '<ListBucketResult><Key>images/acme_1.raw</Key><NextContinuationToken>1&#x26;</NextContinuationToken></ListBucketResult>',
  ].map((text) => Buffer.from(text)),
  large: ['<a href="', ' href=', '<Key>', '<ListBucketResult ', '&#x', " href = '&amp;'"].map(
    (text) => () => Buffer.from(text.repeat(100_000)),
  ),
  words: [' href="', "'", '</Key>', '<Key>', '&#', ';', '&amp;', '%2f', '//', 'http://server/images/', '\\', '..'],
  run(bytes) {
    const text = bytes.toString('latin1')
    for (const { name, url } of filesInHtml(text, directory)) {
      assert.equal(url.origin, directory.origin)
      assert.match(url.pathname, /^\/images\/[^/]+$/)
      assert.notEqual(name, '')
    }
    parseBucketListing(text, directory)
  },
} satisfies Target
