import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redirectTarget } from '../../lib/pull/http.js'

test('redirects lead to http and https only, and never to less safety', () => {
  const from = new URL('https://h/a/b')
  assert.equal(redirectTarget(from, 'c').href, 'https://h/a/c')
  assert.equal(redirectTarget(from, 'https://other/').href, 'https://other/')
  assert.equal(redirectTarget(new URL('http://h/'), 'https://h/').href, 'https://h/')
  assert.equal(redirectTarget(new URL('http://h/'), '//other/x').href, 'http://other/x')
  for (const location of [undefined, 'http://[', 'http://h/a/b', 'file:///etc/passwd', 'ftp://h/', ['a', 'b']])
    assert.throws(() => redirectTarget(from, location), { code: 'ERR_DDI_PULL_REDIRECT' }, String(location))
})
