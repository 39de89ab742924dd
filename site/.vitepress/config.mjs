// The documents as a site. The pages are those of the repository, in their places: what links there, links here.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const { version, description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const page = (text, link) => ({ text, link })

const sidebar = [
  { text: 'Start', items: [page('Start here', '/docs/start'), page('Overview', '/README')] },
  {
    text: 'Tutorials',
    items: [
      page('Your first image', '/docs/tutorials/first-image'),
      page('Trust', '/docs/tutorials/trust'),
      page('Many images on one disk', '/docs/tutorials/many-images'),
      page('Boot from a URL', '/docs/tutorials/boot-from-a-url'),
    ],
  },
  {
    text: 'Help',
    items: [
      page('How to …', '/docs/how-to'),
      page('Troubleshooting', '/docs/troubleshooting'),
      page('Common mistakes', '/docs/mistakes'),
    ],
  },
  {
    text: 'Reference',
    items: [
      page('Command line', '/docs/cli'),
      page('Library', '/site/api'),
      page('JSON', '/docs/json'),
      page('Error codes', '/docs/errors'),
      page('Building images', '/docs/building'),
      page('Pulling images', '/docs/pull'),
      page('Booting', '/docs/boot'),
      page('Unified kernel images', '/docs/uki'),
      page('Android', '/docs/android'),
    ],
  },
  {
    text: 'Formats',
    items: [
      page('Extension partitions', '/docs/extension-partitions'),
      page('Image store', '/docs/image-store'),
      page('Nested tables', '/docs/nested-tables'),
    ],
  },
  {
    text: 'Explanation',
    items: [
      page('Security model', '/docs/security-model'),
      page('Architecture', '/docs/architecture'),
      page('Dependencies', '/docs/dependencies'),
      page('Glossary', '/docs/glossary'),
      page('Comparison', '/docs/comparison'),
      page('Compatibility', '/docs/compatibility'),
    ],
  },
  {
    text: 'Project',
    collapsed: true,
    items: [page('Changes', '/CHANGELOG'), page('Contributing', '/CONTRIBUTING'), page('Security', '/SECURITY')],
  },
]

function adapt(markdown) {
  unlinkSource(markdown)
  // A prompt of root is no comment, as highlighters have it.
  markdown.core.ruler.push('plain-console', ({ tokens }) => {
    for (const token of tokens) if (token.info === 'console') token.info = 'txt'
  })
}

/** Of links in documents, those that stay links: pages of this site and of others. */
function isPage(target) {
  const isSource = /^(\.\.\/)+(bindings|lib|native|scripts|test)\//.test(target)
  return /^(https?:|#|\/)/.test(target) || (/\.md(#|$)/.test(target) && !isSource)
}

/** Files of the source are no pages: they are named, and not linked to. */
function unlinkSource(markdown) {
  markdown.core.ruler.push('unlink-source', ({ tokens }) => {
    for (const { children } of tokens) {
      let within = false
      for (const token of children ?? []) {
        if (token.type === 'link_open') within = !isPage(token.attrGet('href'))
        if (within && token.type.startsWith('link_'))
          Object.assign(token, { type: 'text', tag: '', nesting: 0, content: '', hidden: token.nesting < 0 })
        if (token.type === 'text' && token.hidden) within = false
      }
    }
  })
}

export default defineConfig({
  title: 'ddi',
  description,
  lang: 'en',
  srcDir: '..',
  outDir: '../build/site',
  cacheDir: '../build/site-cache',
  srcExclude: ['{bench,bindings,build,dist,examples,lib,native,prebuilds,scripts,test}/**'],
  rewrites: { 'site/index.md': 'index.md' },
  cleanUrls: true,
  lastUpdated: false,
  // Pages are outside of this folder, which has the dependencies.
  vite: { resolve: { alias: [{ find: /^vue(?=$|\/)/, replacement: join(root, 'site/node_modules/vue') }] } },
  markdown: {
    config: adapt,
    languageAlias: { console: 'txt' },
    theme: { light: 'github-light', dark: 'github-dark' },
  },
  themeConfig: {
    nav: [
      page('Start', '/docs/start'),
      page('How to …', '/docs/how-to'),
      page('Command line', '/docs/cli'),
      page(version, '/CHANGELOG'),
    ],
    sidebar,
    outline: [2, 3],
    search: { provider: 'local' },
    footer: { message: 'MIT licensed.' },
  },
})
