// What runs anywhere, in browsers too, and what needs Node.js.
export { type FileSource, openFile } from '../bytes/file.js'
export * from './portable.js'
