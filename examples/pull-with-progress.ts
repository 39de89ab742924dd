// Downloads an image that SHA256SUMS beside it vouches for: pull-with-progress URL OUTPUT
import { pull } from 'ddi'

const [url = 'https://example.com/os_1.raw.xz', path = 'os_1.raw'] = process.argv.slice(2)
const pulled = await pull(
  url,
  { kind: 'raw', path },
  {
    verify: 'checksum',
    onProgress: ({ done, total }) =>
      console.error(total === null ? `${done} bytes` : `${Math.floor((done / total) * 100)} %`),
  },
)
console.log(pulled.path, pulled.size, pulled.sha256)
