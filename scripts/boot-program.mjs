// The program of the initrd, dist/boot/: all of its code in a few files, because an initrd has no node_modules but native ones.
import { chmodSync, copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

/** Bundles what tsc left in dist/lib/boot. @param root of the package */
export async function buildBootProgram(root) {
  rmSync(join(root, 'dist/boot'), { recursive: true, force: true })
  await build({
    absWorkingDir: root,
    entryPoints: ['dist/lib/boot/main.js', 'dist/lib/boot/service.js'],
    outdir: 'dist/boot',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Of modules that are written for require(), import() would have nothing but the default export.
    mainFields: ['module', 'main'],
    // They find their own files.
    external: ['ffi-rs', 'node-gyp-build'],
    // Some packages are written for require().
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  const script = join(root, 'dist/boot/udhcpc.sh')
  copyFileSync(join(root, 'lib/boot/udhcpc.sh'), script)
  chmodSync(script, 0o755)
}
