// Every command block of the documents does what the page shows: npm run docs:outputs puts what is printed into the pages.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPage, documents, readPage, rewritePage, runPages } from './support/doc-blocks.js'
import { temporaryFolder } from './support/run.js'

/** How many blocks may be left out, each with its reason above it. */
const mostNotRun = 14

test('the command blocks of all documents do what is shown', async (t) => {
  using folder = temporaryFolder()
  const chosen = process.env['DDI_DOCS']?.split(',') ?? documents()
  const pages = chosen.map(readPage)
  const results = runPages(
    pages.filter(({ commands }) => commands.length > 0),
    folder.path,
  )
  for (const [page, printed] of results) {
    if (process.env['DDI_DOCS_WRITE'] === '1') rewritePage(page, printed)
    else await t.test(page.path, () => checkPage(page, printed))
  }
  const reasons = pages.flatMap((page) => page.reasons)
  assert.ok(reasons.length <= mostNotRun, reasons.join('\n'))
})
